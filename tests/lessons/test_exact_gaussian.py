"""Whole samplers, with and without guidance, on the exact ε of a Gaussian: mean and variance by recursion."""

import numpy as np
import pytest
import torch
from helpers import (
    Affine,
    GaussianModel,
    ancestral,
    ddim,
    denoiser,
    exact_2m,
    exact_moments,
    guided_denoiser,
    seeded,
)
from torch import nn

from ddpm_course.sampling import guided_eps, sample, step_times
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import DDIM, SOLVERS, Ancestral, DPMSolver2M, Solver, ddpm_step

LINEAR, COSINE = NoiseSchedule.linear(), NoiseSchedule.cosine()
each_schedule = pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
GIVEN, NULL, W = (0.0, 1.0), (0.0, 2.0), 2.0                     # p(x|c) = N(0, 1) under p(x) = N(0, 2)


def line(model: nn.Module, schedule: NoiseSchedule, w: float, solver: Solver, steps: int) -> Affine:
    """Return slope and offset of the map x_T ↦ x_0 that a deterministic sampler of a linear model is."""
    at_0_and_1 = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    low, high = sample(model, schedule, at_0_and_1, torch.zeros(2), w, solver=solver, steps=steps, clip=False)
    return float(high - low), float(low)


def ddpm_variance(model: nn.Module, schedule: NoiseSchedule, w: float, *, kind: str) -> float:
    """Propagate V ← k² V + σ². A step of the package from x_t = 0, 1, 0 with z = 0, 0, 1 tells k and σ."""
    x_t, z = torch.tensor([[[0.0], [1.0], [0.0]], [[0.0], [0.0], [1.0]]], dtype=torch.float64)
    variance = 1.0
    for t in range(schedule.T, 0, -1):
        x_0_hat = schedule.predict_x_0(x_t, t, guided_eps(model, x_t, t, torch.zeros(3), w))
        x_s = ddpm_step(schedule, x_t, t, t - 1, x_0_hat, z, variance=kind)
        offset, shifted, noisy = x_s.flatten().tolist()
        variance = (shifted - offset) ** 2 * variance + (noisy - offset) ** 2
    return variance


@each_schedule
@pytest.mark.parametrize("steps", [7, 20, 150])
def test_deterministic_samplers_follow_the_exact_recursion(schedule, steps):
    gaussian, times, alpha_bars = (0.3, 0.4), step_times(150, steps), schedule.alpha_bars.numpy()
    model = GaussianModel(schedule, *gaussian)
    slope, offset = line(model, schedule, 0.0, DDIM(), steps)
    expected = exact_moments(alpha_bars, times, lambda ab: denoiser(ab, *gaussian),
                             lambda ab_t, ab_s: ddim(ab_t, ab_s, eta=0.0))
    assert (offset, slope**2) == pytest.approx(expected, rel=1e-8)
    second_order = exact_2m(alpha_bars, times, lambda ab: denoiser(ab, *gaussian))
    assert line(model, schedule, 0.0, DPMSolver2M(), steps) == pytest.approx(second_order, rel=1e-8)


@pytest.mark.parametrize("solver, step", [
    (Ancestral(), lambda ab_t, ab_s: ancestral(ab_t, ab_s, variance="posterior")),
    (Ancestral("beta"), lambda ab_t, ab_s: ancestral(ab_t, ab_s, variance="beta")),
    (DDIM(eta=0.5), lambda ab_t, ab_s: ddim(ab_t, ab_s, eta=0.5)),
    (DDIM(eta=1.0), lambda ab_t, ab_s: ddim(ab_t, ab_s, eta=1.0)),
], ids=["ddpm-posterior", "ddpm-beta", "ddim-0.5", "ddim-1"])
def test_random_samplers_follow_the_exact_recursion(solver, step):
    gaussian, n = (0.3, 0.4), 100_000
    expected = exact_moments(LINEAR.alpha_bars.numpy(), step_times(150, 25),
                             lambda ab: denoiser(ab, *gaussian), step)
    generator = seeded()
    x_T = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    x_0 = sample(GaussianModel(LINEAR, *gaussian), LINEAR, x_T, torch.zeros(n), solver=solver, steps=25,
                 clip=False, generator=generator)
    assert x_0.mean().item() == pytest.approx(expected[0], abs=4 * np.sqrt(expected[1] / n))
    assert x_0.var().item() == pytest.approx(expected[1], rel=4 * np.sqrt(2 / n))


