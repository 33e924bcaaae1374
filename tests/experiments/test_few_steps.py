"""The experiment `few_steps`: every solver with every number of steps."""

from little_world import LittleWorld

from ddpm_course.experiments import few_steps


def test_every_solver_and_number_of_steps_is_an_arm_with_an_interval(world: LittleWorld) -> None:
    arms = world.made("few_steps").record["arms"]
    expected = [(solver, steps) for solver in ("ddim", "dpm") for steps in few_steps.STEPS[:2]]
    assert [(arm["solver"], arm["steps"]) for arm in arms] == expected
    for arm in arms:
        low, high = arm["intervals"]["frechet_percent"]
        assert arm["n"] == 40 and low <= arm["frechet_percent"] <= high
