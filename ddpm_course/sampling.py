"""From noise to images: the reverse process, with guidance.

    for t, s in the chosen steps T > … > 0:
        ε̂   = (1 + w) ε_θ(x_t, t, c) - w ε_θ(x_t, t, ∅)
        x̂_0 = (x_t - √(1 - ᾱ_t) ε̂) / √ᾱ_t,  clipped to the pixel range
        x_s = solver.step(x_t, x̂_0)

DDPM Algorithm 2 (arXiv 2006.11239) with the guided ε̂ of arXiv 2207.12598, Algorithm 2. A sampler is a Python
generator: plots, animations and widgets all consume the same one.

There are two ways to guide. Here w is an argument: use it to compare several w with one model, as the slider does. In
`lessons/variants` a model may have its w inside (`Rescaled`): sample from such a model with w = 0.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ddpm_course.guidance import check_weight, extrapolate, limited
from ddpm_course.parameterization import predict_pair
from ddpm_course.randomness import normal
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.shapes import per_image
from ddpm_course.solvers import DPMSolver2M, Solver

IMAGE_SHAPE = (1, 28, 28)


def step_times(T: int, steps: int | None = None) -> list[int]:
    """Return `steps` + 1 timesteps from T down to 0, evenly spaced and rounded; every t when `steps` is None.

    Raises ValueError unless 1 ≤ steps ≤ T.
    """
    steps = T if steps is None else steps
    if not 1 <= steps <= T:
        raise ValueError(f"steps must lie in 1 … T = {T}; got {steps}")
    return [round(T * (steps - k) / steps) for k in range(steps + 1)]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while; then every part of it is as it was, whatever happened."""
    parts = [part for part in model.modules() if part.training] if isinstance(model, nn.Module) else []
    try:
        for part in parts:
            part.training = False
        yield
    finally:
        for part in parts:
            part.training = True


def _checked_weight(w: float | Tensor, x: Tensor, c: Tensor | None) -> float | Tensor:
    """Look at w once, before a loop: a number where all images have the same w, else a tensor (B, 1, …) beside x.

    Raises ValueError when w is not finite, not one per image, or guides without a condition.
    """
    weights = torch.as_tensor(w.cpu() if isinstance(w, Tensor) else w, dtype=torch.float64)
    check_weight(weights, len(x))
    if c is None and bool((weights != 0).any()):
        raise ValueError(f"guidance needs a condition: w = {w} was given with c = None (w = 0 samples without one)")
    if weights.unique().numel() == 1:
        return float(weights.flatten()[0])
    return per_image(weights.to(x.dtype).to(x.device), x)


@torch.no_grad()
def guided_eps(model: nn.Module, x_t: Tensor, t: int, c: Tensor | None = None, w: float | Tensor = 0.0) -> Tensor:
    """Predict the guided noise at one timestep t for a whole batch x_t (B, …), in eval mode.

    One pass where one is enough: c = None or w = -1 needs ε_∅ only, w = 0 needs ε_c only (exactly, so that the result
    is continuous in w). Raises ValueError for w that is not finite, or w ≠ 0 without a class.
    """
    return _guided_eps(model, x_t, t, c, _checked_weight(w, x_t, c))


@torch.no_grad()
def _guided_eps(model: nn.Module, x_t: Tensor, t: int, c: Tensor | None, w: float | Tensor) -> Tensor:
    """Do what `guided_eps` does, with a w that `_checked_weight` has looked at."""
    times, one_w = torch.full((len(x_t),), t, device=x_t.device), not isinstance(w, Tensor)
    with evaluating(model):
        if c is None or (one_w and w == -1):
            return model(x_t, times, None)
        if one_w and w == 0:
            return model(x_t, times, c)
        return extrapolate(*predict_pair(model, x_t, times, c), w)


def reverse_process(model: nn.Module, schedule: NoiseSchedule, x_T: Tensor, c: Tensor | None = None,
                    w: float | Tensor = 0.0, *, interval: tuple[int, int] | None = None,
                    solver: Solver = DPMSolver2M(), steps: int | None = None, clip: bool = True,
                    generator: torch.Generator | None = None) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Yield (t, x_t, x̂_0) from (T, x_T, x̂_0) down to (0, x_0, x_0).

    x_T (B, …) is the starting noise; c (B, …) or None; w a number or (B,), used while t lies in `interval` (t_lo, t_hi)
    and 0 outside; None is every t. `clip` holds x̂_0 in [-1, 1], the pixel range (leave it off for densities without
    one). Raises ValueError for bad steps, w, interval or shapes.
    """
    if c is not None and len(c) != len(x_T):
        raise ValueError(f"one condition per image is needed: got {len(c)} for {len(x_T)} images")
    w = _checked_weight(w, x_T, c)                               # once, also when the interval begins later
    times = step_times(schedule.T, steps)
    x_t, previous = x_T, None
    for t, s in zip(times[:-1], times[1:]):
        eps_hat = _guided_eps(model, x_t, t, c, limited(w, t, interval))
        x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
        x_0_hat = x_0_hat.clamp(-1, 1) if clip else x_0_hat
        yield t, x_t, x_0_hat
        x_t = solver.step(schedule, x_t, t, s, x_0_hat, previous=previous, generator=generator)
        previous = (t, x_0_hat)
    yield 0, x_t, x_t


def sample(model: nn.Module, schedule: NoiseSchedule, x_T: Tensor, c: Tensor | None = None, w: float | Tensor = 0.0,
           *, interval: tuple[int, int] | None = None, solver: Solver = DPMSolver2M(), steps: int | None = None,
           clip: bool = True, generator: torch.Generator | None = None) -> Tensor:
    """Run `reverse_process` to its end and return x_0, of x_T's shape."""
    for _, x_t, _ in reverse_process(model, schedule, x_T, c, w, interval=interval, solver=solver, steps=steps,
                                     clip=clip, generator=generator):
        pass
    return x_t


def sample_w(model: nn.Module, c: Tensor, w: float | Tensor, *, steps: int = 20,
             generator: torch.Generator | None = None) -> Tensor:
    """Draw one garment per entry of c (B,) with guidance w: (B, 1, 28, 28) in [-1, 1], by DPM-Solver++ 2M.

    `model` brings its schedule, as those of `load_checkpoint` and of `models` do; else TypeError. The same generator
    state gives the same starting noise for every w.
    """
    schedule = getattr(model, "schedule", None)
    if not isinstance(schedule, NoiseSchedule):
        raise TypeError(f"sample_w takes a model with the schedule that it was trained on as `model.schedule`; "
                        f"{type(model).__name__} has none. For such a model call `sample` with its schedule")
    x_T = normal((len(c), *IMAGE_SHAPE), generator=generator, device=c.device)
    return sample(model, schedule, x_T, c, w, steps=steps, generator=generator)
