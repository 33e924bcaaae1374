"""The sliders, moved over their whole range: one picture, replaced in place, and nothing printed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import ipywidgets
import matplotlib.pyplot as plt
import pytest
from viewing import MODEL, size_of, worded

from ddpm_course.data.images import FASHION_NAMES
from ddpm_course.lessons.mixture import MIXTURE_NAMES, lesson_mixture
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.guidance_view import ONE_OF_EACH
from ddpm_course.show.mixture_view import MixtureView
from ddpm_course.show.sliders import GuidanceWidget, MixtureWidget, guidance_explorer, mixture_explorer
from ddpm_course.solvers import SOLVERS


@contextmanager
def in_place(made: GuidanceWidget | MixtureWidget, capsys: pytest.CaptureFixture) -> Iterator[None]:
    """See that nothing is printed or left open, and that the widget keeps its parts."""
    parts = made.children, made.image, made.caption
    yield
    assert (made.children, made.image, made.caption) == parts and made.image in made.children
    assert capsys.readouterr() == ("", "") and not plt.get_fignums()


@pytest.fixture
def widget(capsys: pytest.CaptureFixture) -> Iterator[GuidanceWidget]:
    made = guidance_explorer(MODEL, steps=5)
    with in_place(made, capsys):
        yield made


@pytest.fixture
def plane(capsys: pytest.CaptureFixture) -> Iterator[MixtureWidget]:
    made = MixtureWidget(MixtureView(lesson_mixture(NoiseSchedule.cosine()), n=20, steps=5), w=2.0)
    with in_place(made, capsys):
        yield made


def asked_for(widget: GuidanceWidget | MixtureWidget) -> tuple[bytes, str]:
    """Ask the view for the picture and the caption of the controls' values."""
    interval = widget.interval.value
    if isinstance(widget, MixtureWidget):
        setting = widget.w.value, widget.label.value, widget.solver.value, interval
        return widget.view.render(*setting), worded(widget.view.describe(*setting))
    setting = widget.w.value, widget.label.value, widget.steps.value, widget.seed.value
    picture = widget.view.render(*setting, widget.t.value, interval)
    return picture, worded(widget.view.describe(*setting, interval))


def redraws(widget: GuidanceWidget | MixtureWidget, *moves: Callable[[], object]) -> None:
    """Make each move; see a new picture of the same size, that of the controls' values, and its caption."""
    size = size_of(widget.image.value)
    for move in moves:
        before = bytes(widget.image.value)
        move()
        assert widget.image.value != before and size_of(widget.image.value) == size
        assert (widget.image.value, widget.caption.value) == asked_for(widget)


def to(control: ipywidgets.Widget, *values: object) -> list[Callable[[], None]]:
    return [lambda value=value: setattr(control, "value", value) for value in values]


def test_every_w_from_minus_1_to_8_draws_its_own_picture(widget: GuidanceWidget) -> None:
    assert (widget.w.min, widget.w.max, widget.w.step, widget.w.value) == (-1, 8, 0.5, 0)
    redraws(widget, *to(widget.w, *(-1 + k / 2 for k in range(19))))
    assert "w = 8, " in widget.caption.value


def test_every_class_draws_its_own_picture(widget: GuidanceWidget) -> None:
    assert [value for _, value in widget.label.options] == [ONE_OF_EACH, *range(10)]
    redraws(widget, *to(widget.label, *range(10), ONE_OF_EACH, 0))
    assert FASHION_NAMES[0] in widget.caption.value


def test_every_step_count_draws_its_own_picture(widget: GuidanceWidget) -> None:
    assert list(widget.steps.options) == [5, 10, 20, 50, 150]
    redraws(widget, *to(widget.steps, 10, 20, 50, 150, 5))


def test_while_many_steps_are_drawn_the_caption_says_so(widget: GuidanceWidget) -> None:
    said: list[str] = []
    widget.caption.observe(lambda change: said.append(change["new"]), names="value")
    redraws(widget, *to(widget.steps, 50, 10, 50))               # the last one is remembered
    assert said[0] == worded("drawing in 50 steps …") and said.count(said[0]) == 1 and len(said) == 4
    assert "50 steps" in said[1] and "10 steps" in said[2] and said[3] == said[1]


