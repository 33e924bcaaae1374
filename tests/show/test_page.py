"""The page without a kernel: it shows what the slider in a notebook shows, and asks nobody for anything."""

import json
import re
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from viewing import MODEL, SETTINGS, TIMES, WEIGHTS, data_of, pixels, tiny

from ddpm_course.__main__ import main
from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.data.images import FASHION_NAMES
from ddpm_course.records import load_record
from ddpm_course.show import page as the_page
from ddpm_course.show.guidance_view import ONE_OF_EACH, GuidanceView
from ddpm_course.show.page import LIMIT, SHADES, Setting, build, contents, palette, shades, sprite
from ddpm_course.show.pictures import gray
from ddpm_course.show.svg import tradeoff

BUILT = Path(__file__).parents[2] / "walkthroughs" / "guidance.html"


@pytest.fixture(scope="module")
def text() -> str:
    return tiny()


def shipped() -> GuidanceView:
    return GuidanceView(load_checkpoint("fashion"), load_judge())


def test_the_page_shows_the_shipped_models_strips_pixel_by_pixel_and_the_judges_confidence() -> None:
    sneakers = Setting(7, seed=3, steps=4)
    page = build(shipped(), load_record("tradeoff"), settings=[sneakers], weights=(0.0, 2.0), times=(60,))
    group, fresh = data_of(page)["groups"][0], shipped()
    for row, w in enumerate((0.0, 2.0)):
        strip = fresh.strip(w, 7, 4, 3)
        assert torch.equal(pixels(group["garments"], "L")[row], gray(strip.images)[..., 0])
        assert group["confidence"][row] == [round(p, 4) for p in strip.confidence.tolist()]
        assert group["captions"][row] == fresh.describe(w, 7, 4, 3)
        nearest, eps_c, eps_null = fresh.predictions(strip, 60)
        assert abs(nearest - 60) < 150 / 4
        shown = palette()[shades(eps_c - eps_null).long()]
        assert torch.equal(pixels(group["differences"]["60"], "RGB")[row], shown)


def test_every_setting_is_there_once_with_every_w_and_t(text: str) -> None:
    data = data_of(text)
    assert [(g["label"], g["seed"], g["steps"]) for g in data["groups"]] == [
        (s.label, s.seed, s.steps) for s in SETTINGS]
    assert data["weights"] == list(WEIGHTS) and data["times"] == list(TIMES)
    for group in data["groups"]:
        assert pixels(group["garments"], "L").shape == (3, 10, 28, 28)
        assert set(group["differences"]) == {"120", "60"} and len(group["captions"]) == 3
        assert [len(row) for row in group["confidence"]] == [10] * 3
    assert data["groups"][1]["labels"] == [7] * 10 and data["groups"][0]["labels"] == list(range(10))
    first = pixels(data["groups"][0]["garments"], "L")
    assert not torch.equal(first[1], first[2])                   # w is seen


def test_the_page_says_which_pictures_it_holds(text: str) -> None:
    assert ("one of each, Sneaker (noise seed 0 with 4 steps); "
            "one of each (noise seed 1 with 4 steps, noise seed 0 with 2 steps), "
            "each at w = −1, 0, 2. Differences at t = 120, 60 ") in text
    said = contents(the_page.SETTINGS, WEIGHTS, TIMES, FASHION_NAMES)
    assert "every class and one of each (noise seed 0 with 20 steps); " in said


def test_the_page_draws_the_records_curves_once_over_the_sliders_range(text: str) -> None:
    record = load_record("tradeoff")
    assert text.count(tradeoff(record, WEIGHTS[0], WEIGHTS[-1])) == 1
    assert text.count("<circle") == 3 * len(record["points"]) and text.count('class="now"') == 3


def test_shades_run_from_blue_over_white_to_orange() -> None:
    x = torch.tensor([-9.0, -LIMIT, 0.0, 0.49 * LIMIT / SHADES, LIMIT, 9.0]).reshape(-1, 1, 1, 1)
    assert shades(x).flatten().tolist() == [0, 0, SHADES, SHADES, 2 * SHADES, 2 * SHADES]
    colours = palette().int()
    assert colours.shape == (2 * SHADES + 1, 3) and colours[SHADES].tolist() == [255] * 3
    assert colours[0, 2] > colours[0, 0] and colours[-1, 0] > colours[-1, 2]
    every_shade = torch.arange(2 * SHADES + 1, dtype=torch.uint8)
    tiles = every_shade.repeat(2 * 10 * 784)[:2 * 10 * 784].reshape(2, 10, 28, 28)
    assert torch.equal(pixels(sprite(tiles, palette()), "RGB"), palette()[tiles.long()])
    assert torch.equal(pixels(sprite(tiles), "L"), tiles)


