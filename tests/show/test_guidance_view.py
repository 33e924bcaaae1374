"""What stands behind the slider: repeatable, remembered, and honest about what it shows."""

import io
import itertools
from collections.abc import Iterator

import pytest
import torch
from helpers import seeded
from PIL import Image
from viewing import MODEL, biased_judge

from ddpm_course.data.images import FASHION_NAMES
from ddpm_course.evaluation import judge_images
from ddpm_course.show.guidance_view import COLUMNS, ONE_OF_EACH, GuidanceView

SETTING = {"w": 2.0, "label": ONE_OF_EACH, "steps": 3, "seed": 4}


@pytest.fixture
def passes() -> Iterator[list[int]]:
    """One entry for every encoder pass of the model."""
    seen: list[int] = []
    handle = MODEL.network.stem.register_forward_hook(lambda *_: seen.append(1))
    yield seen
    handle.remove()


def test_a_picture_is_the_same_in_every_explorer_and_under_every_global_seed() -> None:
    torch.manual_seed(0)
    one = GuidanceView(MODEL).render(**SETTING, t=60)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert GuidanceView(MODEL).render(**SETTING, t=60) == one
    assert torch.equal(torch.get_rng_state(), before)
    assert Image.open(io.BytesIO(one)).size == (2 * 1002, 2 * (5 * 88 + 4) + 2 * 33)    # five rows, two lines


def test_each_part_of_the_setting_changes_the_picture() -> None:
    view = GuidanceView(MODEL)
    settings = [SETTING | {"t": 60} | change for change in
                ({}, {"w": 2.5}, {"label": 3}, {"steps": 4}, {"seed": 5}, {"t": 150})]
    assert len({view.render(**setting) for setting in settings}) == len(settings)
    images = [view.strip(**{key: setting[key] for key in SETTING}).images for setting in settings[:-1]]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(images, 2))


def test_a_picture_is_drawn_once_and_a_strip_serves_every_t(passes: list[int]) -> None:
    view = GuidanceView(MODEL)
    first = view.render(**SETTING, t=60)
    assert len(passes) == 3 + 1                                  # three steps, and the pair at t
    assert view.render(**SETTING, t=60) is first and len(passes) == 4
    view.render(**SETTING, t=150)
    view.describe(**SETTING)
    assert len(passes) == 5 and view.strip(**SETTING) is view.strip(**SETTING)


def test_memory_is_bounded_and_the_oldest_goes_first(passes: list[int]) -> None:
    view = GuidanceView(MODEL, memory=2)
    pictures = [view.render(**SETTING | {"seed": seed}, t=1) for seed in (0, 1, 2)]
    del passes[:]
    assert view.render(**SETTING | {"seed": 2}, t=1) is pictures[2]
    assert view.render(**SETTING | {"seed": 1}, t=1) is pictures[1] and not passes
    again = view.render(**SETTING | {"seed": 0}, t=1)
    assert again == pictures[0] and again is not pictures[0] and len(passes) == 4


def test_neither_w_nor_the_class_nor_the_steps_touch_the_noise() -> None:
    view, T, each = GuidanceView(MODEL), 150, ONE_OF_EACH
    strips = [view.strip(*setting, 7) for setting in ((-1.0, 0, 2), (0.0, each, 2), (8.0, 9, 3), (2.5, 3, 5))]
    noise = torch.randn(COLUMNS, 1, 28, 28, generator=seeded(7))
    assert all(torch.equal(strip.states[T], noise) for strip in strips)
    assert not torch.equal(view.strip(0.0, 0, 2, 8).states[T], noise)


def test_a_strip_holds_its_labels_and_every_state_on_the_way() -> None:
    view = GuidanceView(MODEL)
    strip = view.strip(1.0, ONE_OF_EACH, 5, 0)
    assert strip.labels.tolist() == list(range(10)) and view.strip(1.0, 6, 5, 0).labels.tolist() == [6] * 10
    assert list(strip.states) == [*view.times(5), 0] and len(view.times(5)) == 5
    assert all(x_t.shape == (COLUMNS, 1, 28, 28) for x_t in strip.states.values())
    assert strip.images is strip.states[0] and bool(strip.images.abs().max() <= 1)
    assert bool(torch.isnan(strip.confidence).all())             # no judge, no score


@pytest.mark.parametrize("t, nearest", [(150, 150), (126, 150), (99, 100), (60, 50), (1, 50)])
def test_predictions_are_those_of_the_network_on_the_stored_state(t: int, nearest: int) -> None:
    view = GuidanceView(MODEL)
    strip = view.strip(**SETTING)
    found, eps_c, eps_null = view.predictions(strip, t)
    x_t, times = strip.states[nearest], torch.full((COLUMNS,), nearest)
    with torch.no_grad():
        expected = MODEL(x_t, times, strip.labels), MODEL(x_t, times, None)
    assert found == nearest
    torch.testing.assert_close((eps_c, eps_null), expected, rtol=1e-4, atol=1e-5)
    assert bool((eps_c - eps_null).abs().max() > 1e-3) and not eps_c.requires_grad


