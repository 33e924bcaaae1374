"""One reverse step, from x_t to x_s with s < t: ancestral DDPM, DDIM and DPM-Solver++ 2M.

Each `*_step` is pure: it takes the state, the model's estimate x̂_0 and (where needed) fresh noise z, and returns x_s.
Since each derives what it needs from x̂_0, clipping x̂_0 to the pixel range is consistent in all three: DDIM gets the
ε̂ that belongs to the clipped x̂_0. (Keeping the old ε̂ beside a clipped x̂_0 silently reverses guidance in the clipped
pixels.) The small classes give the three one signature for the loop in `sampling`.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ddpm_course.randomness import normal
from ddpm_course.schedule import NoiseSchedule


def ddpm_step(schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, x_0_hat: Tensor, z: Tensor, *,
              variance: str = "posterior") -> Tensor:
    """Draw x_s from q(x_s | x_t, x̂_0) (DDPM eq. 6–7, Algorithm 2): mean + √variance · z, and no noise at s = 0.

    `variance`: "posterior" for β̃, "beta" for the larger β (both in DDPM §3.2). z ~ N(0, I) of x_t's shape.
    """
    if variance not in ("posterior", "beta"):
        raise ValueError(f'variance must be "posterior" (β̃) or "beta" (β); got {variance!r}')
    mean, beta_tilde = schedule.q_posterior(x_0_hat, x_t, t, s)
    if s == 0:
        return mean
    if variance == "beta":
        beta = 1 - schedule.alpha_bars[t] / schedule.alpha_bars[s]               # β_t when s = t - 1
        return mean + math.sqrt(beta) * z
    return mean + beta_tilde.sqrt() * z


def ddim_step(schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, x_0_hat: Tensor, *, eta: float = 0.0,
              z: Tensor | None = None, eps_hat: Tensor | None = None) -> Tensor:
    """Return √ᾱ_s x̂_0 + √(1 - ᾱ_s - σ²) ε̂ + σ z (Song et al., arXiv 2010.02502, eq. 12 and 16).

    σ = η √β̃; η = 0 is deterministic, η = 1 has the ancestral variance β̃. ε̂ is the one that belongs to x̂_0;
    `eps_hat` replaces it for methods that denoise with one prediction and renoise with another (CFG++).
    Raises ValueError for η outside [0, 1] and for η > 0 without z.
    """
    if not 0 <= eta <= 1 or (eta > 0 and z is None):
        raise ValueError(f"η must lie in [0, 1], and η > 0 needs the noise z; got η = {eta}")
    eps_hat = schedule.predict_eps(x_t, t, x_0_hat) if eps_hat is None else eps_hat
    alpha_bar_t, alpha_bar_s = float(schedule.alpha_bars[t]), float(schedule.alpha_bars[s])
    sigma = eta * math.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s))
    x_s = math.sqrt(alpha_bar_s) * x_0_hat + math.sqrt(max(1 - alpha_bar_s - sigma**2, 0.0)) * eps_hat
    return x_s + sigma * z if sigma > 0 else x_s


def dpm_step(schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, x_0_hat: Tensor, *,
             previous: tuple[int, Tensor] | None = None) -> Tensor:
    """Take one step of DPM-Solver++ 2M (Lu et al., arXiv 2211.01095, Algorithm 2).

    `previous` = (t', x̂_0') of the step before, t' > t, serves to extrapolate x̂_0 linearly in λ = log(√ᾱ/√(1 - ᾱ)).
    Without it, and in the last step (s = 0, where λ is infinite), the step is of first order and equals DDIM's.
    """
    if s == 0:
        return x_0_hat

    def log_snr_half(step: int) -> float:                                        # λ_t
        alpha_bar = float(schedule.alpha_bars[step])
        return 0.5 * (math.log(alpha_bar) - math.log1p(-alpha_bar))

    h = log_snr_half(s) - log_snr_half(t)                                        # h > 0
    estimate = x_0_hat
    if previous is not None:
        t_before, x_0_before = previous
        r = (log_snr_half(t) - log_snr_half(t_before)) / h
        estimate = x_0_hat + (x_0_hat - x_0_before) / (2 * r)
    alpha_bar_t, alpha_bar_s = float(schedule.alpha_bars[t]), float(schedule.alpha_bars[s])
    shrink = math.sqrt((1 - alpha_bar_s) / (1 - alpha_bar_t))                    # σ_s / σ_t
    return shrink * x_t - math.sqrt(alpha_bar_s) * math.expm1(-h) * estimate


@dataclass(frozen=True)
class Ancestral:
    """The DDPM sampler. `variance`: "posterior" or "beta"."""

    variance: str = "posterior"

    def step(self, schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, x_0_hat: Tensor, *,
             previous: tuple[int, Tensor] | None, generator: torch.Generator | None) -> Tensor:
        z = normal(tuple(x_t.shape), generator=generator, device=x_t.device).to(x_t)
        return ddpm_step(schedule, x_t, t, s, x_0_hat, z, variance=self.variance)


@dataclass(frozen=True)
class DDIM:
    """The DDIM sampler; `eta` in [0, 1]."""

    eta: float = 0.0

    def step(self, schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, x_0_hat: Tensor, *,
             previous: tuple[int, Tensor] | None, generator: torch.Generator | None) -> Tensor:
        z = normal(tuple(x_t.shape), generator=generator, device=x_t.device).to(x_t) if self.eta > 0 else None
        return ddim_step(schedule, x_t, t, s, x_0_hat, eta=self.eta, z=z)


@dataclass(frozen=True)
class DPMSolver2M:
    """The second-order multistep sampler: fewer steps for the same image."""

    def step(self, schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, x_0_hat: Tensor, *,
             previous: tuple[int, Tensor] | None, generator: torch.Generator | None) -> Tensor:
        return dpm_step(schedule, x_t, t, s, x_0_hat, previous=previous)


Solver = Ancestral | DDIM | DPMSolver2M
SOLVERS: dict[str, Solver] = {"ddpm": Ancestral(), "ddim": DDIM(), "dpm": DPMSolver2M()}
