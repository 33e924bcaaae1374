"""Set everything up with one command, in any shell, from the folder that holds `pyproject.toml`:

    python -m ddpm_course.start lab      install, then open JupyterLab on notebook 04
    python -m ddpm_course.start test     install, then run all tests and all notebooks
    python -m ddpm_course.start doctor   install, then look whether this machine is ready for class
    python -m ddpm_course.start lecture  install, then open a lesson's pieces without code: lecture 04

It makes a virtual environment in `.venv` and installs the course there, which leaves the rest of the machine alone. A
second call installs nothing unless `pyproject.toml` has changed, and so works without a network. Only Python's
standard library is used here.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
NOTEBOOK = Path("notebooks") / "04_Classifier_Free_Diffusion.ipynb"
EXTRAS = ("lab", "lecture", "test")                              # each holds the one before
ACTIONS = {  # action: (the extra that it needs, the module that does it and its first words, what follows if nothing)
    "lab": ("lab", ["jupyterlab"], [str(NOTEBOOK)]),
    "test": ("test", ["pytest"], []),
    "doctor": ("lecture", ["ddpm_course", "doctor"], []),
    "lecture": ("lecture", ["ddpm_course", "lecture"], ["04"])}


def environment_python() -> Path:
    """Name the Python of the virtual environment."""
    return ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(extra: str) -> None:
    """Install the course with an extra into `.venv`, unless that one, or one that holds it, is there already."""
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    stamps = [ENVIRONMENT / f"installed_{larger}" for larger in EXTRAS[EXTRAS.index(extra):]]
    if any(stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted for stamp in stamps):
        return
    print(f"Installing into {ENVIRONMENT}. PyTorch is large (up to 6 GB on Linux): this can take minutes.", flush=True)
    if not environment_python().is_file():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    subprocess.run([str(environment_python()), "-m", "pip", "install", "--disable-pip-version-check", "-e",
                    f"{ROOT}[{extra}]"], check=True)
    stamps[0].write_text(wanted, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Do what the first argument says; the others are handed on."""
    if sys.version_info < (3, 11):
        print(f"The course needs Python 3.11 or newer; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    if not arguments or arguments[0] not in ACTIONS or not (ROOT / "pyproject.toml").is_file():
        print(__doc__, file=sys.stderr)
        return 2
    extra, module, usual = ACTIONS[arguments[0]]
    try:
        install(extra)
    except subprocess.CalledProcessError as error:
        print(f"The installation failed (exit code {error.returncode}; its reason stands above). With a network, the "
              f"same command tries again; to begin anew, delete {ENVIRONMENT}.", file=sys.stderr)
        return 1
    command = [str(environment_python()), "-m", *module, *(arguments[1:] or usual)]
    return subprocess.run(command, cwd=ROOT).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
