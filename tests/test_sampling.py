"""The reverse process: its times, frames and two exact weights. What it leaves: `test_sampling_state`."""

from unittest.mock import Mock

import pytest
import torch
from helpers import GaussianModel, seeded, tiny_unet
from torch import Tensor, nn

from ddpm_course import guidance, sampling
from ddpm_course.parameterization import VelocityModel, predict_pair
from ddpm_course.sampling import guided_eps, reverse_process, sample, sample_w, step_times
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import SOLVERS

SCHEDULE = NoiseSchedule.cosine()
NET = VelocityModel(tiny_unet(), SCHEDULE).eval()
C = torch.tensor([0, 3, 9])
each_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())


class AskedTwice(nn.Module):
    """The same network without `predict_pair`."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.model(x_t, t, c)


def noise(n: int = 3) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=seeded(5))


def draw(c: Tensor | None = C, w: float | Tensor = 0.0, model: nn.Module = NET, **options) -> Tensor:
    options = {"steps": 4, "generator": seeded(1), "clip": False} | options
    return sample(model, SCHEDULE, noise(), c, w, **options)


def test_step_times_fall_from_T_to_0_without_repeating():
    for T in (1, 2, 21, 50, 150):
        for steps in range(1, T + 1):
            times = step_times(T, steps)
            assert len(times) == steps + 1 and times[0] == T and times[-1] == 0
            gaps = [t - s for t, s in zip(times[:-1], times[1:])]
            assert min(gaps) >= 1 and max(gaps) - min(gaps) <= 2 and abs(max(gaps) - T / steps) < 1.01
    assert step_times(5) == step_times(5, 5) == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("steps", [0, -1, 151])
def test_impossible_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps"):
        step_times(150, steps)
    with pytest.raises(ValueError, match="steps"):
        draw(steps=steps)


@each_solver
def test_w_0_is_conditional_and_w_minus_1_unconditional_to_the_bit(solver):
    class Only(nn.Module):
        """Answers with one of the two predictions whatever it is asked, and forbids pairs."""

        def __init__(self, with_class: bool) -> None:
            super().__init__()
            self.with_class = with_class

        def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
            return NET(x_t, t, C if self.with_class else torch.full_like(C, 10))

    conditional, unconditional = draw(w=0.0, solver=solver), draw(w=-1.0, solver=solver)
    assert torch.equal(conditional, draw(c=None, model=Only(True), solver=solver))
    assert torch.equal(unconditional, draw(c=None, model=Only(False), solver=solver))
    assert torch.equal(unconditional, draw(c=None, solver=solver))
    assert not torch.allclose(conditional, unconditional, atol=1e-2)


@each_solver
@pytest.mark.parametrize("w", [0.0, -1.0])
def test_the_one_pass_shortcuts_do_not_jump(solver, w):
    at, far = draw(w=w, solver=solver), draw(w=w + 0.5, solver=solver)
    scale = (far - at).abs().max() / 0.5
    for near in (w - 1e-3, w + 1e-3):                            # neither a jump nor a flat spot beside it
        assert 1e-4 * scale < (draw(w=near, solver=solver) - at).abs().max() < 3e-3 * scale


def test_guidance_enters_with_the_right_sign_and_weight():
    t, x_t = torch.full((3,), 90), noise()
    with torch.no_grad():
        eps_c, eps_null = NET(x_t, t, C), NET(x_t, t, None)
    for w in (-0.5, 2.0, torch.tensor([-1.0, 0.0, 3.0])):
        weight = torch.as_tensor(w).reshape(-1, 1, 1, 1)
        expected = eps_null + (1 + weight) * (eps_c - eps_null)
        torch.testing.assert_close(guided_eps(NET, x_t, 90, C, w), expected, rtol=1e-4, atol=1e-4)


def test_one_w_per_image_equals_one_image_at_a_time():
    w = torch.tensor([-1.0, 0.0, 2.5])
    together = draw(w=w)
    for i in range(3):
        alone = sample(NET, SCHEDULE, noise()[i:i + 1], C[i:i + 1], float(w[i]), steps=4, clip=False)
        torch.testing.assert_close(together[i:i + 1], alone, rtol=1e-3, atol=1e-3)


def test_a_model_without_eps_pair_is_asked_twice_for_the_same_image():
    torch.testing.assert_close(draw(w=2.0), draw(w=2.0, model=AskedTwice(NET)), rtol=1e-3, atol=1e-3)
    t = torch.full((3,), 90)
    with torch.no_grad():
        bare = predict_pair(NET.network, noise(), t, C)              # a bare U-Net offers `predict_pair`
        torch.testing.assert_close(bare[0], NET.network(noise(), t, C), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(bare[1], NET.network(noise(), t), rtol=1e-4, atol=1e-4)


@each_solver
def test_the_process_goes_from_x_T_to_x_0_and_its_last_step_adds_no_noise(solver):
    process = reverse_process(NET, SCHEDULE, noise(), C, 1.0, solver=solver, steps=4, generator=seeded(1))
    frames = list(process)
    assert [t for t, _, _ in frames] == [150, 112, 75, 38, 0]
    assert torch.equal(frames[0][1], noise())
    t, x_t, x_0_hat = frames[-2]
    expected = SCHEDULE.predict_x_0(x_t, t, guided_eps(NET, x_t, t, C, 1.0)).clamp(-1, 1)
    torch.testing.assert_close(x_0_hat, expected)
    torch.testing.assert_close(frames[-1][1], x_0_hat)           # x_0 is the last estimate without noise
    assert torch.equal(frames[-1][1], draw(w=1.0, solver=solver, clip=True))
    assert all(x_0_hat.abs().max() <= 1 for _, _, x_0_hat in frames)
    assert draw(w=1.0, solver=solver).abs().max() > 1, "without clip the estimates may leave the pixel range"


def test_sample_w_asks_for_a_model_that_knows_its_schedule():
    with pytest.raises(TypeError, match="GaussianModel has none. For such a model call `sample`"):
        sample_w(GaussianModel(SCHEDULE, 0.0, 1.0), torch.tensor([1]), 0.0)


@pytest.mark.parametrize("w", [2.0, torch.tensor([0.0, 1.0, 2.0])])
def test_w_is_looked_at_once_in_a_whole_sampling(w, monkeypatch):
    looks = Mock(wraps=guidance.check_weight)
    for module in (guidance, sampling):
        monkeypatch.setattr(module, "check_weight", looks)
    sample(NET, SCHEDULE, noise(), C, w, steps=20)
    assert looks.call_count == 1


def test_sample_w_draws_garment_sized_images_from_the_same_noise_for_every_w():
    c, sizes = torch.tensor([1, 2]), []
    images = [sample_w(NET, c, w, steps=3, generator=seeded(3)) for w in (0.0, 0.0, 4.0)]
    hook = NET.network.register_forward_pre_hook(lambda _, arguments: sizes.append(arguments[0]))
    sample_w(NET, c, 0.0, steps=3, generator=seeded(3))
    hook.remove()
    assert images[0].shape == (2, 1, 28, 28) and all(image.abs().max() <= 1 for image in images)
    assert torch.equal(images[0], images[1]) and not torch.equal(images[0], images[2])
    assert torch.equal(sizes[0], torch.randn(2, 1, 28, 28, generator=seeded(3)))
    assert torch.equal(images[0], sample(NET, SCHEDULE, sizes[0], c, 0.0, steps=3))