def test_every_stored_t_shows_its_own_predictions(widget: GuidanceWidget) -> None:
    assert (widget.t.min, widget.t.max) == (1, MODEL.schedule.T)
    redraws(widget, *to(widget.t, 1, 90, 120, 150, 60))


def test_a_limited_interval_has_its_own_picture_and_the_whole_one_the_first(widget: GuidanceWidget) -> None:
    whole = (1, MODEL.schedule.T)
    assert (widget.interval.min, widget.interval.max, widget.interval.value) == (*whole, whole)
    widget.w.value = 3.0                                         # at w = 0 there is nothing to limit
    first = bytes(widget.image.value), widget.caption.value
    redraws(widget, *to(widget.interval, (20, 100), (20, 60)))
    assert "guided only for t in 20 … 60" in widget.caption.value and "guided only" not in first[1]
    widget.interval.value = whole
    assert (widget.image.value, widget.caption.value) == first


def test_new_noise_counts_the_seed_up_and_wraps_around(widget: GuidanceWidget) -> None:
    last = widget.seed.max
    redraws(widget, *to(widget.seed, 1, last), widget.new_noise.click, widget.new_noise.click)
    assert (widget.seed.min, last, widget.seed.value) == (0, 999_999, 1)
    widget.seed.value = last + 1                                 # a box that is typed into holds its bounds
    assert widget.seed.value == last


def test_the_sliders_wait_for_the_hand_and_a_setting_seen_before_comes_back(widget: GuidanceWidget) -> None:
    assert not any(slider.continuous_update for slider in (widget.w, widget.interval, widget.t))
    first = bytes(widget.image.value)
    widget.w.value, widget.w.value = 3.0, 0.0
    assert widget.image.value == first


def test_the_first_setting_is_that_of_the_call_and_a_wrong_one_is_refused() -> None:
    widget = guidance_explorer(MODEL, w=2.5, label=3, steps=10, seed=9)
    assert (widget.w.value, widget.label.value, widget.steps.value, widget.seed.value) == (2.5, 3, 10, 9)
    for wrong in ({"label": 10}, {"steps": 7}):
        with pytest.raises(Exception, match="[Ii]nvalid selection"):
            guidance_explorer(MODEL, **wrong)


def test_every_control_of_the_plane_has_its_own_picture(plane: MixtureWidget,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane.view, "render", cache(plane.view.render))  # the test asks again what was drawn
    assert (plane.w.min, plane.w.max, plane.w.step) == (-1, 8, 0.5) and plane.interval.value == (1, 150)
    assert [value for _, value in plane.label.options] == list(range(len(MIXTURE_NAMES)))
    assert {value for _, value in plane.solver.options} == set(SOLVERS) and plane.solver.value == "ddim"
    redraws(plane, *to(plane.w, -1.0, 8.0, 2.5))
    redraws(plane, *to(plane.interval, (20, 100)))
    redraws(plane, *to(plane.solver, "ddpm", "dpm"))
    redraws(plane, *to(plane.label, 1, 2))
    for part in (MIXTURE_NAMES[2], "by DPM-Solver++ 2M", "w = 2.5 for t in 20 … 100"):
        assert part in plane.caption.value


def test_the_planes_sliders_wait_and_a_setting_seen_before_comes_back(plane: MixtureWidget) -> None:
    assert not plane.w.continuous_update and not plane.interval.continuous_update
    first = bytes(plane.image.value), plane.caption.value
    moves = ((plane.w, 3.0), (plane.interval, (20, 100)), (plane.label, 1), (plane.solver, "ddpm"))
    for control, value in moves:
        before, control.value = control.value, value
        assert plane.image.value != first[0] and plane.caption.value != first[1]
        control.value = before
        assert (plane.image.value, plane.caption.value) == first


def test_the_plane_starts_at_the_w_of_the_call_and_its_whole_picture_is_that_of_the_lesson() -> None:
    made = mixture_explorer(w=1.5)
    lesson = MixtureView(lesson_mixture(NoiseSchedule.cosine()))
    assert made.w.value == 1.5 and made.image.value == lesson.render(1.5, 0, "ddim", (1, 150))
