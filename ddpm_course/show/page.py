"""The guidance slider as one HTML page that needs no kernel and no network: for a lecture hall, a phone, a mail.

Every picture that the page can show is drawn beforehand, by the same explorer as in the notebook, and travels inside
the file: `draw_group` makes the pictures of one class, seed and step count for every w, `page` turns them and the
record `tradeoff` into HTML (the template, `page.html`, lies beside this file). Which settings are there is decided
by `SETTINGS`, `WEIGHTS` and `TIMES`, so that the file stays below 1.5 MB.
"""

import argparse
import base64
import html
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.records import load_record
from ddpm_course.show.guidance_view import ONE_OF_EACH, GuidanceView
from ddpm_course.show.pictures import gray, signed
from ddpm_course.show.svg import LEFT, RIGHT, listed, tradeoff
from ddpm_course.whole_files import check_writable, write_whole

TEMPLATE = Path(__file__).with_name("page.html")
SHADES, LIMIT = 4, 0.25                                          # of a difference: 4 blues, white, 4 oranges; ±0.25


@dataclass(frozen=True, order=True)
class Setting:
    """What the page's menus choose: a class or ONE_OF_EACH, the seed of the noise, and the solver's steps."""

    label: int
    seed: int = 0
    steps: int = 20


WEIGHTS = (-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
TIMES = (120, 60)                                                # steps of 20 and of 5, so that both menus have them
SETTINGS = (*(Setting(label) for label in (ONE_OF_EACH, *range(10))),
            *(Setting(ONE_OF_EACH, seed) for seed in (1, 2, 3)), Setting(ONE_OF_EACH, steps=5))


@dataclass(frozen=True)
class Group:
    """All pictures of one setting: W values of w, ten garments each.

    garments (W, 10, 28, 28) uint8 gray; differences {t: (W, 10, 28, 28) uint8 shade 0 … 2 SHADES}; labels (10,);
    confidence (W, 10), NaN where nothing was judged; captions, one per w.
    """

    setting: Setting
    garments: Tensor
    differences: dict[int, Tensor]
    labels: Tensor
    confidence: Tensor
    captions: tuple[str, ...]


def shades(difference: Tensor) -> Tensor:
    """Turn ε_c - ε_∅ (N, 1, H, W) into uint8 shades (N, H, W): 0 is -LIMIT or less, SHADES is 0, 2 SHADES is LIMIT."""
    return ((difference[:, 0] / LIMIT).clamp(-1, 1) * SHADES).round().add(SHADES).to(torch.uint8)


def draw_group(view: GuidanceView, setting: Setting, weights: Sequence[float] = WEIGHTS,
               times: Sequence[int] = TIMES) -> Group:
    """Draw one setting for every w and look at the predictions at every t (the step nearest to it)."""
    strips = [view.strip(w, setting.label, setting.steps, setting.seed) for w in weights]
    differences = {}
    for t in times:
        pairs = [view.predictions(strip, t)[1:] for strip in strips]
        differences[t] = torch.stack([shades(eps_c - eps_null) for eps_c, eps_null in pairs])
    captions = tuple(view.describe(w, setting.label, setting.steps, setting.seed) for w in weights)
    return Group(setting, torch.stack([gray(strip.images)[..., 0] for strip in strips]), differences,
                 strips[0].labels, torch.stack([strip.confidence for strip in strips]), captions)


def sprite(tiles: Tensor, palette: Tensor | None = None) -> str:
    """Lay tiles (W, 10, 28, 28) uint8 out, a row for each w; return the PNG as base64. palette (K, 3) uint8."""
    rows, columns, height, width = tiles.shape
    sheet = tiles.permute(0, 2, 1, 3).reshape(rows * height, columns * width)
    image = Image.fromarray(sheet.contiguous().numpy())
    if palette is not None:
        image.putpalette(palette.flatten().tolist())             # turns the gray image into one of palette indices
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def palette() -> Tensor:
    """Return the colours of the shades, blue over white to orange: (2 SHADES + 1, 3) uint8."""
    return signed(torch.linspace(-1, 1, 2 * SHADES + 1).reshape(-1, 1, 1, 1), 1.0)[:, 0, 0]


def entry(group: Group) -> dict:
    """Return what the page's script needs of one group, ready for JSON."""
    return {"label": group.setting.label, "seed": group.setting.seed, "steps": group.setting.steps,
            "labels": group.labels.tolist(), "garments": sprite(group.garments),
            "differences": {str(t): sprite(tiles, palette()) for t, tiles in group.differences.items()},
            "confidence": [[None if math.isnan(p) else round(p, 4) for p in row]
                           for row in group.confidence.tolist()],
            "captions": group.captions}


def contents(settings: Sequence[Setting], weights: Sequence[float], times: Sequence[int], names: Sequence[str]) -> str:
    """Say in words which pictures the page holds."""
    there: dict[str, list[str]] = {}
    choices = {(setting.seed, setting.steps) for setting in settings}
    for seed, steps in sorted(choices, key=lambda pair: (-pair[1], pair[0])):
        labels = sorted(setting.label for setting in settings if (setting.seed, setting.steps) == (seed, steps))
        what = ["one of each" if label == ONE_OF_EACH else names[label] for label in labels]
        said = "every class and one of each" if len(labels) == len(names) + 1 else ", ".join(what)
        there.setdefault(said, []).append(f"noise seed {seed} with {steps} steps")
    parts = "; ".join(f"{said} ({', '.join(seeds)})" for said, seeds in there.items())
    return (f"{parts}, each at w = {listed(weights)}. Differences at t = {listed(times)} (or the step nearest to "
            f"it), in {2 * SHADES + 1} shades.")


def page(groups: Sequence[Group], weights: Sequence[float], record: dict, class_names: Sequence[str]) -> str:
    """Turn drawn groups, their values of w and the record `tradeoff` into the whole page."""
    times = list(groups[0].differences)
    data = {"weights": list(weights), "times": times, "names": list(class_names), "oneOfEach": ONE_OF_EACH,
            "axis": [LEFT, RIGHT], "groups": [entry(group) for group in groups]}
    parts = {"data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
             "tradeoff": tradeoff(record, weights[0], weights[-1]), "images": f"{record['points'][0]['n']:,}",
             "steps": str(record["steps"]),
             "contents": html.escape(contents([group.setting for group in groups], weights, times, class_names)),
             "gradient": ",".join(f"rgb({r},{g},{b})" for r, g, b in palette().tolist()), "limit": f"{LIMIT:g}"}
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace("{{" + name + "}}", part)
    return text


def build(view: GuidanceView, record: dict, *, settings: Sequence[Setting] = SETTINGS,
          weights: Sequence[float] = WEIGHTS, times: Sequence[int] = TIMES) -> str:
    """Draw every setting (about two minutes of one core) under a progress bar, and return the page.

    Raises ValueError unless there is a setting, a t, and at least two values of w, ascending.
    """
    if not settings or not times or len(weights) < 2 or list(weights) != sorted(set(weights)):
        raise ValueError("a page needs at least one setting, one t, and two or more ascending values of w; got "
                         f"{len(settings)} settings, times {tuple(times)}, weights {tuple(weights)}")
    groups = [draw_group(view, setting, weights, times)
              for setting in tqdm(settings, desc="classes and seeds", unit="set")]
    return page(groups, weights, record, view.class_names)


def main(arguments: list[str]) -> int:
    """Read the options of `explorer`, draw every picture, write the page in one move; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course explorer", description="Write the guidance slider as "
                                     "one HTML page (about 1.5 MB, two minutes) that needs no Python and no network.")
    parser.add_argument("-o", "--out", type=Path, default=Path("guidance.html"), help="the page to write")
    out = parser.parse_args(arguments).out
    view, record = GuidanceView(load_checkpoint("fashion"), load_judge()), load_record("tradeoff")
    try:
        check_writable(out)                                      # a bad path is told now, not after the drawing
        write_whole(out, build(view, record).encode("utf-8"))
    except OSError as error:
        parser.error(f"{str(out)!r} cannot be written: {error}")
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB; open it in a browser; the arrow keys move w")
    return 0
