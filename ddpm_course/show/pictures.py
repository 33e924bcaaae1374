"""Tensors → PNG bytes, fast enough for a slider (a few milliseconds, where a matplotlib figure takes tens).

Garments are gray: -1 is black, 1 is white. Signed fields, such as ε̂ or the difference of two predictions, go from blue
(negative) over white to orange (positive), a pair that colour-blind readers can tell apart.
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import matplotlib
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

BLUE, WHITE, ORANGE = (torch.tensor(rgb) for rgb in ((0.13, 0.40, 0.67), (1.0, 1.0, 1.0), (0.85, 0.37, 0.01)))


def gray(x: Tensor) -> Tensor:
    """Turn images (N, 1, H, W) in [-1, 1] into uint8 RGB (N, H, W, 3); values outside are clipped."""
    levels = ((x[:, 0] + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return levels[..., None].expand(*levels.shape, 3)


def signed(x: Tensor, limit: float) -> Tensor:
    """Turn fields (N, 1, H, W) into uint8 RGB (N, H, W, 3): -limit is blue, 0 white, +limit orange; limit > 0."""
    if not limit > 0:
        raise ValueError(f"limit must be positive; got {limit}")
    s = (x[:, 0] / limit).clamp(-1, 1)[..., None]                                # (N, H, W, 1) in [-1, 1]
    colours = WHITE + s.clamp(min=0) * (ORANGE - WHITE) + s.clamp(max=0) * (WHITE - BLUE)
    return (colours * 255).round().to(torch.uint8)


@dataclass(frozen=True)
class Row:
    """One row of a sheet: a title at the left, tiles (N, H, W, 3) uint8, and optionally a caption under each tile.

    Title and captions may have several lines.
    """

    title: str
    tiles: Tensor
    captions: tuple[str, ...] = ()


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib; it knows ε and ∅."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def screen(rows: list[Row]) -> bytes:
    """Lay rows out for a slider: twice as many pixels as `sheet`, so that it is sharp on a projector, and larger text.

    To be shown at half its width: 1002 for ten tiles of 28 × 28.
    """
    return sheet(rows, zoom=6, margin=236, gap=8, text=27)


def sheet(rows: list[Row], *, zoom: int = 3, margin: int = 118, gap: int = 4, text: int = 12) -> bytes:
    """Lay rows of equal-sized tiles under each other and return the sheet as PNG bytes.

    `zoom`: screen pixels per image pixel, never smoothed; `margin`: width left for the titles; `gap`: between tiles;
    `text`: height of the letters.
    """
    if not rows:
        raise ValueError("a sheet needs at least one row")
    for row in rows:
        if row.tiles.shape[1:] != rows[0].tiles.shape[1:] or len(row.captions) not in (0, len(row.tiles)):
            raise ValueError(f"row {row.title!r} has tiles {tuple(row.tiles.shape)} and {len(row.captions)} captions; "
                             "all tiles need one size, and captions one per tile or none")
    height, width = rows[0].tiles.shape[1:3]
    tile_h, tile_w, line = height * zoom, width * zoom, text * 5 // 4
    columns = max(len(row.tiles) for row in rows)
    caption_h = [line * max((text.count("\n") + 1 for text in row.captions), default=0) for row in rows]
    total_h = sum(caption_h) + len(rows) * (tile_h + gap) + gap
    page = Image.new("RGB", (margin + columns * (tile_w + gap) + gap, total_h), "white")
    draw, font, y = ImageDraw.Draw(page), _font(text), gap
    for row, below in zip(rows, caption_h):
        draw.multiline_text((2 * gap, y + tile_h // 2), row.title, fill="black", font=font, anchor="lm",
                            spacing=text // 4)
        for column, tile in enumerate(row.tiles):
            x = margin + column * (tile_w + gap)
            picture = Image.fromarray(tile.contiguous().numpy()).resize((tile_w, tile_h), Image.Resampling.NEAREST)
            page.paste(picture, (x, y))
            if row.captions:
                draw.multiline_text((x + tile_w // 2, y + tile_h + gap // 2), row.captions[column], fill="black",
                                    font=font, anchor="ma", align="center", spacing=text // 12)
        y += tile_h + gap + below
    return png(page)


def side_by_side(pages: list[bytes], *, shrink: int = 1) -> bytes:
    """Put PNG pictures of one height next to each other, each side divided by `shrink`; return PNG bytes."""
    frames = [Image.open(io.BytesIO(page)).convert("RGB") for page in pages]
    whole = Image.new("RGB", (sum(frame.width for frame in frames), frames[0].height), "white")
    x = 0
    for frame in frames:
        whole.paste(frame, (x, 0))
        x += frame.width
    return png(whole.resize((whole.width // shrink, whole.height // shrink), Image.Resampling.LANCZOS))


def png(page: Image.Image) -> bytes:
    """Encode a picture as PNG bytes; the quickest compression, since the bytes only travel to the browser."""
    buffer = io.BytesIO()
    page.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
