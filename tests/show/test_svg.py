"""The curves under the page's slider: the record's figures as marks, in words, and for the script."""

import html
import json

import pytest

from ddpm_course.records import load_record
from ddpm_course.show.svg import Curve, curves, tradeoff

RECORD = load_record("tradeoff")
DRAWN = tradeoff(RECORD, -1.0, 2.0)


@pytest.mark.parametrize("place, key, scale", [
    (0, "accuracy", 100), (1, "frechet_percent", 1), (2, "diversity", 1)])
def test_a_curve_holds_the_records_values_and_intervals_around_them(place: int, key: str, scale: int) -> None:
    curve = curves(RECORD)[place]
    assert curve.w == [point["w"] for point in RECORD["points"]]
    assert curve.values == [scale * point[key] for point in RECORD["points"]]
    for value, (low, high) in zip(curve.values, curve.intervals, strict=True):
        assert low <= value <= high


@pytest.mark.parametrize("curve", curves(RECORD), ids=lambda curve: curve.name.split(",")[0])
def test_each_value_is_there_in_words_for_the_script_that_moves_the_line(curve: Curve) -> None:
    values = {f"{w:g}": curve.text(value) for w, value in zip(curve.w, curve.values)}
    assert f'data-values="{html.escape(json.dumps(values))}"' in DRAWN


def test_each_panel_has_a_mark_for_every_point_a_line_that_moves_and_a_name_that_says_all() -> None:
    assert DRAWN.count("<svg") == DRAWN.count('class="now"') == DRAWN.count('class="real"') == 3
    assert DRAWN.count("<circle") == DRAWN.count('class="interval"') == 3 * len(RECORD["points"])
    assert "99.4 % at w = 2" in DRAWN and "real test images 93.0 %" in DRAWN
