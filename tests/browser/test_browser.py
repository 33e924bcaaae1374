"""What the browser tests rest on can fail: toy pages whose slider behaves, flickers, piles up or jumps."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from browser import Piece, Tab, pieces

PAGE = """<body style="margin: 0"><div class="jupyter-widgets widget-vbox">
<div class="widget-slider noUi-target" style="width: 300px">
<div class="noUi-handle" tabindex="0" aria-valuenow="0" aria-valuemax="9" style="width: 20px">o</div></div>
<img class="widget-image" width="300" height="200"><div class="widget-html">words</div></div><script>
const image = document.querySelector("img"), draw = seed => { const canvas = document.createElement("canvas");
  canvas.width = 300; canvas.height = 200; const pen = canvas.getContext("2d");
  for (let x = 0; x < 30; x++) for (let y = 0; y < 20; y++) {
    pen.fillStyle = (x * y + seed) % 3 ? "black" : "white"; pen.fillRect(10 * x, 10 * y, 10, 10); }
  return canvas.toDataURL(); };
image.src = draw(0);
document.querySelector(".noUi-handle").addEventListener("keydown", async () => { BEHAVIOUR; });
</script>"""
MISBEHAVIOURS = {
    "a blank moment": """
        image.style.visibility = "hidden"; await new Promise(done => setTimeout(done, 300));
        image.src = draw(1); image.style.visibility = "visible\"""",
    "a second picture": "image.src = draw(1); image.after(image.cloneNode())",
    "another size": "image.src = draw(1); image.height = 210",
    "another element": """
        const next = draw(1); const copy = image.cloneNode();
        copy.src = next; image.replaceWith(copy); image.src = next""",
    "the same pixels": "image.src = draw(0).replace('base64,', 'charset=x;base64,')"}
LATE = "image.src = draw(1); await new Promise(go => setTimeout(go, 900)); image.src = draw(2)"


def piece_of(browser: Any, behaviour: str) -> Piece:
    page = browser.new_page(viewport={"width": 600, "height": 400})
    page.set_content(PAGE.replace("BEHAVIOUR", behaviour))
    return pieces(Tab(page, "http://127.0.0.1"))[0]


def test_a_picture_that_is_replaced_in_its_place_passes(browser: Any) -> None:
    piece = piece_of(browser, "image.src = draw(1)")
    piece.press(piece.handles[0], "ArrowRight")
    assert piece.caption == "words" and piece.tab.outside == []


@pytest.mark.parametrize("behaviour", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS.keys())
def test_a_picture_that_misbehaves_is_caught(browser: Any, behaviour: str) -> None:
    piece = piece_of(browser, behaviour)
    with pytest.raises(AssertionError):
        piece.press(piece.handles[0], "ArrowRight")


def test_a_slider_that_no_mouse_moves_is_caught_even_if_a_picture_comes_late(browser: Any) -> None:
    piece = piece_of(browser, LATE)
    piece.press(piece.handles[0], "ArrowRight")
    with pytest.raises(Exception, match="Timeout"):
        piece.drag(piece.handles[0], 0.7, seconds=2)


def test_a_request_that_leaves_the_machine_and_a_fault_are_caught(browser: Any) -> None:
    piece = piece_of(browser, "image.src = 'http://203.0.113.1/a.png'; throw new Error('broken')")
    piece.handles[0].press("ArrowRight")
    piece.tab.page.wait_for_timeout(200)
    assert piece.tab.outside == ["http://203.0.113.1/a.png"] and piece.tab.faults == ["broken"]


def test_a_browser_that_was_named_must_not_be_missing() -> None:
    command = "from browser import chromium\nwith chromium('/no-such-browser'): pass"
    run = subprocess.run([sys.executable, "-c", command], cwd=Path(__file__).parent, capture_output=True,
                         text=True)
    assert run.returncode == 1 and "no-such-browser" in run.stderr
