"""The repository around the package: one source of versions, small weights, no trace of a machine."""

import subprocess

import pytest
import yaml
from environments.__main__ import TESTS
from project import PROJECT, ROOT

from ddpm_course.checkpoints import WEIGHTS


def test_conda_takes_every_version_but_pythons_from_the_project_file() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert list(environment) == ["name", "channels", "dependencies"]
    assert environment["name"] == PROJECT["name"] and environment["channels"][0] == "conda-forge"
    python, pip, packages = environment["dependencies"]
    assert pip == "pip" and packages == {"pip": ["-e .[lab]"]} and "lab" in PROJECT["optional-dependencies"]
    least = PROJECT["requires-python"].removeprefix(">=").split(".")
    assert list(map(int, python.removeprefix("python=").split("."))) >= list(map(int, least))


def test_no_file_tells_of_the_machine_that_it_was_written_on() -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    paths = [f"/{folder}/" for folder in ("work", "root")]
    hosts = [".".join(host) for host in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"))]
    for name in filter(None, listed.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:                                 # a text
            found = [word for word in paths + hosts if word in content.decode("utf-8")]
            assert (name, found) == (name, [])


def test_the_tests_that_run_beside_other_versions_are_there() -> None:
    assert [test for test in TESTS if not (ROOT / "tests" / test).is_file()] == []


def test_the_shipped_weights_are_small() -> None:
    assert 0 < sum(file.stat().st_size for file in WEIGHTS.iterdir()) <= 15e6
