"""JupyterLab in a real browser, as a student meets it: Run All, then every control by keyboard and mouse."""

import json
import re
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from browser import REPORT, Piece, Tab, pieces
from servers import lab_server

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = [file.name for file in sorted(NOTEBOOKS.glob("0*.ipynb"))]
OUTPUT = ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.{}']"
DIFFUSION, GUIDANCE = NAMES[1], NAMES[3]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server over copies of the notebooks."""
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("home")
    for name in NAMES:
        shutil.copy(NOTEBOOKS / name, folder)
    with lab_server(folder, home) as address:
        yield address


def choose(page: Any, menu: str, *entries: str) -> None:
    """Choose an entry of a menu, or of a menu in it."""
    page.click(f".lm-MenuBar-itemLabel:text-is('{menu}')")
    for entry in entries:
        page.click(f".lm-Menu-itemLabel:text-is('{entry}')")


def run_all(browser: Any, address: str, name: str, width: int = 1280, height: int = 1000) -> Tab:
    """Open a notebook, wait for its kernel, Run All, wait for its end."""
    page = browser.new_context(viewport={"width": width, "height": height}).new_page()
    tab = Tab(page, address)
    page.goto(f"{address}/doc/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    deadline = time.monotonic() + 90
    while not kernel_is_ready(address, name):
        assert time.monotonic() < deadline, f"the kernel of {name} did not start"
        page.wait_for_timeout(100)                               # the page's own indicator says so too early
    page.wait_for_function(
        "() => document.querySelector('.jp-Toolbar-kernelName')?.textContent.includes('Python')")
    choose(page, "Run", "Run All Cells")
    cell_not_done = "document.querySelector('.jp-Notebook').innerText.includes('[*]:')"
    page.wait_for_function(f"() => {cell_not_done}")
    page.wait_for_function(f"() => !{cell_not_done}", timeout=300_000)
    return tab


def kernel_is_ready(address: str, name: str) -> bool:
    """Ask the server whether a notebook's kernel is idle and the page is connected to it."""
    sessions = json.load(urllib.request.urlopen(f"{address}/api/sessions"))
    kernels = [session["kernel"] for session in sessions if session["path"] == name]
    return any(kernel["execution_state"] == "idle" and kernel["connections"] for kernel in kernels)


@pytest.fixture(scope="module")
def tabs(browser: Any, lab: str) -> Callable[[str], Tab]:
    """Each notebook once, run to its end; the tests share its page."""
    return cache(lambda name: run_all(browser, lab, name))


def sliders_in(name: str) -> int:
    """Count the explorers and players that a notebook makes."""
    cells = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return len(re.findall(r"^(?:\w+ = )?\w+_(?:explorer|player)\(", code, flags=re.MULTILINE))


every_notebook = pytest.mark.parametrize("name", NAMES)


@every_notebook
def test_every_slider_is_moved_by_keyboard_and_by_mouse_in_place(tabs: Callable[[str], Tab], name: str,
                                                                 pytestconfig: pytest.Config) -> None:
    found = pieces(tabs(name), sliders_in(name))
    assert found
    for number, piece in enumerate(found):
        piece.move_everything()
        tabs(name).shoot(pytestconfig.getoption("--shots"), f"lab_{name[:2]}_{number}")


@pytest.fixture
def guidance(tabs: Callable[[str], Tab]) -> Piece:
    piece = pieces(tabs(GUIDANCE))[0]
    piece.image.scroll_into_view_if_needed()
    return piece


def test_a_seed_is_typed_and_new_noise_is_asked_for(guidance: Piece) -> None:
    piece = guidance
    seed = piece.root.locator("input[type=number]")
    with piece.replaced():
        seed.fill("41")
        seed.press("Enter")
    assert "noise seed 41" in piece.caption
    with piece.replaced():
        piece.root.locator("button:has-text('new noise')").click()
    assert "noise seed 42" in piece.caption and seed.input_value() == "42"
    with piece.replaced():
        piece.root.locator("button:has-text('new noise')").press("Enter")
    assert "noise seed 43" in piece.caption


def test_class_and_steps_are_chosen(guidance: Piece) -> None:
    piece = guidance
    label, steps = piece.root.locator("select").all()
    with piece.replaced():
        label.select_option("Sneaker")
    with piece.replaced():
        steps.select_option("10")
    assert "ten of class Sneaker" in piece.caption and "10 steps" in piece.caption


