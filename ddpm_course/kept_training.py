"""A training in a file: how it is stored while it runs, and how it goes on after a stop.

The file holds all that the future of a training depends on: the recipe, the step, the losses so far, the weights, their
average and the optimiser's state. What is drawn and which batch comes depend on the step alone (see `training`). So a
training that was stopped and goes on ends at the same bits, on the same processor, as one that was not. Finished
weights alone are another kind of file: see `checkpoints`.
"""

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ddpm_course.whole_files import write_whole


class Run(Protocol):
    """What a file keeps of a training, such as `training.TrainingRun`: `recipe` is a dataclass, `ema` has a `model`."""

    recipe: Any
    step: int
    losses: list[float]
    model: nn.Module
    ema: Any
    optimizer: torch.optim.Optimizer


def save_run(run: Run, path: str | Path) -> None:
    """Write the whole state of a run to `path` in one move: a crash leaves the old file or the new one, never half."""
    content = io.BytesIO()
    torch.save({"recipe": asdict(run.recipe), "step": run.step, "losses": torch.tensor(run.losses),
                "model": run.model.state_dict(), "ema": run.ema.model.state_dict(),
                "optimizer": run.optimizer.state_dict()}, content)
    write_whole(path, content.getvalue())


def load_run(run: Run, path: str | Path) -> None:
    """Fill `run` from a file of `save_run`. Raises ValueError when it is damaged or belongs to another recipe."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        saved = state["recipe"]
    except Exception as error:
        raise ValueError(f"{path} is not a readable training run ({type(error).__name__}: {error}); "
                         "move it away to start afresh") from error
    if saved != asdict(run.recipe):
        differing = {key: (saved.get(key), value) for key, value in asdict(run.recipe).items()
                     if saved.get(key) != value}
        raise ValueError(f"{path} holds a run of another recipe; (saved, asked for): {differing}. "
                         "Use another run_file, or the saved recipe to go on with it")
    try:
        run.model.load_state_dict(state["model"])
        run.ema.model.load_state_dict(state["ema"])
        run.optimizer.load_state_dict(state["optimizer"])
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} holds a run of another network: {error}") from error
    run.step, run.losses = state["step"], state["losses"].tolist()
