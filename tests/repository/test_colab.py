"""On Colab: the setup cell installs the course from its address, trainings go to a drive, a lost runtime resumes."""

import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from helpers import assert_same_bits, train_stripes
from nbclient import NotebookClient

from ddpm_course.training import train

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
ADDRESS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
COLAB = 'import sys, types; sys.modules["google.colab"] = types.ModuleType("google.colab")'
ADVICE = "on from its last save (one every {} steps)"


def setup_cell(path: Path) -> str:
    return "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][1]["source"])


def drive_lines(cell: str) -> str:
    """Return the setup cell's two lines for a drive, without their comment signs."""
    return "\n".join(re.findall(r"^ +# (from google\.colab .+|%env .+)$", cell, flags=re.MULTILINE))


def run(*sources: str, folder: Path) -> str:
    """Run cells in a kernel of their own and return what they printed."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return "".join(output.get("text", "") for cell in book.cells for output in cell.outputs)


def test_every_lesson_begins_with_the_same_setup_and_gives_the_same_advice() -> None:
    assert len({setup_cell(path) for path in LESSONS}) == 1
    advice = ADVICE.format(inspect.signature(train).parameters["save_every"].default)
    for path in LESSONS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        said, done = ("\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == kind)
                      for kind in ("markdown", "code"))
        assert said.count(advice) == 1 and "train(" in done and "save_every" not in done


def test_the_setup_cell_does_nothing_elsewhere(tmp_path: Path) -> None:
    assert run(setup_cell(LESSONS[0]), "print('quiet')", folder=tmp_path) == "quiet\n"


def test_on_colab_the_setup_cell_installs_the_course_from_its_address(tmp_path: Path,
                                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """git is told that the course's address is this checkout, pip that all else is there; the rest is Colab's way."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing can be cloned from it")
    site = tmp_path / "site"
    for name, value in {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
                        "GIT_CONFIG_VALUE_0": ADDRESS, "GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": "*",
                        "PIP_TARGET": str(site), "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1",
                        "PIP_NO_BUILD_ISOLATION": "0"}.items():
        monkeypatch.setenv(name, value)
    out = run(COLAB, setup_cell(LESSONS[0]), f"sys.path.insert(0, {str(site)!r})\nimport ddpm_course\n"
              "print(ddpm_course.__file__)\nfrom ddpm_course.checkpoints import load_checkpoint\n"
              "print(type(load_checkpoint()).__name__)", folder=tmp_path)
    assert str(site / "ddpm_course" / "__init__.py") in out and "VelocityModel" in out and "ERROR" not in out


def test_with_the_two_lines_trainings_go_to_the_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DDPM_COURSE_RUNS")
    lines = drive_lines(setup_cell(LESSONS[0]))
    assert lines.count("\n") == 1
    drive = (f"{COLAB}\nimport pathlib\nmounted = types.ModuleType('google.colab.drive')\n"
             "mounted.mount = lambda place: pathlib.Path(place, 'MyDrive').mkdir(parents=True)\n"
             "sys.modules['google'] = types.ModuleType('google'); sys.modules['google'].colab = "
             "sys.modules['google.colab']; sys.modules['google.colab'].drive = mounted")
    out = run(drive, lines.replace("/content", (tmp_path / "content").as_posix()),
              "from ddpm_course.runtime import runs_folder\nprint(runs_folder(), runs_folder().parent.is_dir())",
              folder=tmp_path)
    assert out.endswith(f"{tmp_path / 'content' / 'drive' / 'MyDrive' / 'ddpm_runs'} True\n")


LOSE = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from helpers import train_stripes
from ddpm_course.runtime import runs_folder

def lose(run):
    if run.step == 11:
        os.kill(os.getpid(), signal.SIGKILL)

train_stripes(run_file=runs_folder() / "run.pt", save_every=4, on_step=lose)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_training_whose_runtime_is_lost_goes_on_from_the_drive_to_the_same_bits(tmp_path: Path) -> None:
    drive = tmp_path / "drive" / "ddpm_runs"
    lost = subprocess.run([sys.executable, "-c", LOSE, str(ROOT / "tests")], check=False,
                          env=os.environ | {"DDPM_COURSE_RUNS": str(drive)})
    assert lost.returncode == -9 and [file.name for file in drive.iterdir()] == ["run.pt"]
    steps: list[int] = []
    resumed = train_stripes(run_file=drive / "run.pt", save_every=4, on_step=lambda run: steps.append(run.step))
    assert steps == list(range(9, 21))                           # saved at 8, lost at 11
    assert_same_bits(resumed, train_stripes())
