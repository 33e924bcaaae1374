"""The experiments about the prediction with a class and the one without: two_losses, two_passes."""

import pytest
from little_world import LittleWorld

from ddpm_course.experiments import two_losses, two_passes


def test_the_differences_of_the_losses_are_paired(world: LittleWorld) -> None:
    record = world.made("two_losses").record
    assert (record["n"], record["data"]) == (20, "drawn")
    assert [level["t"] for level in record["levels"]] == list(two_losses.LEVELS)
    for level in record["levels"]:
        for name in ("null", "wrong class"):
            difference = level[name]["mean"] - level["class"]["mean"]
            assert level[f"{name} - class"]["mean"] == pytest.approx(difference, abs=1e-9)


def test_the_judge_sorts_every_image_that_was_drawn_without_a_class(world: LittleWorld) -> None:
    drawn = world.made("two_losses").record["drawn_without_class"]
    assert len(drawn["counts"]) == 10 and sum(drawn["counts"]) == drawn["n"] == 20


def test_the_ways_to_predict_twice_are_timed_at_each_batch_size(world: LittleWorld) -> None:
    rows = world.made("two_passes").record["rows"]
    assert [row["n"] for row in rows] == list(two_passes.SIZES[:2])
    assert all(row["doubled"] > 0 and row["shared_encoder"] > 0 for row in rows)
