"""Algorithm 1: learn to predict the noise, with EMA. A training can be stopped at any moment and goes on.

    repeat:  (x_0, c) ~ data,   t ~ U{1 … T},   ε ~ N(0, I),   c ← ∅ with probability p_uncond
             one optimiser step on ‖ target - network(√ᾱ_t x_0 + √(1 - ᾱ_t) ε, t, c) ‖²

Ho et al., arXiv 2006.11239, Algorithm 1; dropping the condition: arXiv 2207.12598, Algorithm 1. Under `torchrun` every
process draws the whole batch's t, ε and mask and takes its slice, so that the result does not depend on how many there
are. How a training is stored: `kept_training`.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_course.conditioning import drop_condition
from ddpm_course.kept_training import load_run, save_run
from ddpm_course.parameterization import velocity_loss
from ddpm_course.randomness import normal
from ddpm_course.runtime import Runtime, choose_runtime, processes
from ddpm_course.schedule import NoiseSchedule

Loss = Callable[[nn.Module, NoiseSchedule, Tensor, Tensor, Tensor, Tensor | None], Tensor]


class Batches(Protocol):
    """What `train` asks of its data: the batch of step k, the same one each time (`data.images.Loader` is one)."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Recipe:
    """The numbers of one training; two trainings of equal recipe and data on one machine give equal weights."""

    steps: int
    lr: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    ema_decay: float = 0.999
    p_uncond: float = 0.1
    seed: int = 0
    stratified_t: bool = True

    def learning_rate(self, step: int) -> float:
        """Return the rate at `step`: a linear rise over `warmup` steps, then half a cosine down to zero."""
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.lr * 0.5 * (1 + math.cos(math.pi * progress))


class EMA:
    """Keep an exponential moving average of a model's weights, θ̄ ← d θ̄ + (1 - d) θ (Song & Ermon, arXiv 2006.09011).

    `model` is the averaged copy. In the first steps d is held below (1 + k)/(10 + k), so that the average does not
    remember the random start.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards `model` after optimiser step `step` (0, 1, …)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, values = list(self.model.parameters()), list(model.parameters())
        torch._foreach_lerp_(averages, values, 1 - decay)
        for average, value in zip(self.model.buffers(), model.buffers()):
            average.copy_(value)


@dataclass
class TrainingRun:
    """A training in progress or done: the weights, their average, and the loss of every step so far."""

    model: nn.Module
    ema: EMA
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    step: int = 0
    losses: list[float] = field(default_factory=list)


class _LossModule(nn.Module):
    """Loss as a forward pass, which is what DistributedDataParallel can wrap."""

    def __init__(self, model: nn.Module, schedule: NoiseSchedule, loss: Loss) -> None:
        super().__init__()
        self.model, self.schedule, self.loss = model, schedule, loss

    def forward(self, *draws: Tensor) -> Tensor:
        return self.loss(self.model, self.schedule, *draws)


def train(model: nn.Module, schedule: NoiseSchedule, data: Batches, recipe: Recipe, *, null: Tensor | None = None,
          loss: Loss = velocity_loss, run_file: str | Path | None = None, save_every: int = 100,
          on_step: Callable[[TrainingRun], None] | None = None, progress: bool = True,
          runtime: Runtime | None = None) -> TrainingRun:
    """Train `model` in place for `recipe.steps` steps and return the run; `run.ema.model` is the one to sample from.

    `null` is ∅ (`model`'s `embedder.null`); None trains without a condition. With `run_file` the run is saved every
    `save_every` steps, and a later call with the same recipe goes on where the file ends, to the same bits on the same
    CPU. `on_step(run)` is called after every step. Raises ValueError when the file belongs to another recipe.
    """
    runtime = choose_runtime() if runtime is None else runtime
    rank, _ = processes()
    model.to(runtime.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    run = TrainingRun(model, EMA(model, recipe.ema_decay), optimizer, recipe)
    if run_file is not None and Path(run_file).exists():
        load_run(run, run_file)
    steps = _steps(run, schedule, data, null, loss, runtime)
    for _ in tqdm(steps, initial=run.step, total=recipe.steps, desc="training", disable=not progress or rank > 0):
        if run_file is not None and rank == 0 and (run.step % save_every == 0 or run.step == recipe.steps):
            save_run(run, run_file)
        if on_step is not None:
            on_step(run)
    model.eval()
    return run


def draw(schedule: NoiseSchedule, x_0: Tensor, c: Tensor | None, null: Tensor | None, recipe: Recipe,
         step: int) -> tuple[Tensor, Tensor, Tensor | None]:
    """Draw what step `step` needs beside the data: t (B,), ε (B, …), and c with some conditions dropped.

    The generator is made from (seed, step), so that a resumed training draws what an uninterrupted one would have.
    """
    generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
    draw_t = schedule.sample_t_stratified if recipe.stratified_t else schedule.sample_t
    t = draw_t(len(x_0), generator=generator)
    eps = normal(tuple(x_0.shape), generator=generator)
    c = None if null is None else drop_condition(c, null.to(c.device), recipe.p_uncond, generator=generator)
    return t, eps, c


def _steps(run: TrainingRun, schedule: NoiseSchedule, data: Batches, null: Tensor | None, loss: Loss,
           runtime: Runtime) -> Iterator[float]:
    """Do one optimiser step after another, yielding its loss."""
    rank, world = processes()
    module: nn.Module = _LossModule(run.model, schedule, loss)
    if world > 1:
        module = nn.parallel.DistributedDataParallel(module)
    while run.step < run.recipe.steps:
        x_0, c = data.batch(run.step)
        if len(x_0) % world:
            raise ValueError(f"a batch of {len(x_0)} cannot be shared equally by {world} processes")
        t, eps, c = draw(schedule, x_0, c, null, run.recipe, run.step)
        mine = slice(rank * len(x_0) // world, (rank + 1) * len(x_0) // world)
        draws = [None if d is None else d[mine].to(runtime.device) for d in (x_0, t, eps, c)]
        run.model.train()
        with runtime.autocast():
            value = module(*draws)
        run.optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), run.recipe.clip_norm)
        for group in run.optimizer.param_groups:
            group["lr"] = run.recipe.learning_rate(run.step)
        run.optimizer.step()
        run.ema.update(run.model, run.step)
        run.losses.append(_mean_over_processes(value.detach(), world))
        run.step += 1
        yield run.losses[-1]


def _mean_over_processes(value: Tensor, world: int) -> float:
    if world > 1:
        torch.distributed.all_reduce(value)
    return float(value) / world
