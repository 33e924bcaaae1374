"""Try the installed course, not the checkout, in an environment of its own.

    python tests/environments NAME [--torch-from PYTHON] [pytest's arguments]

NAME is `colab`, `oldest` (each has its file of versions here) or `newest` (whatever pip finds). A wheel is
built from this checkout and installed, not editable, into `.venv-NAME`. Then the notebooks and the tests in
TESTS run in a folder that holds no `ddpm_course`. A second call installs only the wheel, and so works
without a network.

With `--torch-from .venv/bin/python` another environment lends PyTorch and all that the file of versions
does not name. That saves gigabytes.
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
TESTS = ("show/test_sliders.py", "show/test_monitor.py", "show/test_views.py", "show/test_guidance_view.py",
         "show/test_strip.py", "experiments/test_records.py", "test_kept_training.py")
EXTRA = {"colab": "", "oldest": "[test]", "newest": "[test]"}    # Colab has no JupyterLab, and older sliders
LARGE = ("torch", "torchvision")


def call(*command: str | Path, **options: object) -> None:
    """Run a command that must succeed; what it says stays visible."""
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], check=True, **options)


def build_wheel(folder: Path) -> Path:
    """Build the wheel from a copy of the package, so that nothing is left in the checkout; return it."""
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "ddpm_course", source / "ddpm_course",
                    ignore=shutil.ignore_patterns("__pycache__"))
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
    asked_for = [*pins, str(lender), (ROOT / "pyproject.toml").read_text(encoding="utf-8")]
    wanted = hashlib.sha256("\n".join(asked_for).encode()).hexdigest()
    stamp = folder / "installed"
    if not stamp.is_file() or stamp.read_text() != wanted:
        call(lender or sys.executable, "-m", "venv", "--clear", folder)
        if lender is not None:
            (_packages_of(python) / "borrowed.pth").write_text(str(_packages_of(lender)))
            pins = [pin for pin in pins if not pin.startswith(LARGE)]
        with tempfile.TemporaryDirectory() as scratch:
            constraints = Path(scratch) / "constraints.txt"
            constraints.write_text("\n".join(pin for pin in pins if not pin.isalpha()))
            call(python, "-m", "pip", "install", "--quiet", "--constraint", constraints,
                 f"{wheel}{EXTRA[name]}", *pins)
        stamp.write_text(wanted)
    call(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", wheel)
    return python


def _packages_of(python: Path) -> Path:
    """Ask a Python for the folder of its packages."""
    command = [str(python), "-c", "import site; print(site.getsitepackages()[0])"]
    return Path(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())


def main() -> int:
    """Read the options, install, run the tests elsewhere, and return their exit code."""
    parser = argparse.ArgumentParser(prog="python tests/environments", description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=("colab", "oldest", "newest"))
    parser.add_argument("--torch-from", type=Path, metavar="PYTHON",
                        help="borrow what is not pinned from here")
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
        tests = [f"tests/{test}" for test in TESTS]
        command = [str(python), "-m", "pytest", "-q", "notebooks", *tests, *rest]
        return subprocess.run(command, cwd=work).returncode


if __name__ == "__main__":
    raise SystemExit(main())
