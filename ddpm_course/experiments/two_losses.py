"""How large is the loss of one network told the class, told nothing (∅), told a wrong class?

Takes three minutes of one core.

The ε-loss of the shipped model on test images that it never saw, at several t: told the right class, told nothing (∅),
and told a wrong class. The same images and the same noise each time, so that the differences to the right class are
paired; intervals are over images. And what the null row draws: the classes that the judge sees in its samples.
"""

from pathlib import Path

import torch
from torch import Tensor

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.data.images import load_fashion, to_pixels
from ddpm_course.evaluation import judge_images
from ddpm_course.parameterization import VelocityModel
from ddpm_course.randomness import normal
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.training import Recipe

N, N_DRAWN, BATCH, STEPS = 2000, 1000, 200, 20
LEVELS = (5, 15, 30, 45, 60, 75, 90, 105, 120, 135, 150)


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Measure the three losses and write the record `two_losses`."""
    model, test = load_checkpoint("fashion").to(runtime.device), load_fashion("test")
    n = 20 if runtime.pace == "ci" else N
    x_0, c = to_pixels(test.images[:n]), test.labels[:n]
    save_record("two_losses", {"model": "fashion", "data": test.title, "n": n,
                               "p_uncond": Recipe.p_uncond,
                               "levels": [level(model, x_0, c, t, runtime) for t in LEVELS],
                               "drawn_without_class": drawn(model, 20 if runtime.pace == "ci" else N_DRAWN, runtime)},
                folder=out or RECORDS)


@torch.no_grad()
def level(model: VelocityModel, x_0: Tensor, c: Tensor, t: int, runtime: Runtime) -> dict:
    """Return the mean squared error of ε̂ per pixel at t, given the class, ∅ and a wrong class, with intervals."""
    eps = normal(tuple(x_0.shape), generator=torch.Generator().manual_seed(t))
    x_t, errors = model.schedule.q_sample(x_0, t, eps), {}
    for name, label in (("class", c), ("null", None), ("wrong class", (c + 1) % 10)):
        parts = []
        for k in range(0, len(x_t), BATCH):
            part = slice(k, k + BATCH)
            x, times = x_t[part].to(runtime.device), torch.full((len(x_t[part]),), t, device=runtime.device)
            eps_hat = model(x, times, None if label is None else label[part].to(runtime.device)).cpu()
            parts.append((eps_hat - eps[part]).square().mean(dim=(1, 2, 3)).double())
        errors[name] = torch.cat(parts)
    for name in ("null", "wrong class"):
        errors[f"{name} - class"] = errors[name] - errors["class"]
    return {"t": t} | {name: {"mean": error.mean().item(), "half_width": 1.96 * error.std().item() / len(c) ** 0.5}
                       for name, error in errors.items()}


def drawn(model: VelocityModel, n: int, runtime: Runtime) -> dict:
    """Draw n images without a class and return how many of each class the judge sees."""
    x_T = normal((n, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(5000))
    x = torch.cat([sample(model, model.schedule, part.to(runtime.device), None, steps=STEPS).cpu()
                   for part in x_T.split(BATCH)])
    seen = judge_images(load_judge().judge, x).probabilities.argmax(dim=1)
    return {"n": n, "counts": seen.bincount(minlength=10).tolist()}
