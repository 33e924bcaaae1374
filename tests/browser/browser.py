"""What the browser tests share: a real Chromium, servers on loopback, and questions about pixels.

A `Tab` is one page of one server. It keeps what a person would notice: errors, requests that leave loopback, and, while
`filming`, every frame that the screen showed. A `Piece` is one picture on it with its sliders.
"""

import base64
import contextlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

USUAL = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def server(command: list[str], address: str, log: Path, env: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server until the block ends; yield its address once it answers there."""
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=os.environ | (env or {}))
    try:
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(address, timeout=2).read()
                break
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def lab_server(folder: Path, home: Path, *, dark: bool = False) -> Iterator[str]:
    """Serve `folder` in a JupyterLab whose settings live in `home`: no news, all cells in the page, no autosave."""
    settings = {("apputils-extension", "notification"): {"fetchNews": "false", "checkForUpdates": False},
                ("apputils-extension", "themes"): {"theme": f"JupyterLab {'Dark' if dark else 'Light'}"},
                ("notebook-extension", "tracker"): {"windowingMode": "none"},
                ("docmanager-extension", "plugin"): {"autosave": False}}
    for (plugin, name), values in settings.items():
        file = home / "settings" / "@jupyterlab" / plugin / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    places = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
              "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython"}
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
               "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.disable_check_xsrf=True",
               "--LabApp.extension_manager=readonly", "--LabApp.news_url=None", f"--ServerApp.root_dir={folder}"]
    with server(command, f"http://127.0.0.1:{port}/api/status", home / "lab.log",
                {name: str(home / place) for name, place in places.items()}):
        yield f"http://127.0.0.1:{port}"


@dataclass
class Tab:
    """One open page: the playwright page, the server's address, what went wrong, and the frames of the last film."""

    page: Any
    address: str
    faults: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    frames: list[Image.Image] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.outside.append(request.url) if not request.url.startswith(
            (self.address, self.address.replace("http", "ws", 1), "data:", "blob:", "attachment:")) else None)

    def shoot(self, folder: Path | None, name: str) -> None:
        """Keep a picture of the page, if a folder is named for them."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=folder / f"{name}.png")

    def pixels(self, image: Any) -> str:
        """Return what an <img> shows, as a data URL."""
        return image.evaluate(PIXELS)

    def wait_for_new(self, image: Any, before: str, *, seconds: float = 60) -> float:
        """Wait until an <img> has another source than `before` and has loaded it; return the seconds it took."""
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
        count, rim = 0, 4                                        # the rim may share a pixel with what stands beside it
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
        """See that the block leads to another picture: in the same place, of the same size, with no blank frame."""
        self.settle()
        before, pixels, box = self.source(), self.tab.pixels(self.image), self.image.bounding_box()
        with self.tab.filming():
            yield
            self.tab.wait_for_new(self.image, before, seconds=seconds)
        now = self.image.bounding_box()
        assert self.image.evaluate("image => image.isConnected") and self.root.locator(".widget-image").count() == 1
        assert (now["width"], now["height"]) == (box["width"], box["height"]), "the picture has changed its size"
        assert self.tab.pixels(self.image) != pixels, "another source, but the same pixels"
        assert self.tab.frames and self.tab.blank_frames(self.image) == 0

    def press(self, handle: Any, key: str, times: int = 1) -> None:
        """Press a key on a slider, some times if one step changes no picture, and see the picture replaced."""
        handle.focus()
        with self.replaced():
            for _ in range(times):
                self.tab.page.keyboard.press(key)

    def drag(self, handle: Any, share: float, *, seconds: float = 60) -> None:
        """Drag a slider's handle to a share of its track, and see its value changed and the picture replaced."""
        mouse, track = self.tab.page.mouse, handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')]")
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
            self.press(handle, "ArrowLeft" if upper else "ArrowRight", times=9)      # a solver's step may be 8 t wide
            assert handle.get_attribute("aria-valuenow") != before and self.caption
            self.drag(handle, 0.7 if upper else 0.35)


def pieces(tab: Tab, expected: int | None = None) -> list[Piece]:
    """List the pictures with sliders on a page; wait until as many as expected are there, each with a knob."""
    if expected is not None:
        tab.page.wait_for_function("([pieces, n]) => document.querySelectorAll(pieces).length === n",
                                   arg=[f"{PIECE}:has(.noUi-handle)", expected])
    return [Piece(tab, root) for root in tab.page.locator(PIECE).all()]
