"""A pen that draws on many sheets at once: shapes as signed distances, joined, cut and painted.

A shape is its signed distance d in pixels, negative inside, for every pixel of every picture of a batch at once:

    join ≈ min(d_1, d_2)     common = max(d_1, d_2)     outside = -d     ink = clamp(1/2 - d, 0, 1)   (a soft edge)

The paper is 28 pixels square. x grows to the right and y downwards from its centre, both from -13.5 to 13.5. What is
drawn depends on a style, one row of random numbers a sheet. `garments` draws with it.
"""

from functools import reduce

import torch
from torch import Tensor

SIZE = 28
STYLE = 24  # random numbers in a style; the thirstiest garment, the dress, takes 22

Number = Tensor | float  # one value for all pictures, or (n, 1, 1): one for each
Point = tuple[Number, Number]


def join(*shapes: Tensor) -> Tensor:
    """Keep what lies in any of the shapes, and a little more in the corners between them: a smooth minimum."""
    return reduce(lambda a, b: torch.minimum(a, b) - (1.5 - (a - b).abs()).clamp(0)**2 / 6, shapes)


def common(*shapes: Tensor) -> Tensor:
    """Keep what lies in all of the shapes; `common(shape, -hole)` cuts a hole."""
    return reduce(torch.maximum, shapes)


def through(knots: list[Point], at: Tensor) -> Tensor:
    """Evaluate at `at` the broken line through the knots (place, value), level beyond its ends."""
    value = torch.as_tensor(knots[0][1])
    for (place, start), (next_place, stop) in zip(knots, knots[1:]):
        value = value + (stop - start) * ((at - place) / (next_place - place)).clamp(0, 1)
    return value


class Pen:
    """A pen over n sheets of black paper; on folded paper what is drawn on the right appears on the left too."""

    def __init__(self, style: Tensor, *, folded: bool) -> None:
        self._style = iter(style.T[:, :, None, None])                             # STYLE times (n, 1, 1)
        grid = torch.arange(SIZE) - (SIZE - 1) / 2
        self.across = grid - self.vary(-0.7, 0.7)                                 # (n, 1, 28)
        self.x = self.across.abs() if folded else self.across                     # folded: distance from the middle
        self.y = grid[:, None] - self.vary(-0.6, 0.6)                             # (n, 28, 1)
        self.picture = torch.zeros(len(style), SIZE, SIZE)
        shade = self.vary(0.4, 1.0)
        self.cloth = (shade * self._weave()).clamp(70 / 255, 1)                   # (n, 28, 28)
        self.contrast = torch.where(shade > 0.65, shade - 0.5, shade + 0.4)       # for buttons, laces and clasps

    def vary(self, low: float, high: float) -> Tensor:
        """Take the next number of each style, uniform in [low, high): (n, 1, 1)."""
        return low + (high - low) * next(self._style)

    def _weave(self) -> Tensor:
        """Mix the cloth's texture: light from one side, folds, and on some sheets stripes; around 1."""
        light = self.vary(-0.012, 0.012) * self.across + self.vary(-0.012, 0.012) * self.y
        slanted = self.across + self.vary(-0.5, 0.5) * self.y
        folds = 0.05 * torch.sin(self.vary(0.6, 1.1) * slanted + self.vary(0, 6.3))
        along = self.y + (self.vary(0, 1) < 0.3) * (self.across - self.y)         # stripes go across or, rarer, down
        stripes = (self.vary(0, 1) < 0.3) * self.vary(0.1, 0.3) * torch.sin(self.vary(1.0, 2.0) * along)
        return 1 + light + folds + stripes

    def panel(self, knots: list[Point]) -> Tensor:
        """Cut an upright piece with |x| at most a width that changes with height: knots (y, width), from the top."""
        slope = through(knots, self.y + 0.5) - through(knots, self.y - 0.5)
        flank = (self.x.abs() - through(knots, self.y)) / (1 + slope**2).sqrt()
        return common(flank, knots[0][0] - self.y, self.y - knots[-1][0])

    def limb(self, start: Point, stop: Point, thick: Number = 0.5, thin: Number | None = None) -> Tensor:
        """Draw a round-ended bar from start to stop whose radius goes from thick to thin (as thick, if not given)."""
        (x, y), (dx, dy) = start, (stop[0] - start[0], stop[1] - start[1])
        part = (((self.x - x) * dx + (self.y - y) * dy) / (dx**2 + dy**2)).clamp(0, 1)
        radius = thick if thin is None else thick + part * (thin - thick)
        return torch.hypot(self.x - x - part * dx, self.y - y - part * dy) - radius

    def oval(self, x: Number, y: Number, width: Number, height: Number) -> Tensor:
        """Draw an ellipse about (x, y) with these half axes."""
        reach = torch.hypot((self.x - x) / width, (self.y - y) / height)
        return (reach - 1) * torch.minimum(torch.as_tensor(width), torch.as_tensor(height))

    def paint(self, shape: Tensor, tone: Tensor, *, rim: float = 0.0) -> None:
        """Lay a tone in [0, 1] over the picture where the shape is, darker towards its edge by up to `rim`."""
        shaded = tone * (1 - rim / (1 + shape.clamp(max=0)**2))
        self.picture = self.picture + (0.5 - shape).clamp(0, 1) * (shaded - self.picture)