def test_a_tiny_page_is_quick_and_asks_nobody_for_anything() -> None:
    began = time.perf_counter()
    text = tiny(settings=SETTINGS[:2], weights=WEIGHTS[:2])
    assert time.perf_counter() - began < 5
    words = re.sub(r'"[A-Za-z0-9+/=]{200,}"', '""', text)         # without the pictures
    for asking in (r"https?:", r"//\w", "@import", r"url\(", "fetch", "XMLHttp", "WebSocket", "EventSource",
                   "sendBeacon", r"import\("):
        assert not re.search(asking, words), asking
    assert "default-src 'none'" in text and "{{" not in text
    sources = re.findall(r'\b(?:src|href)\s*=\s*"([^"]*)"', text)
    assert all(source.startswith("data:") for source in sources)


def test_the_default_page_fits_its_budget() -> None:
    view = shipped()
    page = build(view, load_record("tradeoff"), settings=[Setting(ONE_OF_EACH)])
    one_setting = len(json.dumps(data_of(page)["groups"][0]))    # mixes the classes: of average size
    assert len(page.encode()) + (len(the_page.SETTINGS) - 1) * one_setting < 1_500_000
    assert len(set(the_page.SETTINGS)) == len(the_page.SETTINGS)
    assert all(t in view.times(s.steps) for t in the_page.TIMES for s in the_page.SETTINGS)


def test_the_built_copy_is_what_the_command_would_write_now() -> None:
    """One setting of it is drawn again; of the rest, the template's own text and the curves are compared."""
    built = BUILT.read_text(encoding="utf-8")
    data = data_of(built)
    assert len(built.encode()) <= 1_500_000 and data["weights"] == list(the_page.WEIGHTS)
    assert [(g["label"], g["seed"], g["steps"]) for g in data["groups"]] == [
        (s.label, s.seed, s.steps) for s in the_page.SETTINGS]
    position = 0
    for part in re.split(r"\{\{\w+\}\}", the_page.TEMPLATE.read_text(encoding="utf-8")):
        position = built.index(part, position) + len(part)
    assert tradeoff(load_record("tradeoff"), the_page.WEIGHTS[0], the_page.WEIGHTS[-1]) in built
    setting = the_page.SETTINGS[-1]                               # five steps: the quickest
    group, fresh = data["groups"][-1], the_page.entry(the_page.draw_group(shipped(), setting))
    assert group["labels"] == fresh["labels"]
    assert group["captions"][1].startswith("one garment of each class, w = 0")
    apart = (pixels(group["garments"], "L").int() - pixels(fresh["garments"], "L").int()).abs()
    assert (apart > 2).double().mean() < 0.01                    # another machine rounds otherwise


@pytest.mark.parametrize("options", [
    {"settings": ()}, {"times": ()}, {"weights": (1.0,)}, {"weights": (2.0, 0.0)}, {"weights": (0.0, 0.0)}])
def test_a_page_of_nothing_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match="a page needs"):
        tiny(**options)


def test_without_a_judge_the_page_says_so() -> None:
    page = build(GuidanceView(MODEL), load_record("tradeoff"), settings=SETTINGS[:1], weights=WEIGHTS[:2],
                 times=(60,))
    group = data_of(page)["groups"][0]
    assert group["confidence"] == [[None] * 10] * 2 and group["captions"][0].endswith("not scored")


def test_the_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture, text: str) -> None:
    monkeypatch.setattr(the_page, "build", Mock(return_value=text))
    monkeypatch.chdir(tmp_path)
    assert main(["explorer", "-o", "page.html"]) == 0 and main(["explorer"]) == 0
    assert {file.name for file in tmp_path.iterdir()} == {"page.html", "guidance.html"}
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    assert capsys.readouterr().out.startswith(f"page.html: {len(text.encode()) / 1e6:.2f} MB")
    view, record = the_page.build.call_args.args
    assert view.model.schedule.T == 150 and view.judge is not None and record["experiment"] == "tradeoff"


@pytest.mark.parametrize("path", ["missing/page.html", ".", "folder", "file/page.html", "n" * 300])
def test_a_path_that_cannot_be_written_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture, path: str) -> None:
    drawn_too_soon = Mock(side_effect=AssertionError("drawn before the path was tried"))
    monkeypatch.setattr(the_page, "build", drawn_too_soon)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(SystemExit) as stopped:
        main(["explorer", "-o", path])
    assert stopped.value.code == 2 and "cannot be written" in capsys.readouterr().err
    assert {file.name for file in tmp_path.rglob("*")} == {"folder", "file"}


@pytest.mark.parametrize("trouble", [KeyboardInterrupt, RuntimeError])
def test_a_page_that_was_not_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                         trouble: type) -> None:
    page = tmp_path / "page.html"
    page.write_text("old")
    monkeypatch.setattr(the_page, "build", Mock(side_effect=trouble))
    with pytest.raises(trouble):
        main(["explorer", "-o", str(page)])
    assert page.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["page.html"]
