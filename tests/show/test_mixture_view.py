"""The picture of three classes in the plane: the tilted density in shades, and samples that do not follow it.

The package draws both. So each is held against something of another kind: the moments of a class, importance
weights of plain draws, other draws from the same density.
"""

import io
import re
from collections.abc import Iterator
from unittest.mock import Mock

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from helpers import seeded
from PIL import Image

from ddpm_course.evaluation import energy_distance
from ddpm_course.lessons.mixture import lesson_mixture
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show import mixture_view
from ddpm_course.show.mixture_view import LIMIT, PIXELS, MixtureView, grid
from ddpm_course.show.plotting import COLOURS
from ddpm_course.solvers import SOLVERS

MODEL = lesson_mixture(NoiseSchedule.cosine())
ALWAYS, NEVER = (1, 150), (1, 1)                                 # of 5 or 50 steps none is at t = 1
SETTING = {"w": 3.0, "c": 0, "solver": "ddim", "interval": ALWAYS}
OTHERS = ({"w": 2.5}, {"c": 1}, {"solver": "dpm"}, {"solver": "ddpm"}, {"interval": (20, 100)})
CELL = 2 * LIMIT / (PIXELS - 1)


def small(**options: int) -> MixtureView:
    return MixtureView(MODEL, **{"n": 40, "steps": 5} | options)


