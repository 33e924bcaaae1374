"""Rows of judged images, shared by the experiments that score samples: kept when finished, summed up with intervals.

A row is some images of one setting and one seed; a setting's figures are of all its rows together. The 95 % interval
of the accuracy is Wilson's; those of the other figures come from the rows, each of a seed of its own, by the delete-one
jackknife and Student's t.
"""

import io
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ddpm_course.checkpoints import TrainedJudge
from ddpm_course.evaluation import Verdict, class_accuracy, diversity, judge_images, saturation, wilson_interval
from ddpm_course.whole_files import write_whole

Row = dict[str, Tensor | float]


def judged_row(path: Path, labels: Tensor, draw: Callable[[Tensor], Tensor], trained_judge: TrainedJudge) -> Row:
    """Draw images for labels (n,) by `draw` and judge them, or read the row back when it was finished before."""
    if path.is_file():
        return torch.load(path, weights_only=True)
    x = draw(labels).cpu()
    verdict = judge_images(trained_judge.judge, x)
    row = {"labels": labels, "features": verdict.features.float(), "probabilities": verdict.probabilities,
           "saturation": saturation(x)}
    content = io.BytesIO()
    torch.save(row, content)
    write_whole(path, content.getvalue())
    return row


def figures(rows: list[Row], trained_judge: TrainedJudge) -> dict[str, float]:
    """Compute the figures of some rows taken together."""
    features, labels = (torch.cat([row[key] for row in rows]) for key in ("features", "labels"))
    verdict = Verdict(features.double(), torch.cat([row["probabilities"] for row in rows]))
    return {"accuracy": class_accuracy(verdict, labels), "frechet": trained_judge.frechet(verdict.features),
            "frechet_percent": trained_judge.frechet_percent(verdict.features),
            "diversity": diversity(verdict.features, labels) / trained_judge.real["diversity"],
            "saturation": sum(row["saturation"] for row in rows) / len(rows)}


def summary(rows: list[Row], trained_judge: TrainedJudge) -> dict:
    """Return the number of images, each figure with its interval, and the accuracy of each class."""
    together = figures(rows, trained_judge)
    left_out = [figures(rows[:k] + rows[k + 1:], trained_judge) for k in range(len(rows))]
    intervals = {name: jackknife(value, [f[name] for f in left_out]) for name, value in together.items()}
    intervals["accuracy"] = wilson_interval(together["accuracy"], sum(len(row["labels"]) for row in rows))
    hits = torch.cat([row["probabilities"].argmax(dim=1) == row["labels"] for row in rows])
    labels = torch.cat([row["labels"] for row in rows])
    return {"n": len(labels)} | together | {
        "intervals": intervals,
        "class_accuracy": [round(hits[labels == k].double().mean().item(), 4) for k in range(10)]}


def jackknife(value: float, left_out: list[float]) -> tuple[float, float]:
    """Return the 95 % interval from the values with one row left out (Efron & Stein, Ann. Stat. 9, 1981)."""
    m, mean = len(left_out), sum(left_out) / len(left_out)
    error = math.sqrt((m - 1) / m * sum((v - mean) ** 2 for v in left_out))
    return value - t_quantile(m - 1) * error, value + t_quantile(m - 1) * error


def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t: few rows know their own spread badly, so the interval is wider."""
    table = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
    return table[freedom - 1] if freedom <= len(table) else 1.96 + 2.37 / freedom + 2.8 / freedom**2
