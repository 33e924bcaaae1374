"""The small sliders of lessons 01–03: what they show in words and in pixels, also when a slider is moved."""

import io
import math

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import GaussianModel, seeded
from PIL import Image
from viewing import worded

from ddpm_course.data.garments import drawn_garments
from ddpm_course.sampling import reverse_process, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.sliders import noise_explorer, steps_explorer, trajectory_player
from ddpm_course.show.views import NoiseView, StepsView, TrajectoryView
from ddpm_course.show.widget_parts import SliderWidget
from ddpm_course.solvers import DDIM, Ancestral

SCHEDULE = NoiseSchedule.linear()
MODEL = GaussianModel(SCHEDULE, 0.0, 0.1, 0.2, 0.1)
IMAGES = drawn_garments("test", 4)[0].float() / 127.5 - 1


def pixels(picture: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"), dtype=float)


def rows_of(picture: bytes, rows: int, n: int, zoom: int = 6, margin: int = 236, gap: int = 8) -> np.ndarray:
    """Cut a screen of 28 × 28 tiles without captions into its tiles: (rows, n, 28, 28) gray values."""
    page, side = pixels(picture)[..., 0], 28 * zoom

    def tile(row: int, column: int) -> np.ndarray:
        top, left = gap + row * (side + gap), margin + column * (side + gap)
        return page[top:top + side:zoom, left:left + side:zoom]

    return np.array([[tile(row, column) for column in range(n)] for row in range(rows)])


def walk(steps: int = 6) -> list[tuple[int, torch.Tensor, torch.Tensor]]:
    x_T = torch.randn(2, 1, 28, 28, generator=seeded(3))
    return list(reverse_process(MODEL, SCHEDULE, x_T, solver=Ancestral(), steps=steps, generator=seeded(4)))


@pytest.mark.parametrize("level", [-0.1, 1.01, math.nan])
def test_a_noise_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="0, 1"):
        NoiseView(IMAGES).render(level)


@pytest.mark.parametrize("t", [0, 1, 75, 150])
def test_a_timestep_shows_exactly_what_q_sample_gives(t: int) -> None:
    view = NoiseView(IMAGES, SCHEDULE, seed=5)
    x_t = SCHEDULE.q_sample(IMAGES, t, view.eps)
    shown = rows_of(view.render(t), 3, len(IMAGES))[2]
    wanted = ((x_t[:, 0] / 2 + 1) * 127.5).round().clamp(0, 255).numpy()
    assert np.abs(shown - wanted).max() <= 1
    assert f"t = {t} of 150" in view.describe(t)
    assert f"{1 - float(SCHEDULE.alpha_bars[t]):.4f}" in view.describe(t)


def test_without_a_schedule_the_setting_is_the_noise_level_itself() -> None:
    view = NoiseView(IMAGES)
    assert (view.level(0.3), NoiseView(IMAGES, SCHEDULE).level(0)) == (0.3, 0.0)
    assert "noise level 0.30" in view.describe(0.3) and "of 150" not in view.describe(0.3)
    clean, noise = (rows_of(view.render(level), 3, len(IMAGES)) for level in (0.0, 1.0))
    assert np.abs(clean[2] - np.round((IMAGES[:, 0].numpy() / 2 + 1) * 127.5)).max() <= 1
    assert np.array_equal(noise[1], noise[2])                    # all noise: the mixture is the noise


@pytest.mark.parametrize("t", [-1, 151])
def test_a_timestep_outside_the_schedule_is_refused(t: int) -> None:
    with pytest.raises(ValueError, match="0 … 150"):
        NoiseView(IMAGES, SCHEDULE).render(t)


def test_the_noise_is_that_of_the_seed_and_nothing_else() -> None:
    before = torch.get_rng_state()
    one, same, other = (NoiseView(IMAGES, SCHEDULE, seed=seed).render(60) for seed in (1, 1, 2))
    assert one == same != other and torch.equal(torch.get_rng_state(), before)


