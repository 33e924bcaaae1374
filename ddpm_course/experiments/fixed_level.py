"""Can one noise level make images?

Takes three minutes of one core.

Lesson 01's U-Net, trained at the one level b = 0.5 with and without skip connections, two seeds each; and once at
b = 0.999, where next to nothing of the image is left. On test images: the squared error beside that of simple
alternatives, also at levels that it was not trained on. Then pure noise: what the judge makes of the answers, of
answers fed back as they are, and of answers fed back with fresh noise. Trainings are kept in the runs folder.
"""

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ddpm_course.checkpoints import TrainedJudge, load_judge
from ddpm_course.data.images import ImageSet, load_fashion, make_loader, to_pixels
from ddpm_course.evaluation import FeatureStatistics, judge_images
from ddpm_course.lessons.denoising import (
    LEVEL,
    denoise,
    denoising_loss,
    denoising_network,
    feed_back,
    mix_noise,
    one_level,
)
from ddpm_course.randomness import normal
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime, runs_folder
from ddpm_course.training import Recipe, train

BATCH, N_TEST, N_NOISE = 32, 2000, 500
RECIPE = Recipe(steps=400, lr=4e-3, warmup=50, ema_decay=0.98)
ARMS = ((LEVEL, True, 0), (LEVEL, False, 0), (LEVEL, True, 1), (LEVEL, False, 1), (0.999, True, 0))  # b, skips, seed
OTHER_LEVELS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99)
ROUNDS = (1, 2, 3, 5, 10)


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train the arms that are missing, measure all of them, and write the record `fixed_level`."""
    data, test, trained_judge = load_fashion("train"), load_fashion("test"), load_judge()
    steps, n, n_noise, rounds = (3, 40, 20, ROUNDS[:2]) if runtime.pace == "ci" else (RECIPE.steps, N_TEST, N_NOISE,
                                                                                    ROUNDS)
    x_0, mean, rows = to_pixels(test.images[:n]), to_pixels(data.images).mean(dim=0, keepdim=True), []
    for level, skips, seed in tqdm(ARMS, desc="arms"):
        model = trained(data, level, skips, replace(RECIPE, steps=steps, seed=seed), runtime)
        row = {"level": level, "skips": skips, "seed": seed} | errors(model, x_0, level, seed)
        if level == LEVEL:
            row["other_levels"] = {f"{b:g}": errors(model, x_0[:n // 4], b, seed)["mse"] for b in OTHER_LEVELS}
        if level == LEVEL and skips:
            row["from_noise"] = from_noise(model, trained_judge, n_noise, rounds)
        answers = denoise(model, normal((n_noise, 1, 28, 28), generator=seeded(900)))
        row["answer_spread"] = answers.std(dim=0).mean().item()
        rows.append(row)
    save_record("fixed_level", {
        "recipe": asdict(RECIPE) | {"batch_size": BATCH}, "data": data.title,
        "n": n, "rows": rows, "pixels": {"mean": float(mean.mean()), "square": float(x_0.square().mean())},
        "alternatives": alternatives(x_0, mean, LEVEL), "other_levels_mean_image": errors_of(x_0, mean)["mse"],
        "references": {name: judged(x, trained_judge) for name, x in (
            ("real", x_0[:n_noise]), ("noise", normal((n_noise, 1, 28, 28), generator=seeded(900))),
            ("mean image", mean.expand(n_noise, -1, -1, -1)))}}, folder=out or RECORDS)


def seeded(seed: int) -> torch.Generator:
    """Return a generator of its own."""
    return torch.Generator().manual_seed(seed)


def trained(data: ImageSet, level: float, skips: bool, recipe: Recipe, runtime: Runtime) -> nn.Module:
    """Train one arm, or read it from the runs folder; return the averaged weights on the CPU."""
    name = f"fixed_level_{data.kind}_b{level:g}_{'skips' if skips else 'no_skips'}_{recipe.seed}_{recipe.steps}.pt"
    done = train(denoising_network(skips=skips, seed=recipe.seed), one_level(level),
                 make_loader(data, BATCH, seed=recipe.seed), recipe, loss=denoising_loss, runtime=runtime,
                 progress=False, run_file=runs_folder() / name)
    return done.ema.model.cpu()


def errors_of(x_0: Tensor, x_0_hat: Tensor) -> dict:
    """Return the mean squared error per pixel, the half width of its 95 % interval over images, and the detail kept.

    Detail is the mean squared difference of neighbouring pixels, relative to the clean images'.
    """
    each = (x_0_hat - x_0).square().mean(dim=(1, 2, 3)).double()
    detail = [x.diff(dim=3).square().mean() + x.diff(dim=2).square().mean() for x in (x_0_hat, x_0)]
    return {"mse": each.mean().item(), "half_width": 1.96 * each.std().item() / len(each) ** 0.5,
            "detail": (detail[0] / detail[1]).item()}


def errors(model: nn.Module, x_0: Tensor, level: float, seed: int) -> dict:
    """Measure a denoiser on clean images x_0 at a noise level; the noise depends on nothing but the seed."""
    return errors_of(x_0, denoise(model, mix_noise(x_0, level, normal(tuple(x_0.shape), generator=seeded(800 + seed)))))


def alternatives(x_0: Tensor, mean: Tensor, level: float) -> dict:
    """Measure what needs no network: doing nothing, only rescaling, the mean image, and one line for all pixels."""
    x = mix_noise(x_0, level, normal(tuple(x_0.shape), generator=seeded(800)))
    slope = (1 - level) ** 0.5 * x_0.var() / ((1 - level) * x_0.var() + level)
    line = x_0.mean() + slope * (x - x.mean())
    return {"doing nothing": errors_of(x_0, x), "dividing by √(1 - b)": errors_of(x_0, x / (1 - level) ** 0.5),
            "the mean image": errors_of(x_0, mean.expand_as(x_0)), "one line for all pixels": errors_of(x_0, line)}


def from_noise(model: nn.Module, trained_judge: TrainedJudge, n: int, rounds: tuple[int, ...]) -> dict:
    """Give the denoiser pure noise, feed its answers back with and without fresh noise, and judge them."""
    x, found = normal((n, 1, 28, 28), generator=seeded(900)), {}
    for name, level in (("as they are", 0.0), ("with fresh noise", LEVEL)):
        answers = list(feed_back(model, x, rounds[-1], level=level, generator=seeded(901)))
        found[name] = {str(k): judged(answers[k - 1], trained_judge) for k in rounds}
    return found


def judged(x: Tensor, trained_judge: TrainedJudge) -> dict:
    """Say what the judge sees in images: its mean confidence, the classes, the Fréchet distance, the variety."""
    verdict = judge_images(trained_judge.judge, x.clamp(-1, 1))
    sure, seen = verdict.probabilities.max(dim=1)
    return {"confidence": sure.mean().item(), "classes": seen.bincount(minlength=10).tolist(),
            "frechet_percent": trained_judge.frechet_percent(verdict.features),
            "variance": FeatureStatistics.of(verdict.features).total_variance
            / trained_judge.reference.total_variance}
