"""What a page shows: the package's own source, and tables."""

import html
import inspect

import pytest

from ddpm_course.guidance import guide
from ddpm_course.sampling import guided_eps
from ddpm_course.show.notebook import show_source, show_table
from ddpm_course.unet import UNet


@pytest.mark.parametrize("thing", [guide, UNet, guided_eps])
def test_the_source_shown_is_the_source_that_runs_and_says_where_it_stands(thing: object) -> None:
    page = show_source(thing).data
    lines, first = inspect.getsourcelines(inspect.unwrap(thing))
    assert html.escape("".join(lines)) in page and f"line {first}" in page and "ddpm_course/" in page
    assert page.count("<details>") == 1 and "<details open" not in page


def test_several_sources_fold_one_by_one() -> None:
    assert show_source(guide, UNet).data.count("<details>") == 2


def test_a_table_has_its_head_and_rows_and_no_markup_from_its_cells() -> None:
    page = show_table([{"w": "0", "said": "a < b & c"}, {"w": "1", "said": "d"}]).data
    assert page.count("<tr>") == 3 and page.count("<th ") == 2 and page.count("<td ") == 4
    assert "a &lt; b &amp; c" in page and "a < b" not in page


@pytest.mark.parametrize("rows", [[], [{"a": "1"}, {"b": "1"}], [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}]])
def test_rows_that_do_not_fit_together_are_refused(rows: list[dict[str, str]]) -> None:
    with pytest.raises(ValueError, match="same keys"):
        show_table(rows)