def test_the_player_shows_each_state_and_says_where_it_is() -> None:
    states = walk()
    view = TrajectoryView(iter(states))
    for step, (t, x_t, x_0_hat) in enumerate(states):
        above, below = rows_of(view.render(step), 2, 2)
        for tiles, image in ((above, x_t / (1 if t == 0 else 2)), (below, x_0_hat)):
            assert np.abs(tiles - ((image[:, 0] + 1) * 127.5).round().clamp(0, 255).numpy()).max() <= 1
        assert f"t = {t}" in view.describe(step)
    assert "finished" in view.describe(len(states) - 1)
    for step in (-1, len(states)):
        with pytest.raises(ValueError, match="step must lie"):
            view.render(step)


def test_distances_are_to_ddims_finest_result_and_each_strip_is_drawn_once() -> None:
    view = StepsView(MODEL, SCHEDULE, n=2, seed=1)
    fine = sample(MODEL, SCHEDULE, view.x_T, solver=DDIM())
    coarse = sample(MODEL, SCHEDULE, view.x_T, solver=DDIM(), steps=5)
    assert view.distance("ddim", 150) == 0
    assert view.distance("ddim", 5) == pytest.approx((fine - coarse).square().mean().sqrt().item(), abs=1e-6)
    assert view.distance("dpm", 20) < view.distance("ddim", 20) < view.distance("ddim", 5)
    view.render(5), view.render(5)
    assert view.strip.cache_info().misses == 5                   # ddim 150, 5 and 20, dpm 20 and 5: each once
    assert f"{view.distance('ddim', 5):.3f}" in view.describe(5)


def follows(widget: SliderWidget, values: list, capsys: pytest.CaptureFixture) -> None:
    """Move the slider through values and see that picture and caption are replaced in place by the view's."""
    parts = widget.children, widget.image, widget.caption
    for value in values:
        before = bytes(widget.image.value)
        widget.slider.value = value
        assert widget.image.value == widget.view.render(value) != before
        assert widget.caption.value == worded(widget.view.describe(value))
    assert (widget.children, widget.image, widget.caption) == parts and widget.image in widget.children
    assert capsys.readouterr() == ("", "") and not plt.get_fignums()


def test_the_noise_slider_runs_over_t_when_there_is_a_schedule(capsys: pytest.CaptureFixture) -> None:
    widget = noise_explorer(IMAGES, SCHEDULE)
    assert (widget.slider.min, widget.slider.max, widget.slider.value) == (0, 150, 50)
    assert isinstance(widget.slider, ipywidgets.IntSlider) and widget.slider.continuous_update
    follows(widget, [0, 1, 75, 150, 50], capsys)


def test_the_noise_slider_runs_over_the_level_when_there_is_none(capsys: pytest.CaptureFixture) -> None:
    widget = noise_explorer(IMAGES)
    assert (widget.slider.min, widget.slider.max, widget.slider.step) == (0, 1, 0.05)
    follows(widget, [0.0, 0.25, 1.0, 0.5], capsys)


def test_playing_and_scrubbing_move_each_other(capsys: pytest.CaptureFixture) -> None:
    widget = trajectory_player(walk(), interval=10)
    assert (widget.slider.max, widget.play.max, widget.play.interval) == (6, 6, 10)
    follows(widget, [3, 6, 0], capsys)
    for step in range(1, 7):                                     # what pressing play does in the browser
        widget.play.value = step
        assert widget.slider.value == step and widget.image.value == widget.view.render(step)
    widget.slider.value = 2
    assert widget.play.value == 2
    assert "finished" not in widget.caption.value


def test_the_steps_slider_offers_what_the_schedule_allows(capsys: pytest.CaptureFixture) -> None:
    widget = steps_explorer(MODEL, SCHEDULE)
    assert widget.slider.value == 10 and widget.slider.options[-1] == 150
    assert not widget.slider.continuous_update
    follows(widget, [2, 20, 5], capsys)
    short = NoiseSchedule.linear(40)
    shorter = steps_explorer(GaussianModel(short, 0.0, 0.1, 0.2, 0.1), short)
    assert max(shorter.slider.options) == 30
