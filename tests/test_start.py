"""Setting up with one command: what it installs, when it installs nothing, and what it starts then."""

import ast
import re
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest
from project import PROJECT, ROOT

from ddpm_course import start

EXTRAS = PROJECT["optional-dependencies"]
COMMANDS = re.findall(r"python -m ddpm_course\.start \w+", start.__doc__)


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


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mock:
    """Count the commands. They do nothing, but after the first the environment's folder is there."""
    environment = tmp_path / ".venv"
    counted = Mock(side_effect=lambda *command, **options: environment.mkdir(exist_ok=True))
    monkeypatch.setattr(start, "ENVIRONMENT", environment)
    monkeypatch.setattr(subprocess, "run", counted)
    return counted


def test_an_extra_is_installed_once_and_serves_the_smaller_ones_too(run: Mock) -> None:
    start.install("lecture")
    assert run.call_args.args[0][-1].endswith("[lecture]") and run.call_count == 2       # venv, pip
    for extra, calls in (("lecture", 0), ("lab", 0), ("test", 2)):
        run.reset_mock()
        start.install(extra)
        assert run.call_count == calls


def test_another_project_file_is_installed_anew(run: Mock, monkeypatch: pytest.MonkeyPatch,
                                                tmp_path: Path) -> None:
    start.install("lecture")
    changed = (ROOT / "pyproject.toml").read_text(encoding="utf-8") + "# changed"
    (tmp_path / "pyproject.toml").write_text(changed, encoding="utf-8")
    monkeypatch.setattr(start, "ROOT", tmp_path)
    run.reset_mock()
    start.install("lab")
    assert run.called


def test_each_extra_of_the_project_file_holds_the_one_before() -> None:
    assert set(EXTRAS) == set(start.EXTRAS)
    for smaller, larger in zip(start.EXTRAS, start.EXTRAS[1:]):
        assert f"ddpm-course[{smaller}]" in EXTRAS[larger]


@pytest.mark.parametrize("arguments, extra, command", [
    (["lab"], "lab", ["jupyterlab", str(start.NOTEBOOK)]),
    (["lab", "--port=1"], "lab", ["jupyterlab", "--port=1"]),
    (["test"], "test", ["pytest"]),
    (["test", "-x"], "test", ["pytest", "-x"]),
    (["doctor"], "lecture", ["ddpm_course", "doctor"]),
    (["lecture"], "lecture", ["ddpm_course", "lecture", "04"]),
    (["lecture", "02"], "lecture", ["ddpm_course", "lecture", "02"])])
def test_an_action_installs_its_extra_and_hands_on_the_exit_code(
        monkeypatch: pytest.MonkeyPatch, arguments: list[str], extra: str, command: list[str]) -> None:
    install, run = Mock(), Mock(return_value=Mock(returncode=5))
    monkeypatch.setattr(start, "install", install)
    monkeypatch.setattr(subprocess, "run", run)
    assert start.main(arguments) == 5 and install.call_args.args == (extra,)
    assert extra in EXTRAS
    assert run.call_args.args[0] == [str(start.environment_python()), "-m", *command]
