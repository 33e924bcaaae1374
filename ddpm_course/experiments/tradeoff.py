"""Measure the shipped model against w: `python -m ddpm_course.experiments tradeoff` (about half an hour of one core).

One row is 1,000 images of one (w, seed), a hundred of each class, by DPM-Solver++ 2M with 20 steps. A finished row is
kept in the runs folder, so that the command can be stopped and called again. Figures are of all rows of a w together;
their 95 % intervals come from the rows by the delete-one jackknife, each row having a seed of its own.
"""

import math
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_course.checkpoints import TrainedJudge, fingerprint, load_checkpoint, load_judge
from ddpm_course.evaluation import (
    FeatureStatistics,
    Verdict,
    class_accuracy,
    diversity,
    frechet_distance,
    judge_images,
    saturation,
)
from ddpm_course.parameterization import VelocityModel
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime, runs_folder
from ddpm_course.sampling import sample_w

ROWS = {0.0: 5, 0.5: 5, 1.0: 5, 2.0: 5, 3.0: 5, 5.0: 5}
ROW_SIZE, STEPS, BATCH = 1000, 20, 100

Row = dict[str, Tensor | float]


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Make the rows that are missing and write the record `tradeoff`."""
    model, trained_judge = load_checkpoint("fashion"), load_judge()
    counts, size = ({0.0: 2, 2.0: 2}, 20) if runtime.pace == "ci" else (ROWS, ROW_SIZE)
    todo = [(w, seed) for seed in range(max(counts.values())) for w, n in counts.items() if seed < n]
    rows: dict[float, list[Row]] = {w: [] for w in counts}
    folder = runs_folder() / "tradeoff" / fingerprint(model, trained_judge.judge)        # other weights, other rows
    for w, seed in tqdm(todo, desc="rows"):
        path = folder / f"w{w:g}_seed{seed}_n{size}_steps{STEPS}.pt"
        rows[w].append(measured_row(model, trained_judge, w, seed, size, path, runtime))
    points = [point(w, rows[w], trained_judge) for w in counts]
    save_record("tradeoff", {"model": "fashion", "sampler": "DPM-Solver++ 2M", "steps": STEPS, "points": points,
                             "real_test_set": trained_judge.real}, folder=out or RECORDS)


def measured_row(model: VelocityModel, trained_judge: TrainedJudge, w: float, seed: int, size: int, path: Path,
                 runtime: Runtime) -> Row:
    """Draw and judge one row, or read it back when it was finished before."""
    if path.is_file():
        return torch.load(path, weights_only=True)
    labels = torch.arange(size) % 10
    generator = torch.Generator().manual_seed(1000 + seed)
    model.to(runtime.device)
    x = torch.cat([sample_w(model, model.schedule, part.to(runtime.device), w, steps=STEPS, generator=generator).cpu()
                   for part in labels.split(BATCH)])
    verdict = judge_images(trained_judge.judge, x)
    row = {"labels": labels, "features": verdict.features.float(), "probabilities": verdict.probabilities,
           "saturation": saturation(x)}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(row, part := path.with_suffix(".part"))
    part.replace(path)
    return row


def figures(rows: list[Row], trained_judge: TrainedJudge) -> dict[str, float]:
    """Compute the figures of some rows taken together."""
    features, labels = (torch.cat([row[key] for row in rows]) for key in ("features", "labels"))
    verdict = Verdict(features.double(), torch.cat([row["probabilities"] for row in rows]))
    reference = trained_judge.reference
    frechet = frechet_distance(FeatureStatistics.of(verdict.features), reference)
    return {"accuracy": class_accuracy(verdict, labels), "frechet": frechet,
            "frechet_percent": 100 * frechet / reference.total_variance,
            "diversity": diversity(verdict.features, labels) / trained_judge.real["diversity"],
            "saturation": sum(row["saturation"] for row in rows) / len(rows)}


def point(w: float, rows: list[Row], trained_judge: TrainedJudge) -> dict:
    """Return a point of the curve: each figure with its interval, and the accuracy of each class."""
    together = figures(rows, trained_judge)
    left_out = [figures(rows[:k] + rows[k + 1:], trained_judge) for k in range(len(rows))]
    intervals = {name: jackknife(value, [f[name] for f in left_out]) for name, value in together.items()}
    hits = torch.cat([row["probabilities"].argmax(dim=1) == row["labels"] for row in rows])
    labels = torch.cat([row["labels"] for row in rows])
    return {"w": w, "n": len(labels)} | together | {
        "intervals": intervals,
        "class_accuracy": [round(hits[labels == k].double().mean().item(), 4) for k in range(10)]}


def jackknife(value: float, left_out: list[float]) -> tuple[float, float]:
    """Return value ± 1.96 standard errors from the values with one row left out (Efron & Stein, Ann. Stat. 9, 1981)."""
    m, mean = len(left_out), sum(left_out) / len(left_out)
    error = math.sqrt((m - 1) / m * sum((v - mean) ** 2 for v in left_out))
    return value - 1.96 * error, value + 1.96 * error
