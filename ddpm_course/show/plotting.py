"""Tensors → matplotlib Axes. Each function draws into `ax` (a new one unless given) and returns it.

No global style is set. Colours come from Okabe & Ito's palette, which colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from ddpm_course.schedule import NoiseSchedule

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def _axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def show_grid(x: Tensor, *, columns: int = 10, row_labels: Sequence[str] = (), column_labels: Sequence[str] = (),
              ax: Axes | None = None) -> Axes:
    """Show images (N, 1, H, W) in [-1, 1] row by row in a grid with `columns` columns.

    Raises ValueError for another shape or when a label is missing or left over.
    """
    if x.dim() != 4 or x.shape[1] != 1:
        raise ValueError(f"show_grid takes images (N, 1, H, W); got {tuple(x.shape)}")
    rows, (height, width) = -(-len(x) // columns), x.shape[2:]
    if (row_labels and len(row_labels) != rows) or (column_labels and len(column_labels) != columns):
        raise ValueError(f"a grid of {rows} × {columns} needs as many labels; got {len(row_labels)} row and "
                         f"{len(column_labels)} column labels")
    page = torch.ones(rows * columns, height + 2, width + 2)                     # a white frame of one pixel
    page[:len(x), 1:-1, 1:-1] = x[:, 0].detach().float().cpu().clamp(-1, 1)
    page = page.reshape(rows, columns, height + 2, width + 2).transpose(1, 2).reshape(rows * (height + 2), -1)
    ax = _axes(ax, (columns * 0.8 + (1 if row_labels else 0), rows * 0.8 + (0.3 if column_labels else 0)))
    ax.imshow(page.numpy(), cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    ax.set_xticks([(k + 0.5) * (width + 2) - 0.5 for k in range(columns)] if column_labels else [], column_labels)
    ax.set_yticks([(k + 0.5) * (height + 2) - 0.5 for k in range(rows)] if row_labels else [], row_labels)
    ax.tick_params(length=0, labelsize=8, labeltop=bool(column_labels), labelbottom=False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def plot_schedule(schedule: NoiseSchedule, *, label: str = "", ax: Axes | None = None) -> Axes:
    """Plot √ᾱ_t, the signal left in x_t, and √(1 - ᾱ_t), its noise, for t = 0 … T."""
    ax = _axes(ax, (5, 3))
    t = torch.arange(schedule.T + 1)
    line, = ax.plot(t, schedule.alpha_bars.sqrt(), label=f"{label} √ᾱ_t: signal".strip())
    ax.plot(t, (1 - schedule.alpha_bars).sqrt(), "--", color=line.get_color(),
            label=f"{label} √(1 − ᾱ_t): noise".strip())
    ax.set_xlabel("t")
    ax.legend(fontsize=8)
    return ax


def plot_losses(losses: Sequence[float], *, window: int = 50, label: str = "", ax: Axes | None = None) -> Axes:
    """Plot the loss of every step, pale, and its running mean over `window` steps."""
    ax = _axes(ax, (5, 3))
    values = torch.tensor(losses, dtype=torch.float64)
    window = max(min(window, len(values)), 1)
    line, = ax.plot(range(1, len(values) + 1), values, alpha=0.25, linewidth=0.8, color=COLOURS[0])
    if len(values):
        means = values.unfold(0, window, 1).mean(dim=1)
        ax.plot(range(window, len(values) + 1), means, color=line.get_color(), label=label or f"mean of {window} steps")
        ax.legend(fontsize=8)
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    ax.set_yscale("log")
    return ax


def plot_tradeoff(w: Sequence[float], figures: Sequence[float], *, intervals: Sequence[Sequence[float]] = (),
                  real: float | None = None, name: str = "", colour: str = COLOURS[0], ax: Axes | None = None) -> Axes:
    """Plot one figure against w, with 95 % intervals (low, high) as bars, and the real images' value dotted."""
    ax = _axes(ax, (3.2, 2.6))
    ax.plot(w, figures, "o-", color=colour, markersize=4)
    if len(intervals):
        low, high = zip(*intervals)
        ax.vlines(w, low, high, color=colour, linewidth=2, alpha=0.6)
    if real is not None:
        ax.axhline(real, color="black", linestyle=":", linewidth=1.2, label="real test images")
        ax.legend(fontsize=8)
    ax.set_xlabel("w")
    ax.set_title(name, fontsize=10)
    return ax


def plot_methods(arms: Sequence[Mapping], x: str, y: str, *, labels: Mapping[str, str] | None = None,
                 ax: Axes | None = None) -> Axes:
    """Plot figure y against figure x, one line per method through its strengths, with 95 % intervals as thin bars.

    Each arm is a row of the record `guidance_lab`: "method", "strength", the figures, and "intervals" of (low, high).
    `labels`: the methods to show, and what to call them; all of them by their own names unless given.
    """
    ax = _axes(ax, (6.5, 4.2))
    methods = labels or {arm["method"]: arm["method"] for arm in arms}
    markers = "os^Dv*P"
    for k, (method, label) in enumerate(methods.items()):
        chosen = [arm for arm in arms if arm["method"] == method]
        across, up = ([arm[name] for arm in chosen] for name in (x, y))
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(across, up, marker=markers[k % len(markers)], color=colour, markersize=5, linewidth=1, label=label)
        for arm in chosen:
            ax.hlines(arm[y], *arm["intervals"][x], color=colour, linewidth=0.8, alpha=0.5)
            ax.vlines(arm[x], *arm["intervals"][y], color=colour, linewidth=0.8, alpha=0.5)
            ax.annotate(f"{arm['strength']:g}", (arm[x], arm[y]), (4, 4), textcoords="offset points", fontsize=7,
                        color=colour)
    ax.set(xlabel=x, ylabel=y)
    ax.legend(fontsize=8)
    return ax
