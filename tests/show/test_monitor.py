"""The training monitor: one picture, redrawn in place at the right steps; the training is left alone."""

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest
import torch
from helpers import RECIPE, train_stripes
from viewing import size_of

from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.monitor import TrainingMonitor
from ddpm_course.training import TrainingRun

LABELS = torch.arange(10) % 2


def test_the_monitor_redraws_in_place_every_few_steps_and_at_the_end(capsys: pytest.CaptureFixture) -> None:
    monitor = TrainingMonitor(NoiseSchedule.cosine(), LABELS, every=8, steps=2)
    parts, seen = (monitor.children, monitor.image, monitor.caption), {}

    def watch(run: TrainingRun) -> None:
        before = monitor.image.value, monitor.caption.value
        monitor.update(run)
        assert run.model.training and not run.ema.model.training
        if (monitor.image.value, monitor.caption.value) != before:
            seen[run.step] = size_of(monitor.image.value), monitor.caption.value

    run = train_stripes(on_step=watch)
    assert list(seen) == [8, 16, 20] and len({size for size, _ in seen.values()}) == 1
    assert all(f"step {step} of 20" in caption for step, (_, caption) in seen.items())
    assert f"loss {sum(run.losses[-20:]) / 20:.4f}" in monitor.caption.value
    assert (monitor.children, monitor.image, monitor.caption) == parts
    assert capsys.readouterr() == ("", "") and not plt.get_fignums()


def test_watching_a_training_does_not_change_it() -> None:
    recipe = replace(RECIPE, steps=4)
    monitor = TrainingMonitor(NoiseSchedule.cosine(), LABELS, every=2, steps=2)
    watched, alone = train_stripes(recipe, on_step=monitor.update), train_stripes(recipe)
    assert watched.losses == alone.losses
