"""The lecture pages in a real browser at a projector's size: no code, large, alive, offline."""

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from browser import REPORT, Tab, pieces
from servers import free_port, server

from ddpm_course.classroom.lecture import find_lesson, lecture_notebook

WIDTH, HEIGHT = 1280, 720
NUMBERS = [path.name[:2] for path in sorted((Path(__file__).parents[2] / "notebooks").glob("0*.ipynb"))]
every_lesson = pytest.mark.parametrize("number", NUMBERS)


@pytest.fixture(scope="module")
def tabs(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Tab]]:
    """Each lecture's page once, served by the command that a lecturer types."""
    with contextlib.ExitStack() as running:
        def show(number: str) -> Tab:
            port, log = free_port(), tmp_path_factory.mktemp("lecture") / "log"
            address = f"http://localhost:{port}"
            command = [sys.executable, "-m", "ddpm_course", "lecture", number, f"--port={port}",
                       "--no-browser"]
            running.enter_context(server(command, f"{address}/voila/static/voila.js", log))
            tab = Tab(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), address)
            tab.page.goto(address, timeout=120_000)
            tab.page.wait_for_selector(".widget-image", timeout=120_000)
            return tab

        yield cache(show)


@every_lesson
def test_every_slider_of_a_lecture_is_moved_by_keyboard_and_by_mouse(tabs: Callable[[str], Tab], number: str,
                                                                     pytestconfig: pytest.Config) -> None:
    cells = lecture_notebook(json.loads(find_lesson(number).read_text(encoding="utf-8")))["cells"]
    makes_a_slider = re.compile(r"^(?:\w+ = )?\w+_(?:explorer|player)\(", flags=re.MULTILINE)
    found = pieces(tabs(number), sum(makes_a_slider.search(cell["source"]) is not None for cell in cells))
    assert found
    for k, piece in enumerate(found):
        piece.move_everything()
        tabs(number).shoot(pytestconfig.getoption("--shots"), f"lecture_{number}_{k}")


LETTERS = "label, select, input, button, .widget-readout, > .widget-html"
SIZES = """parts => parts.filter(part => part.offsetHeight)
    .map(part => parseFloat(getComputedStyle(part).fontSize))"""
CUT_OFF = "labels => labels.map(label => label.scrollWidth > label.clientWidth + 1)"


@every_lesson
def test_a_piece_fills_the_screen_and_its_letters_are_large(tabs: Callable[[str], Tab], number: str) -> None:
    for piece in pieces(tabs(number)):
        box = piece.root.bounding_box()
        assert box["height"] < 0.97 * HEIGHT and box["width"] > 0.9 * WIDTH
        letters = piece.root.locator(LETTERS).evaluate_all(SIZES)
        assert min(letters) >= 0.024 * HEIGHT                    # 1/40 of the picture's height
        labels = piece.root.locator(".widget-label, .widget-readout")
        assert not any(labels.evaluate_all(CUT_OFF))


@every_lesson
def test_no_code_no_error_no_network_and_formulas_are_set(tabs: Callable[[str], Tab], number: str) -> None:
    page, tab = tabs(number).page, tabs(number)
    text = page.locator("body").inner_text()
    for unwanted in ("import ", "Traceback", "$$", "energy distance 0."):
        assert unwanted not in text
    assert page.locator("mjx-container").count() > 0
    assert (tab.outside, tab.faults) == ([], [])


def test_a_click_on_the_track_gives_the_knob_the_arrow_keys(tabs: Callable[[str], Tab]) -> None:
    piece = pieces(tabs("04"))[0]
    track = piece.root.locator(".noUi-target").first
    with piece.replaced():
        track.click(position={"x": 0.6 * track.bounding_box()["width"], "y": 3})
    value = float(piece.handles[0].get_attribute("aria-valuenow"))
    with piece.replaced():
        piece.tab.page.keyboard.press("ArrowRight")
    assert float(piece.handles[0].get_attribute("aria-valuenow")) == value + 0.5


def test_a_presenters_keys_turn_the_page_and_move_no_slider(tabs: Callable[[str], Tab]) -> None:
    page, handle = tabs("04").page, pieces(tabs("04"))[0].handles[0]

    def of_the_page(what: str) -> float:
        return page.evaluate(f"document.querySelector('#rendered_cells').{what}")

    def turned(key: str) -> float:
        """Press a key; return how far down the page then is."""
        page.keyboard.press(key)
        page.wait_for_timeout(200)
        return of_the_page("scrollTop")

    of_the_page("scrollTo(0, 0)")
    end = of_the_page("scrollHeight") - of_the_page("clientHeight") - 1
    handle.focus()
    value, places = handle.get_attribute("aria-valuenow"), [0]
    while places[-1] < end and len(places) < 20:
        places.append(turned("PageDown"))
        assert 40 < places[-1] - places[-2] <= HEIGHT or places[-1] >= end       # nothing is passed over
    assert 4 <= len(places) <= 12
    assert places[-1] - HEIGHT <= turned("PageUp") < places[-1]
    assert handle.get_attribute("aria-valuenow") == value


def test_the_buttons_have_their_signs(tabs: Callable[[str], Tab]) -> None:
    signs = tabs("02").page.locator(".jupyter-button i").evaluate_all(
        "signs => signs.map(sign => getComputedStyle(sign, '::before').content)")
    assert len(signs) >= 2 and all(sign not in ("none", "normal", '""') for sign in signs)
    assert len(set(signs)) == len(signs)


def test_the_time_from_key_to_picture_is_told(tabs: Callable[[str], Tab]) -> None:
    piece = pieces(tabs("04"))[0]
    handle = piece.handles[0]
    handle.press("Home")
    tabs("04").page.wait_for_timeout(2000)
    new = sorted(piece.seconds(handle, "ArrowRight") for _ in range(5))
    seen = sorted(piece.seconds(handle, key) for key in ("ArrowLeft", "ArrowRight") * 4)
    REPORT.append(f"lecture page, key → picture: new strip of 20 steps {1000 * new[2]:.0f} ms, seen before "
                  f"{1000 * seen[4]:.0f} ms (medians of {len(new)} and {len(seen)})")
    assert seen[4] < new[2]
