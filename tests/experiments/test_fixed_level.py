"""The experiment `fixed_level`: one noise level, with and without skip connections, and from pure noise."""

import pytest
from little_world import LittleWorld

from ddpm_course.experiments import fixed_level
from ddpm_course.lessons.denoising import LEVEL


def test_every_arm_is_measured_at_its_own_level(world: LittleWorld) -> None:
    record = world.made("fixed_level").record
    assert (record["n"], record["data"]) == (40, "drawn")
    assert [(row["level"], row["skips"], row["seed"]) for row in record["rows"]] == list(fixed_level.ARMS)
    assert all(row["mse"] > 0 and row["half_width"] > 0 for row in record["rows"])


def test_the_arms_of_the_lessons_level_are_measured_at_other_levels_too(world: LittleWorld) -> None:
    for row in world.made("fixed_level").record["rows"]:
        expected = [f"{level:g}" for level in fixed_level.OTHER_LEVELS] if row["level"] == LEVEL else []
        assert list(row.get("other_levels", {})) == expected


def test_the_arms_with_skips_are_fed_with_noise(world: LittleWorld) -> None:
    rows = world.made("fixed_level").record["rows"]
    for row in rows:
        assert ("from_noise" in row) == (row["level"] == LEVEL and row["skips"])
    plain, fresh = (rows[0]["from_noise"][name] for name in ("as they are", "with fresh noise"))
    assert plain["1"] == fresh["1"], "the first answers are fed back only after this"
    assert plain["2"] != fresh["2"]
    assert sum(plain["1"]["classes"]) == 20


def test_the_alternatives_without_a_network_have_the_errors_that_algebra_says(world: LittleWorld) -> None:
    record = world.made("fixed_level").record
    alternatives = {name: figures["mse"] for name, figures in record["alternatives"].items()}
    square = record["pixels"]["square"]
    assert alternatives["doing nothing"] == pytest.approx((1 - 0.5**0.5) ** 2 * square + 0.5, rel=0.05)
    assert alternatives["dividing by √(1 - b)"] == pytest.approx(1, rel=0.05)
