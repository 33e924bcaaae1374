"""What the tests of the repository share: its folder, what its project file says, a notebook's cells."""

import json
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def cells_of(notebook: Path) -> list[dict]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def text_of(cells: list[dict], kind: str | None = None) -> str:
    """Join the sources of cells, of all or of one kind: "markdown" or "code"."""
    return "\n".join("".join(cell["source"]) for cell in cells if kind in (None, cell["cell_type"]))
