"""Which variant of guidance helps where the truth is known?

Takes about three minutes of one core.

The truth is class blue of `mixture.lesson_mixture`. Two models draw from it: one with the exact scores, and one that is
too smooth, as a trained network is: every lobe's variance is larger by BLUR, and by WEAK_BLUR in the worse version of
it that autoguidance takes as its guide. A sample is an outlier when its density under the truth is below that of 99 in
100 true draws. Distances are to as many true draws; intervals come from seeds.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_course.evaluation import energy_distance
from ddpm_course.experiments._judged_rows import t_quantile
from ddpm_course.lessons.exact import ExactModel
from ddpm_course.lessons.mixture import lesson_mixture
from ddpm_course.lessons.variants import Autoguided, ClassifierGuided, cfg_plus_plus_process
from ddpm_course.randomness import normal
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import DDIM

N, STEPS, SEEDS, CLASS = 2000, 50, 10, 0
BLUR, WEAK_BLUR, INTERVAL = 0.1, 0.4, (21, 100)
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
Draw = Callable[[Tensor], Tensor]


class Wrapped(nn.Module):
    """An exact model as a module, for the variants that hold two."""

    def __init__(self, exact: ExactModel) -> None:
        super().__init__()
        self.exact = exact

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.exact(x_t, t, c)


class BayesClassifier(Wrapped):
    """The classifier that an exact model implies: log p(x_t | c) for every class, equally frequent, as logits."""

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return torch.stack([self.exact.log_prob(x_t, int(t[0]), k) for k in range(len(self.exact.conditional))], dim=1)


def methods(schedule: NoiseSchedule, blur: float) -> dict[str, dict[float, Draw]]:
    """List for each method its strengths and how to draw from a model of this blur; all by DDIM."""
    model = Wrapped(lesson_mixture(schedule, blur=blur))
    weak, truth = (Wrapped(lesson_mixture(schedule, blur=b)) for b in (WEAK_BLUR, 0.0))

    def plain(guided: nn.Module, w: float, interval: tuple[int, int] | None, x_T: Tensor) -> Tensor:
        return sample(guided, schedule, x_T, torch.full((len(x_T),), CLASS), w, interval=interval, solver=DDIM(),
                      steps=STEPS, clip=False)

    def plus(lam: float, x_T: Tensor) -> Tensor:
        *_, (_, x_0, _) = cfg_plus_plus_process(model, schedule, x_T, torch.full((len(x_T),), CLASS), lam, steps=STEPS)
        return x_0

    by_bayes = ClassifierGuided(model, BayesClassifier(truth.exact), schedule)
    kinds = {"classifier-free": (model, None), "limited interval": (model, INTERVAL),
             "autoguidance": (Autoguided(model, weak), None), "exact classifier": (by_bayes, None)}
    found = {name: {w: partial(plain, guided, w, interval) for w in WEIGHTS}
             for name, (guided, interval) in kinds.items()}
    return found | {"CFG++": {lam: partial(plus, lam) for lam in (0.02, 0.05, 0.1, 0.3)}}


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Draw all arms and write the record `mixture_lab`."""
    n, seeds = (100, 2) if runtime.pace == "ci" else (N, SEEDS)
    schedule, rows = NoiseSchedule.cosine(), []
    truth = lesson_mixture(schedule)
    for blur in (0.0, BLUR):
        for method, strengths in tqdm(methods(schedule, blur).items(), desc=f"blur {blur:g}"):
            for strength, draw in strengths.items():
                found = [figures(truth, draw, n, seed) for seed in range(seeds)]
                rows.append({"blur": blur, "method": method, "strength": strength}
                            | {name: interval([f[name] for f in found]) for name in found[0]})
    save_record("mixture_lab", {"n": n, "seeds": seeds, "steps": STEPS, "solver": "DDIM", "interval": INTERVAL,
                                "weak_blur": WEAK_BLUR, "rows": rows}, folder=out or RECORDS)


def figures(truth: ExactModel, draw: Draw, n: int, seed: int) -> dict[str, float]:
    """Draw n samples and compare them with n draws from the truth; scores in float64 on the CPU."""
    density = truth.conditional[CLASS]
    x = draw(normal((n, 2), generator=torch.Generator().manual_seed(seed)).double())
    real = density.sample(n, generator=torch.Generator().manual_seed(100 + seed))
    edge = density.log_prob(density.sample(20_000, generator=torch.Generator().manual_seed(7))).quantile(0.01)
    return {"energy_distance": energy_distance(x, real),
            "outliers": (density.log_prob(x) < edge).double().mean().item(),
            "class_probability": (density.log_prob(x) - truth.null.log_prob(x)).exp().mean().item() / 3}


def interval(values: list[float]) -> dict[str, float]:
    """Return the mean over seeds and the half width of its 95 % interval (Student's t)."""
    values = torch.tensor(values, dtype=torch.float64)
    half = t_quantile(len(values) - 1) * values.std().item() / len(values) ** 0.5
    return {"mean": values.mean().item(), "half_width": half}
