"""How much of the image may x_T keep? Four schedules.

Takes half an hour of one core.

One network, one recipe, ε-prediction, and four schedules of 150 steps that differ in where ᾱ ends: the popular
β ∈ [1e-4, 0.02], which was made for 1,000 steps; the same stretched to 150; the course's cosine, cut off at 1e-4; and
the usual cosine with β ≤ 0.999, which ends near 0. Sampling always starts from pure noise. A finished arm is kept.
"""

import math
from dataclasses import asdict, replace
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ddpm_course.checkpoints import TrainedJudge, load_judge
from ddpm_course.data.images import ImageSet, load_fashion, make_loader, to_pixels
from ddpm_course.evaluation import judge_images
from ddpm_course.experiments._kept import kept, rows_folder
from ddpm_course.lessons.basic_unet import MODERN, BasicUNet
from ddpm_course.parameterization import ddpm_loss
from ddpm_course.randomness import normal, weights_from
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import Ancestral
from ddpm_course.training import Recipe, train

SEEDS, BATCH, N_IMAGES, T = (0,), 64, 500, 150
RECIPE = Recipe(steps=1000, lr=2e-3, warmup=100, ema_decay=0.99)


def steep_cosine(T: int = T) -> NoiseSchedule:
    """Build the cosine ᾱ whose β are capped at 0.999 (arXiv 2102.09672, eq. 17), which all but erases the image."""
    theta = (torch.arange(T + 1, dtype=torch.float64) / T + 0.008) / 1.008 * math.pi / 2
    alpha_bars = theta.cos().square() / theta[0].cos().square()
    return NoiseSchedule((1 - alpha_bars[1:] / alpha_bars[:-1]).clamp(max=0.999))


SCHEDULES = {
    "β from 1e-4 to 0.02, not stretched": lambda: NoiseSchedule(torch.linspace(1e-4, 0.02, T, dtype=torch.float64)),
    "linear, stretched": NoiseSchedule.linear,
    "cosine, cut off": NoiseSchedule.cosine,
    "cosine, β up to 0.999": steep_cosine}


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train and judge the arms that are missing and write the record `terminal_signal`."""
    data, trained_judge = load_fashion("train"), load_judge()
    steps, n, seeds = (3, 20, SEEDS[:1]) if runtime.pace == "ci" else (RECIPE.steps, N_IMAGES, SEEDS)
    folder, rows = rows_folder("terminal_signal", trained_judge.judge, data=data), []
    for seed, name in tqdm([(seed, name) for seed in seeds for name in SCHEDULES], desc="arms"):
        path = folder / f"{name}_seed{seed}_steps{steps}_n{n}.json"
        recipe = replace(RECIPE, steps=steps, seed=seed)
        rows.append(kept(path, lambda: {"schedule": name, "seed": seed} | arm(
            SCHEDULES[name](), recipe, data, trained_judge, n, runtime)))
    x_0 = to_pixels(load_fashion("test").images)
    save_record("terminal_signal", {
        "recipe": asdict(RECIPE) | {"batch_size": BATCH, "n_images": n, "sampler": f"DDPM, {T} steps"},
        "data": data.title, "rows": rows,
        "real_brightness_spread": x_0.mean(dim=(1, 2, 3)).std().item()}, folder=out or RECORDS)


def arm(schedule: NoiseSchedule, recipe: Recipe, data: ImageSet, trained_judge: TrainedJudge, n: int,
        runtime: Runtime) -> dict:
    """Train one network on the schedule, draw n images by the ancestral sampler from pure noise, and judge them."""
    with weights_from(recipe.seed):
        model = BasicUNet(MODERN, T=schedule.T)
    done = train(model, schedule, make_loader(data, BATCH, seed=recipe.seed), recipe, runtime=runtime, progress=False,
                 loss=ddpm_loss)
    generator = torch.Generator().manual_seed(7000)
    x = torch.cat([sample(done.ema.model, schedule, normal((len(part), *IMAGE_SHAPE), generator=generator).to(
        runtime.device), solver=Ancestral(), generator=generator).cpu() for part in torch.arange(n).split(100)])
    return {"alpha_bar_T": float(schedule.alpha_bars[-1]), "brightness": x.mean().item(),
            "brightness_spread": x.mean(dim=(1, 2, 3)).std().item(),
            "frechet_percent": trained_judge.frechet_percent(judge_images(trained_judge.judge, x).features)}
