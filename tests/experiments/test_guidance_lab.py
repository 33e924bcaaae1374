"""The experiment `guidance_lab`: arms of every kind, each summed up from rows of its own."""

import statistics
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from little_world import LittleWorld

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.experiments import guidance_lab
from ddpm_course.lessons.classifier import load_classifier

FIGURES = {"accuracy", "frechet", "frechet_percent", "diversity", "saturation"}


def test_every_kind_of_arm_is_there(world: LittleWorld) -> None:
    methods = {arm["method"] for arm in world.made("guidance_lab").record["arms"]}
    assert methods >= {"classifier-free", "limited interval", "rescaled, φ = 0.7", "autoguidance"}
    assert methods >= {"classifier", "classifier-free, DDIM", "CFG++, DDIM"}


def test_an_arm_is_summed_up_with_intervals_and_by_class(world: LittleWorld) -> None:
    for arm in world.made("guidance_lab").record["arms"]:
        assert arm["n"] == 40 and len(arm["class_accuracy"]) == 10                       # two rows of 20
        assert arm["accuracy"] == pytest.approx(statistics.mean(arm["class_accuracy"]))
        assert arm["intervals"].keys() == FIGURES
        for figure, (low, high) in arm["intervals"].items():
            assert low <= arm[figure] <= high


def test_no_two_arms_have_the_same_figures(world: LittleWorld) -> None:
    arms = world.made("guidance_lab").record["arms"]
    assert len({(arm["frechet"], arm["diversity"]) for arm in arms}) == len(arms)


def test_the_accuracy_of_a_class_is_counted_over_all_rows(world: LittleWorld) -> None:
    made = world.made("guidance_lab")
    rows = [torch.load(path) for path in made.kept if path.name.startswith("classifier-free_0_t")]
    hits = torch.cat([row["probabilities"].argmax(dim=1) == row["labels"] for row in rows]).reshape(4, 10)
    first = made.record["arms"][0]
    assert (first["method"], first["strength"]) == ("classifier-free", 0.0)
    assert first["class_accuracy"] == hits.double().mean(dim=0).tolist()


def test_the_record_says_the_interval_and_what_real_images_score(world: LittleWorld) -> None:
    record = world.made("guidance_lab").record
    assert record["interval"] == list(guidance_lab.INTERVAL) and record["real_test_set"] == load_judge().real


def test_called_again_it_draws_nothing_unless_the_runs_folder_is_empty(
        world: LittleWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.made("guidance_lab")
    assert len(first.kept) == 2 * len(first.record["arms"])                              # a row a seed
    untouchable, arms = Mock(side_effect=AssertionError("an image was drawn")), guidance_lab.arms
    monkeypatch.setattr(guidance_lab, "arms",
                        lambda *parts: [replace(arm, draw=untouchable) for arm in arms(*parts)])
    assert world.run("guidance_lab", out="again").figures == first.figures
    with pytest.raises(AssertionError, match="an image was drawn"):
        LittleWorld(tmp_path).run("guidance_lab", out="first")


def test_no_two_arms_share_a_row() -> None:
    model = load_checkpoint("fashion")
    arms = guidance_lab.arms(model, model, load_classifier())
    named = {(arm.method, f"{arm.strength:g}") for arm in arms}                          # as a row's file is
    assert len(named) == len(arms) > 25
    assert not any("/" in arm.method for arm in arms)