@pytest.fixture
def draws(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Count the clouds that are drawn."""
    monkeypatch.setattr(mixture_view, "sample", counted := Mock(wraps=mixture_view.sample))
    return counted


def test_the_grid_goes_row_by_row_from_the_lower_left_corner() -> None:
    points = grid().reshape(PIXELS, PIXELS, 2)
    corners = [points[0, 0].tolist(), points[0, -1].tolist(), points[-1, 0].tolist()]
    assert corners == [[-LIMIT, -LIMIT], [LIMIT, -LIMIT], [-LIMIT, LIMIT]]
    for axis, step in ((0, points.diff(dim=1)), (1, points.diff(dim=0))):
        torch.testing.assert_close(step[..., axis], torch.full_like(step[..., axis], CELL))


@pytest.mark.parametrize("c", range(3))
def test_the_tilted_density_on_the_grid_sums_to_one_and_has_the_classs_moments_at_w_0(c: int) -> None:
    lobes = torch.stack([part.mean for part in MODEL.conditional[c].components])
    apart = lobes - lobes.mean(dim=0)
    within, between = 0.1 * torch.eye(2, dtype=torch.float64), apart.T @ apart / 2
    density = small().tilted(0.0, c)
    assert density.shape == (PIXELS**2,) and bool((density >= 0).all())
    assert float(density.sum()) == pytest.approx(1)
    mean = density @ grid()
    centred = grid() - mean
    torch.testing.assert_close(mean, lobes.mean(dim=0), rtol=0, atol=1e-3)
    torch.testing.assert_close(centred.T @ (density[:, None] * centred), within + between, rtol=0, atol=1e-3)


@pytest.mark.parametrize("w", [-0.5, 1.0, 3.0])
def test_the_tilted_density_is_the_class_weighted_by_a_power_of_its_share(w: float) -> None:
    for c in range(3):
        x = MODEL.conditional[c].sample(20_000, generator=seeded(c))
        share = torch.stack([MODEL.log_prob(x, 0, k) for k in range(3)]).softmax(dim=0)[c]       # p(c | x)
        weighted = (share[:, None]**w * x).sum(dim=0) / (share**w).sum()
        density = small().tilted(w, c)
        torch.testing.assert_close(density @ grid(), weighted, rtol=0, atol=0.04)


@pytest.mark.parametrize("w, c", [(-1.0, 0), (0.0, 1), (3.0, 2)])
def test_draws_have_the_tilted_densitys_mean_and_fill_the_cells(w: float, c: int) -> None:
    view = small(n=200_000)
    before = torch.get_rng_state()
    found = view.draws(w, c, 5)
    assert found.shape == (200_000, 2) and found.dtype == torch.float64
    assert torch.equal(view.draws(w, c, 5), found) and not torch.equal(view.draws(w, c, 6), found)
    assert torch.equal(torch.get_rng_state(), before)
    torch.testing.assert_close(found.mean(dim=0), view.tilted(w, c) @ grid(), rtol=0, atol=CELL / 4)
    in_cells = (found + LIMIT) / CELL
    beside = in_cells - in_cells.round()                         # from the nearest point of the grid
    assert beside.std(dim=0).tolist() == pytest.approx([12**-0.5] * 2, rel=0.02)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("c", range(3))
def test_without_guidance_the_cloud_is_the_class(c: int, solver: str) -> None:
    cloud = MixtureView(MODEL).cloud(0.0, c, solver, ALWAYS)
    classes = [MODEL.conditional[k].sample(500, generator=seeded(k)) for k in range(3)]
    to_class = [energy_distance(cloud, others) for others in classes]
    assert cloud.shape == (500, 2) and cloud.dtype == torch.float64
    assert abs(to_class[c]) < 0.02 and all(to_class[k] > 0.2 for k in range(3) if k != c)


@pytest.mark.parametrize("c", range(3))
def test_guided_samples_do_not_follow_the_tilted_density(c: int) -> None:
    view = MixtureView(MODEL)
    tilted = view.draws(3.0, c, 2)
    by_chance = energy_distance(view.draws(3.0, c, 3), tilted)
    at_0, at_1, at_3 = (energy_distance(view.cloud(w, c, "ddim", ALWAYS), view.draws(w, c, 2))
                        for w in (0.0, 1.0, 3.0))
    assert abs(by_chance) < 0.01 and abs(at_0) < 0.02
    assert at_0 < at_1 < at_3 and at_3 > 0.08
    assert energy_distance(view.cloud(3.0, c, "ddpm", ALWAYS), tilted) > 0.03    # nor by the other sampler


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_w_starts_from_the_same_noise(solver: str) -> None:
    torch.manual_seed(0)
    plain = small().cloud(0.0, 2, solver, ALWAYS)
    torch.manual_seed(1)
    for w in (-1.0, 0.5, 8.0):                                   # never used: what differs is nothing
        assert torch.equal(small().cloud(w, 2, solver, NEVER), plain)
        assert not torch.equal(small().cloud(w, 2, solver, ALWAYS), plain)


def test_a_cloud_is_drawn_once_whatever_is_done_with_it(draws: Mock) -> None:
    view = small()
    first = view.cloud(**SETTING)
    view.render(**SETTING)
    view.describe(**SETTING)
    assert view.cloud(**SETTING | {"interval": list(ALWAYS)}) is first and draws.call_count == 1
    others = [view.cloud(**SETTING | other) for other in OTHERS]
    assert draws.call_count == 1 + len(OTHERS) and view.cloud(**SETTING) is first
    assert not any(torch.equal(first, other) for other in others)


def test_memory_is_bounded_and_the_oldest_goes_first(draws: Mock) -> None:
    view = small(memory=2)
    clouds = [view.cloud(**SETTING | {"w": float(w)}) for w in range(3)]
    for w in (2, 1):
        assert view.cloud(**SETTING | {"w": float(w)}) is clouds[w] and draws.call_count == 3
    again = view.cloud(**SETTING | {"w": 0.0})
    assert torch.equal(again, clouds[0]) and again is not clouds[0] and draws.call_count == 4


@pytest.mark.parametrize("change, message", [
    ({"c": 3}, "class must be 0 … 2; got 3"),
    ({"c": -1}, "got -1"),
    ({"solver": "euler"}, "one of ddpm, ddim, dpm"),
    ({"interval": (100, 20)}, "lower end first"),
    ({"interval": (0, 500)}, "must lie in 1"),
    ({"w": float("nan")}, "must be finite"),
    ({"w": float("inf")}, "finite"),
    ({"w": float("nan"), "interval": NEVER}, "must be finite")])
def test_a_setting_that_does_not_exist_is_refused_and_not_remembered(change: dict, message: str) -> None:
    view = small(memory=1)
    first = view.cloud(**SETTING)
    for ask in (view.cloud, view.render, view.describe):
        with pytest.raises(ValueError, match=message):
            ask(**SETTING | change)
    assert view.cloud(**SETTING) is first                    # the only place is still taken by it


def pixels(picture: bytes) -> np.ndarray:
    """Decode the inside of the picture, without frame and title: (rows, columns, 3)."""
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG" and image.size == (520, 520)
        return np.asarray(image.convert("RGB")).astype(int)[40:-20, 20:-20]


def rgb(colour: str) -> list[int]:
    """Read "#rrggbb"."""
    return [int(colour[k:k + 2], 16) for k in (1, 3, 5)]


@pytest.fixture
def nothing_left(capsys: pytest.CaptureFixture) -> Iterator[None]:
    before = torch.get_rng_state()
    yield
    assert capsys.readouterr() == ("", "") and not plt.get_fignums()
    assert torch.equal(torch.get_rng_state(), before)


def test_each_part_of_the_setting_changes_the_picture_and_nothing_else_does(nothing_left: None) -> None:
    view, unguided = small(), SETTING | {"interval": NEVER}
    pictures = [view.render(**SETTING | change) for change in ({}, *OTHERS)]
    assert len({pixels(picture).tobytes() for picture in pictures}) == 1 + len(OTHERS)
    assert view.render(**SETTING) == pictures[0] == small().render(**SETTING)
    shades = [pixels(view.render(**unguided | {"w": w})) for w in (0.0, 3.0)]
    assert (shades[0] != shades[1]).any()                        # equal dots, another tilted density


@pytest.mark.parametrize("c", range(3))
def test_dots_and_shade_lie_where_the_class_lies(c: int) -> None:
    inside = pixels(small(n=200).render(0.0, c, "ddim", ALWAYS))
    seen = [(inside == rgb(colour)).all(axis=2).astype(int) for colour in COLOURS[:3]]
    others = [seen[k].sum() for k in range(3) if k != c]
    assert min(others) > 0 and seen[c].sum() > 2 * max(others)   # the others have an outline, and no dots
    gray = (inside.max(axis=2) == inside.min(axis=2)) * (255 - inside[..., 0])
    row, column = np.mgrid[:inside.shape[0], :inside.shape[1]]
    first, second = (part.mean for part in MODEL.conditional[c].components)
    slope = float((second - first).prod())                       # > 0 where the lobes lie on a rising line
    for weight in (seen[c], gray):
        assert weight.sum() > 500
        x, y = ((a - np.average(a, weights=weight)) for a in (column, -row))
        assert np.average(x * y, weights=weight) * slope > 0


def test_the_description_says_what_is_seen(nothing_left: None) -> None:
    view = small()
    text = view.describe(2.5, 1, "dpm", (20, 100))
    for part in ("40 samples", "class orange", "by DPM-Solver++ 2M in 5 steps", "w = 2.5 for t in 20 … 100"):
        assert part in text
    cloud, tilted = view.cloud(2.5, 1, "dpm", (20, 100)), view.draws(2.5, 1, 2)
    pairs = [(cloud, tilted), (view.draws(2.5, 1, 3), tilted), (cloud, view.draws(0.0, 1, 2))]
    expected = [f"{abs(energy_distance(*pair)):.3f}" for pair in pairs]
    assert re.findall(r"\d\.\d{3}", text) == expected and expected[0] != expected[2]
