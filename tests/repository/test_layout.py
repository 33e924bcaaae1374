"""The repository around the package: one source of versions and of the address, notebooks fit to be read on the web."""

import ast
import base64
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import yaml

from ddpm_course import start
from ddpm_course.checkpoints import WEIGHTS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ADDRESS = PROJECT["urls"]["Repository"]
OWNER_AND_NAME = ADDRESS.removeprefix("https://github.com/")
COMMANDS = re.findall(r"python -m ddpm_course\.start \w+", start.__doc__)


def text_of(cells: list[dict]) -> str:
    return "\n".join("".join(cell["source"]) for cell in cells)


def faults(notebook: dict, name: str, size: int) -> list[str]:
    """List what makes a notebook unfit: seen by a reader on the web, by Colab, or by a comparison of two versions."""
    cells = notebook["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    badges = set(re.findall(r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob/[\w.-]+/"
                            r"notebooks/([\w.-]+\.ipynb)", text_of(cells)))
    addresses = set(re.findall(r"https://github\.com/[\w.-]+/[\w-]+", text_of(code)))
    ids = [cell.get("id") for cell in cells]
    checks = {
        "fewer than 20 or more than 60 cells": not 20 <= len(cells) <= 60,
        "a cell was not run": any(cell["execution_count"] is None and "".join(cell["source"]).strip() for cell in code),
        "an error is shown": any(output["output_type"] == "error" for cell in code for output in cell["outputs"]),
        "the state of widgets is kept": "widgets" in notebook["metadata"],
        "a cell has no id of its own": None in ids or len(set(ids)) < len(ids),
        "1.5 MB or more": size >= 1_500_000,
        "the badge is missing or leads elsewhere": badges != {(OWNER_AND_NAME, name)},
        "a picture would be fetched from the network": re.search(r"!\[[^]]*\]\(\w+://", text_of(cells)) is not None,
        "the setup cell installs nothing, or from elsewhere": addresses != {ADDRESS}}
    return [fault for fault, found in checks.items() if found]


def example() -> dict:
    """Build the smallest notebook without a fault."""
    link = f"https://colab.research.google.com/github/{OWNER_AND_NAME}/blob/main/notebooks/a.ipynb"
    cells = [{"cell_type": "code", "id": f"c{k}", "source": ["1"], "execution_count": k, "outputs": []}
             for k in range(20)]
    cells[0] = {"cell_type": "markdown", "id": "top", "source": [f"[![Colab](attachment:badge.png)]({link})"]}
    cells[1]["source"] = ["try:\n", "    import ddpm_course\n", f'"pip install git+{ADDRESS}"']
    cells[2] |= {"source": [" \n"], "execution_count": None}     # an empty cell need not be run
    return {"cells": cells, "metadata": {}}


@pytest.mark.parametrize("spoil, fault", [
    (lambda book: None, None), (lambda book: book["cells"].pop(), "cells"),
    (lambda book: book["cells"].extend({**book["cells"][0], "id": str(k)} for k in range(41)), "cells"),
    (lambda book: book["cells"][5].update(execution_count=None), "not run"),
    (lambda book: book["cells"][5]["outputs"].append({"output_type": "error"}), "error"),
    (lambda book: book["metadata"].update(widgets={}), "widgets"), (lambda book: book["cells"][5].pop("id"), "no id"),
    (lambda book: book["cells"][5].update(id="c6"), "no id"), (lambda book: book.update(size=1_500_000), "MB"),
    (lambda book: book["cells"][0].update(source=["no badge"]), "badge"),
    (lambda book: book["cells"][5].update(source=["![a](https://x.org/a.png)"]), "fetched"),
    (lambda book: book["cells"][0].update(source=[text_of(book["cells"][:1]).replace("a.ipynb", "b.ipynb")]), "badge"),
    (lambda book: book["cells"][1].update(source=["pip install git+https://github.com/someone/else"]), "elsewhere")])
def test_a_fault_in_a_notebook_is_found(spoil: Callable[[dict], object], fault: str | None) -> None:
    notebook = example()
    spoil(notebook)
    found = faults(notebook, "a.ipynb", notebook.get("size", 1000))
    assert not found if fault is None else len(found) == 1 and fault in found[0]


def test_the_notebooks_have_no_fault() -> None:
    found = {file.name: faults(json.loads(file.read_text(encoding="utf-8")), file.name, file.stat().st_size)
             for file in (ROOT / "notebooks").glob("*.ipynb")}
    assert {name: list_ for name, list_ in found.items() if list_} == {}
    assert not found or start.NOTEBOOK.name in found


