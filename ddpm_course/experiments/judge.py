"""Train the judge, the classifier that scores images.

Takes about 20 minutes of one core.

It learns from the first 50,000 training images. The last 10,000 stay unseen by it, so that their Fréchet distance to
the test set is what perfect samples would score at n = 10,000.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_course.checkpoints import WEIGHTS, save_judge
from ddpm_course.data.images import ImageSet, load_fashion, to_pixels
from ddpm_course.evaluation import (
    FeatureStatistics,
    Judge,
    class_accuracy,
    diversity,
    frechet_distance,
    judge_images,
    saturation,
)
from ddpm_course.randomness import weights_from
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.training import EMA

SEED, BATCH, EPOCHS, LR, WEIGHT_DECAY = 0, 128, 10, 4e-3, 0.05
HELD_OUT = 10_000


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train, score the real images, and write `judge.safetensors` and the record `judge`."""
    train, test = load_fashion("train"), load_fashion("test")
    seen = len(train) - min(HELD_OUT, len(train) // 6)
    steps = 5 if runtime.pace == "ci" else EPOCHS * (seen // BATCH)
    judge = fit(train.images[:seen], train.labels[:seen], steps).half().float()           # scored as it is stored
    unseen = ImageSet(train.images[seen:], train.labels[seen:], train.class_names, train.source)
    reference, real = score_real_images(judge, test, unseen)
    save_judge(judge, reference, real, (out or WEIGHTS) / "judge.safetensors")
    recipe = {"seed": SEED, "batch_size": BATCH, "steps": steps, "lr": LR, "weight_decay": WEIGHT_DECAY,
              "training_images": seen, "parameters": sum(p.numel() for p in judge.parameters()),
              "data": train.title}
    save_record("judge", {"recipe": recipe, "real_test_set": real}, folder=out or RECORDS)
    print(f"test accuracy {real['accuracy']:.4f}")


def fit(images: Tensor, labels: Tensor, steps: int) -> Judge:
    """Train a judge on uint8 images for `steps` steps and return its weight average."""
    generator = torch.Generator().manual_seed(SEED)
    with weights_from(SEED):
        judge = Judge().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), lr=LR, weight_decay=WEIGHT_DECAY)
    ema = EMA(judge, 0.998)
    order = torch.empty(0, dtype=torch.long)
    for step in tqdm(range(steps), desc="judge"):
        if len(order) < BATCH:
            order = torch.randperm(len(images), generator=generator)
        chosen, order = order[:BATCH], order[BATCH:]
        x = mirror(to_pixels(images[chosen]), generator)
        loss = F.cross_entropy(judge(x), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = LR * min((step + 1) / 200, 0.5 * (1 + math.cos(math.pi * step / steps)))
        optimizer.step()
        ema.update(judge, step)
    return ema.model


def mirror(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image of x (B, 1, 28, 28) with probability ½: a shoe that points left is a shoe to the judge."""
    chosen = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, x.flip(3), x)


def score_real_images(judge: Judge, test: ImageSet, unseen: ImageSet) -> tuple[FeatureStatistics, dict]:
    """Measure what real images score: the reference line for everything generated."""
    x = to_pixels(test.images)
    verdict = judge_images(judge, x)
    reference = FeatureStatistics.of(verdict.features)
    other = judge_images(judge, to_pixels(unseen.images)).features
    real = {
        "n": len(test), "accuracy": class_accuracy(verdict, test.labels), "total_variance": reference.total_variance,
        "diversity": diversity(verdict.features, test.labels), "saturation": saturation(x),
        "frechet_of_unseen": {str(n): frechet_distance(FeatureStatistics.of(other[:n]), reference)
                              for n in (200, 1000, 2000, 5000, 10_000) if n <= len(other)},
        "class_accuracy": [class_accuracy(judge_images(judge, x[test.labels == k]), test.labels[test.labels == k])
                           for k in range(len(test.class_names))]}
    return reference, real
