"""How can one say "no class": a null row or a zero vector? What does label × mask do?

Takes half an hour of one core.

The lesson's small network is trained with each, everything else equal: a learned null row (the course's way), a zero
vector (one-hot × mask, then a table without bias), and label × mask, which says "class 0" where it means "no class". A
finished arm is kept in the runs folder.
"""

from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from tqdm.auto import tqdm

from ddpm_course.checkpoints import TrainedJudge, load_judge
from ddpm_course.conditioning import LabelEmbedding
from ddpm_course.data.images import ImageSet, load_fashion, make_loader
from ddpm_course.evaluation import class_accuracy, judge_images
from ddpm_course.experiments._kept import kept, rows_folder
from ddpm_course.models import lesson_model
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import sample_w
from ddpm_course.training import Recipe, train

SEEDS, BATCH, N_IMAGES = (0, 1), 64, 1000
RECIPE = Recipe(steps=800, lr=4e-3, warmup=100, ema_decay=0.99)


class ZeroNull(LabelEmbedding):
    """Say ∅ by an all-zero one-hot vector: its embedding is the zero vector, whatever the table has learned."""

    def forward(self, c: Tensor) -> Tensor:
        rows = one_hot(c.long(), self.n_classes + 1).to(self.table.weight)       # (B, n + 1)
        keep = (c != self.n_classes).to(rows)                                    # (B,), 0 where ∅
        return (rows * keep[:, None]) @ self.table.weight                        # (B, dim)


class ClassZeroNull(LabelEmbedding):
    """The mistake: integer label × mask, so that a dropped sample is labelled 0, T-shirt/top."""

    def __init__(self, n_classes: int, dim: int) -> None:
        super().__init__(n_classes, dim)
        self.null.zero_()


WAYS: dict[str, type[LabelEmbedding]] = {"null row": LabelEmbedding, "zero vector": ZeroNull,
                                         "label × mask": ClassZeroNull}


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train and judge the arms that are missing and write the record `null_condition`."""
    data, trained_judge = load_fashion("train"), load_judge()
    steps, n, seeds = (3, 20, SEEDS[:1]) if runtime.pace == "ci" else (RECIPE.steps, N_IMAGES, SEEDS)
    rows, folder = [], rows_folder("null_condition", trained_judge.judge, data=data)
    for seed, way in tqdm([(seed, way) for seed in seeds for way in WAYS], desc="arms"):
        recipe = Recipe(**asdict(RECIPE) | {"steps": steps, "seed": seed})
        path = folder / f"{way}_seed{seed}_steps{steps}_n{n}.json"
        rows.append(kept(path, lambda: arm(data, trained_judge, way, recipe, n, runtime)))
    save_record("null_condition", {"recipe": asdict(RECIPE) | {"batch_size": BATCH, "n_images": n, "solver_steps": 20},
                                   "data": data.title, "rows": rows}, folder=out or RECORDS)


def build(way: str, seed: int) -> nn.Module:
    """Return the lesson's network with another embedder; its other weights are those of every way."""
    model = lesson_model(seed)
    table = model.network.embedder
    embedder = WAYS[way](table.n_classes, table.dim)
    embedder.load_state_dict(table.state_dict())
    model.network.embedder = embedder
    return model


def arm(data: ImageSet, trained_judge: TrainedJudge, way: str, recipe: Recipe, n: int, runtime: Runtime) -> dict:
    """Train one network and judge n images at w = 0 and 2: all classes, and T-shirts alone."""
    model = build(way, recipe.seed)
    train(model, model.schedule, make_loader(data, BATCH, seed=recipe.seed), recipe, runtime=runtime,
          null=model.network.embedder.null, progress=False)
    labels, row = torch.arange(n) % 10, {"way": way, "seed": recipe.seed, "w": {}}
    for w in (0.0, 2.0):
        generator = torch.Generator().manual_seed(4000 + recipe.seed)
        x = torch.cat([sample_w(model, part.to(runtime.device), w, generator=generator).cpu()
                       for part in labels.split(100)])
        verdict = judge_images(trained_judge.judge, x)
        hits = verdict.probabilities.argmax(dim=1) == labels
        row["w"][f"{w:g}"] = {"accuracy": class_accuracy(verdict, labels),
                              "t_shirt_accuracy": hits[labels == 0].double().mean().item(),
                              "frechet_percent": trained_judge.frechet_percent(verdict.features)}
    return row
