"""A little world: in it an experiment runs in seconds, from nothing, without data and without a network."""

import importlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest
import torch

from ddpm_course import sampling, training
from ddpm_course.data import files, images
from ddpm_course.data.garments import drawn_garments
from ddpm_course.experiments import model_card
from ddpm_course.experiments.__main__ import main
from ddpm_course.lessons.variants import cfg_plus_plus_process
from ddpm_course.records import load_record
from ddpm_course.sampling import sample
from ddpm_course.training import draw


def module_of(name: str) -> ModuleType:
    """Return the module of an experiment."""
    return importlib.import_module(f"ddpm_course.experiments.{name}")


@dataclass(frozen=True)
class Made:
    """What one call of an experiment wrote, what it kept for a later call, and the work that it took."""

    name: str
    out: Path                                                    # the folder of its record and its weights
    kept: list[Path]                                             # what is new in the runs folder
    training_steps: int
    samplings: int                                               # calls of a sampler, a batch each

    @property
    def record(self) -> dict:
        return load_record(self.name, folder=self.out)

    @property
    def figures(self) -> dict:
        """The record without the date and the machine: what a second call should find again."""
        return {key: value for key, value in self.record.items() if key != "made_with"}


class LittleWorld:
    """Experiments at pace ci. All of them keep their work in one runs folder, as those of one person do."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, folder / "runs"
        self._made: dict[str, Made] = {}

    def made(self, name: str) -> Made:
        """Return what an experiment made on drawn garments. It runs when it is asked for the first time."""
        if name not in self._made:
            self._made[name] = self.run(name, out="first")
        return self._made[name]

    def run(self, name: str, *, out: str) -> Made:
        """Run an experiment by its command. It goes on from what this world's runs folder holds."""
        before = self._kept()
        draws, short, short_plus = Mock(wraps=draw), two_steps(sample), two_steps(cfg_plus_plus_process)
        with pytest.MonkeyPatch.context() as patch:
            self._without_data_and_network(patch)
            self._with_little_work(patch, module_of(name), draws, short, short_plus)
            # The model card is made from the records of other experiments: here from those of this world.
            patch.setattr(model_card, "load_record", lambda asked: self.made(asked).record)
            with one_thread(patch):
                main([name, "--pace", "ci", "--out", str(self.folder / out)])
        return Made(name, self.folder / out, sorted(self._kept() - before), draws.call_count,
                    short.call_count + short_plus.call_count)

    def _kept(self) -> set[Path]:
        return {path for path in self.runs.rglob("*") if path.is_file()}

    def _without_data_and_network(self, patch: pytest.MonkeyPatch) -> None:
        # No folder of images is named, and the cache is empty.
        patch.delenv("DDPM_COURSE_DATA", raising=False)
        patch.setenv("DDPM_COURSE_CACHE", str(self.folder / "cache"))
        patch.setenv("DDPM_COURSE_RUNS", str(self.runs))
        # A download fails at once, and so does any other connection of this process.
        offline = Mock(side_effect=OSError("no network in this test"))
        patch.setattr(files, "urlopen", offline)
        patch.setattr(socket.socket, "connect", offline)
        # A notebook's kernel is another process. It is sent to a proxy that does not exist.
        patch.setenv("http_proxy", "http://127.0.0.1:9")
        patch.setenv("https_proxy", "http://127.0.0.1:9")
        patch.setenv("no_proxy", "")

    def _with_little_work(self, patch: pytest.MonkeyPatch, module: ModuleType, draws: Mock, short: Mock,
                          short_plus: Mock) -> None:
        # A twentieth of the drawn garments is enough to train on.
        patch.setattr(images, "drawn_garments", lambda split, n: drawn_garments(split, n // 20))
        # Batches are small. An experiment without a batch size needs no patch.
        if hasattr(module, "BATCH"):
            patch.setattr(module, "BATCH", 8)
        # Every sampler takes two steps. `sample_w` looks for `sample` in the module `sampling`. An
        # experiment that imports `sample` has it in its own module too.
        patch.setattr(sampling, "sample", short)
        if hasattr(module, "sample"):
            patch.setattr(module, "sample", short)
        if hasattr(module, "cfg_plus_plus_process"):
            patch.setattr(module, "cfg_plus_plus_process", short_plus)
        # `train` calls `draw` once a step, so its calls are the training steps.
        patch.setattr(training, "draw", draws)


@contextmanager
def one_thread(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute in one thread. With little work, several wait for each other, on a busy machine for minutes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    patch.setenv("OMP_NUM_THREADS", "1")                         # for a notebook's kernel
    try:
        yield
    finally:
        torch.set_num_threads(before)


def two_steps(sampler: Callable) -> Mock:
    """Return a sampler that takes two steps whatever it is asked for, and counts its calls."""
    return Mock(side_effect=lambda *given, **options: sampler(*given, **options | {"steps": 2}))
