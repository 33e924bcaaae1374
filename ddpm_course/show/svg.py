"""The curves of the record `tradeoff` as inline SVG, for the page without a kernel.

matplotlib could draw them, too; drawn by hand they are small, follow the page's light and dark colours, and have a line
that the page's script moves to the slider's w.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.ticker import MaxNLocator

LEFT, RIGHT, TOP, BOTTOM = 38, 312, 10, 112                      # of a panel's axes, in a view box of 320 × 130


def listed(numbers: Sequence[float]) -> str:
    """Write numbers with commas and with a proper minus sign."""
    return ", ".join(f"{number:g}" for number in numbers).replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Curve:
    """One figure against w: its name, values with intervals (low, high), the real images' own, and how to write it."""

    name: str
    w: list[float]
    values: list[float]
    intervals: list[tuple[float, float]]
    real: float
    unit: str = ""

    def text(self, value: float) -> str:
        """Write a value with its unit."""
        return f"{value:.1f} {self.unit}" if self.unit else f"{value:.2f}"


def curves(record: dict) -> list[Curve]:
    """Read the three curves of the record `tradeoff`: accuracy and Fréchet distance in percent, and diversity."""
    points, real = record["points"], record["real_test_set"]
    unseen = real["frechet_of_unseen"]
    nearest = unseen[min(unseen, key=lambda n: abs(int(n) - points[0]["n"]))]    # real images at an equal number
    w, found = [point["w"] for point in points], []
    for key, name, scale, of_real, unit in (
            ("accuracy", "judged accuracy (higher is better)", 100, 100 * real["accuracy"], "%"),
            ("frechet_percent", "Fréchet distance, % of the variance (lower is better)", 1,
             100 * nearest / real["total_variance"], "%"),
            ("diversity", "diversity within a class (real images: 1)", 1, 1.0, "")):
        intervals = [tuple(scale * end for end in point["intervals"][key]) for point in points]
        found.append(Curve(name, w, [scale * point[key] for point in points], intervals, of_real, unit))
    return found


def panel(curve: Curve, low_w: float, high_w: float) -> str:
    """Draw one curve as inline SVG over the slider's range of w; the script moves the line of class "now"."""
    ends = [end for interval in curve.intervals for end in interval] + [curve.real]
    ticks = MaxNLocator(4).tick_values(min(ends), max(ends))

    def across(w: float) -> float:
        return round(LEFT + (w - low_w) / (high_w - low_w) * (RIGHT - LEFT), 1)

    def up(value: float) -> float:
        return round(BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (BOTTOM - TOP), 1)

    def line(x_1: float, y_1: float, x_2: float, y_2: float, kind: str) -> str:
        return f'<line class="{kind}" x1="{x_1}" y1="{y_1}" x2="{x_2}" y2="{y_2}"/>'

    marks = [line(LEFT, up(tick), RIGHT, up(tick), "grid") + f'<text class="y" x="{LEFT - 5}" y="{up(tick) + 4}">'
             f"{tick:g}</text>" for tick in ticks]
    marks += [f'<text class="x" x="{across(w)}" y="{BOTTOM + 15}">{listed([w])}</text>'
              for w in (low_w, *range(0, int(high_w) + 1, 2)) if w <= high_w]
    marks += [line(LEFT, up(curve.real), RIGHT, up(curve.real), "real"), line(LEFT, TOP, LEFT, BOTTOM, "now")]
    marks += [line(across(w), up(low), across(w), up(high), "interval")
              for w, (low, high) in zip(curve.w, curve.intervals)]
    points = [(across(w), up(value)) for w, value in zip(curve.w, curve.values)]
    marks.append('<polyline class="curve" points="' + " ".join(f"{x},{y}" for x, y in points) + '"/>')
    marks += [f'<circle cx="{x}" cy="{y}" r="3.2"/>' for x, y in points]
    told = "; ".join(f"{curve.text(value)} at w = {w:g}" for w, value in zip(curve.w, curve.values))
    label = html.escape(f"{curve.name}: {told}; real test images {curve.text(curve.real)}")
    return f'<svg viewBox="0 0 320 130" role="img" aria-label="{label}">{"".join(marks)}</svg>'


def tradeoff(record: dict, low_w: float, high_w: float) -> str:
    """Draw the three curves with their titles and room for the value at the current w."""
    figures = []
    for curve in curves(record):
        values = html.escape(json.dumps({f"{w:g}": curve.text(value) for w, value in zip(curve.w, curve.values)}))
        figures.append(f'<figure class="panel" data-values="{values}"><figcaption>{html.escape(curve.name)}<br><b></b>'
                       f"</figcaption>{panel(curve, low_w, high_w)}</figure>")
    return "".join(figures)
