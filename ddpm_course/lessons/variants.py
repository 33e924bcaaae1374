"""Guidance by something else than ∅: models that answer with another pair, for the same samplers.

    `Autoguided`        (ε_c of the model, ε_c of a worse version of it)        Karras et al., arXiv 2406.02507
    `ClassifierGuided`  (ε_c, ε_c + σ_t ∇ log p(c | x_t) of a classifier)       Dhariwal & Nichol, arXiv 2105.05233
    `Rescaled`          one answer: guided already, its spread brought back     Lin et al., arXiv 2305.08891

Each is `guide` with other arguments. CFG++ (Chung et al., arXiv 2406.08070) needs two predictions in one step, so it
has a loop of its own; a limited interval is an option of every sampler.
"""

from collections.abc import Iterator
from typing import NoReturn

import torch
from torch import Tensor, nn

from ddpm_course.guidance import cfg_plus_plus, classifier_null, guide, rescale
from ddpm_course.lessons.classifier import class_gradient
from ddpm_course.parameterization import VelocityModel, eps_from_velocity, predict_pair, velocity_from_eps
from ddpm_course.sampling import evaluating, step_times
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import ddim_step


class _Conditional(nn.Module):
    """A model that is asked with a class only. Here w = -1 does not mean "no class": it would be the guide alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        if c is None:
            self._refuse()
        return self.model(x_t, t, c)

    def _refuse(self) -> NoReturn:
        raise ValueError(f"{type(self).__name__} has no prediction without a class, so w = -1 and c = None do not "
                         "exist here (and Rescaled, guided already, takes w = 0 only); use the plain model for it")


class Autoguided(_Conditional):
    """Guide a model by a worse version of itself, asked for the same class; w = 0 is the plain model.

    The paper trains the guide shorter or smaller; the shipped "fashion_early" is the same run, stopped early.
    """

    def __init__(self, model: nn.Module, weak: nn.Module) -> None:
        super().__init__(model)
        self.weak = weak

    def predict_pair(self, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return ε̂ of the model and of its worse version, both for c, each (B, …)."""
        return self.model(x_t, t, c), self.weak(x_t, t, c)


class ClassifierGuided(_Conditional):
    """Guide a model by the gradient of a classifier of noisy images, `classifier(x_t, t)` → logits (B, n)."""

    def __init__(self, model: nn.Module, classifier: nn.Module, schedule: NoiseSchedule) -> None:
        super().__init__(model)
        self.classifier, self.schedule = classifier, schedule

    def predict_pair(self, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return ε̂ for c, and the ε_∅ that the classifier implies, each (B, …)."""
        eps_c = self.model(x_t, t, c)
        _, sigma_t = self.schedule.signal_and_noise(t, x_t)
        return eps_c, classifier_null(eps_c, class_gradient(self.classifier, x_t, t, c), sigma_t)


class Rescaled(_Conditional):
    """Answer with the guided prediction at a fixed w, its v̂ rescaled by φ; sample from it with w = 0."""

    def __init__(self, model: VelocityModel, w: float, phi: float = 0.7) -> None:
        super().__init__(model)
        self.w, self.phi = w, phi

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        if c is None:
            self._refuse()
        schedule = self.model.schedule
        v_c, v_null = (velocity_from_eps(schedule, x_t, t, eps) for eps in predict_pair(self.model, x_t, t, c))
        return eps_from_velocity(schedule, x_t, t, rescale(guide(v_c, v_null, self.w), v_c, self.phi))


@torch.no_grad()
def cfg_plus_plus_process(model: nn.Module, schedule: NoiseSchedule, x_T: Tensor, c: Tensor, lam: float, *,
                          steps: int | None = None) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (t, x_t, x̂_0) as `reverse_process` does, by DDIM steps of CFG++ with λ in [0, 1]; x̂_0 is never clipped.

    With h = λ_s - λ_t, the step in half log-SNR, it equals classifier-free guidance with 1 + w_t = λ / (1 - e^{-h}):
    one λ is a stronger guidance the more steps there are.
    """
    if c is None or len(c) != len(x_T):
        raise ValueError(f"CFG++ needs one class per image; got {None if c is None else len(c)} for {len(x_T)} images")
    times = step_times(schedule.T, steps)
    x_t = x_T
    for t, s in zip(times[:-1], times[1:]):
        with evaluating(model):
            eps_c, eps_null = predict_pair(model, x_t, torch.full((len(x_t),), t, device=x_t.device), c)
        denoise, renoise = cfg_plus_plus(eps_c, eps_null, lam)
        x_0_hat = schedule.predict_x_0(x_t, t, denoise)
        yield t, x_t, x_0_hat
        x_t = ddim_step(schedule, x_t, t, s, x_0_hat, eps_hat=renoise)
    yield 0, x_t, x_t
