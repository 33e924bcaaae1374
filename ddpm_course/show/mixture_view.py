"""The picture behind the w slider in the plane: guided samples as dots over the tilted density, which is shaded.

The mathematics is in `lessons/mixture`.
"""

import io
from functools import lru_cache

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ddpm_course.evaluation import energy_distance
from ddpm_course.lessons.exact import ExactModel
from ddpm_course.lessons.mixture import MIXTURE_NAMES, tilted_log_density
from ddpm_course.randomness import normal
from ddpm_course.sampling import sample
from ddpm_course.show.plotting import COLOURS
from ddpm_course.solvers import SOLVERS

SOLVER_NAMES = {"ddim": "DDIM", "ddpm": "DDPM", "dpm": "DPM-Solver++ 2M"}
LIMIT, PIXELS = 2.6, 131                                         # half the side of the picture, and its grid


def grid() -> Tensor:
    """Return the points of the picture's grid, row by row from the bottom: (PIXELS², 2) float64."""
    line = torch.linspace(-LIMIT, LIMIT, PIXELS, dtype=torch.float64)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


class MixtureView:
    """Draw guided samples of a class over the tilted density; the last `memory` settings are remembered.

    `n` samples start from the same noise for every w. Raises ValueError for a class, solver, interval or w that does
    not exist.
    """

    def __init__(self, model: ExactModel, *, n: int = 500, steps: int = 50, memory: int = 200) -> None:
        self.model, self.steps = model, steps
        self.x_T = normal((n, 2), generator=torch.Generator().manual_seed(0)).double()
        self._remembered = lru_cache(maxsize=memory)(self._cloud)

    def cloud(self, w: float, c: int, solver: str, interval: tuple[int, int]) -> Tensor:
        """Return the samples for a setting: (n, 2) float64; solver is a key of `SOLVERS`."""
        if not 0 <= c < len(self.model.conditional):
            raise ValueError(f"class must be 0 … {len(self.model.conditional) - 1}; got {c}")
        if solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}; got {solver!r}")
        lo, hi = interval
        if not 1 <= lo <= hi <= self.model.schedule.T:
            raise ValueError(f"the interval must lie in 1 … {self.model.schedule.T}, lower end first; got {interval}")
        return self._remembered(round(float(w), 6), c, solver, (lo, hi))

    def _cloud(self, w: float, c: int, solver: str, interval: tuple[int, int]) -> Tensor:
        return sample(self.model, self.model.schedule, self.x_T, torch.full((len(self.x_T),), c), w, interval=interval,
                      solver=SOLVERS[solver], steps=self.steps, clip=False, generator=torch.Generator().manual_seed(1))

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
        for k, colour in enumerate(COLOURS[:len(self.model.conditional)]):
            density = self.model.log_prob(points, 0, k).exp().reshape(PIXELS, PIXELS).numpy()
            ax.contour(x, y, density, levels=[0.1 * density.max()], colors=colour)
        ax.plot(*dots.T.numpy(), ".", color=COLOURS[c], markersize=3.5)
        ax.set(xlim=side, ylim=side, xticks=[], yticks=[])
        ax.set_title(f"class {MIXTURE_NAMES[c]}, w = {w:g}", fontsize=14)
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
        return (f"{len(cloud)} samples of class {MIXTURE_NAMES[c]} by {SOLVER_NAMES[solver]} in {self.steps} steps, "
                f"w = {w:g} for t in {lo} … {hi}. Energy distance of the dots to the tilted density: "
                f"{energy_distance(cloud, tilted):.3f} (as many draws from that density itself: {by_chance:.3f}); "
                f"to the class without guidance: {energy_distance(cloud, given):.3f}")