def test_every_notebook_carries_the_same_badge() -> None:
    badge = base64.b64encode((ROOT / "walkthroughs" / "images" / "colab.png").read_bytes()).decode("ascii")
    for file in (ROOT / "notebooks").glob("*.ipynb"):
        top = json.loads(file.read_text(encoding="utf-8"))["cells"][0]
        assert top["attachments"] == {"colab.png": {"image/png": badge}} and "(attachment:colab.png)" in text_of([top])


def test_conda_takes_every_version_but_pythons_from_the_project_file() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert list(environment) == ["name", "channels", "dependencies"] and environment["name"] == PROJECT["name"]
    assert environment["channels"][0] == "conda-forge"
    python, pip, packages = environment["dependencies"]
    assert pip == "pip" and packages == {"pip": ["-e .[lab]"]} and "lab" in PROJECT["optional-dependencies"]
    least = PROJECT["requires-python"].removeprefix(">=").split(".")
    assert list(map(int, python.removeprefix("python=").split("."))) >= list(map(int, least))


def test_no_file_tells_of_the_machine_that_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [f"/{folder}/" for folder in ("work", "root")]
    hosts = [".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"))]
    for name in filter(None, listed.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:                                 # a text
            found = [word for word in paths + hosts if word in content.decode("utf-8")]
            assert (name, found) == (name, [])


def test_the_shipped_weights_are_small() -> None:
    assert 0 < sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= 15e6


def test_setting_up_needs_nothing_but_python() -> None:
    nodes = list(ast.walk(ast.parse(Path(start.__file__).read_text(encoding="utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert names and {name.split(".")[0] for name in names} <= sys.stdlib_module_names


@pytest.mark.parametrize("arguments", [[], ["dance"], ["LAB"]])
def test_a_wrong_action_ends_with_exit_code_2_and_installs_nothing(
        arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=AssertionError("nothing may be run")))
    assert start.main(arguments) == 2
    said = capsys.readouterr().err
    assert [command.split()[-1] for command in COMMANDS] == list(start.ACTIONS)
    assert all(command in said for command in COMMANDS)


def test_an_extra_is_installed_once_and_serves_the_smaller_ones_too(monkeypatch: pytest.MonkeyPatch,
                                                                    tmp_path: Path) -> None:
    run = Mock(side_effect=lambda *command, **options: tmp_path.joinpath(".venv").mkdir(exist_ok=True))
    monkeypatch.setattr(start, "ENVIRONMENT", tmp_path / ".venv")
    monkeypatch.setattr(subprocess, "run", run)
    start.install("lecture")
    assert run.call_args.args[0][-1].endswith("[lecture]") and run.call_count == 2           # venv, pip
    for extra, calls in (("lecture", 0), ("lab", 0), ("test", 2)):
        run.reset_mock()
        start.install(extra)
        assert run.call_count == calls
    project = tmp_path / "pyproject.toml"
    project.write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8") + "# changed", encoding="utf-8")
    monkeypatch.setattr(start, "ROOT", tmp_path)
    run.reset_mock()
    start.install("lab")
    assert run.called
    extras = PROJECT["optional-dependencies"]
    assert set(extras) == set(start.EXTRAS)
    assert all(f"ddpm-course[{one}]" in extras[next_] for one, next_ in zip(start.EXTRAS, start.EXTRAS[1:]))


@pytest.mark.parametrize("arguments, extra, command", [
    (["lab"], "lab", ["jupyterlab", str(start.NOTEBOOK)]), (["lab", "--port=1"], "lab", ["jupyterlab", "--port=1"]),
    (["test"], "test", ["pytest"]), (["test", "-x"], "test", ["pytest", "-x"]),
    (["doctor"], "lecture", ["ddpm_course", "doctor"]), (["lecture"], "lecture", ["ddpm_course", "lecture", "04"]),
    (["lecture", "02"], "lecture", ["ddpm_course", "lecture", "02"])])
def test_an_action_installs_its_extra_and_hands_on_the_exit_code(
        monkeypatch: pytest.MonkeyPatch, arguments: list[str], extra: str, command: list[str]) -> None:
    install, run = Mock(), Mock(return_value=Mock(returncode=5))
    monkeypatch.setattr(start, "install", install)
    monkeypatch.setattr(subprocess, "run", run)
    assert start.main(arguments) == 5 and install.call_args.args == (extra,)
    assert extra in PROJECT["optional-dependencies"]
    assert run.call_args.args[0] == [str(start.environment_python()), "-m", *command]


def test_the_readme_quotes_the_commands_that_exist() -> None:
    if (readme := ROOT / "README.md").is_file():
        assert set(re.findall(r"python -m ddpm_course\.start \w+", readme.read_text(encoding="utf-8"))) == set(COMMANDS)
