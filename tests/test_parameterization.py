"""ε, x_0 and v name one prediction: conversions, guidance across them, the weight between their losses."""

import pytest
import torch
from helpers import seeded, tiny_unet
from torch import Tensor, nn

from ddpm_course.guidance import guide
from ddpm_course.parameterization import VelocityModel, ddpm_loss, eps_from_velocity, velocity, velocity_loss
from ddpm_course.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.cosine()
TIMES = torch.tensor([1, 2, 60, 110, 150])


def images(seed: int) -> Tensor:
    return torch.randn(5, 1, 4, 4, generator=seeded(seed), dtype=torch.float64)


class Fixed(nn.Module):
    """A network whose output is fixed beforehand and which notes what it was asked."""

    def __init__(self, output: Tensor) -> None:
        super().__init__()
        self.output, self.asked = output, None

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        self.asked = (x_t, t, c)
        return self.output


@pytest.mark.parametrize("t", [1, 60, 110, 150])
def test_v_is_the_speed_along_the_circle_from_image_to_noise(t):
    """With √ᾱ = cos φ, x_φ = cos φ x_0 + sin φ ε has the derivative v: checked by a finite difference."""
    x_0, eps = images(0), images(1)
    phi, d = torch.arccos(SCHEDULE.alpha_bars[t].sqrt()), 1e-5

    def x(angle: Tensor) -> Tensor:
        return torch.cos(angle) * x_0 + torch.sin(angle) * eps

    slope = (x(phi + d) - x(phi - d)) / (2 * d)
    torch.testing.assert_close(velocity(SCHEDULE, x_0, t, eps), slope, rtol=0, atol=1e-8)


def test_eps_comes_back_from_v():
    x_0, eps = images(0), images(1)
    x_t = SCHEDULE.q_sample(x_0, TIMES, eps)
    v = velocity(SCHEDULE, x_0, TIMES, eps)
    torch.testing.assert_close(eps_from_velocity(SCHEDULE, x_t, TIMES, v), eps, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("w", [-1.0, -0.3, 0.0, 2.0, 7.5])
def test_guiding_v_and_guiding_eps_are_the_same(w):
    x_t, v_c, v_null = images(0), images(1), images(2)
    v_then_convert = eps_from_velocity(SCHEDULE, x_t, TIMES, guide(v_c, v_null, w))
    convert_then_guide = guide(*(eps_from_velocity(SCHEDULE, x_t, TIMES, v) for v in (v_c, v_null)), w)
    torch.testing.assert_close(v_then_convert, convert_then_guide, rtol=1e-10, atol=1e-10)


def test_the_velocity_loss_is_the_eps_loss_over_alpha_bar_for_each_sample():
    x_0, eps, v_hat = images(0), images(1), images(2)
    for i, t in enumerate(TIMES):
        one = slice(i, i + 1)
        model = VelocityModel(Fixed(v_hat[one]), SCHEDULE)
        arguments = (SCHEDULE, x_0[one], t[None], eps[one])
        ratio = velocity_loss(model, *arguments) / ddpm_loss(model, *arguments)
        assert float(ratio) == pytest.approx(1 / float(SCHEDULE.alpha_bars[t]), rel=1e-8)


def test_the_losses_are_means_over_images_and_pixels():
    x_0, eps = images(0), images(1)
    off = torch.zeros_like(eps)
    off[0, 0, 0, 0] = 3.0                                        # one wrong pixel of 5 × 16: 3²/80
    assert float(ddpm_loss(Fixed(eps + off), SCHEDULE, x_0, TIMES, eps)) == pytest.approx(9 / 80)
    model = VelocityModel(Fixed(velocity(SCHEDULE, x_0, TIMES, eps) + off), SCHEDULE)
    assert float(velocity_loss(model, SCHEDULE, x_0, TIMES, eps)) == pytest.approx(9 / 80)


def test_the_network_is_shown_the_noisy_image_its_time_and_its_condition():
    x_0, eps, c = images(0), images(1), torch.arange(5)
    alpha_bar = SCHEDULE.alpha_bars[TIMES].reshape(5, 1, 1, 1)
    expected = alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * eps
    network = Fixed(images(2))
    for loss, model in ((ddpm_loss, network), (velocity_loss, VelocityModel(network, SCHEDULE))):
        loss(model, SCHEDULE, x_0, TIMES, eps, c)
        x_t, t, shown = network.asked
        torch.testing.assert_close(x_t, expected)
        assert torch.equal(t, TIMES) and torch.equal(shown, c)


def test_a_velocity_model_answers_in_eps_alone_and_in_pairs():
    net = tiny_unet()
    model, x_t, c = VelocityModel(net, SCHEDULE), images(0).float(), torch.arange(5)
    alpha_bar = SCHEDULE.alpha_bars[TIMES].float().reshape(5, 1, 1, 1)
    with torch.no_grad():
        v = net(x_t, TIMES, c)
        expected = (1 - alpha_bar).sqrt() * x_t + alpha_bar.sqrt() * v
        eps_c, eps_null = model.predict_pair(x_t, TIMES, c)
        torch.testing.assert_close(model(x_t, TIMES, c), expected)
        torch.testing.assert_close(model.velocity(x_t, TIMES, c), v)
        torch.testing.assert_close(eps_c, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(eps_null, model(x_t, TIMES), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(eps_c, eps_null, atol=1e-3)


def test_a_velocity_model_around_any_network_of_that_signature_gives_pairs():
    model = VelocityModel(Fixed(images(1)), SCHEDULE)
    eps_c, eps_null = model.predict_pair(images(0), TIMES, torch.arange(5))
    assert torch.equal(eps_c, model(images(0), TIMES)) and torch.equal(eps_null, eps_c)
