"""The experiments that change one thing at a time: ablation, p_uncond, null_condition, terminal_signal."""

import pytest
from little_world import LittleWorld

from ddpm_course.experiments import ablation, null_condition, p_uncond, terminal_signal


def test_the_ablation_judges_both_sets_of_weights_of_every_arm(world: LittleWorld) -> None:
    record = world.made("ablation").record
    assert record["data"] == "drawn"
    assert [row["arm"] for row in record["rows"]] == list(ablation.ARMS)
    for row in record["rows"]:
        assert row["with EMA"] != row["without EMA"]
        for weights in ("with EMA", "without EMA"):
            assert row[weights]["frechet_percent"] > 0 and row[weights]["variance"] >= 0
            assert 0 <= row[weights]["confidence"] <= 1


def test_no_two_arms_of_the_ablation_are_the_same() -> None:
    assert len({tuple(vars(arm).items()) for arm in ablation.ARMS.values()}) == len(ablation.ARMS)


def test_p_uncond_judges_each_arm_at_every_w(world: LittleWorld) -> None:
    record = world.made("p_uncond").record
    assert record["data"] == "drawn"
    assert [row["p_uncond"] for row in record["rows"]] == list(p_uncond.ARMS[:2])
    for row in record["rows"]:
        assert list(row["w"]) == ["-1", "0", "2"]
        for at_w in row["w"].values():
            assert 0 <= at_w["accuracy"] <= 1 and at_w["frechet_percent"] > 0


def test_the_null_condition_judges_each_way_on_all_classes_and_on_t_shirts(world: LittleWorld) -> None:
    record = world.made("null_condition").record
    assert record["data"] == "drawn"
    assert [row["way"] for row in record["rows"]] == list(null_condition.WAYS)
    for row in record["rows"]:
        assert list(row["w"]) == ["0", "2"]
        for at_w in row["w"].values():
            assert 0 <= at_w["accuracy"] <= 1 and 0 <= at_w["t_shirt_accuracy"] <= 1


def test_the_terminal_signal_has_an_arm_for_each_end_of_the_schedule(world: LittleWorld) -> None:
    record = world.made("terminal_signal").record
    assert [row["schedule"] for row in record["rows"]] == list(terminal_signal.SCHEDULES)
    not_stretched, stretched, cut_off, steep = (row["alpha_bar_T"] for row in record["rows"])
    assert not_stretched == pytest.approx(0.219, abs=1e-3)
    assert 1e-5 < stretched < 1e-4 and cut_off == pytest.approx(1e-4, rel=0.01) and steep < 1e-6
    assert all(row["frechet_percent"] > 0 and row["brightness_spread"] > 0 for row in record["rows"])
    assert record["real_brightness_spread"] > 0