def test_the_judges_confidence_is_its_probability_of_the_class_asked_for() -> None:
    judge = biased_judge(2)
    strip = GuidanceView(MODEL, judge).strip(**SETTING)
    assert torch.equal(strip.confidence, judge_images(judge.judge, strip.images).probabilities.diagonal())


def test_the_description_says_what_is_seen() -> None:
    view = GuidanceView(MODEL, biased_judge(7))
    sure = 100 * view.strip(1.5, 7, 3, 12).confidence.mean().item()
    text = view.describe(1.5, 7, 3, 12)
    for part in (FASHION_NAMES[7], "w = 1.5", "3 steps", "seed 12", "recognises 10 of 10",
                 f"confidence {sure:.0f} %"):
        assert part in text
    assert sure > 95 and "not scored" not in text and "recognises 0 of 10" in view.describe(1.5, 3, 3, 12)
    assert "one garment of each class" in view.describe(**SETTING)
    assert GuidanceView(MODEL).describe(**SETTING).endswith("not scored")


@pytest.mark.parametrize("change, message", [
    ({"label": 10}, "class must be 0 … 9, or -1"),
    ({"label": -2}, "got -2"),
    ({"steps": 0}, "steps must lie in 1"),
    ({"steps": 151}, "got 151"),
    ({"t": 0}, "t must lie in 1 … 150"),
    ({"t": 151}, "got 151"),
    ({"t": float("nan")}, "t must lie"),
    ({"w": float("nan")}, "w must be finite"),
    ({"w": float("inf")}, "finite")])
def test_a_setting_out_of_range_is_refused_and_not_remembered(change: dict, message: str) -> None:
    view = GuidanceView(MODEL)
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            view.render(**{**SETTING, "t": 60, **change})
    assert view.render(**SETTING, t=60) == GuidanceView(MODEL).render(**SETTING, t=60)


def test_the_whole_interval_is_none_at_all(passes: list[int]) -> None:
    view, T = GuidanceView(MODEL), MODEL.schedule.T
    strip = view.strip(**SETTING)
    assert view.strip(**SETTING, interval=(1, T)) is strip and view.strip(**SETTING, interval=[1, T]) is strip
    assert len(passes) == 3
    assert view.render(**SETTING, t=60, interval=(1, T)) == view.render(**SETTING, t=60)


def test_guidance_acts_within_the_interval_only() -> None:
    view = GuidanceView(MODEL)                           # three steps: t = 150, 100, 50
    plain, always = view.strip(**SETTING | {"w": 0.0}), view.strip(**SETTING)
    late, middle = view.strip(**SETTING, interval=(1, 100)), view.strip(**SETTING, interval=(100, 100))
    assert torch.equal(late.states[100], plain.states[100])
    assert not torch.equal(late.states[100], always.states[100])
    assert torch.equal(middle.states[50], late.states[50])
    assert not torch.equal(late.states[50], plain.states[50])
    for one, other in itertools.combinations((plain, always, late, middle), 2):
        assert not torch.equal(one.images, other.images)
    between_steps = view.strip(**SETTING, interval=(101, 149))
    assert torch.equal(between_steps.images, plain.images)
    pictures = {view.render(**SETTING, t=60, interval=interval) for interval in (None, (1, 100), (100, 100))}
    assert len(pictures) == 3 and view.render(**SETTING, t=60, interval=[1, 100]) in pictures


def test_a_limited_interval_is_said_in_words_and_a_whole_one_is_not() -> None:
    view = GuidanceView(MODEL, biased_judge(7))
    plain = view.describe(**SETTING)
    assert "guided only" not in plain and view.describe(**SETTING, interval=(1, MODEL.schedule.T)) == plain
    limited = view.describe(**SETTING, interval=(20, 100))
    assert "noise seed 4, guided only for t in 20 … 100: the judge recognises" in limited
    sure = 100 * view.strip(**SETTING, interval=(20, 100)).confidence.mean().item()
    assert limited.endswith(f"mean confidence {sure:.0f} %")


def test_an_interval_that_ends_before_it_begins_is_refused_and_not_remembered(passes: list[int]) -> None:
    view = GuidanceView(MODEL, memory=1)
    strip = view.strip(**SETTING)
    del passes[:]
    for ask in (view.strip, view.describe, lambda **setting: view.render(t=60, **setting)) * 2:
        with pytest.raises(ValueError, match="t_lo ≤ t_hi"):
            ask(**SETTING, interval=(100, 20))
    assert not passes and view.strip(**SETTING) is strip     # the only place is still taken by it
