"""The experiment `mixture_lab`: every method at every strength and at two blurs, beside the truth."""

import pytest
from little_world import LittleWorld

from ddpm_course.experiments import mixture_lab
from ddpm_course.schedule import NoiseSchedule


def test_every_method_is_measured_at_every_strength_and_at_two_blurs(world: LittleWorld) -> None:
    record = world.made("mixture_lab").record
    assert (record["n"], record["seeds"], record["solver"]) == (100, 2, "DDIM")
    expected = [(blur, method, strength) for blur in (0.0, mixture_lab.BLUR)
                for method, strengths in mixture_lab.methods(NoiseSchedule.cosine(), blur).items()
                for strength in strengths]
    assert [(row["blur"], row["method"], row["strength"]) for row in record["rows"]] == expected


def test_every_figure_has_an_interval_and_shares_lie_between_0_and_1(world: LittleWorld) -> None:
    for row in world.made("mixture_lab").record["rows"]:
        for figure in ("energy_distance", "outliers", "class_probability"):
            assert set(row[figure]) == {"mean", "half_width"} and row[figure]["half_width"] >= 0
        assert 0 <= row["outliers"]["mean"] <= 1 and 0 <= row["class_probability"]["mean"] <= 1


def test_at_strength_0_all_methods_are_the_same_model(world: LittleWorld) -> None:
    rows = world.made("mixture_lab").record["rows"]
    at_0 = [row | {"method": ""} for row in rows if row["strength"] == 0 and row["blur"] == 0]
    assert len(at_0) == 4 and all(row == at_0[0] for row in at_0)


def test_the_interval_of_two_values_is_students() -> None:
    one_freedom = 12.706                                         # times the standard error, which is 1
    assert mixture_lab.interval([1.0, 3.0]) == pytest.approx({"mean": 2.0, "half_width": one_freedom})
