"""What a network's output stands for: ε, x_0 and v are three names for one prediction.

    v = √ᾱ_t ε - √(1 - ᾱ_t) x_0,      so that  ε = √(1 - ᾱ_t) x_t + √ᾱ_t v

A network that outputs ε must find a little noise in an almost clean image at small t; one that outputs x_0 must guess
an image from almost pure noise at large t; v asks for whichever is the harder of the two. `VelocityModel` predicts v
inside and answers in ε outside. Guidance does not notice: the conversion is affine, and the weights 1 + w and -w sum
to one. Salimans & Ho, arXiv 2202.00512, Appendix D.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.schedule import NoiseSchedule


def velocity(schedule: NoiseSchedule, x_0: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """Return v = √ᾱ_t ε - √(1 - ᾱ_t) x_0; all images (B, …)."""
    signal, noise = schedule.signal_and_noise(t, x_0)
    return signal * eps - noise * x_0


def eps_from_velocity(schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, v: Tensor) -> Tensor:
    """Return ε = √(1 - ᾱ_t) x_t + √ᾱ_t v; all images (B, …)."""
    signal, noise = schedule.signal_and_noise(t, x_t)
    return noise * x_t + signal * v


def velocity_from_eps(schedule: NoiseSchedule, x_t: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
    """Return v = (ε - √(1 - ᾱ_t) x_t) / √ᾱ_t, the inverse of `eps_from_velocity`; all images (B, …)."""
    signal, noise = schedule.signal_and_noise(t, x_t)
    return (eps - noise * x_t) / signal


def predict_pair(model: nn.Module, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Ask a model for both predictions, for c and for ∅: each has the shape of x_t (B, …).

    A model that knows a cheaper way offers a method `predict_pair`: the U-Net runs its encoder once for both. Any other
    module is asked twice: model(x_t, t, c), then model(x_t, t, None).
    """
    if hasattr(model, "predict_pair"):
        return model.predict_pair(x_t, t, c)
    return model(x_t, t, c), model(x_t, t, None)


class VelocityModel(nn.Module):
    """Wrap a network that predicts v so that it answers in ε, as every sampler of the course expects.

    `network(x_t, t, c)` is a `UNet` or any module of its signature; `schedule` fixes ᾱ_t.
    """

    def __init__(self, network: nn.Module, schedule: NoiseSchedule) -> None:
        super().__init__()
        self.network, self.schedule = network, schedule

    def velocity(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the network's own output v̂ (B, …): what `velocity_loss` trains."""
        return self.network(x_t, t, c)

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return eps_from_velocity(self.schedule, x_t, t, self.network(x_t, t, c))

    def predict_pair(self, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return ε̂ for c and for ∅, each (B, …), with one encoder pass where the network is a U-Net."""
        v_c, v_null = predict_pair(self.network, x_t, t, c)
        return eps_from_velocity(self.schedule, x_t, t, v_c), eps_from_velocity(self.schedule, x_t, t, v_null)


def ddpm_loss(model: nn.Module, schedule: NoiseSchedule, x_0: Tensor, t: Tensor, eps: Tensor,
              c: Tensor | None = None) -> Tensor:
    """Return the mean of ‖ε - ε_θ(x_t, t, c)‖² per pixel: DDPM's simple loss, eq. 14. A scalar.

    x_0, eps (B, …); t (B,) in 1 … T; c (B, …) with dropped conditions already replaced by ∅.
    """
    return F.mse_loss(model(schedule.q_sample(x_0, t, eps), t, c), eps)


def velocity_loss(model: VelocityModel, schedule: NoiseSchedule, x_0: Tensor, t: Tensor, eps: Tensor,
                  c: Tensor | None = None) -> Tensor:
    """Return the mean of ‖v - v_θ(x_t, t, c)‖² per pixel, a scalar; arguments as for `ddpm_loss`.

    It is the ε-loss weighted by 1/ᾱ_t: errors at high noise count for more.
    """
    return F.mse_loss(model.velocity(schedule.q_sample(x_0, t, eps), t, c), velocity(schedule, x_0, t, eps))
