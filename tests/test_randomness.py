"""Draws repeat with their generator, leave the global one alone, and include the ends that they promise."""

import pytest
import torch
from helpers import seeded

from ddpm_course.randomness import integers, normal, uniform, weights_from

DRAWS = {"normal": lambda **options: normal((5, 3), **options),
         "uniform": lambda **options: uniform((5, 3), **options),
         "integers": lambda **options: integers(1, 1000, (5, 3), **options)}
each_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


@each_draw
def test_equal_generators_give_equal_draws_and_a_generator_moves_on(draw):
    generator = seeded(3)
    first, second = draw(generator=generator), draw(generator=generator)
    assert torch.equal(first, draw(generator=seeded(3)))
    assert not torch.equal(first, second)


@each_draw
def test_a_generator_leaves_the_global_one_untouched(draw):
    before = torch.get_rng_state()
    draw(generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)


@each_draw
def test_without_a_generator_the_global_one_is_used(draw):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        first = draw()
        torch.manual_seed(7)
        assert torch.equal(first, draw())


@each_draw
def test_numbers_are_drawn_at_home_and_then_moved(draw):
    generator = seeded(1)
    moved = draw(generator=generator, device="meta")             # "meta" tensors have a shape and no values
    here = draw(generator=seeded(1))
    assert moved.device.type == "meta" and moved.shape == (5, 3)
    twice = seeded(1)
    draw(generator=twice)
    assert here.device.type == "cpu" and torch.equal(generator.get_state(), twice.get_state())


def test_normal_has_mean_0_variance_1_and_normal_tails():
    x = normal((200_000,), generator=seeded())
    assert x.dtype == torch.float32
    assert abs(x.mean()) < 0.01 and abs(x.var() - 1) < 0.02
    assert abs((x.abs() < 1).double().mean() - 0.6827) < 0.005
    assert abs((x.abs() > 2).double().mean() - 0.0455) < 0.003


def test_uniform_fills_0_to_1_without_reaching_1():
    x = uniform((200_000,), generator=seeded())
    assert x.dtype == torch.float32 and x.min() >= 0 and x.max() < 1
    assert abs(x.mean() - 0.5) < 0.004 and abs(x.var() - 1 / 12) < 0.002


def test_integers_include_both_ends_equally_often():
    x = integers(1, 4, (40_000,), generator=seeded())
    values, counts = x.unique(return_counts=True)
    assert x.dtype == torch.int64 and values.tolist() == [1, 2, 3, 4]
    assert (counts - 10_000).abs().max() < 4 * (40_000 * 0.25 * 0.75) ** 0.5


def test_weights_come_from_the_seed_and_the_callers_numbers_stay():
    before = torch.get_rng_state()
    with weights_from(3):
        one = torch.nn.Linear(4, 4)
    with weights_from(3):
        again = torch.nn.Linear(4, 4)
    with weights_from(4):
        other = torch.nn.Linear(4, 4)
    assert torch.equal(one.weight, again.weight) and not torch.equal(one.weight, other.weight)
    assert torch.equal(torch.get_rng_state(), before)
