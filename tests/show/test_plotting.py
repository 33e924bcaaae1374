"""Plots: what is drawn is what was given, in the Axes that were given, and nothing else changes."""

from collections.abc import Callable

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import seeded
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.plotting import (
    COLOURS,
    plot_losses,
    plot_methods,
    plot_schedule,
    plot_tradeoff,
    show_grid,
)

INTERVALS = {"accuracy": (0.7, 0.9), "frechet": (1.0, 3.0)}
ARMS = [{"method": method, "strength": w, "accuracy": 0.8 + 0.05 * w, "frechet": 2.0 - w,
         "intervals": INTERVALS} for method in ("a", "b") for w in (0.0, 1.0)]
IMAGES = torch.rand(7, 1, 4, 5, generator=seeded()) * 2 - 1
PLOTS: dict[str, Callable[..., Axes]] = {
    "show_grid": lambda **ax: show_grid(IMAGES, **ax),
    "plot_schedule": lambda **ax: plot_schedule(NoiseSchedule.cosine(), **ax),
    "plot_losses": lambda **ax: plot_losses([3.0, 2.0, 1.0], **ax),
    "plot_tradeoff": lambda **ax: plot_tradeoff(
        [0, 1], [0.5, 0.7], intervals=[(0.4, 0.6), (0.6, 0.8)], real=0.9, **ax),
    "plot_methods": lambda **ax: plot_methods(ARMS, "accuracy", "frechet", **ax)}
every_plot = pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS.keys())


def new_axes() -> Axes:
    return Figure().subplots()


