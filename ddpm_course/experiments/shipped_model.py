"""Train the slider's model, and keep an early state of it.

Takes about 40 minutes of two cores.

Writes `fashion.safetensors` and, from early on the way, `fashion_early.safetensors`: the same network when it was
still bad, which autoguidance uses as its guide. Stopped at any moment, the same command goes on where it was. The
figures of the finished model come from the experiment `tradeoff`.
"""

from dataclasses import asdict
from pathlib import Path

import torch

from ddpm_course.checkpoints import WEIGHTS, save_checkpoint
from ddpm_course.data.images import load_fashion, make_loader
from ddpm_course.models import fashion_model
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime, runs_folder
from ddpm_course.training import Recipe, TrainingRun, train

BATCH = 64
RECIPE = Recipe(steps=10_000, lr=3e-3, warmup=500, ema_decay=0.9995, p_uncond=0.1, seed=0)


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Train (or go on training), then write both weight files and the record `shipped_model`."""
    recipe = Recipe(**asdict(RECIPE) | {"steps": 10}) if runtime.pace == "ci" else RECIPE
    data, folder = load_fashion("train"), out or WEIGHTS
    model = fashion_model(recipe.seed)
    early = 3 * recipe.steps // 20

    def keep_early(state: TrainingRun) -> None:
        if state.step == early:
            save_checkpoint(state.ema.model, folder / "fashion_early.safetensors")

    done = train(model, model.schedule, make_loader(data, BATCH, seed=recipe.seed), recipe,
                 null=model.network.embedder.null, runtime=runtime, save_every=200, on_step=keep_early,
                 run_file=runs_folder() / f"shipped_model_{data.kind}_{runtime.pace}.pt")
    save_checkpoint(done.ema.model, folder / "fashion.safetensors")
    losses = torch.tensor(done.losses).split(max(recipe.steps // 100, 1))
    save_record("shipped_model", {
        "recipe": asdict(recipe) | {"batch_size": BATCH, "schedule": "cosine", "T": model.schedule.T,
                                    "alpha_bar_T": float(model.schedule.alpha_bars[-1]), "predicts": "v",
                                    "channels": model.network.channels, "n_down": model.network.n_down,
                                    "n_up": model.network.n_up},
        "parameters": sum(p.numel() for p in model.parameters()), "early_step": early,
        "data": data.title,
        "epochs": recipe.steps * BATCH / len(data),
        "loss": [round(part.mean().item(), 5) for part in losses]}, folder=out or RECORDS)
