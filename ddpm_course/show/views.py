"""What stands behind the small sliders of lessons 01–03: a setting → one picture, as PNG bytes, and a sentence.

    `NoiseView`       a noise level, or a timestep t, on real garments
    `DenoisingView`   clean, noisy, denoised: redrawn while a network of lesson 01 trains
    `TrajectoryView`  one step of a reverse process: x_t beside x̂_0
    `StepsView`       how few steps are enough: DDIM and DPM-Solver++ 2M from the same noise

No widget appears here; `sliders` only wraps `render` and `describe`.
"""

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor, nn

from ddpm_course.lessons.denoising import LEVEL, denoise, mix_noise
from ddpm_course.randomness import normal
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.pictures import Row, gray, screen, sheet
from ddpm_course.solvers import SOLVERS


class NoiseView:
    """Show images (n, 1, H, W) in [-1, 1] under more or less of one fixed noise.

    Without a schedule the setting is a noise level b in 0 … 1; with one it is a timestep t in 0 … T, and b = 1 - ᾱ_t.
    """

    def __init__(self, images: Tensor, schedule: NoiseSchedule | None = None, *, seed: int = 0) -> None:
        self.images, self.schedule = images, schedule
        self.eps = normal(tuple(images.shape), generator=torch.Generator().manual_seed(seed))

    def level(self, setting: float) -> float:
        """Return the noise level b of a setting. Raises ValueError when it is out of range."""
        if self.schedule is None:
            return float(setting)
        if not 0 <= setting <= self.schedule.T:
            raise ValueError(f"t must lie in 0 … {self.schedule.T}; got {setting}")
        return 1 - float(self.schedule.alpha_bars[int(setting)])

    def render(self, setting: float) -> bytes:
        """Return three rows: the images, the noise, and their mixture."""
        b = self.level(setting)
        noisy = mix_noise(self.images, b, self.eps)
        return screen([Row("x_0, the image", gray(self.images)), Row("ε, the noise", gray(self.eps / 2)),
                      Row(f"{(1 - b)**0.5:.2f} x_0\n+ {b**0.5:.2f} ε", gray(noisy / 2))])

    def describe(self, setting: float) -> str:
        """Say in words how much of each there is."""
        b = self.level(setting)
        name = f"noise level {b:.2f}"
        if self.schedule is not None:
            name = f"t = {setting} of {self.schedule.T}, 1 − ᾱ_t = {b:.4f}"
        return f"{name}: the pixels are {(1 - b)**0.5:.2f} × image + {b**0.5:.2f} × noise (noise at half its contrast)"


class DenoisingView:
    """Show images (n, 1, H, W) in [-1, 1] clean, noisy and denoised; the noise is always the same."""

    def __init__(self, images: Tensor, level: float = LEVEL, *, seed: int = 0) -> None:
        self.clean, self.level = images, level
        self.noisy = mix_noise(images, level, normal(tuple(images.shape),
                                                     generator=torch.Generator().manual_seed(seed)))

    def render(self, *models: nn.Module, names: tuple[str, ...] = ("denoised",)) -> bytes:
        """Return rows as PNG bytes: clean, noisy, and the answer of each model under its name."""
        if len(names) != len(models):
            raise ValueError(f"each model needs a name; got {len(models)} models and {len(names)} names")
        rows = [Row("clean, x_0", gray(self.clean)), Row(f"noisy, b = {self.level:g}", gray(self.noisy))]
        for name, model in zip(names, models):
            device = next(model.parameters()).device
            rows.append(Row(name, gray(denoise(model, self.noisy.to(device)).cpu())))
        return sheet(rows)


class TrajectoryView:
    """Keep a whole reverse process, as `reverse_process` yields it, and show one step of it.

    `states`: (t, x_t, x̂_0) from (T, …) to (0, …), images (n, 1, H, W).
    """

    def __init__(self, states: Iterable[tuple[int, Tensor, Tensor]]) -> None:
        self.states = [(t, x_t.cpu(), x_0_hat.cpu()) for t, x_t, x_0_hat in states]

    def render(self, step: int) -> bytes:
        """Return x_t and x̂_0 after `step` steps, 0 … len(states) - 1, in two rows."""
        t, x_t, x_0_hat = self._at(step)
        return screen([Row(f"x_t, t = {t}", gray(x_t / (1 if t == 0 else 2))), Row("x̂_0", gray(x_0_hat))])

    def describe(self, step: int) -> str:
        """Say in words where the process is."""
        t, x_t, x_0_hat = self._at(step)
        if t == 0:
            return f"after {step} steps, t = 0: the finished images"
        return (f"after {step} steps, t = {t}: above the noisy images (at half their contrast), below what the network "
                "expects under the noise")

    def _at(self, step: int) -> tuple[int, Tensor, Tensor]:
        if not 0 <= step < len(self.states):
            raise ValueError(f"step must lie in 0 … {len(self.states) - 1}; got {step}")
        return self.states[step]


class StepsView:
    """Draw from one fixed noise with few or many steps, by DDIM and by DPM-Solver++ 2M, beside DDIM's finest result.

    `c` (n,) or None is the condition of `model`. Finished strips are remembered.
    """

    def __init__(self, model: nn.Module, schedule: NoiseSchedule, c: Tensor | None = None, *, n: int = 10,
                 seed: int = 0) -> None:
        self.model, self.schedule, self.c = model, schedule, c
        self.x_T = normal((n, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(seed))
        self.strip = lru_cache(maxsize=64)(self._strip)

    def _strip(self, solver: str, steps: int) -> Tensor:
        return sample(self.model, self.schedule, self.x_T, self.c, solver=SOLVERS[solver], steps=steps)

    def distance(self, solver: str, steps: int) -> float:
        """Return the root mean squared difference per pixel to DDIM with every step."""
        return (self.strip(solver, steps) - self.strip("ddim", self.schedule.T)).square().mean().sqrt().item()

    def render(self, steps: int) -> bytes:
        """Return three rows: DDIM and 2M with `steps` steps, and DDIM with all T."""
        return screen([Row(f"DDIM\n{steps} steps", gray(self.strip("ddim", steps))),
                      Row(f"2M\n{steps} steps", gray(self.strip("dpm", steps))),
                      Row(f"DDIM\n{self.schedule.T} steps", gray(self.strip("ddim", self.schedule.T)))])

    def describe(self, steps: int) -> str:
        """Say in words how far the two are from the finest result."""
        return (f"{steps} steps from the same noise: DDIM differs from its own result with {self.schedule.T} steps by "
                f"{self.distance('ddim', steps):.3f} per pixel, the second-order solver by "
                f"{self.distance('dpm', steps):.3f} (pixels run from −1 to 1)")
