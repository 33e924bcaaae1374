"""The page without a kernel in a real browser, offline: on a projector and a phone, by keys and by touch."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import REPORT
from torch import Tensor
from viewing import data_of, pixels, tiny

from ddpm_course.records import load_record
from ddpm_course.show.svg import curves

BUILT = Path(__file__).parents[2] / "walkthroughs" / "guidance.html"


@pytest.fixture(scope="module")
def text() -> str:
    return tiny()


SHOWN = """() => [...document.querySelectorAll('canvas')].map(canvas =>
    [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data])"""
ALL_LABELLED = "[...document.querySelectorAll('input, select')].every(control => control.labels.length === 1)"
SIZES = {"projector": (1280, 720), "phone": (390, 844), "small phone": (360, 740)}


def seen(page: Any, row: int, menus: str = "-1 0 4 60") -> Tensor:
    """Wait until a row of w is shown; return the canvases: 10 garments, 10 differences, (20, 28, 28, 4)."""
    page.wait_for_function("shown => document.documentElement.dataset.shown === shown", arg=f"{menus} {row}")
    return torch.tensor(page.evaluate(SHOWN), dtype=torch.uint8).reshape(20, 28, 28, 4)


@pytest.fixture(params=SIZES.values(), ids=SIZES.keys())
def page(request: pytest.FixtureRequest, browser: Any, tmp_path: Path, text: str) -> Iterator[Any]:
    """Show the tiny page from a file. After the test, see that it asked for nothing and had no fault."""
    width, height = request.param
    file = tmp_path / "page.html"
    file.write_text(text, encoding="utf-8")
    asked, faults = [], []
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    seen(page, 1)                                                # w = 0 comes first
    yield page
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and faults == []


def test_keys_move_the_slider_and_each_w_has_its_own_pictures(page: Any, text: str) -> None:
    group = data_of(text)["groups"][0]
    garments, differences = pixels(group["garments"], "L"), pixels(group["differences"]["60"], "RGB")
    before = seen(page, 1)
    page.keyboard.press("Tab")                                   # the slider is the first thing a key reaches
    page.keyboard.press("ArrowRight")
    after = seen(page, 2)
    assert not torch.equal(before, after)
    for row, shown in ((1, before), (2, after)):
        assert torch.equal(shown[:10, ..., 0], garments[row])
        assert torch.equal(shown[10:, ..., :3], differences[row])


def test_what_is_said_goes_with_the_slider(page: Any, text: str) -> None:
    group, slider, values = data_of(text)["groups"][0], page.locator("#w"), page.locator(".panel b")
    slider.press("ArrowRight")
    seen(page, 2)
    assert slider.get_attribute("aria-valuetext") == page.locator("#shown").inner_text() == "w = 2"
    assert page.locator("#caption").text_content() == group["captions"][2]
    sure = page.locator("#garments .sure").all_inner_texts()
    assert sure == [f"{int(100 * p + 0.5)} %" for p in group["confidence"][2]]
    at_2 = [curve.text(curve.values[curve.w.index(2.0)]) for curve in curves(load_record("tradeoff"))]
    assert values.all_inner_texts() == [f"w = 2: {value}" for value in at_2]
    slider.press("Home")
    seen(page, 0)
    assert values.first.inner_text().endswith("not measured, only 0 … 5")


def test_the_menus_offer_what_the_page_holds_and_leave_w_where_it_is(page: Any) -> None:
    page.locator("#w").press("ArrowRight")
    page.select_option("#label", "7")                            # 4 steps and seed 0 are there, nothing else
    seen(page, 2, "7 0 4 60")
    assert page.locator("#seed option:disabled").all_inner_texts() == ["1"]
    page.select_option("#label", "-1")
    page.select_option("#seed", "1")
    seen(page, 2, "-1 1 4 60")
    page.select_option("#steps", "2")                            # not there with seed 1: back to seed 0
    seen(page, 2, "-1 0 2 60")
    page.select_option("#t", "120")
    seen(page, 2, "-1 0 2 120")
    page.locator("#w").press("Home")
    seen(page, 0, "-1 0 2 120")


def test_nothing_is_cut_off_and_every_control_has_a_label(page: Any) -> None:
    for row, key in ((1, "Home"), (0, "End"), (2, "End")):
        seen(page, row)
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        page.locator("#w").press(key)
    assert page.evaluate(ALL_LABELLED)


def opened(browser: Any, **options: Any) -> Any:
    """Open the built copy offline and wait until it shows its pictures."""
    page = browser.new_context(offline=True, **options).new_page()
    page.goto(BUILT.as_uri())
    page.wait_for_function("() => document.documentElement.dataset.ready")
    return page


def test_the_built_copy_says_how_soon_it_was_ready(browser: Any, pytestconfig: pytest.Config) -> None:
    page = opened(browser, viewport={"width": 1280, "height": 720})
    ready = int(page.evaluate("document.documentElement.dataset.ready"))
    REPORT.append(f"guidance.html: pictures shown {ready} ms after its opening (300 ms wanted)")
    assert ready > 0
    assert page.evaluate("document.documentElement.scrollHeight") <= 720, "all of it on a projector"
    if folder := pytestconfig.getoption("--shots"):              # the README's picture is made so
        for _ in range(3):
            page.locator("#w").press("ArrowRight")
        page.evaluate("document.activeElement.blur()")
        page.wait_for_function("() => document.documentElement.dataset.shown.endsWith(' 4')")
        page.screenshot(path=folder / "guidance.png")


def test_a_finger_moves_the_slider(browser: Any) -> None:
    page = opened(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    before = page.evaluate(SHOWN)
    box = page.locator("#w").bounding_box()
    page.touchscreen.tap(box["x"] + 0.98 * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_function("() => document.documentElement.dataset.shown.endsWith(' 9')")
    assert page.locator("#w").get_attribute("aria-valuetext") == "w = 8" and page.evaluate(SHOWN) != before
    page.mouse.wheel(0, 600)
    page.wait_for_timeout(300)
    assert page.locator(".wide").bounding_box()["y"] == 0, "the slider stays in sight"
    smallest = min(page.locator(part).first.bounding_box()["height"] for part in ("#w", "select"))
    assert smallest >= 24, "room for a finger (WCAG 2.2, 2.5.8)"


def luminance(colour: str) -> float:
    """Return the relative luminance of "rgb(r, g, b)" (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_by_day_and_by_night(browser: Any, scheme: str) -> None:
    page = opened(browser, color_scheme=scheme)
    paper = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (paper < 0.1) is (scheme == "dark")
    for part in ("h1", "header p", "label", "#shown", ".ticks span", ".status", "h2 small", ".sure",
                 ".panel b", "footer"):
        ink = luminance(page.locator(part).first.evaluate("part => getComputedStyle(part).color"))
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, part


def test_a_screen_reader_finds_a_name_on_everything_and_is_told_what_changed(browser: Any) -> None:
    page = opened(browser)
    assert page.get_by_role("slider", name="guidance").count() == 1
    for name in ("class", "noise seed", "steps", "look at t"):
        assert page.get_by_role("combobox", name=name).count() == 1
    named = page.get_by_role("img", name=re.compile(r"\S"))
    assert named.count() == page.locator("canvas, svg, .legend").count() == 24
    page.get_by_role("slider").press("ArrowRight")
    assert "w = 0.5" in page.get_by_role("status").inner_text()
