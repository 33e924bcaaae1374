"""Guidance in the plane, where the truth is known: three overlapping classes, and what w does to a cloud of samples.

    tilted density:  p̃(x) ∝ p(x | c)^{1+w} / p(x)^w  =  p(x | c) · (p(x | c) / p(x))^w

Guided samples do not follow it, though its score at a single noise level is the guided one; here both can be drawn. The
scores are exact, so whatever the cloud does is guidance's doing and no network's. Taught in notebook 04.
"""

import io
from collections import OrderedDict

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_course.evaluation import energy_distance
from ddpm_course.exact import ExactModel, Gaussian, GaussianMixture
from ddpm_course.randomness import normal
from ddpm_course.sampling import sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import SOLVERS

CLASS_NAMES = ("blue", "orange", "green")
COLOURS = ("#0072B2", "#D55E00", "#009E73")
SOLVER_NAMES = {"ddim": "DDIM", "ddpm": "DDPM", "dpm": "DPM-Solver++ 2M"}
LIMIT, PIXELS = 2.6, 131                                         # half the side of the picture, and its grid
_LOBES = (((-0.9, -0.4), (1.0, 0.9)), ((-0.5, -1.1), (1.1, -0.9)), ((0.3, 1.4), (-1.4, 0.9)))


def lesson_mixture(schedule: NoiseSchedule, *, blur: float = 0.0) -> ExactModel:
    """Return the exact model of three equally frequent classes, two round lobes each, in the plane.

    `blur` is added to every lobe's variance of 0.1: the densities of a network that has learned too smooth a picture.
    """
    classes = [GaussianMixture([0.5, 0.5], [Gaussian(mean, 0.1 + blur) for mean in lobes]) for lobes in _LOBES]
    parts = [part for mixture in classes for part in mixture.components]
    return ExactModel(schedule, GaussianMixture([1 / len(parts)] * len(parts), parts), classes)


def tilted_log_density(model: ExactModel, x: Tensor, c: int, w: float, t: int = 0) -> Tensor:
    """Return log p(x | c)^{1+w} / p(x)^w at noise level t, not normalised: (B, D) → (B,) float64."""
    return (1 + w) * model.log_prob(x, t, c) - w * model.log_prob(x, t)


def grid() -> Tensor:
    """Return the points of the picture's grid, row by row from the bottom: (PIXELS², 2) float64."""
    line = torch.linspace(-LIMIT, LIMIT, PIXELS, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


class MixtureExplorer:
    """Draw guided samples of a class over the tilted density; settings seen before are remembered.

    `n` samples start from the same noise for every w. Raises ValueError for a class, solver, interval or w that does
    not exist.
    """

    def __init__(self, model: ExactModel, *, n: int = 500, steps: int = 50, memory: int = 200) -> None:
        self.model, self.steps, self.memory = model, steps, memory
        self.x_T = normal((n, 2), generator=torch.Generator().manual_seed(0)).double()
        self._clouds: OrderedDict[tuple, Tensor] = OrderedDict()

    def cloud(self, w: float, c: int, solver: str, interval: tuple[int, int]) -> Tensor:
        """Return the samples for a setting: (n, 2) float64; solver is a key of `SOLVERS`."""
        if not 0 <= c < len(self.model.conditional):
            raise ValueError(f"class must be 0 … {len(self.model.conditional) - 1}; got {c}")
        if solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}; got {solver!r}")
        lo, hi = interval
        if not 1 <= lo <= hi <= self.model.schedule.T:
            raise ValueError(f"the interval must lie in 1 … {self.model.schedule.T}, lower end first; got {interval}")
        key = (round(float(w), 6), c, solver, (lo, hi))
        if key not in self._clouds:
            self._clouds[key] = sample(self.model, self.model.schedule, self.x_T, torch.full((len(self.x_T),), c), w,
                                       interval=interval, solver=SOLVERS[solver], steps=self.steps, clip=False,
                                       generator=torch.Generator().manual_seed(1))
            while len(self._clouds) > self.memory:
                self._clouds.popitem(last=False)
        return self._clouds[key]

    def tilted(self, w: float, c: int) -> Tensor:
        """Return the tilted density on the grid, summing to one: (PIXELS²,) float64."""
        return tilted_log_density(self.model, grid(), c, w).softmax(dim=0)

    def render(self, w: float, c: int, solver: str, interval: tuple[int, int]) -> bytes:
        """Return the picture as PNG bytes: samples as dots, tilted density shaded, each class as one outline."""
        dots, points = self.cloud(w, c, solver, interval), grid()
        figure = Figure(figsize=(5.2, 5.2), dpi=100, layout="constrained")
        ax = figure.add_subplot()
        side = (-LIMIT, LIMIT)
        shade = self.tilted(w, c).reshape(PIXELS, PIXELS).numpy()
        ax.imshow(shade, origin="lower", extent=(*side, *side), cmap="Greys", vmax=1.8 * float(shade.max()),
                  interpolation="bilinear")
        x, y = (points[:, axis].reshape(PIXELS, PIXELS).numpy() for axis in (0, 1))
        for k, colour in enumerate(COLOURS):
            density = self.model.log_prob(points, 0, k).exp().reshape(PIXELS, PIXELS).numpy()
            ax.contour(x, y, density, levels=[0.1 * density.max()], colors=colour)
        ax.plot(*dots.T.numpy(), ".", color=COLOURS[c], markersize=3.5)
        ax.set(xlim=side, ylim=side, xticks=[], yticks=[])
        ax.set_title(f"class {CLASS_NAMES[c]}, w = {w:g}", fontsize=14)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()

    def draws(self, w: float, c: int, seed: int) -> Tensor:
        """Draw n points from the tilted density, on the grid and then anywhere in the grid's cell: (n, 2) float64."""
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.multinomial(self.tilted(w, c), len(self.x_T), replacement=True, generator=generator)
        cell = 2 * LIMIT / (PIXELS - 1)
        return grid()[chosen] + cell * (torch.rand(len(chosen), 2, generator=generator, dtype=torch.float64) - 0.5)

    def describe(self, w: float, c: int, solver: str, interval: tuple[int, int]) -> str:
        """Say in words what the picture shows: how far the cloud is from the tilted density, and from the class."""
        cloud, tilted, given = self.cloud(w, c, solver, interval), self.draws(w, c, 2), self.draws(0.0, c, 2)
        by_chance = abs(energy_distance(self.draws(w, c, 3), tilted))
        lo, hi = interval
        return (f"{len(cloud)} samples of class {CLASS_NAMES[c]} by {SOLVER_NAMES[solver]} in {self.steps} steps, "
                f"w = {w:g} for t in {lo} … {hi}. Energy distance of the dots to the tilted density: "
                f"{energy_distance(cloud, tilted):.3f} (as many draws from that density itself: {by_chance:.3f}); "
                f"to the class without guidance: {energy_distance(cloud, given):.3f}")
