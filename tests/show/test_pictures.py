"""Pictures as bytes: known colours, exact pixels, and a page whose every measure can be added up."""

import pytest
import torch
from helpers import seeded
from torch import Tensor
from viewing import decoded

from ddpm_course.show.pictures import BLUE, ORANGE, Row, gray, screen, sheet, side_by_side, signed

GAP, LINE = 4, 15                                                # pixels between tiles; of a caption's line


def field(*values: float) -> Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1)


def tiles(n: int, height: int = 5, width: int = 7, seed: int = 0) -> Tensor:
    return torch.randint(0, 256, (n, height, width, 3), generator=seeded(seed), dtype=torch.uint8)


def test_gray_runs_from_black_at_minus_1_to_white_at_1_and_clips_beyond() -> None:
    levels = gray(field(-5.0, -1.0, 0.0, 0.5, 1.0, 1.001, 9.0))
    assert levels.dtype == torch.uint8 and levels.shape == (1, 1, 7, 3)
    assert levels[0, 0, :, 0].tolist() == [0, 0, 128, 191, 255, 255, 255]
    assert bool((levels == levels[..., :1]).all()), "red, green and blue are equal"


def test_gray_gives_every_byte_back() -> None:
    levels = torch.arange(256)
    assert gray((levels / 127.5 - 1).reshape(1, 1, 16, 16))[..., 0].flatten().tolist() == levels.tolist()


def test_signed_runs_from_blue_over_white_to_orange_and_clips_beyond() -> None:
    blue, orange = ((255 * colour).round().tolist() for colour in (BLUE, ORANGE))
    colours = signed(field(-9.0, -2.0, 0.0, 2.0, 9.0), 2.0)
    assert colours.dtype == torch.uint8 and colours.shape == (1, 1, 5, 3)
    assert colours[0, 0].tolist() == [blue, blue, [255, 255, 255], orange, orange]


def test_signed_fades_to_white_linearly_on_both_sides() -> None:
    x = torch.linspace(-1, 1, 201)
    colours = signed(x.reshape(1, 1, 1, -1), 1.0)[0, 0].double()                 # (201, 3)
    for half, end in ((x <= 0, BLUE), (x >= 0, ORANGE)):
        expected = 255 * (1 + x[half].abs()[:, None] * (end - 1))
        assert bool(((colours[half] - expected).abs() <= 0.51).all())
    assert torch.equal(signed(3 * field(-0.3, 0.7), 3.0), signed(field(-0.3, 0.7), 1.0))


def test_the_two_ends_differ_in_more_than_hue() -> None:
    assert (BLUE - ORANGE)[2].abs() > 0.5, "told apart without telling red from green"


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_that_is_not_positive_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit must be positive"):
        signed(field(0.0), limit)


@pytest.mark.parametrize("zoom, margin", [(1, 0), (3, 118), (4, 20)])
def test_every_pixel_of_a_tile_is_a_square_of_its_own_colour(zoom: int, margin: int) -> None:
    rows = [Row("", tiles(3), ("a", "b", "c")), Row("", tiles(2, seed=1))]
    page = decoded(sheet(rows, zoom=zoom, margin=margin))
    height, width = 5 * zoom, 7 * zoom
    assert page.shape == (2 * (height + GAP) + GAP + LINE, margin + 3 * (width + GAP) + GAP, 3)
    seen = torch.zeros(page.shape[:2], dtype=torch.bool)
    for y, row in zip((GAP, 2 * GAP + height + LINE), rows):
        for column, tile in enumerate(row.tiles):
            x = margin + column * (width + GAP)
            place = slice(y, y + height), slice(x, x + width)
            assert torch.equal(page[place], tile.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1))
            seen[place] = True
    seen[GAP + height:GAP + height + LINE + GAP] = True          # the captions
    assert bool((page[~seen] == 255).all()), "white between the tiles"


def test_a_caption_stands_under_its_own_tile_and_takes_as_many_lines_as_it_has() -> None:
    dark = torch.zeros(2, 20, 20, 3, dtype=torch.uint8)
    plain = decoded(sheet([Row("", dark)], margin=10))
    for lines in (1, 2, 3):
        page = decoded(sheet([Row("", dark, ("\n".join("x" * lines), ""))], margin=10))
        assert page.shape[0] == plain.shape[0] + lines * LINE and page.shape[1] == plain.shape[1]
        assert torch.equal(page[:GAP + 60], plain[:GAP + 60])
        ink = (page[GAP + 60:] < 128).any(dim=2)                                 # below the tiles
        rows, columns = ink.any(dim=1).nonzero().flatten(), ink.any(dim=0).nonzero().flatten()
        assert abs(columns.double().mean() - (10 + 30)) < 2, "centred under the first tile"
        assert (lines - 1) * LINE - 2 <= rows.max() - rows.min() <= lines * LINE and len(columns) < 12


def test_a_title_stands_beside_its_row() -> None:
    white = torch.full((1, 20, 20, 3), 255, dtype=torch.uint8)
    page = decoded(sheet([Row("", white), Row("ε_c\nwith class", white)]))
    ink = (page < 128).any(dim=2).nonzero()
    assert len(ink) and bool((ink[:, 0] >= 2 * GAP + 60).all()) and bool((ink[:, 1] < 118).all())
    assert abs(ink[:, 0].double().mean() - (2 * GAP + 60 + 30)) < 6


def test_the_font_knows_the_signs_that_the_titles_need() -> None:
    blank = torch.full((1, 20, 20, 3), 255, dtype=torch.uint8)
    pictures = {sheet([Row(sign, blank)]) for sign in ("ε", "∅", "−", "ᾱ", "\uffff")}
    assert len(pictures) == 5, "one that it does not know would look like the last"


def test_a_screen_has_twice_the_pixels_of_a_sheet_and_larger_letters() -> None:
    garments = tiles(10, 28, 28)
    small, large = decoded(sheet([Row("", garments)])), decoded(screen([Row("", garments)]))
    assert torch.equal(large, small.repeat_interleave(2, 0).repeat_interleave(2, 1))
    white = torch.full((1, 28, 28, 3), 255, dtype=torch.uint8)

    def letter_height(page: Tensor) -> int:
        return int((page < 128).any(dim=2).any(dim=1).sum())

    of_sheet, of_screen = (letter_height(decoded(draw([Row("H", white)]))) for draw in (sheet, screen))
    assert 2 * of_sheet < of_screen < 2.5 * of_sheet


def test_equal_rows_give_equal_bytes() -> None:
    assert sheet([Row("a", tiles(2))]) == sheet([Row("a", tiles(2))])


def test_a_sheet_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        sheet([])


def test_pictures_stand_side_by_side_pixel_by_pixel_and_shrink() -> None:
    left, right = (sheet([Row("", tiles(1, seed=seed))], margin=margin) for seed, margin in ((0, 0), (1, 10)))
    both = decoded(side_by_side([left, right]))
    assert torch.equal(both, torch.cat([decoded(left), decoded(right)], dim=1))
    half = decoded(side_by_side([left, right], shrink=2))
    assert half.shape == (both.shape[0] // 2, both.shape[1] // 2, 3)
