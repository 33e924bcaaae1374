"""What the browser tests share: a real Chromium, and questions about what it shows.

A `Tab` is one page of one server. It keeps what a person would notice: errors, requests that leave loopback,
and, while `filming`, every frame that the screen showed. A `Piece` is one picture on it with its sliders.
"""

import base64
import contextlib
import io
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

USUAL = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]
PIXELS = """async image => { await image.decode(); const canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    canvas.getContext('2d').drawImage(image, 0, 0); return canvas.toDataURL(); }"""
REPORT: list[str] = []                                           # times, printed at the end of the tests


@contextlib.contextmanager
def chromium(chosen: str | None) -> Iterator[Any]:
    """Start Chromium. One that was asked for by name has to be there; else its absence skips the test."""
    path = chosen or next(filter(None, map(shutil.which, USUAL)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        assert not chosen, "--chromium was given, but playwright is not installed"
        pytest.skip("playwright is not installed")
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(USUAL)} is installed")
    with sync_playwright() as steering:
        browser = steering.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Tab:
    """One open page: playwright's page, the server's address, what went wrong, the last film's frames."""

    page: Any
    address: str
    faults: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    frames: list[Image.Image] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._note_if_outside)

    def _note_if_outside(self, request: Any) -> None:
        own = (self.address, self.address.replace("http", "ws", 1), "data:", "blob:", "attachment:")
        if not request.url.startswith(own):
            self.outside.append(request.url)

    def shoot(self, folder: Path | None, name: str) -> None:
        """Keep a picture of the page, if a folder is named for them."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"{name}.png")

    def pixels(self, image: Any) -> str:
        """Return what an <img> shows, as a data URL."""
        return image.evaluate(PIXELS)

    def wait_for_new(self, image: Any, before: str, *, seconds: float = 60) -> float:
        """Wait until an <img> has another source than `before` and has loaded it; return the seconds."""
        started = time.perf_counter()
        self.page.wait_for_function("([image, before]) => image.src !== before && image.complete",
                                    arg=[image, before], timeout=1000 * seconds)
        return time.perf_counter() - started

    @contextlib.contextmanager
    def filming(self) -> Iterator[None]:
        """Keep every frame that the browser shows during the block in `frames`."""
        self.frames.clear()
        session = self.page.context.new_cdp_session(self.page)

        def keep(event: dict) -> None:
            self.frames.append(Image.open(io.BytesIO(base64.b64decode(event["data"]))).convert("L"))
            session.send("Page.screencastFrameAck", {"sessionId": event["sessionId"]})

        session.on("Page.screencastFrame", keep)
        session.send("Page.startScreencast", {"format": "png"})
        yield
        self.page.wait_for_timeout(100)
        session.send("Page.stopScreencast")
        session.detach()

    def blank_frames(self, image: Any) -> int:
        """Count the frames of the film in which the place of an <img> is of one shade throughout."""
        box, view = image.bounding_box(), self.page.viewport_size
        count, rim = 0, 4                                        # the rim may share a pixel with another
        for frame in self.frames:
            scale = frame.width / view["width"]
            corners = (box["x"] + rim, box["y"] + rim, box["x"] + box["width"] - rim,
                       min(box["y"] + box["height"], view["height"]) - rim)
            low, high = frame.crop([round(scale * corner) for corner in corners]).getextrema()
            count += high - low < 40
        return count


PIECE = ".jupyter-widgets.widget-vbox:has(> .widget-image):has(.widget-slider)"


@dataclass
class Piece:
    """One picture with its controls, in JupyterLab or on a lecture's page."""

    tab: Tab
    root: Any

    def __post_init__(self) -> None:
        self.image = self.root.locator("> .widget-image").element_handle()
        self.handles = self.root.locator(".widget-slider .noUi-handle").all()

    @property
    def caption(self) -> str:
        return self.root.locator("> .widget-html").inner_text()

    def source(self) -> str:
        return self.image.get_attribute("src")

    def settle(self) -> None:
        """Wait until no picture is under way any more: none has come for a second."""
        before = None
        while before != (before := self.source()):
            self.tab.page.wait_for_timeout(1000)

    @contextlib.contextmanager
    def replaced(self, *, seconds: float = 60) -> Iterator[None]:
        """See that the block leads to another picture: in its place, of its size, with no blank frame."""
        self.settle()
        before, pixels, box = self.source(), self.tab.pixels(self.image), self.image.bounding_box()
        with self.tab.filming():
            yield
            self.tab.wait_for_new(self.image, before, seconds=seconds)
        now = self.image.bounding_box()
        assert self.image.evaluate("image => image.isConnected"), "the picture is another element"
        assert self.root.locator(".widget-image").count() == 1
        for side in ("width", "height"):
            assert now[side] == box[side], "the picture has changed its size"
        assert self.tab.pixels(self.image) != pixels, "another source, but the same pixels"
        assert self.tab.frames and self.tab.blank_frames(self.image) == 0

    def press(self, handle: Any, key: str, times: int = 1) -> None:
        """Press a key on a slider, several times if one changes no picture, and see the picture replaced."""
        handle.focus()
        with self.replaced():
            for _ in range(times):
                self.tab.page.keyboard.press(key)

    def drag(self, handle: Any, share: float, *, seconds: float = 60) -> None:
        """Drag a slider's handle to a share of its track; see its value changed and the picture replaced."""
        mouse = self.tab.page.mouse
        track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]")
        handle.scroll_into_view_if_needed()
        was = handle.get_attribute("aria-valuenow")
        box, knob = track.bounding_box(), handle.bounding_box()
        with self.replaced(seconds=seconds):
            mouse.move(knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2)
            mouse.down()
            mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=12)
            mouse.up()
        assert handle.get_attribute("aria-valuenow") != was

    def seconds(self, handle: Any, key: str) -> float:
        """Return the seconds from a key on a slider to its picture."""
        before = self.source()
        handle.focus()
        began = time.perf_counter()
        self.tab.page.keyboard.press(key)
        self.tab.wait_for_new(self.image, before)
        return time.perf_counter() - began

    def move_everything(self) -> None:
        """Move each slider of the piece by keyboard and by mouse; each time another picture has to come."""
        self.image.scroll_into_view_if_needed()
        for handle in self.handles:
            before = handle.get_attribute("aria-valuenow")
            upper = float(before) >= float(handle.get_attribute("aria-valuemax"))
            key = "ArrowLeft" if upper else "ArrowRight"
            self.press(handle, key, times=9)                     # a solver's step may be 8 t wide
            assert handle.get_attribute("aria-valuenow") != before and self.caption
            self.drag(handle, 0.7 if upper else 0.35)


def pieces(tab: Tab, expected: int | None = None) -> list[Piece]:
    """List the pictures with sliders on a page. Wait until the expected number is there, each with a knob."""
    if expected is not None:
        tab.page.wait_for_function("([pieces, n]) => document.querySelectorAll(pieces).length === n",
                                   arg=[f"{PIECE}:has(.noUi-handle)", expected])
    return [Piece(tab, root) for root in tab.page.locator(PIECE).all()]
