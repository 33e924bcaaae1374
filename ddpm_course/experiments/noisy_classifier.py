"""Train the classifier of noisy images that classifier guidance needs.

Takes about 15 minutes of one core.

It classifies x_t at every t and serves classifier guidance only; the judge, trained on clean images, scores. Stopped at
any moment, the same command goes on where it was.
"""

from dataclasses import asdict
from pathlib import Path

import torch

from ddpm_course.checkpoints import WEIGHTS
from ddpm_course.data.images import load_fashion, make_loader, to_pixels
from ddpm_course.evaluation import wilson_interval
from ddpm_course.lessons.classifier import NoisyClassifier, classifier_loss, save_classifier
from ddpm_course.randomness import normal, weights_from
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime, runs_folder
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import Recipe, train

BATCH, N_TEST = 128, 2000
RECIPE = Recipe(steps=5000, lr=2e-3, warmup=200, weight_decay=0.05, ema_decay=0.998, p_uncond=0.0, seed=0)
LEVELS = (1, 15, 30, 45, 60, 75, 90, 105, 120, 135, 150)


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train (or go on training), then write `classifier.safetensors` and the record `noisy_classifier`."""
    recipe = Recipe(**asdict(RECIPE) | {"steps": 5}) if runtime.pace == "ci" else RECIPE
    data, test, schedule = load_fashion("train"), load_fashion("test"), NoiseSchedule.cosine()
    with weights_from(recipe.seed):
        model = NoisyClassifier()
    done = train(model, schedule, make_loader(data, BATCH, seed=recipe.seed), recipe, null=torch.tensor(10),
                 loss=classifier_loss, runtime=runtime, save_every=200,
                 run_file=runs_folder() / f"noisy_classifier_{data.kind}_{runtime.pace}.pt")
    classifier = done.ema.model.half().float().to("cpu")         # scored as it is stored
    save_classifier(classifier, (out or WEIGHTS) / "classifier.safetensors")
    n = 20 if runtime.pace == "ci" else N_TEST
    x_0, c = to_pixels(test.images[:n]), test.labels[:n]
    save_record("noisy_classifier", {
        "recipe": asdict(recipe) | {"batch_size": BATCH}, "parameters": sum(p.numel() for p in model.parameters()),
        "data": data.title, "n": n,
        "levels": [level(classifier, schedule, x_0, c, t) for t in LEVELS]}, folder=out or RECORDS)


@torch.no_grad()
def level(classifier: NoisyClassifier, schedule: NoiseSchedule, x_0: torch.Tensor, c: torch.Tensor, t: int) -> dict:
    """Return the share of the test images x_0 that are recognised under the noise of step t."""
    eps = normal(tuple(x_0.shape), generator=torch.Generator().manual_seed(t))
    logits = classifier(schedule.q_sample(x_0, t, eps), torch.full((len(c),), t))
    accuracy = (logits.argmax(dim=1) == c).double().mean().item()
    return {"t": t, "accuracy": accuracy, "interval": wilson_interval(accuracy, len(c))}
