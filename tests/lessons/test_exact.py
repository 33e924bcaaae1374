"""Exact densities: scores by finite differences, Bayes' rule, and what guided samplers really return."""

import math

import pytest
import torch
from helpers import GaussianModel, ancestral, ddim, exact_moments, guided_denoiser, seeded

from ddpm_course.lessons.exact import ExactModel, Gaussian, GaussianMixture
from ddpm_course.sampling import guided_eps, sample, step_times
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import DDIM, Ancestral

COVARIANCE = torch.tensor([[1.0, 0.6], [0.6, 2.0]], dtype=torch.float64)
MIXTURE = GaussianMixture([0.2, 0.5, 0.3], [Gaussian([3.0, 0.0], 0.5), Gaussian([-2.0, 1.0], COVARIANCE),
                                            Gaussian([0.0, -3.0], 0.1)])
NULL, GIVEN = (0.0, 2.0), (0.0, 1.0)                             # N(0, 2) and N(0, 1): mean, variance


def gradient_by_differences(function, x: torch.Tensor, h: float = 1e-5) -> torch.Tensor:
    steps = h * torch.eye(x.shape[1], dtype=x.dtype)
    return torch.stack([(function(x + e) - function(x - e)) / (2 * h) for e in steps], dim=1)


@pytest.mark.parametrize("density", [MIXTURE, MIXTURE.components[1], MIXTURE.noised(0.3)])
def test_the_score_is_the_gradient_of_the_log_density(density) -> None:
    x = 2 * torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
    gradient = gradient_by_differences(density.log_prob, x)
    torch.testing.assert_close(density.score(x), gradient, rtol=1e-6, atol=1e-6)


