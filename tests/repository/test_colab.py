"""On Colab the setup cell installs the course, trainings go to a drive, and a lost runtime is made good."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from helpers import assert_same_bits, train_stripes
from nbclient import NotebookClient
from project import ADDRESS, NOTEBOOKS, ROOT, cells_of, text_of

from ddpm_course.training import train

COLAB = 'import sys, types; sys.modules["google.colab"] = types.ModuleType("google.colab")'
ADVICE = "on from its last save (one every {} steps)"


def setup_cell(path: Path) -> str:
    return text_of(cells_of(path)[1:2])


SETUP = setup_cell(NOTEBOOKS[0])


def drive_lines(cell: str) -> str:
    """Return the setup cell's two lines for a drive, without their comment signs."""
    return "\n".join(re.findall(r"^ +# (from google\.colab .+|%env .+)$", cell, flags=re.MULTILINE))


def run(*sources: str, folder: Path) -> str:
    """Run cells in a kernel of their own and return what they printed."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return "".join(output.get("text", "") for cell in book.cells for output in cell.outputs)


def test_every_lesson_begins_with_the_same_setup_and_gives_the_same_advice() -> None:
    assert len({setup_cell(path) for path in NOTEBOOKS}) == 1
    advice = ADVICE.format(inspect.signature(train).parameters["save_every"].default)
    for path in NOTEBOOKS:
        cells = cells_of(path)
        said, done = text_of(cells, "markdown"), text_of(cells, "code")
        assert said.count(advice) == 1 and "train(" in done and "save_every" not in done


def test_the_setup_cell_does_nothing_elsewhere(tmp_path: Path) -> None:
    assert run(SETUP, "print('quiet')", folder=tmp_path) == "quiet\n"


USE_IT = """
sys.path.insert(0, {site!r})
import ddpm_course
print(ddpm_course.__file__)
from ddpm_course.checkpoints import load_checkpoint
print(type(load_checkpoint()).__name__)
"""


def test_on_colab_the_setup_cell_installs_the_course_from_its_address(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """git takes this checkout for the course's address. pip fetches nothing else. The rest is as on Colab."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: nothing can be cloned from it")
    site = tmp_path / "site"
    settings = {"GIT_CONFIG_COUNT": "2",
                "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf", "GIT_CONFIG_VALUE_0": ADDRESS,
                "GIT_CONFIG_KEY_1": "safe.directory", "GIT_CONFIG_VALUE_1": "*",
                "PIP_TARGET": str(site), "PIP_NO_DEPS": "1", "PIP_NO_INDEX": "1",
                "PIP_NO_BUILD_ISOLATION": "0"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    out = run(COLAB, SETUP, USE_IT.format(site=str(site)), folder=tmp_path)
    assert str(site / "ddpm_course" / "__init__.py") in out and "VelocityModel" in out and "ERROR" not in out


DRIVE = """
import pathlib, types
mounted = types.ModuleType("google.colab.drive")
mounted.mount = lambda place: pathlib.Path(place, "MyDrive").mkdir(parents=True)
sys.modules["google"] = types.ModuleType("google")
sys.modules["google"].colab = sys.modules["google.colab"]
sys.modules["google.colab"].drive = mounted
"""
TELL = """
from ddpm_course.runtime import runs_folder
print(runs_folder(), runs_folder().parent.is_dir())
"""


def test_with_the_two_lines_trainings_go_to_the_drive(tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DDPM_COURSE_RUNS")
    content = tmp_path / "content"
    lines = drive_lines(SETUP)
    assert lines.count("\n") == 1
    out = run(COLAB + DRIVE, lines.replace("/content", content.as_posix()), TELL, folder=tmp_path)
    assert out.endswith(f"{content / 'drive' / 'MyDrive' / 'ddpm_runs'} True\n")


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
    resumed = train_stripes(run_file=drive / "run.pt", save_every=4,
                            on_step=lambda run: steps.append(run.step))
    assert steps == list(range(9, 21))                           # saved at 8, lost at 11
    assert_same_bits(resumed, train_stripes())
