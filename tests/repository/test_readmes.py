"""The READMEs: their tables are the files' own first lines, links lead somewhere, commands exist."""

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
from test_order import DOORS, FILES, ORDER, PACKAGE, folder

import ddpm_course
from ddpm_course import start
from ddpm_course.experiments.__main__ import table

ROOT = PACKAGE.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
READMES = [ROOT / "README.md", PACKAGE / "README.md", PACKAGE / "classroom" / "README.md",
           PACKAGE / "experiments" / "README.md", ROOT / "tests" / "README.md"]
TEXTS = [*READMES, *sorted((ROOT / "answers").glob("*.md")), *sorted((ROOT / "walkthroughs").glob("*.md")),
         *NOTEBOOKS]


def first_line(file: Path) -> str:
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).splitlines()[0]


def imported(notebook: Path) -> set[str]:
    """List the package's modules from which a notebook's cells import."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return set(re.findall(r"from ddpm_course\.([\w.]+) import", code))


def core_table() -> str:
    lessons = {notebook.name[:2]: imported(notebook) for notebook in NOTEBOOKS}
    core = [word for word in ddpm_course.__doc__.split() if word in FILES and folder(word, PACKAGE) == "core"]
    rows = []
    for module in core:
        users = ", ".join(number for number, names in lessons.items() if module in names)
        rows.append(f"| [`{module}`]({module}.py) | {first_line(FILES[module])} | {users} |")
    return "\n".join(["| file | holds | lessons |", "|---|---|---|", *rows])


def folder_table() -> str:
    places = [name for name in ORDER if (PACKAGE / name).is_dir()]
    rows = [f"| [`{name}/`]({name}) | {first_line(PACKAGE / name / '__init__.py')} |" for name in places]
    card = "| [`weights/`](weights) | The trained weights that ship (safetensors), and their card. |"
    return "\n".join(["| folder | holds |", "|---|---|", *rows, card])


@pytest.mark.parametrize("readme, written", [
    (PACKAGE / "README.md", core_table), (PACKAGE / "README.md", folder_table),
    (PACKAGE / "experiments" / "README.md", table)], ids=["core", "folders", "experiments"])
def test_a_table_of_files_is_made_of_their_first_lines(readme: Path, written: object) -> None:
    assert written() in readme.read_text(encoding="utf-8"), f"the table should be\n\n{written()}"


def prose_of(text: Path) -> str:
    """Return what a reader reads: no code and no formulas."""
    content = text.read_text(encoding="utf-8")
    if text.suffix == ".ipynb":
        cells = json.loads(content)["cells"]
        content = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    return re.sub(r"^ *```.*?^ *```$|\$\$.*?\$\$|\$[^$\n]*\$", "", content, flags=re.MULTILINE | re.DOTALL)


def lost_links(text: Path) -> list[str]:
    """List the links to files of the repository that are not there."""
    link = r"\]\((?!https?:|attachment:|#)([^)#\s]+)(?:#[^)]*)?\)"             # [words](file#part)
    found = re.findall(link, prose_of(text)) + re.findall(r'src="([^"]+)"', prose_of(text))
    return [file for file in found if not (text.parent / file).exists()]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.relative_to(ROOT).as_posix())
def test_every_link_within_the_repository_leads_to_a_file(text: Path) -> None:
    assert lost_links(text) == []


def test_a_lost_link_is_found(tmp_path: Path) -> None:
    text = tmp_path / "text.md"
    text.write_text("[a](text.md) [b](lost.md#part) [c](https://x.org) [d](#part) <img src=\"lost.png\">\n"
                    "```\n[e](code.md)\n```\n$[f](x)$\n")
    assert lost_links(text) == ["lost.md", "lost.png"]


def test_the_readme_is_short_and_names_every_lesson() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(re.sub(r"<[^>]+>|[|`#*]+", " ", text).split()) <= 620
    assert text.index("python -m ddpm_course.start lab") < 600                       # on the first screen
    assert all(f"(notebooks/{notebook.name})" in text for notebook in NOTEBOOKS)


def test_commands_and_addresses_in_the_readmes_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Repository"]
    said = "\n".join(readme.read_text(encoding="utf-8") for readme in READMES)
    assert f"git clone {address}\n" in said
    assert set(re.findall(r"python3? -m ddpm_course\.start (\w+)", said)) == set(start.ACTIONS)
    modules = set(re.findall(r"python -m ddpm_course\.(\w+)", said))
    assert modules == {"start", "experiments"} and set(DOORS) == {"start", "__main__"}
