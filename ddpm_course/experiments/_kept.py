"""What an experiment keeps of its work, so that a command that was stopped goes on where it was.

A row (an arm of an ablation, some images of one setting) is kept in the runs folder when it is done. Its folder names
all that the row depends on beside its own setting: the experiment, what the images are ("real" or "drawn"), and the
weights that were measured or that judged.
"""

import json
from collections.abc import Callable
from pathlib import Path

from torch import nn

from ddpm_course.checkpoints import fingerprint
from ddpm_course.data.images import ImageSet
from ddpm_course.runtime import runs_folder
from ddpm_course.whole_files import write_whole


def rows_folder(experiment: str, *models: nn.Module, data: ImageSet | None = None) -> Path:
    """Name the folder of an experiment's rows; `data` is what its arms train on, if they do."""
    kind = () if data is None else (data.kind,)
    return runs_folder().joinpath(experiment, *kind, fingerprint(*models))


def kept(path: Path, make: Callable[[], dict]) -> dict:
    """Return the row that is kept in `path` (JSON), or make it and keep it."""
    if not path.is_file():
        write_whole(path, json.dumps(make()).encode("utf-8"))
    return json.loads(path.read_text(encoding="utf-8"))
