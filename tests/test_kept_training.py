"""A training stopped at any step goes on to the same bits; files that are not its own are refused."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
from helpers import RECIPE, assert_same_bits, train_stripes

from ddpm_course.kept_training import load_run, save_run
from ddpm_course.training import Recipe, TrainingRun


def stop_after(step: int) -> Callable[[TrainingRun], None]:
    def on_step(run: TrainingRun) -> None:
        if run.step == step:
            raise KeyboardInterrupt
    return on_step


@pytest.mark.parametrize("stop, save_every", [(7, 7), (10, 4), (3, 100), (20, 7)])
def test_a_training_stopped_and_resumed_gives_the_same_bits(tmp_path, stop, save_every):
    file = tmp_path / "runs" / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train_stripes(run_file=file, save_every=save_every, on_step=stop_after(stop))
    taken: list[int] = []
    resumed = train_stripes(run_file=file, save_every=save_every, on_step=lambda run: taken.append(run.step))
    saved = 20 if stop == 20 else stop // save_every * save_every
    assert taken == list(range(saved + 1, 21))
    assert_same_bits(resumed, train_stripes())
    finished = train_stripes(run_file=file, on_step=lambda run: pytest.fail("no step was left to do"))
    assert_same_bits(finished, resumed)


def test_a_file_of_another_recipe_is_refused_with_the_difference(tmp_path):
    train_stripes(run_file=tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"another recipe.*'lr': \(0.003, 0.004\)"):
        train_stripes(Recipe(**vars(RECIPE) | {"lr": 0.004}), run_file=tmp_path / "run.pt")


def test_a_damaged_file_is_refused_and_left_where_it_is(tmp_path):
    file = tmp_path / "run.pt"
    train_stripes(run_file=file)
    whole = file.read_bytes()
    for damaged in (whole[:len(whole) // 2], b"", b"no training run", whole[:200] + whole[400:]):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="not a readable training run"):
            train_stripes(run_file=file)
        assert file.read_bytes() == damaged


def test_a_failing_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    file, run = tmp_path / "run.pt", train_stripes()
    save_run(run, file)
    whole = file.read_bytes()

    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError("no space left on device")))
    with pytest.raises(OSError, match="no space"):
        save_run(run, file)
    assert file.read_bytes() == whole
    fresh = copy.deepcopy(run)
    load_run(fresh, Path(file))
    assert_same_bits(fresh, run)
