"""Which variant of guidance helps on images?

Takes about half an hour of one core.

An arm is a method at one strength: 2,000 images in ten rows of 200, each row with a seed of its own, the same seeds for
every arm, 20 steps. A finished row is kept in the runs folder, so that the command can be stopped and called again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.experiments._judged_rows import judged_row, summary
from ddpm_course.experiments._kept import rows_folder
from ddpm_course.lessons.classifier import load_classifier
from ddpm_course.lessons.variants import Autoguided, ClassifierGuided, Rescaled, cfg_plus_plus_process
from ddpm_course.parameterization import VelocityModel
from ddpm_course.randomness import normal
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.solvers import DDIM

ROWS, ROW_SIZE, STEPS = 10, 200, 20
INTERVAL = (21, 100)                                           # chosen after a look at 300 images of other seeds
Draw = Callable[[Tensor, Tensor], Tensor]                        # (x_T, c) → images


@dataclass(frozen=True)
class Arm:
    """A method at one strength (w, or λ for CFG++)."""

    method: str
    strength: float
    draw: Draw


class CachedNull(nn.Module):
    """Ask for ε_∅ at every second step only and use it again at the next: an economy, to see what it costs."""

    def __init__(self, model: VelocityModel) -> None:
        super().__init__()
        self.model, self.kept = model, None

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.model(x_t, t, c)

    def predict_pair(self, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return ε̂ for c, and ε̂ for ∅ of this step or of the one before."""
        if self.kept is None:
            eps_c, self.kept = self.model.predict_pair(x_t, t, c)
            return eps_c, self.kept
        eps_null, self.kept = self.kept, None
        return self.model(x_t, t, c), eps_null


def arms(model: VelocityModel, weak: nn.Module, classifier: nn.Module) -> list[Arm]:
    """List all arms, those of one method together."""
    schedule = model.schedule
    auto, by_classifier = Autoguided(model, weak), ClassifierGuided(model, classifier, schedule)

    def plain(guided: nn.Module, w: float, **options) -> Draw:
        return lambda x_T, c: sample(guided, schedule, x_T, c, w, steps=STEPS, **options)

    def cached(w: float, x_T: Tensor, c: Tensor) -> Tensor:
        return plain(CachedNull(model), w)(x_T, c)               # a new one each time: nothing is kept between draws

    def plus(lam: float, x_T: Tensor, c: Tensor) -> Tensor:
        *_, (_, x_0, _) = cfg_plus_plus_process(model, schedule, x_T, c, lam, steps=STEPS)
        return x_0.clamp(-1, 1)

    found = [Arm("classifier-free", w, plain(model, w)) for w in (0.0, 0.5, 1.0, 2.0, 5.0)]
    found += [Arm(f"only in t = {lo}–{hi}", 2.0, plain(model, 2.0, interval=(lo, hi)))
              for lo, hi in ((1, 50), (51, 100), (101, 150))]
    found += [Arm("limited interval", w, plain(model, w, interval=INTERVAL)) for w in (0.5, 1.0, 2.0, 5.0)]
    found += [Arm("rescaled, φ = 0.7", w, plain(Rescaled(model, w), 0.0)) for w in (0.5, 1.0, 2.0, 5.0)]
    found += [Arm("autoguidance", w, plain(auto, w)) for w in (0.5, 1.0, 2.0, 5.0)]
    found += [Arm("classifier", w, plain(by_classifier, w)) for w in (0.5, 1.0, 2.0, 5.0)]
    found += [Arm("null pass at every second step", w, partial(cached, w)) for w in (0.5, 2.0)]
    found += [Arm("classifier-free, DDIM", w, plain(model, w, solver=DDIM())) for w in (0.0, 0.5, 2.0)]
    return found + [Arm("CFG++, DDIM", lam, partial(plus, lam)) for lam in (0.1, 0.3, 0.6, 1.0)]


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Make the rows that are missing and write the record `guidance_lab`."""
    parts = [load_checkpoint("fashion"), load_checkpoint("fashion_early"), load_classifier()]
    trained_judge = load_judge()
    folder = rows_folder("guidance_lab", *parts, trained_judge.judge)
    chosen = arms(*(part.to(runtime.device) for part in parts))
    count, size = (2, 20) if runtime.pace == "ci" else (ROWS, ROW_SIZE)
    lo, hi = INTERVAL
    results = []
    for arm in tqdm(chosen[::4] if runtime.pace == "ci" else chosen, desc="arms"):
        rows = []
        for seed in range(count):
            x_T = normal((size, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(3000 + seed),
                         device=runtime.device)
            path = folder / f"{arm.method}_{arm.strength:g}_t{lo}-{hi}_seed{seed}_n{size}_steps{STEPS}.pt"
            rows.append(judged_row(path, torch.arange(size) % 10,
                                   lambda c: arm.draw(x_T, c.to(runtime.device)), trained_judge))
        results.append({"method": arm.method, "strength": arm.strength} | summary(rows, trained_judge))
    save_record("guidance_lab", {"model": "fashion", "weak": "fashion_early", "classifier": "classifier",
                                 "sampler": "DPM-Solver++ 2M, or DDIM where said", "steps": STEPS, "interval": INTERVAL,
                                 "arms": results, "real_test_set": trained_judge.real}, folder=out or RECORDS)
