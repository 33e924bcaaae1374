"""Where am I, and how long may a lesson take here?

One call, `choose_runtime()`, decides the device, the precision and the budgets of a lesson, so that no notebook
branches on them. All environment variables of the course are read in this file:

=======================  ==========================================================================
`DDPM_COURSE_PACE`       `ci` (seconds, for tests), `laptop` (minutes on a CPU) or `gpu` (full)
`DDPM_COURSE_DEVICE`     `cpu`, `cuda` or `mps`, where the automatic choice is not wanted
`DDPM_COURSE_DATA`       a folder that holds `FashionMNIST/raw` and `MNIST/raw`; it may be read-only
`DDPM_COURSE_CACHE`      where downloads and unpacked data go (default: the user's cache folder)
`DDPM_COURSE_RUNS`       where a student's trainings go (default: `ddpm_runs` in the current folder)
=======================  ==========================================================================
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

PACES = ("ci", "laptop", "gpu")


def setting(name: str) -> str | None:
    """Read `DDPM_COURSE_<name>`; an empty value counts as absent."""
    return os.environ.get(f"DDPM_COURSE_{name}") or None


def cache_folder() -> Path:
    """Name the folder for downloads and unpacked data (not created here): the setting, or the system's custom."""
    if chosen := setting("CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ddpm_course"


def runs_folder() -> Path:
    """Name the folder for what a student trains; point `DDPM_COURSE_RUNS` at a mounted drive to keep it."""
    return Path(setting("RUNS") or "ddpm_runs").expanduser()


@dataclass(frozen=True)
class Runtime:
    """What a lesson may use here: `device`, `dtype` of the heavy passes, `pace`, and the budgets that follow from it.

    `train_steps`: steps of one training in a lesson; `n_images`: images for one measured point.
    """

    device: torch.device
    dtype: torch.dtype
    pace: str
    train_steps: int
    n_images: int

    def autocast(self) -> torch.autocast:
        """Return the context in which the network runs: bfloat16 where that is faster, else plain float32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def __str__(self) -> str:
        precision = "bfloat16" if self.dtype == torch.bfloat16 else "float32"
        return f"device {self.device}, precision {precision}, pace {self.pace}: {self.train_steps} training steps"


def choose_runtime(pace: str | None = None, device: str | None = None) -> Runtime:
    """Decide device, precision and budgets; arguments win over `DDPM_COURSE_PACE` / `_DEVICE`, which win over looks.

    Raises ValueError for an unknown pace, or for a device that is not there.
    """
    device = device or setting("DEVICE") or _best_device()
    if device not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device must be cpu, cuda or mps; got {device!r}")
    if device == "cuda" and not torch.cuda.is_available() or device == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"this machine has no {device} device that PyTorch can use; choose cpu")
    pace = pace or setting("PACE") or ("laptop" if device == "cpu" else "gpu")
    if pace not in PACES:
        raise ValueError(f"pace must be one of {', '.join(PACES)}; got {pace!r}")
    train_steps, n_images = {"ci": (12, 20), "laptop": (800, 200), "gpu": (6000, 1000)}[pace]
    return Runtime(torch.device(device), _fast_dtype(device), pace, train_steps, n_images)


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _fast_dtype(device: str) -> torch.dtype:
    """bfloat16 where the chip multiplies it in hardware (CPUs with AMX, recent CUDA cards); float32 elsewhere."""
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = getattr(torch.cpu, "get_capabilities", dict)
        fast = device == "cpu" and bool(capabilities().get("amx_bf16"))
    return torch.bfloat16 if fast else torch.float32


def processes() -> tuple[int, int]:
    """Return (rank, world size); joins the process group first when `torchrun` started this process.

    One process alone is (0, 1). Uses NCCL where there is CUDA, else gloo.
    """
    from torch import distributed
    if not distributed.is_available():
        return 0, 1
    if not distributed.is_initialized():
        if "TORCHELASTIC_RUN_ID" not in os.environ or "RANK" not in os.environ:
            return 0, 1
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return distributed.get_rank(), distributed.get_world_size()
