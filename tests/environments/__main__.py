"""Try the installed course, not the checkout, in an environment of its own: `python tests/environments colab`.

    python tests/environments NAME [--torch-from PYTHON] [pytest's arguments]

NAME is `colab`, `oldest` (each has its file of versions here) or `newest` (whatever pip finds). A wheel is built from
this checkout and installed, not editable, into `.venv-NAME`; then the notebooks and the tests of sliders, command line,
records and resuming run in a folder that holds no `ddpm_course`. With `--torch-from .venv/bin/python` PyTorch and all
that the file of versions does not name are borrowed from another environment, which saves gigabytes. A second call
installs only the wheel, and so works without a network.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
TESTS = ("test_widgets.py", "test_views.py", "test_explorer.py", "test_command_line.py", "test_records.py",
         "test_training_resume.py")
EXTRA = {"colab": "", "oldest": "[test]", "newest": "[test]"}    # Colab has no JupyterLab, and older sliders
LARGE = ("torch", "torchvision")


def call(*command: str | Path, **options: object) -> None:
    """Run a command that must succeed; what it says stays visible."""
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, **options)


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the checkout's package, so that nothing is left behind in it; return its path."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "ddpm_course", source / "ddpm_course", ignore=shutil.ignore_patterns("__pycache__"))
    call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def versions(name: str) -> list[str]:
    """List the requirements in the file of versions of an environment; none for `newest`."""
    file = HERE / f"{name}.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [line for line in lines if line and not line.startswith("#")]


def environment(name: str, wheel: Path, lender: Path | None) -> Path:
    """Make (or find) `.venv-NAME` with its versions, install the wheel into it, and return its Python."""
    folder = ROOT / f".venv-{name}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pins = versions(name)
    wanted = hashlib.sha256("\n".join([*pins, str(lender), (ROOT / "pyproject.toml").read_text()]).encode()).hexdigest()
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_text() != wanted:
        call(lender or sys.executable, "-m", "venv", "--clear", folder)
        if lender is not None:
            paths = _output(lender, "import site; print(site.getsitepackages()[0])")
            (Path(_output(python, "import site; print(site.getsitepackages()[0])")) / "borrowed.pth").write_text(paths)
            pins = [pin for pin in pins if not pin.startswith(LARGE)]
        with tempfile.TemporaryDirectory() as scratch:
            constraints = Path(scratch) / "constraints.txt"
            constraints.write_text("\n".join(pin for pin in pins if not pin.isalpha()))
            call(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, f"{wheel}{EXTRA[name]}", *pins)
        stamp.write_text(wanted)
    call(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel)
    return python


def _output(python: Path, code: str) -> str:
    return subprocess.run([str(python), "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def main() -> int:
    """Read the options, install, run the tests elsewhere, and return their exit code."""
    parser = argparse.ArgumentParser(prog="python tests/environments", description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=("colab", "oldest", "newest"))
    parser.add_argument("--torch-from", type=Path, metavar="PYTHON", help="borrow what is not pinned from here")
    options, rest = parser.parse_known_args()
    lender = options.torch_from and options.torch_from.absolute()
    with tempfile.TemporaryDirectory() as scratch:
        python = environment(options.name, build_wheel(Path(scratch)), lender)
        work = Path(scratch) / "work"
        ignored = shutil.ignore_patterns("__pycache__", "ddpm_runs", ".ipynb_checkpoints")
        for name in ("tests", "notebooks", "walkthroughs", "answers"):
            shutil.copytree(ROOT / name, work / name, ignore=ignored)
        for name in ("pyproject.toml", "conftest.py", "README.md"):
            shutil.copy(ROOT / name, work)
        call(python, "-c", "import ddpm_course, pathlib; print(place := pathlib.Path(ddpm_course.__file__)); "
             "assert 'site-packages' in place.parts", cwd=work)
        command = [str(python), "-m", "pytest", "-q", "notebooks", *(f"tests/{test}" for test in TESTS), *rest]
        return subprocess.run(command, cwd=work).returncode


if __name__ == "__main__":
    raise SystemExit(main())
