"""Each reverse step against diffusers, in float64. Whole samplers on a density: `test_exact_gaussian`."""

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from helpers import seeded
from torch import Tensor

from ddpm_course.sampling import sample, step_times
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import SOLVERS, Ancestral, DPMSolver2M, ddim_step, ddpm_step, dpm_step

LINEAR, COSINE = NoiseSchedule.linear(), NoiseSchedule.cosine()
each_schedule = pytest.mark.parametrize("schedule", [LINEAR, COSINE], ids=["linear", "cosine"])
SCHEDULERS = DDIMScheduler | DDPMScheduler | DPMSolverMultistepScheduler


def randn(seed: int) -> Tensor:
    return torch.randn(3, 4, generator=seeded(seed), dtype=torch.float64)


def peer(kind: type, schedule: NoiseSchedule, steps: int, **options) -> SCHEDULERS:
    """Build diffusers' scheduler on our β, in float64; its timestep t - 1 is our t."""
    other = kind(schedule.T, trained_betas=schedule.betas[1:].tolist(), **options)
    other.set_timesteps(steps)
    one = torch.ones((), dtype=torch.float64)
    other.alphas_cumprod, other.final_alpha_cumprod, other.one = schedule.alpha_bars[1:], one, one
    return other


@each_schedule
@pytest.mark.parametrize("stride", [1, 10])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_a_ddim_step_equals_diffusers(schedule, stride, eta):
    other = peer(DDIMScheduler, schedule, schedule.T // stride, clip_sample=False, prediction_type="sample")
    x_t, x_0_hat, z = randn(0), randn(1), randn(2)
    for t in range(stride, schedule.T + 1, stride):
        theirs = other.step(x_0_hat, t - 1, x_t, eta=eta, variance_noise=z).prev_sample
        ours = ddim_step(schedule, x_t, t, t - stride, x_0_hat, eta=eta, z=z)
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@each_schedule
@pytest.mark.parametrize("stride", [1, 10])
@pytest.mark.parametrize("ours, theirs", [("posterior", "fixed_small"), ("beta", "fixed_large")])
def test_an_ancestral_step_equals_diffusers(schedule, stride, ours, theirs):
    other = peer(DDPMScheduler, schedule, schedule.T // stride, clip_sample=False, prediction_type="sample",
                 variance_type=theirs)
    x_t, x_0_hat, z = randn(0), randn(1), randn(2)
    for index in other.timesteps[:-1].tolist():                  # its last step, to 0, has a test of its own
        step = other.step(x_0_hat, index, x_t, generator=seeded(2)).prev_sample
        t, s = index + 1, index + 1 - stride
        torch.testing.assert_close(ddpm_step(schedule, x_t, t, s, x_0_hat, z, variance=ours), step,
                                   rtol=1e-8, atol=1e-8)


@each_schedule
@pytest.mark.parametrize("steps", [1, 2, 20, 33])
@pytest.mark.filterwarnings("ignore:__array__")                  # diffusers hands a tensor to numpy
def test_a_whole_trajectory_of_2m_equals_diffusers(schedule, steps):
    """Both walk over the same times with the same linear model, ε̂ = 0.8 x + 0.1."""
    other = peer(DPMSolverMultistepScheduler, schedule, steps, solver_order=2, algorithm_type="dpmsolver++",
                 solver_type="midpoint", lower_order_final=True, final_sigmas_type="zero")
    times = step_times(schedule.T, steps)
    other.set_timesteps(timesteps=[t - 1 for t in times[:-1]])
    x_theirs = randn(0)

    def model(x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return 0.8 * x_t + 0.1

    for t in times[:-1]:
        x_theirs = other.step(model(x_theirs, None), t - 1, x_theirs).prev_sample
    ours = sample(model, schedule, randn(0), solver=DPMSolver2M(), steps=steps, clip=False)
    largest = float(x_theirs.abs().max())
    torch.testing.assert_close(ours, x_theirs, rtol=2e-4, atol=2e-4 * largest)   # they compute in float32


def test_clipping_in_ddim_recomputes_eps():
    other = peer(DDIMScheduler, LINEAR, LINEAR.T, clip_sample=True, prediction_type="epsilon")
    x_t, eps_hat, t = randn(0), randn(1), 100
    clipped = LINEAR.predict_x_0(x_t, t, eps_hat).clamp(-1, 1)
    ours = ddim_step(LINEAR, x_t, t, t - 1, clipped)
    right = other.step(eps_hat, t - 1, x_t, use_clipped_model_output=True).prev_sample
    wrong = other.step(eps_hat, t - 1, x_t, use_clipped_model_output=False).prev_sample
    torch.testing.assert_close(ours, right, rtol=1e-8, atol=1e-8)
    assert (ours - wrong).abs().max() > 1e-3
    with_old_eps = ddim_step(LINEAR, x_t, t, t - 1, clipped, eps_hat=eps_hat)
    torch.testing.assert_close(with_old_eps, wrong, rtol=1e-8, atol=1e-8)


@each_schedule
def test_ddim_with_eta_1_is_the_ancestral_step(schedule):
    x_t, x_0_hat, z = randn(0), randn(1), randn(2)
    for t in range(1, schedule.T + 1):
        torch.testing.assert_close(ddim_step(schedule, x_t, t, t - 1, x_0_hat, eta=1.0, z=z),
                                   ddpm_step(schedule, x_t, t, t - 1, x_0_hat, z), rtol=1e-8, atol=1e-8)


def test_the_first_2m_step_is_ddims_and_a_constant_estimate_needs_no_correction():
    x_t, x_0_hat = randn(0), randn(1)
    for t, s in ((150, 120), (40, 3), (2, 1), (9, 0)):
        first = ddim_step(LINEAR, x_t, t, s, x_0_hat)
        torch.testing.assert_close(dpm_step(LINEAR, x_t, t, s, x_0_hat), first, rtol=1e-9, atol=1e-9)
        if t < 150:
            same_before = dpm_step(LINEAR, x_t, t, s, x_0_hat, previous=(t + 10, x_0_hat))
            torch.testing.assert_close(same_before, first)


def test_the_last_step_adds_no_noise():
    x_t, x_0_hat, z = randn(0), randn(1), 100 * randn(2)
    for kind in ("posterior", "beta"):
        torch.testing.assert_close(ddpm_step(LINEAR, x_t, 1, 0, x_0_hat, z, variance=kind), x_0_hat)
    torch.testing.assert_close(ddim_step(LINEAR, x_t, 1, 0, x_0_hat, eta=1.0, z=z), x_0_hat)


def test_wrong_options_are_refused():
    x = randn(0)
    with pytest.raises(ValueError, match="variance"):
        ddpm_step(LINEAR, x, 2, 1, x, x, variance="Beta")
    for options in ({"eta": -0.1, "z": x}, {"eta": 1.1, "z": x}, {"eta": 0.5}):
        with pytest.raises(ValueError, match="η"):
            ddim_step(LINEAR, x, 2, 1, x, **options)
    assert set(SOLVERS) == {"ddpm", "ddim", "dpm"} and SOLVERS["ddpm"] == Ancestral("posterior")
