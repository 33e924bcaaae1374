"""Three classes in the plane, by lobes written down here, and the tilted density, by finite differences."""

import math

import pytest
import torch
from helpers import seeded
from torch import Tensor

from ddpm_course.guidance import guide
from ddpm_course.lessons.mixture import MIXTURE_NAMES, lesson_mixture, tilted_log_density
from ddpm_course.schedule import NoiseSchedule

MODEL = lesson_mixture(NoiseSchedule.cosine())
T = MODEL.schedule.T
POINTS = 1.5 * torch.randn(30, 2, generator=seeded(), dtype=torch.float64)


@pytest.mark.parametrize("t", [0, 75, T])
def test_the_null_density_is_the_mean_of_the_three_classes(t: int) -> None:
    mean = torch.stack([MODEL.log_prob(POINTS, t, c).exp() for c in range(3)]).mean(dim=0)
    torch.testing.assert_close(MODEL.log_prob(POINTS, t).exp(), mean)
    assert len(MODEL.conditional) == len(MIXTURE_NAMES) == 3


@pytest.mark.parametrize("blur", [0.0, 0.4])
def test_each_class_has_two_round_lobes_and_blur_adds_to_their_variance(blur: float) -> None:
    model = lesson_mixture(MODEL.schedule, blur=blur)
    blurred, sharp = (model.null, *model.conditional), (MODEL.null, *MODEL.conditional)
    assert [len(density.components) for density in blurred] == [6, 2, 2, 2]
    for density, other in zip(blurred, sharp, strict=True):
        for lobe, sharp_lobe in zip(density.components, other.components, strict=True):
            torch.testing.assert_close(lobe.covariance, (0.1 + blur) * torch.eye(2, dtype=torch.float64))
            assert torch.equal(lobe.mean, sharp_lobe.mean)


@pytest.mark.parametrize("blur", [0.0, 0.4])
def test_the_first_class_by_hand_is_two_round_bells_of_half_the_mass_each(blur: float) -> None:
    variance = 0.1 + blur
    first = lesson_mixture(MODEL.schedule, blur=blur).conditional[0]

    def bell(mean: tuple[float, float]) -> Tensor:
        square = (POINTS - torch.tensor(mean)).square().sum(dim=1)
        return (-square / (2 * variance)).exp() / (2 * math.pi * variance)

    expected = (bell((-0.9, -0.4)) + bell((1.0, 0.9))) / 2
    torch.testing.assert_close(first.log_prob(POINTS).exp(), expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("t", [0, 60])
def test_the_tilted_density_is_the_class_at_w_0_and_the_null_density_at_w_minus_1(t: int) -> None:
    for c in range(3):
        torch.testing.assert_close(tilted_log_density(MODEL, POINTS, c, 0.0, t), MODEL.log_prob(POINTS, t, c))
        torch.testing.assert_close(tilted_log_density(MODEL, POINTS, c, -1.0, t), MODEL.log_prob(POINTS, t))


@pytest.mark.parametrize("w", [-1.0, -0.5, 0.0, 2.5, 8.0])
@pytest.mark.parametrize("t", [1, 60, T])
def test_at_one_noise_level_the_guided_score_is_that_of_the_tilted_density(t: int, w: float) -> None:
    h, c = 1e-5, 1
    slopes = []
    for step in h * torch.eye(2, dtype=torch.float64):
        up, down = (tilted_log_density(MODEL, POINTS + side * step, c, w, t) for side in (1, -1))
        slopes.append((up - down) / (2 * h))
    times, labels = torch.full((len(POINTS),), t), torch.full((len(POINTS),), c)
    sigma_t = math.sqrt(1 - float(MODEL.schedule.alpha_bars[t]))
    guided = -guide(MODEL(POINTS, times, labels), MODEL(POINTS, times, None), w) / sigma_t
    torch.testing.assert_close(guided, torch.stack(slopes, dim=1), rtol=1e-5, atol=1e-5)
