"""Records: what the experiments measured, as JSON with recipe, seeds, hardware, versions and date.

One file per experiment, `NAME.json`; texts and notebooks load them and never retype a figure.
"""

import json
import platform
from datetime import date
from pathlib import Path

import torch

from ddpm_course.whole_files import write_whole

RECORDS = Path(__file__).parent


def load_record(name: str, *, folder: Path = RECORDS) -> dict:
    """Load the record of an experiment. Raises FileNotFoundError, naming the command that makes it, if absent."""
    path = folder / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"no record {name!r} in {folder}; make it with "
                                f"`python -m ddpm_course.experiments {name}`")
    return json.loads(path.read_text(encoding="utf-8"))


def save_record(name: str, figures: dict, *, folder: Path = RECORDS) -> Path:
    """Write a record in one move, with the hardware, the versions and the date added; return its path."""
    machine = {"hardware": _hardware(), "threads": torch.get_num_threads(), "torch": torch.__version__,
               "python": platform.python_version(), "date": date.today().isoformat()}
    path = folder / f"{name}.json"
    text = json.dumps({"experiment": name, "made_with": machine, **figures}, indent=1) + "\n"
    write_whole(path, text.encode("utf-8"))
    return path


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
