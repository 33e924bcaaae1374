"""What sampling repeats, what it refuses, and what it leaves as it was: random numbers, modes, gradients."""

import pytest
import torch
from helpers import seeded, tiny_unet
from torch import Tensor, nn

from ddpm_course.parameterization import VelocityModel
from ddpm_course.sampling import reverse_process, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import DDIM, SOLVERS, Ancestral

SCHEDULE = NoiseSchedule.cosine()
NET = VelocityModel(tiny_unet(), SCHEDULE).eval()
C = torch.tensor([0, 3, 9])


def noise() -> Tensor:
    return torch.randn(3, 1, 8, 8, generator=seeded(5))


def draw(c: Tensor | None = C, w: float | Tensor = 0.0, model: nn.Module = NET, **options) -> Tensor:
    options = {"steps": 4, "generator": seeded(1)} | options
    return sample(model, SCHEDULE, noise(), c, w, **options)


@pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())
def test_equal_generators_draw_equal_images_and_the_global_one_rests(solver):
    before = torch.get_rng_state()
    assert torch.equal(draw(w=1.0, solver=solver), draw(w=1.0, solver=solver))
    assert torch.equal(torch.get_rng_state(), before)


def test_random_samplers_differ_between_generators_and_ddim_does_not():
    for random in (Ancestral(), Ancestral("beta"), DDIM(eta=1.0)):
        assert not torch.equal(draw(solver=random), draw(solver=random, generator=seeded(2)))
    assert torch.equal(draw(solver=DDIM()), draw(solver=DDIM(), generator=seeded(2)))


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_gradients_are_left_as_they_were(training):
    model = VelocityModel(tiny_unet(), SCHEDULE).train(training)
    seen = []

    def note(*_) -> None:
        seen.append((model.network.training, torch.is_grad_enabled()))

    model.network.register_forward_pre_hook(note)
    result = draw(model=model)
    assert seen == [(False, False)] * 4 and not result.requires_grad

    process = reverse_process(model, SCHEDULE, noise(), C, steps=4)
    next(process)                                                # a consumer that stops midway
    assert model.training == model.network.training == training and torch.is_grad_enabled()
    process.close()
    model.network.head.register_forward_hook(lambda *_: 1 / 0)   # a model that raises
    with pytest.raises(ZeroDivisionError):
        draw(model=model)
    assert model.training == model.network.training == training and torch.is_grad_enabled()
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_part_that_was_in_eval_mode_stays_in_it():
    model = VelocityModel(tiny_unet().eval(), SCHEDULE)          # a new wrapper is in train mode itself
    draw(model=model)
    assert model.training and not model.network.training


def test_wrong_input_is_refused():
    for w in (float("nan"), float("inf"), torch.zeros(2)):
        with pytest.raises(ValueError, match="w must be"):
            draw(w=w)
    for w in (2.0, -1.0, torch.tensor([0.0, 0.0, 1.0])):
        with pytest.raises(ValueError, match="needs a condition"):
            draw(c=None, w=w)
    with pytest.raises(ValueError, match="one condition per image"):
        draw(c=C[:2], model=lambda x_t, t, c: x_t)               # a model that would not notice