def test_the_time_from_key_to_picture_is_told(guidance: Piece) -> None:
    piece = guidance
    handle = piece.handles[0]
    handle.press("Home")
    piece.tab.page.wait_for_timeout(2000)
    new = [piece.seconds(handle, "ArrowRight") for _ in range(6)]
    seen = [piece.seconds(handle, key) for key in ("ArrowLeft", "ArrowRight") * 4]
    REPORT.append(f"JupyterLab, key → picture: new strip of 10 steps {1000 * median(new):.0f} ms, "
                  f"seen before {1000 * median(seen):.0f} ms (medians of {len(new)} and {len(seen)})")
    assert median(seen) < median(new)


def test_the_trajectory_plays_by_itself_stops_and_is_scrubbed(tabs: Callable[[str], Tab]) -> None:
    tab = tabs(DIFFUSION)
    piece = pieces(tab)[-1]
    piece.image.scroll_into_view_if_needed()
    play, handle = piece.root.locator("button").first, piece.handles[0]
    handle.press("Home")
    tab.page.wait_for_timeout(500)
    with piece.replaced():
        play.click()
        tab.page.wait_for_timeout(1500)
    play.click()
    tab.page.wait_for_timeout(500)
    stopped = float(handle.get_attribute("aria-valuenow"))
    assert stopped >= 3 and f"after {stopped:.0f} steps" in piece.caption
    tab.page.wait_for_timeout(500)
    assert float(handle.get_attribute("aria-valuenow")) == stopped, "it was stopped"
    handle.press("End")
    tab.page.wait_for_function("caption => caption.innerText.includes('finished images')",
                               arg=piece.root.locator("> .widget-html").element_handle())
    piece.press(handle, "ArrowLeft")


def test_on_a_projector_all_is_seen_and_in_a_narrow_window_nothing_is_cut_off(
        guidance: Piece, pytestconfig: pytest.Config) -> None:
    page = guidance.tab.page
    before = page.viewport_size
    bars = 110                                                   # of JupyterLab, above the notebook
    assert guidance.root.bounding_box()["height"] <= 720 - bars, "on a projector all of it has to be seen"
    page.set_viewport_size({"width": 640, "height": 720})
    page.wait_for_timeout(500)
    guidance.image.scroll_into_view_if_needed()
    guidance.tab.shoot(pytestconfig.getoption("--shots"), "lab_narrow")
    right = guidance.root.bounding_box()["x"] + guidance.root.bounding_box()["width"]
    parts = guidance.root.locator(".widget-readout, select, input, button, .widget-image").all()
    assert len(parts) == 8
    for part in parts:
        box = part.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= right + 1
    page.set_viewport_size(before)


def test_in_presentation_mode_without_code_the_slider_is_alive_and_its_letters_are_larger(
        guidance: Piece, pytestconfig: pytest.Config) -> None:
    page = guidance.tab.page
    size = "part => parseFloat(getComputedStyle(part).fontSize)"
    text = page.locator(".jp-MarkdownOutput p").first
    small = text.evaluate(size)
    choose(page, "View", "Appearance", "Presentation Mode")
    choose(page, "View", "Collapse All Code")
    page.wait_for_timeout(500)
    assert page.locator(".jp-CodeCell .jp-InputArea-editor:visible").count() == 0
    assert text.evaluate(size) > small
    guidance.press(guidance.handles[0], "ArrowRight")
    guidance.tab.shoot(pytestconfig.getoption("--shots"), "lab_presentation")
    choose(page, "View", "Appearance", "Presentation Mode")
    choose(page, "View", "Expand All Code")
    page.wait_for_function(
        "() => document.querySelector('.jp-CodeCell .jp-InputArea-editor').offsetHeight > 0")


@every_notebook
def test_after_all_that_no_error_is_shown_and_nothing_has_left_the_machine(tabs: Callable[[str], Tab],
                                                                           name: str) -> None:
    tab = tabs(name)
    for kind in ("stderr", "error"):
        assert tab.page.locator(OUTPUT.format(kind)).all_inner_texts() == []
    assert (tab.outside, tab.faults) == ([], [])
