"""The experiment `tradeoff`: a point for each w, with intervals."""

from little_world import LittleWorld

from ddpm_course.checkpoints import load_judge

FIGURES = {"accuracy", "frechet", "frechet_percent", "diversity", "saturation"}


def test_each_w_is_a_point_and_its_intervals_hold_its_figures(world: LittleWorld) -> None:
    record = world.made("tradeoff").record
    assert [point["w"] for point in record["points"]] == [0.0, 2.0]
    for point in record["points"]:
        assert point["n"] == 40                                  # two rows of 20
        assert point["intervals"].keys() == FIGURES
        for figure, (low, high) in point["intervals"].items():
            assert low <= point[figure] <= high
    assert record["real_test_set"] == load_judge().real
