"""The notebooks are fit to be read on the web, opened on Colab, and compared with an older version."""

import base64
import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from project import ADDRESS, NOTEBOOKS, ROOT, cells_of, text_of

from ddpm_course import start
from ddpm_course.guidance import extrapolate
from ddpm_course.show.notebook import show_source

OWNER_AND_NAME = ADDRESS.removeprefix("https://github.com/")
COLAB = "https://colab.research.google.com/github"
BADGE = re.compile(re.escape(COLAB) + r"/([\w.-]+/[\w.-]+)/blob/[\w.-]+/notebooks/([\w.-]+\.ipynb)")
FETCHED_PICTURE = re.compile(r"!\[[^]]*\]\(\w+://")              # ![words](https://…)


def was_run(cell: dict) -> bool:
    """An empty cell need not be run."""
    return cell["execution_count"] is not None or not "".join(cell["source"]).strip()


def shows_an_error(cell: dict) -> bool:
    return any(output["output_type"] == "error" for output in cell["outputs"])


def faults(notebook: dict, name: str, size: int) -> list[str]:
    """List what makes a notebook of `size` bytes unfit, in words."""
    cells = notebook["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    badges = set(BADGE.findall(text_of(cells)))
    addresses = set(re.findall(r"https://github\.com/[\w.-]+/[\w-]+", text_of(code)))
    ids = [cell.get("id") for cell in cells]
    checks = {
        "fewer than 20 or more than 60 cells": not 20 <= len(cells) <= 60,
        "a cell was not run": not all(map(was_run, code)),
        "an error is shown": any(map(shows_an_error, code)),
        "the state of widgets is kept": "widgets" in notebook["metadata"],
        "a cell has no id of its own": None in ids or len(set(ids)) < len(ids),
        "1.5 MB or more": size >= 1_500_000,
        "the badge is missing or leads elsewhere": badges != {(OWNER_AND_NAME, name)},
        "a picture would be fetched from the network": FETCHED_PICTURE.search(text_of(cells)) is not None,
        "the setup cell installs nothing, or from elsewhere": addresses != {ADDRESS}}
    return [fault for fault, found in checks.items() if found]


def example() -> dict:
    """Build the smallest notebook without a fault."""
    link = f"{COLAB}/{OWNER_AND_NAME}/blob/main/notebooks/a.ipynb"
    cells = [{"cell_type": "code", "id": f"c{k}", "source": ["1"], "execution_count": k, "outputs": []}
             for k in range(20)]
    cells[0] = {"cell_type": "markdown", "id": "top", "source": [f"[![Colab](attachment:badge.png)]({link})"]}
    cells[1]["source"] = ["try:\n", "    import ddpm_course\n", f'"pip install git+{ADDRESS}"']
    cells[2] |= {"source": [" \n"], "execution_count": None}
    return {"cells": cells, "metadata": {}}


def cell(place: int, **changes: object) -> Callable[[dict], None]:
    """Make a function that changes one cell of a notebook."""
    return lambda notebook: notebook["cells"][place].update(changes)


def one_cell_less(notebook: dict) -> None:
    notebook["cells"].pop()


def too_many_cells(notebook: dict) -> None:
    notebook["cells"] += [{**notebook["cells"][0], "id": str(k)} for k in range(41)]


def no_id(notebook: dict) -> None:
    del notebook["cells"][5]["id"]


def widgets(notebook: dict) -> None:
    notebook["metadata"]["widgets"] = {}


def another_notebooks_badge(notebook: dict) -> None:
    top = notebook["cells"][0]
    top["source"] = [top["source"][0].replace("a.ipynb", "b.ipynb")]


@pytest.mark.parametrize("spoil, fault", [
    (one_cell_less, "cells"),
    (too_many_cells, "cells"),
    (cell(5, execution_count=None), "not run"),
    (cell(5, outputs=[{"output_type": "error"}]), "error"),
    (widgets, "widgets"),
    (no_id, "no id"),
    (cell(5, id="c6"), "no id"),
    (cell(0, source=["no badge"]), "badge"),
    (another_notebooks_badge, "badge"),
    (cell(5, source=["![a](https://x.org/a.png)"]), "fetched"),
    (cell(1, source=["pip install git+https://github.com/someone/else"]), "elsewhere")])
def test_a_fault_in_a_notebook_is_found(spoil: Callable[[dict], None], fault: str) -> None:
    notebook = example()
    spoil(notebook)
    (found,) = faults(notebook, "a.ipynb", size=1000)
    assert fault in found


def test_a_good_notebook_has_no_fault_and_one_that_is_too_large_has_that_one() -> None:
    assert faults(example(), "a.ipynb", size=1_499_999) == []
    assert faults(example(), "a.ipynb", size=1_500_000) == ["1.5 MB or more"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_the_notebooks_have_no_fault(file: Path) -> None:
    assert faults(json.loads(file.read_text(encoding="utf-8")), file.name, file.stat().st_size) == []


def test_the_notebook_that_is_opened_first_is_there() -> None:
    assert ROOT / start.NOTEBOOK in NOTEBOOKS


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_every_notebook_carries_the_same_badge(file: Path) -> None:
    badge = base64.b64encode((ROOT / "walkthroughs" / "images" / "colab.png").read_bytes()).decode("ascii")
    top = cells_of(file)[0]
    assert top["attachments"] == {"colab.png": {"image/png": badge}}
    assert "(attachment:colab.png)" in text_of([top])


FOLDED = re.compile(r"<code>[\w.]+</code> \((ddpm_course/[\w/]+\.py), line \d+\)</summary>"
                    r"<pre><code>(.*?)</code></pre>", re.DOTALL)            # what `show_source` writes


def drifted(notebook: dict) -> list[str]:
    """List the folded sources in a notebook's stored outputs that are no longer in the package's files."""
    outputs = [output.get("data", {}) for cell in notebook["cells"] for output in cell.get("outputs", [])]
    pages = ["".join(data["text/html"]) for data in outputs if "text/html" in data]
    folded = [(path, html.unescape(source)) for page in pages for path, source in FOLDED.findall(page)]
    return [f"{path}: {source.splitlines()[0]}" for path, source in folded
            if not (ROOT / path).is_file() or source not in (ROOT / path).read_text(encoding="utf-8")]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.name)
def test_the_sources_that_a_notebook_has_stored_are_those_of_today(file: Path) -> None:
    notebook = json.loads(file.read_text(encoding="utf-8"))
    assert drifted(notebook) == [], "run the notebook again: python -m ddpm_course.experiments notebooks"


def test_a_stored_source_that_has_drifted_is_found() -> None:
    page = show_source(extrapolate).data
    for spoilt in (page, page.replace("1 + w", "w"), page.replace("guidance.py", "lost.py")):
        notebook = {"cells": [{"outputs": [{"data": {"text/html": spoilt.splitlines(keepends=True)}}]}]}
        assert len(drifted(notebook)) == (spoilt != page)
