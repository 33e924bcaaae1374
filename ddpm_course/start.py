"""Set everything up with one command, in any shell, from the folder that holds `pyproject.toml`:

    python -m ddpm_course.start lab      install, then open JupyterLab on notebook 04
    python -m ddpm_course.start test     install, then run all tests and all notebooks

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


def environment_python() -> Path:
    """Name the Python of the virtual environment."""
    return ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(extra: str) -> None:
    """Install the course with the extra "lab" or "test" into `.venv`, unless that was done before."""
    stamp = ENVIRONMENT / f"installed_{extra}"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    print(f"Installing into {ENVIRONMENT}. PyTorch is large (up to 6 GB on Linux): this can take minutes.", flush=True)
    if not environment_python().is_file():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
    subprocess.run([str(environment_python()), "-m", "pip", "install", "--disable-pip-version-check", "-e",
                    f"{ROOT}[{extra}]"], check=True, stdout=subprocess.DEVNULL)
    stamp.write_text(wanted, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Do what the first argument says ("lab" or "test"); the others go to JupyterLab or pytest."""
    if sys.version_info < (3, 11):
        print(f"The course needs Python 3.11 or newer; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    if not arguments or arguments[0] not in ("lab", "test") or not (ROOT / "pyproject.toml").is_file():
        print(__doc__, file=sys.stderr)
        return 2
    action, rest = arguments[0], arguments[1:]
    try:
        install(action)
    except subprocess.CalledProcessError as error:
        print(f"The installation failed (exit code {error.returncode}; its reason stands above). With a network, the "
              f"same command tries again; to begin anew, delete {ENVIRONMENT}.", file=sys.stderr)
        return 1
    command = ["-m", "jupyterlab", *(rest or [str(NOTEBOOK)])] if action == "lab" else ["-m", "pytest", *rest]
    return subprocess.run([str(environment_python()), *command], cwd=ROOT).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