def test_the_density_is_the_textbooks() -> None:
    mean = torch.tensor([-2.0, 1.0], dtype=torch.float64)
    reference = torch.distributions.MultivariateNormal(mean, COVARIANCE)
    x = torch.randn(50, 2, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(MIXTURE.components[1].log_prob(x), reference.log_prob(x))


def test_noised_densities_are_those_of_noised_samples() -> None:
    alpha_bar, n = 0.4, 200_000
    x_0 = MIXTURE.sample(n, generator=seeded(1))
    eps = torch.randn(n, 2, generator=seeded(2), dtype=torch.float64)
    x_t = math.sqrt(alpha_bar) * x_0 + math.sqrt(1 - alpha_bar) * eps
    direct = MIXTURE.noised(alpha_bar).sample(n, generator=seeded(3))
    torch.testing.assert_close(x_t.mean(0), direct.mean(0), rtol=0, atol=0.02)
    torch.testing.assert_close(torch.cov(x_t.T), torch.cov(direct.T), rtol=0, atol=0.04)


def test_eps_is_the_mean_of_the_noise_given_the_noised_point() -> None:
    schedule, t = NoiseSchedule.cosine(), 60
    model = ExactModel.labelled(schedule, MIXTURE)
    alpha_bar = float(schedule.alpha_bars[t])
    x_t = torch.tensor([[0.5, -0.5]], dtype=torch.float64)
    log_shares, means = [], []                                   # log p(k, x_t), E[x_0 | x_t, k] for each k
    for k, part in enumerate(MIXTURE.components):
        total = alpha_bar * part.covariance + (1 - alpha_bar) * torch.eye(2, dtype=torch.float64)
        gain = math.sqrt(alpha_bar) * part.covariance @ torch.linalg.inv(total)
        residual = x_t[0] - math.sqrt(alpha_bar) * part.mean
        log_n = -0.5 * residual @ torch.linalg.inv(total) @ residual - 0.5 * torch.logdet(total)
        log_shares.append(math.log(float(MIXTURE.weights[k])) + log_n)
        means.append(part.mean + gain @ residual)                # by Gaussian regression
    mean = torch.stack(log_shares).softmax(0) @ torch.stack(means)
    expected = (x_t[0] - math.sqrt(alpha_bar) * mean) / math.sqrt(1 - alpha_bar)
    torch.testing.assert_close(model.eps(x_t, t)[0], expected)


def test_the_null_prediction_is_the_posterior_weighted_mean_of_the_conditional_ones() -> None:
    model, x_t = ExactModel.labelled(NoiseSchedule.cosine(), MIXTURE), torch.randn(9, 2, generator=seeded())
    shares = MIXTURE.noised(float(model.schedule.alpha_bars[40])).posterior(x_t)          # p(c | x_t)
    mean = sum(shares[:, [c]] * model.eps(x_t, 40, c) for c in range(3))
    torch.testing.assert_close(model.eps(x_t, 40), mean)


def test_the_pair_gives_the_gradient_of_the_class_posterior_with_a_minus_sign() -> None:
    model, t = ExactModel.labelled(NoiseSchedule.cosine(), MIXTURE), 50
    x_t = torch.randn(7, 2, generator=seeded(), dtype=torch.float64)
    density, sigma = model.density(t), math.sqrt(1 - float(model.schedule.alpha_bars[t]))
    exact = gradient_by_differences(lambda x: density.posterior(x)[:, 1].log(), x_t)
    eps_c, eps_null = model.eps(x_t, t, 1), model.eps(x_t, t)
    torch.testing.assert_close(-(eps_c - eps_null) / sigma, exact, rtol=1e-5, atol=1e-6)


def test_it_answers_like_a_network_each_sample_at_its_own_t_and_class() -> None:
    model = ExactModel.labelled(NoiseSchedule.cosine(), MIXTURE)
    x_t = torch.randn(4, 2, generator=seeded())
    t, c = torch.tensor([1, 150, 1, 70]), torch.tensor([0, 1, 2, 1])
    together = model(x_t, t, c)
    alone = torch.cat([model(x_t[k:k + 1], t[k:k + 1], c[k:k + 1]) for k in range(4)])
    assert together.dtype == torch.float32 and torch.equal(together, alone)


@pytest.mark.parametrize("w", [-1.0, 0.0, 2.0])
def test_guided_samples_follow_the_exact_recursion_of_variances(w: float) -> None:
    schedule, steps = NoiseSchedule.linear(), 20
    model = ExactModel(schedule, Gaussian([0.0], NULL[1]), [Gaussian([0.0], GIVEN[1])])
    x_T, c = torch.tensor([[1.0]], dtype=torch.float64), torch.tensor([0])
    slope = sample(model, schedule, x_T, c, w, solver=DDIM(), steps=steps, clip=False).item()
    _, variance = exact_moments(schedule.alpha_bars.numpy(), step_times(schedule.T, steps),
                                lambda ab: guided_denoiser(ab, w, GIVEN, NULL),
                                lambda ab_t, ab_s: ddim(ab_t, ab_s, eta=0.0))
    assert slope**2 == pytest.approx(variance, rel=1e-9)


def test_tilting_guided_ddim_and_guided_ddpm_are_three_different_densities() -> None:
    """In the continuous limit at w = 2, γ = 3 the variances are 2/(γ+1), 2^(1-γ), (2 - 2^(2-2γ))/(2γ - 1)."""
    schedule, w, gamma = NoiseSchedule.linear(T=1000), 2.0, 3.0
    alpha_bars, times = schedule.alpha_bars.numpy(), step_times(1000)

    def denoise(alpha_bar: float) -> tuple[float, float]:
        return guided_denoiser(alpha_bar, w, GIVEN, NULL)

    _, by_ddim = exact_moments(alpha_bars, times, denoise, lambda ab_t, ab_s: ddim(ab_t, ab_s, eta=0.0))
    _, by_ddpm = exact_moments(alpha_bars, times, denoise,
                               lambda ab_t, ab_s: ancestral(ab_t, ab_s, variance="posterior"))
    assert by_ddim == pytest.approx(2 ** (1 - gamma), rel=0.03)
    assert by_ddpm == pytest.approx((2 - 2 ** (2 - 2 * gamma)) / (2 * gamma - 1), rel=0.03)
    model = ExactModel(schedule, Gaussian([0.0], NULL[1]), [Gaussian([0.0], GIVEN[1])])
    x_T, c = torch.randn(4000, 1, generator=seeded()).double(), torch.zeros(4000, dtype=torch.long)
    x_0 = sample(model, schedule, x_T, c, w, solver=Ancestral(), steps=100, clip=False, generator=seeded(1))
    assert abs(x_0.var().item() - 2 / (gamma + 1)) > 0.05        # not the tilted density


def test_the_package_and_the_tests_own_exact_model_agree() -> None:
    schedule = NoiseSchedule.cosine()
    ours = ExactModel(schedule, Gaussian([0.0], 2.0), [Gaussian([0.7], 0.3)])
    x_t, c = torch.randn(11, 1, generator=seeded(), dtype=torch.float64), torch.zeros(11, dtype=torch.long)
    theirs = GaussianModel(schedule, 0.7, 0.3)
    for t in (1, 75, 150):
        torch.testing.assert_close(guided_eps(ours, x_t, t, c, 1.5), guided_eps(theirs, x_t, t, c, 1.5))


def test_bad_densities_are_refused() -> None:
    with pytest.raises(ValueError, match="positive definite"):
        Gaussian([0.0, 0.0], torch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(ValueError, match="sum to one"):
        GaussianMixture([0.5, 0.6], [Gaussian([0.0], 1.0), Gaussian([1.0], 1.0)])
