"""The page without a kernel in a real browser, offline: on a projector and a phone, by keys and touch, in the dark."""

import re
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


@pytest.mark.parametrize("width, height", [(1280, 720), (390, 844), (360, 740)])
def test_keys_move_the_slider_offline_on_a_projector_and_on_a_phone(browser: Any, tmp_path: Path, text: str, width: int,
                                                                    height: int) -> None:
    file, asked, faults = tmp_path / "page.html", [], []
    file.write_text(text, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True)
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())

    def seen(row: int, menus: str = "-1 0 4 60") -> Tensor:
        """Wait until the canvases show a row; return them: 10 garments and 10 differences, (20, 28, 28, 4)."""
        page.wait_for_function("shown => document.documentElement.dataset.shown === shown", arg=f"{menus} {row}")
        return torch.tensor(page.evaluate(SHOWN), dtype=torch.uint8).reshape(20, 28, 28, 4)

    group = data_of(text)["groups"][0]
    garments, differences = pixels(group["garments"], "L"), pixels(group["differences"]["60"], "RGB")
    before = seen(1)
    page.keyboard.press("Tab")                                   # the slider is the first thing a key reaches
    page.keyboard.press("ArrowRight")
    after = seen(2)
    for row, shown in ((1, before), (2, after)):
        assert torch.equal(shown[:10, ..., 0], garments[row]) and torch.equal(shown[10:, ..., :3], differences[row])
    assert not torch.equal(before, after)
    assert page.locator("#w").get_attribute("aria-valuetext") == page.locator("#shown").inner_text() == "w = 2"
    assert page.locator("#caption").text_content() == group["captions"][2]
    sure = page.locator("#garments .sure").all_inner_texts()
    assert sure == [f"{int(100 * p + 0.5)} %" for p in group["confidence"][2]]
    assert page.locator(".panel b").all_inner_texts() == [
        f"w = 2: {curve.text(curve.values[curve.w.index(2.0)])}" for curve in curves(load_record("tradeoff"))]
    page.select_option("#label", "7")                            # 4 steps and seed 0 are there, nothing else
    seen(2, "7 0 4 60")
    assert page.locator("#seed option:disabled").all_inner_texts() == ["1"]
    page.select_option("#label", "-1")
    page.select_option("#seed", "1")
    page.select_option("#steps", "2")                            # not there with seed 1: back to seed 0
    seen(2, "-1 0 2 60")
    page.select_option("#t", "120")
    seen(2, "-1 0 2 120")
    page.locator("#w").press("Home")
    seen(0, "-1 0 2 120")
    assert page.locator(".panel b").first.inner_text().endswith("not measured, only 0 … 5")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    labelled = "[...document.querySelectorAll('input, select')].every(control => control.labels.length === 1)"
    assert page.evaluate(labelled)
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == [] and faults == []


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
    assert ready > 0 and page.evaluate("document.documentElement.scrollHeight") <= 720, "all of it on a projector"
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
    for part in ("h1", "header p", "label", "#shown", ".ticks span", ".status", "h2 small", ".sure", ".panel b",
                 "footer"):
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
