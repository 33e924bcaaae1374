"""What did each improvement of lesson 03 do?

Takes about 2 hours of one core.

One small unconditional U-Net with every improvement, the same with one of them taken back at a time, and the plain one
with none: equal data, steps and learning rate, two seeds. Judged by the Fréchet distance of 1,000 samples by
DPM-Solver++ 2M in 20 steps. A finished arm is kept in the runs folder, so that the command can be stopped and called
again. Taking back EMA needs no training of its own: the run's last weights are judged instead of their average.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from ddpm_course.checkpoints import TrainedJudge, load_judge
from ddpm_course.data.images import ImageSet, load_fashion, make_loader
from ddpm_course.evaluation import FeatureStatistics, judge_images
from ddpm_course.experiments._kept import kept, rows_folder
from ddpm_course.lessons.basic_unet import BASIC, MODERN, BasicUNet, Choices
from ddpm_course.parameterization import VelocityModel, ddpm_loss, velocity_loss
from ddpm_course.randomness import normal, weights_from
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import Recipe, train

SEEDS, BATCH, N_IMAGES = (0, 1), 64, 1000
RECIPE = Recipe(steps=1000, lr=2e-3, warmup=100, ema_decay=0.99)


@dataclass(frozen=True)
class Arm:
    """A network and how it is trained; the fields are lesson 03's improvements."""

    choices: Choices = MODERN
    schedule: str = "cosine"
    predicts: str = "v"
    stratified_t: bool = True


FULL = Arm()
ARMS = {
    "all improvements": FULL,
    "batch norm": replace(FULL, choices=replace(MODERN, norm="batch")),
    "ReLU": replace(FULL, choices=replace(MODERN, activation="relu")),
    "max pooling": replace(FULL, choices=replace(MODERN, pooling="max")),
    "time as a fraction": replace(FULL, choices=replace(MODERN, time="fraction")),
    "no residual shortcut": replace(FULL, choices=replace(MODERN, residual=False)),
    "scaled linear schedule": replace(FULL, schedule="linear"),
    "ε-prediction": replace(FULL, predicts="eps"),
    "plain t": replace(FULL, stratified_t=False),
    "none of them": Arm(BASIC, "linear", "eps", False)}


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train and judge the arms that are missing and write the record `ablation`."""
    data, trained_judge = load_fashion("train"), load_judge()
    steps, n, seeds = (3, 20, SEEDS[:1]) if runtime.pace == "ci" else (RECIPE.steps, N_IMAGES, SEEDS)
    folder, rows = rows_folder("ablation", trained_judge.judge, data=data), []
    for seed, name in tqdm([(seed, name) for seed in seeds for name in ARMS], desc="arms"):
        recipe = replace(RECIPE, steps=steps, seed=seed, stratified_t=ARMS[name].stratified_t)
        path = folder / f"{name}_seed{seed}_steps{steps}_n{n}.json"
        rows.append(kept(path, lambda: {"arm": name, "seed": seed} | trained_arm(
            ARMS[name], recipe, data, trained_judge, n, runtime)))
    save_record("ablation", {
        "recipe": asdict(RECIPE) | {"batch_size": BATCH, "n_images": n, "solver_steps": 20}, "data": data.title,
        "rows": rows, "real_test_set": trained_judge.real}, folder=out or RECORDS)


def build(arm: Arm, seed: int) -> tuple[nn.Module, NoiseSchedule]:
    """Return the arm's untrained model, which answers in ε, and its schedule."""
    schedule = NoiseSchedule.cosine() if arm.schedule == "cosine" else NoiseSchedule.linear()
    with weights_from(seed):
        network = BasicUNet(arm.choices, T=schedule.T)
    return (VelocityModel(network, schedule) if arm.predicts == "v" else network), schedule


def trained_arm(arm: Arm, recipe: Recipe, data: ImageSet, trained_judge: TrainedJudge, n: int,
                runtime: Runtime) -> dict:
    """Train one arm and return its figures, for the weights' average and for the last weights."""
    model, schedule = build(arm, recipe.seed)
    done = train(model, schedule, make_loader(data, BATCH, seed=recipe.seed), recipe, runtime=runtime, progress=False,
                 loss=velocity_loss if arm.predicts == "v" else ddpm_loss)
    return {"with EMA": judged(done.ema.model, schedule, trained_judge, n, runtime),
            "without EMA": judged(done.model, schedule, trained_judge, n, runtime)}


def judged(model: nn.Module, schedule: NoiseSchedule, trained_judge: TrainedJudge, n: int, runtime: Runtime) -> dict:
    """Draw n images without a class and compare their features with the real test set's."""
    x_T = normal((n, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(6000))
    x = torch.cat([sample(model, schedule, part.to(runtime.device), steps=20).cpu() for part in x_T.split(100)])
    verdict = judge_images(trained_judge.judge, x)
    variance = FeatureStatistics.of(verdict.features).total_variance
    return {"frechet_percent": trained_judge.frechet_percent(verdict.features),
            "variance": variance / trained_judge.reference.total_variance,
            "confidence": verdict.probabilities.max(dim=1).values.mean().item()}
