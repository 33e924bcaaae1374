"""How often should the class be dropped?

Takes about 20 minutes of one core.

The lesson's small network is trained with p_uncond = 0, 1, 10, 20 and 50 %, everything else equal, from one seed, and
judged at w = 0 and w = 2 and without a class. One arm is one (p_uncond, seed); a finished one is kept in the runs
folder.
"""

from dataclasses import asdict
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ddpm_course.checkpoints import TrainedJudge, load_judge
from ddpm_course.data.images import ImageSet, load_fashion, make_loader
from ddpm_course.evaluation import class_accuracy, judge_images
from ddpm_course.experiments._kept import kept, rows_folder
from ddpm_course.models import lesson_model
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import sample_w
from ddpm_course.training import Recipe, train

ARMS = (0.0, 0.01, 0.1, 0.2, 0.5)
SEEDS = (0,)
BATCH = 64
RECIPE = Recipe(steps=800, lr=4e-3, warmup=100, ema_decay=0.99)
WEIGHTS = (-1.0, 0.0, 2.0)
N_IMAGES = 1000


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train and judge the arms that are missing and write the record `p_uncond`."""
    data, trained_judge = load_fashion("train"), load_judge()
    steps, n, arms, seeds = (3, 20, ARMS[:2], SEEDS[:1]) if runtime.pace == "ci" else (RECIPE.steps, N_IMAGES, ARMS,
                                                                                      SEEDS)
    rows, folder = [], rows_folder("p_uncond", trained_judge.judge, data=data)
    for seed, p_uncond in tqdm([(seed, p) for seed in seeds for p in arms], desc="arms"):
        recipe = Recipe(**asdict(RECIPE) | {"steps": steps, "p_uncond": p_uncond, "seed": seed})
        path = folder / f"p{p_uncond:g}_seed{seed}_steps{steps}_n{n}.json"
        rows.append(kept(path, lambda: arm(data, trained_judge, recipe, n, runtime)))
    save_record("p_uncond", {"recipe": asdict(RECIPE) | {"batch_size": BATCH, "n_images": n, "solver_steps": 20},
                             "data": data.title, "rows": rows}, folder=out or RECORDS)


def arm(data: ImageSet, trained_judge: TrainedJudge, recipe: Recipe, n: int, runtime: Runtime) -> dict:
    """Train one network and judge n images at each w."""
    model = lesson_model(recipe.seed)
    train(model, model.schedule, make_loader(data, BATCH, seed=recipe.seed), recipe, runtime=runtime,
          null=model.network.embedder.null, progress=False)
    row: dict = {"p_uncond": recipe.p_uncond, "seed": recipe.seed, "w": {}}
    labels = torch.arange(n) % 10
    for w in WEIGHTS:
        generator = torch.Generator().manual_seed(2000 + recipe.seed)
        x = torch.cat([sample_w(model, part.to(runtime.device), w, generator=generator).cpu()
                       for part in labels.split(100)])
        verdict = judge_images(trained_judge.judge, x)
        row["w"][f"{w:g}"] = {"accuracy": class_accuracy(verdict, labels),
                              "frechet_percent": trained_judge.frechet_percent(verdict.features)}
    return row
