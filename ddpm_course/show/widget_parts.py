"""What the sliders are made of: the controls, and a picture with its caption that a control redraws in place.

Each widget sets the bytes of one `Image`: nothing flickers, nothing piles up. Callbacks run synchronously, so a test
may set a `.value` and look. Written for ipywidgets 7.7 (Colab) and 8. No mathematics appears here.
"""

import html
from typing import Protocol

import ipywidgets

WIDE = {"description_width": "110px"}


def layout_of(width: str) -> ipywidgets.Layout:
    """Return a layout of that width, or of the page's where the page is narrower."""
    return ipywidgets.Layout(width=width, max_width="100%")


def make_slider(kind: type, value: float | tuple[int, int], low: float, high: float, text: str, width: str = "560px",
                **options) -> ipywidgets.Widget:
    """Return a slider that reports when it is let go."""
    return kind(value=value, min=low, max=high, description=text, continuous_update=False, style=WIDE,
                layout=layout_of(width), **options)


def make_dropdown(options: list, text: str, value: int | str, width: str = "280px") -> ipywidgets.Dropdown:
    """Return a menu over options, each a value or a pair (text, value)."""
    return ipywidgets.Dropdown(options=options, value=value, description=text, style=WIDE, layout=layout_of(width))


def in_row(*controls: ipywidgets.Widget) -> ipywidgets.HBox:
    """Put controls beside each other, or under each other where the page is narrow."""
    return ipywidgets.HBox(controls, layout=ipywidgets.Layout(flex_flow="row wrap"))


def in_words(text: str) -> str:
    """Return a caption as HTML."""
    return f'<div style="line-height: 1.4">{html.escape(text)}</div>'


def picture_frame(png: bytes = b"", *, width: int = 1002) -> ipywidgets.Image:
    """Return a frame that shows PNG bytes; set its `value` to show others in the same place, as while training."""
    return ipywidgets.Image(value=png, format="png", width=width, layout=ipywidgets.Layout(max_width="100%"))


class PictureWidget(ipywidgets.VBox):
    """A picture and its caption under some rows of controls; when a control moves, both are set in place.

    `picture()` returns the PNG bytes and the caption for the controls' values; `image` and `caption` show them.
    """

    def __init__(self, rows: list[ipywidgets.Widget], controls: list[ipywidgets.Widget], *, width: int) -> None:
        self.image, self.caption = picture_frame(width=width), ipywidgets.HTML()
        super().__init__([*rows, self.image, self.caption])
        for control in controls:
            control.observe(self._redraw, names="value")
        self._redraw(None)

    def picture(self) -> tuple[bytes, str]:
        """Return what to show."""
        raise NotImplementedError

    def notice(self) -> str:
        """Return what the caption says while a picture is drawn that takes seconds; nothing for the quick ones."""
        return ""

    def _redraw(self, change: dict | None) -> None:
        notice = self.notice()
        if notice:
            self.caption.value = in_words(notice)
        self.image.value, text = self.picture()
        self.caption.value = in_words(text)


class View(Protocol):
    """What stands behind a slider: a setting → one picture as PNG bytes, and a sentence that says what it shows."""

    def render(self, setting: float) -> bytes: ...

    def describe(self, setting: float) -> str: ...


class SliderWidget(PictureWidget):
    """One slider over a view: `slider` is the control, `view` does the work."""

    def __init__(self, view: View, slider: ipywidgets.Widget, *,
                 play: ipywidgets.Play | None = None, width: int = 1002) -> None:
        self.view, self.slider, self.play = view, slider, play
        super().__init__([slider] if play is None else [ipywidgets.HBox([play, slider])], [slider], width=width)

    def picture(self) -> tuple[bytes, str]:
        return self.view.render(self.slider.value), self.view.describe(self.slider.value)