@pytest.mark.parametrize("variance", [1.0, 2.0])
def test_20_steps_of_2m_return_all_of_a_wide_gaussians_variance_and_ddim_less(variance):
    model = GaussianModel(LINEAR, 0.0, variance)
    kept = {name: line(model, LINEAR, 0.0, SOLVERS[name], 20)[0] ** 2 / variance for name in ("ddim", "dpm")}
    assert kept["dpm"] == pytest.approx(1, abs=0.02) and 0.82 < kept["ddim"] < 0.86


def test_20_steps_lose_most_of_a_narrow_gaussians_variance_with_either():
    model = GaussianModel(LINEAR, 0.0, 0.05)                     # the last of 20 steps jumps from t = 8 to 0
    kept = {name: line(model, LINEAR, 0.0, SOLVERS[name], 20)[0] ** 2 / 0.05 for name in ("ddim", "dpm")}
    assert kept["dpm"] == pytest.approx(0.605, abs=0.005) and kept["ddim"] == pytest.approx(0.530, abs=0.005)


@each_schedule
@pytest.mark.parametrize("variance", [0.05, 0.4, 2.0])
def test_second_order_is_closer_to_the_truth_than_first_order(schedule, variance):
    model = GaussianModel(schedule, 0.0, variance)
    first, second = (line(model, schedule, 0.0, solver, 20)[0] ** 2 for solver in (DDIM(), DPMSolver2M()))
    assert abs(second - variance) < abs(first - variance)


@pytest.mark.parametrize("steps, expected", [(150, 0.240), (20, 0.183)])
def test_guided_ddim_narrows_a_gaussian_as_its_recursion_says(steps, expected):
    """At w = 2 the tilted density p(x|c)³/p(x)² has variance 0.5: guided samplers do not sample it."""
    _, variance = exact_moments(LINEAR.alpha_bars.numpy(), step_times(150, steps),
                                lambda ab: guided_denoiser(ab, W, GIVEN, NULL),
                                lambda ab_t, ab_s: ddim(ab_t, ab_s, eta=0.0))
    assert variance == pytest.approx(expected, abs=5e-4)
    slope, offset = line(GaussianModel(LINEAR, *GIVEN, *NULL), LINEAR, W, DDIM(), steps)
    assert (slope**2, offset) == pytest.approx((variance, 0), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("kind, expected", [("beta", 0.390), ("posterior", 0.354)])
def test_guided_ddpm_narrows_a_gaussian_less(kind, expected):
    _, variance = exact_moments(LINEAR.alpha_bars.numpy(), step_times(150),
                                lambda ab: guided_denoiser(ab, W, GIVEN, NULL),
                                lambda ab_t, ab_s: ancestral(ab_t, ab_s, variance=kind))
    assert variance == pytest.approx(expected, abs=5e-4)
    model = GaussianModel(LINEAR, *GIVEN, *NULL)
    assert ddpm_variance(model, LINEAR, W, kind=kind) == pytest.approx(variance, rel=1e-8)


def test_guided_2m_moves_the_mean_as_its_recursion_says():
    given, null = (1.0, 0.5), (-0.5, 2.0)
    expected = exact_2m(LINEAR.alpha_bars.numpy(), step_times(150, 20),
                        lambda ab: guided_denoiser(ab, W, given, null))
    model = GaussianModel(LINEAR, *given, *null)
    assert line(model, LINEAR, W, DPMSolver2M(), 20) == pytest.approx(expected, rel=1e-8)
    assert expected[1] > 1, "guidance pushes past the class's own mean, away from the null's"


@pytest.mark.parametrize("w", [0.0, 1.0, 2.0])
def test_with_many_steps_guidance_reaches_its_continuous_limits(w):
    """With γ = 1 + w: DDIM 2^(1-γ), DDPM (2 - 2^(2-2γ))/(2γ - 1); Bradley & Nakkiran, arXiv 2408.09000."""
    schedule, gamma = NoiseSchedule.linear(1000), 1 + w
    limits = 2 ** (1 - gamma), (2 - 2 ** (2 - 2 * gamma)) / (2 * gamma - 1)
    for step, limit in ((lambda ab_t, ab_s: ddim(ab_t, ab_s, eta=0.0), limits[0]),
                        (lambda ab_t, ab_s: ancestral(ab_t, ab_s, variance="beta"), limits[1])):
        _, variance = exact_moments(schedule.alpha_bars.numpy(), step_times(1000),
                                    lambda ab: guided_denoiser(ab, w, GIVEN, NULL), step)
        assert variance == pytest.approx(limit, rel=0.01)
    if w == W:
        model = GaussianModel(schedule, *GIVEN, *NULL)
        assert line(model, schedule, w, DDIM(), 1000)[0] ** 2 == pytest.approx(limits[0], rel=0.01)
        assert ddpm_variance(model, schedule, w, kind="beta") == pytest.approx(limits[1], rel=0.005)