def data(ax: Axes, line: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = ax.lines[line].get_data()
    return np.asarray(x, dtype=float), np.asarray(y, dtype=float)


@every_plot
def test_a_plot_returns_the_axes_given_and_leaves_styles_and_figures_alone(plot: Callable[..., Axes]) -> None:
    before, figures, ax = dict.copy(matplotlib.rcParams), plt.get_fignums(), new_axes()
    assert plot(ax=ax) is ax and ax.has_data()
    ax.figure.canvas.draw()                                      # what can be plotted can be shown
    assert dict.copy(matplotlib.rcParams) == before and plt.get_fignums() == figures


@every_plot
def test_without_axes_a_plot_makes_one_figure_of_its_own(plot: Callable[..., Axes]) -> None:
    before = plt.get_fignums()
    ax = plot()
    new = [plt.figure(number) for number in plt.get_fignums() if number not in before]
    assert new == [ax.figure] and ax.figure.axes == [ax]
    plt.close(ax.figure)


@pytest.mark.parametrize("columns", [1, 3, 7, 10])
def test_every_image_stands_in_its_place_framed_in_white(columns: int) -> None:
    page = torch.as_tensor(show_grid(IMAGES, columns=columns, ax=new_axes()).images[0].get_array().data)
    rows = -(-7 // columns)
    assert page.shape == (rows * 6, columns * 7)
    cells = page.reshape(rows, 6, columns, 7).transpose(1, 2).reshape(-1, 6, 7)  # (cells, H + 2, W + 2)
    assert torch.equal(cells[:7, 1:-1, 1:-1], IMAGES[:, 0]) and bool((cells[7:] == 1).all())
    cells[:7, 1:-1, 1:-1] = 1
    assert bool((cells == 1).all())


def test_images_are_shown_in_gray_between_minus_1_and_1_unsmoothed() -> None:
    image = show_grid(3 * IMAGES, ax=new_axes()).images[0]
    assert image.get_clim() == (-1, 1) and image.get_cmap().name == "gray"
    assert image.get_interpolation() == "nearest"
    assert image.get_array().min() == -1 and image.get_array().max() == 1


def test_images_may_need_gradients_and_be_of_any_precision() -> None:
    show_grid(IMAGES.clone().requires_grad_(), ax=new_axes())
    assert show_grid(IMAGES.bfloat16(), ax=new_axes()).images[0].get_array().dtype == np.float32


def test_labels_stand_at_the_middle_of_their_row_and_column() -> None:
    rows, columns = ["w = 0", "w = 2"], ["a", "b", "c", "d"]
    ax = show_grid(IMAGES, columns=4, row_labels=rows, column_labels=columns, ax=new_axes())
    assert [text.get_text() for text in ax.get_yticklabels()] == rows
    assert [text.get_text() for text in ax.get_xticklabels()] == columns
    assert ax.get_xticks().tolist() == [3, 10, 17, 24] and ax.get_yticks().tolist() == [2.5, 8.5]
    bare = show_grid(IMAGES, ax=new_axes())
    assert not len(bare.get_xticks()) and not len(bare.get_yticks())


@pytest.mark.parametrize("labels", [
    {"row_labels": ["a"]}, {"row_labels": ["a"] * 3}, {"column_labels": ["a"] * 3},
    {"column_labels": ["a"] * 5, "row_labels": ["a", "b"]}])
def test_a_label_that_is_missing_or_left_over_is_refused(labels: dict) -> None:
    with pytest.raises(ValueError, match=r"a grid of 2 × 4 needs as many labels"):
        show_grid(IMAGES, columns=4, ax=new_axes(), **labels)


@pytest.mark.parametrize("shape", [(7, 4, 5), (7, 3, 4, 5), (4, 5)])
def test_what_is_no_batch_of_gray_images_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"images \(N, 1, H, W\)"):
        show_grid(torch.zeros(shape), ax=new_axes())


def test_the_schedules_signal_and_noise_are_drawn_for_every_t() -> None:
    schedule = NoiseSchedule.linear()
    ax = plot_schedule(schedule, label="linear", ax=new_axes())
    plot_schedule(NoiseSchedule.cosine(), ax=ax)
    (t, signal), (_, noise) = data(ax, 0), data(ax, 1)
    assert t.tolist() == list(range(151))
    np.testing.assert_allclose(signal, schedule.alpha_bars.sqrt())
    np.testing.assert_allclose(signal**2 + noise**2, 1)
    first, second, third, _ = (line.get_color() for line in ax.lines)
    assert first == second != third
    assert "linear" in ax.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize("n, window", [(200, 50), (200, 1), (50, 50), (7, 50)])
def test_the_loss_and_its_running_mean_are_drawn_at_the_steps_they_belong_to(n: int, window: int) -> None:
    losses = torch.rand(n, generator=seeded(), dtype=torch.float64).tolist()
    ax, width = plot_losses(losses, window=window, ax=new_axes()), min(window, n)
    assert data(ax, 0)[0].tolist() == list(range(1, n + 1)) and data(ax, 0)[1].tolist() == losses
    steps, means = data(ax, 1)
    assert steps.tolist() == list(range(width, n + 1))
    np.testing.assert_allclose(means, np.convolve(losses, np.ones(width) / width, mode="valid"))
    assert ax.get_yscale() == "log"


def test_a_training_that_has_not_begun_can_be_plotted() -> None:
    assert len(data(plot_losses([], ax=new_axes()), 0)[1]) == 0


def test_the_tradeoff_draws_figures_intervals_and_the_real_images() -> None:
    w, figures, intervals = [-1.0, 0.0, 2.0], [0.1, 0.8, 0.95], [(0.05, 0.15), (0.7, 0.9), (0.9, 1.0)]
    ax = plot_tradeoff(w, figures, intervals=intervals, real=0.93, name="accuracy", colour=COLOURS[2],
                       ax=new_axes())
    assert data(ax, 0)[0].tolist() == w and data(ax, 0)[1].tolist() == figures
    bars = ax.collections[0].get_segments()
    assert [bar.tolist() for bar in bars] == [[[x, low], [x, high]] for x, (low, high) in zip(w, intervals)]
    assert data(ax, 1)[1].tolist() == [0.93, 0.93] and ax.get_title() == "accuracy"
    assert ax.lines[0].get_color() == COLOURS[2]
    plain = plot_tradeoff(w, figures, ax=new_axes())
    assert len(plain.lines) == 1 and not plain.collections and plain.get_legend() is None


def test_methods_are_lines_through_their_strengths_with_both_intervals() -> None:
    ax = plot_methods(ARMS, "accuracy", "frechet", labels={"b": "second"}, ax=new_axes())
    assert len(ax.lines) == 1 and ax.lines[0].get_label() == "second"
    assert np.allclose(data(ax, 0), ([0.8, 0.85], [2.0, 1.0]))
    assert sorted(text.get_text() for text in ax.texts) == ["0", "1"] and len(ax.collections) == 4
    ends = sorted(np.round(bar.get_segments()[0], 6).tolist() for bar in ax.collections)
    assert [[0.7, 2.0], [0.9, 2.0]] in ends and [[0.85, 1.0], [0.85, 3.0]] in ends
    assert len(plot_methods(ARMS, "accuracy", "frechet", ax=new_axes()).lines) == 2
