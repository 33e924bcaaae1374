"""The wheel holds the package with its weights and records, nothing else, and works without the checkout."""

import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from environments.__main__ import build_wheel

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".json", ".safetensors", ".html", ".j2", ".md", ""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of what packaging needs, with the installed setuptools."""
    if not (ROOT / "ddpm_course").is_dir():
        pytest.skip("no checkout here: nothing to build a wheel from")
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ddpm_course").rglob("*")
             if path.is_file() and "__pycache__" not in path.parts}
    assert inside == there and {Path(name).suffix for name in inside} == SUFFIXES
    for name in ("weights/fashion.safetensors", "weights/SHA256SUMS", "records/tradeoff.json",
                 "show/page.html", "classroom/lecture.html.j2"):
        assert f"ddpm_course/{name}" in inside
    assert wheel.stat().st_size < 15_000_000 and wheel.name.endswith("-py3-none-any.whl")


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    about = Parser().parsestr(archive.read(name).decode("utf-8"))
    base = {re.match(r"[\w-]+", line)[0] for line in about.get_all("Requires-Dist") if "extra ==" not in line}
    assert base == {"torch", "torchvision", "matplotlib", "ipywidgets", "tqdm", "safetensors"}
    assert set(about.get_all("Provides-Extra")) == {"lab", "lecture", "test"}
    assert about["License-Expression"] == "MIT" and about["Requires-Python"] == ">=3.11"
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


def test_an_installed_wheel_draws_examines_and_explains_itself(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target",
                    str(tmp_path / "site"), str(wheel)], check=True)
    settings = os.environ | {"PYTHONPATH": str(tmp_path / "site")}

    def told(*command: str) -> str:
        done = subprocess.run([sys.executable, *command], cwd=tmp_path, env=settings, check=True,
                              capture_output=True, text=True)
        return done.stdout

    assert told("-c", "import ddpm_course; print(ddpm_course.__file__)").startswith(str(tmp_path / "site"))
    out = told("-m", "ddpm_course", "--class", "sneaker", "--steps", "1", "--n", "1", "--out", "sneaker.png")
    assert "1 garments a row" in out and (tmp_path / "sneaker.png").stat().st_size > 500
    told("-c", "from ddpm_course.records import load_record; assert load_record('tradeoff')['points']; "
         "from ddpm_course.classroom.doctor import weights; assert next(weights()).state == 'ok'")
    lost = subprocess.run([sys.executable, "-m", "ddpm_course", "lecture", "04"], cwd=tmp_path, env=settings,
                          capture_output=True, text=True)
    assert lost.returncode == 2 and "copy of the repository" in lost.stderr
