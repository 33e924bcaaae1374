"""The forward process against diffusers, Bayes' rule and closed forms, in float64."""

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from helpers import bayes_posterior, seeded
from torch import Tensor

from ddpm_course.schedule import NoiseSchedule

SCHEDULES = {"linear": NoiseSchedule.linear(), "cosine": NoiseSchedule.cosine()}
each_schedule = pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES.keys())


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


@each_schedule
def test_index_0_is_the_clean_image_and_arrays_have_length_T_plus_1(schedule):
    assert schedule.T == 150
    for values, clean in ((schedule.betas, 0), (schedule.alphas, 1), (schedule.alpha_bars, 1)):
        assert values.shape == (151,) and values.dtype == torch.float64 and values[0] == clean
    assert bool((schedule.alpha_bars.diff() < 0).all())


def test_the_default_linear_schedule_ends_at_2_67e_5_and_the_popular_one_at_0_219():
    by_hand = np.prod(1 - np.linspace(1e-4 * 1000 / 150, 0.02 * 1000 / 150, 150))
    assert float(NoiseSchedule.linear().alpha_bars[150]) == pytest.approx(by_hand, rel=1e-9)
    assert by_hand == pytest.approx(2.67e-5, rel=2e-3)
    popular = NoiseSchedule(torch.linspace(1e-4, 0.02, 150, dtype=torch.float64)).alpha_bars[150]
    assert float(popular) == pytest.approx(0.219, abs=5e-4)


def test_the_linear_schedule_refuses_20_steps_or_fewer_and_takes_21():
    for T in (1, 10, 20):
        with pytest.raises(ValueError, match="T > 20"):
            NoiseSchedule.linear(T)
    assert float(NoiseSchedule.linear(21).betas[21]) == pytest.approx(0.02 * 1000 / 21)


@pytest.mark.parametrize("T", [4, 150, 1000])
def test_the_cosine_schedule_ends_at_1e_4_in_equal_angles(T):
    start = 0.008 / 1.008 * np.pi / 2                            # Nichol & Dhariwal's offset s = 0.008
    alpha_bars = NoiseSchedule.cosine(T).alpha_bars.numpy()
    angles = np.arccos(np.sqrt(alpha_bars) * np.cos(start))
    assert alpha_bars[-1] == pytest.approx(1e-4, rel=1e-9)
    np.testing.assert_allclose(angles, start + np.arange(T + 1) / T * (angles[-1] - start), rtol=1e-6)


def test_the_cosine_schedule_cut_off_late_is_the_published_one():
    f = np.cos((np.arange(151) / 150 + 0.008) / 1.008 * np.pi / 2) ** 2
    schedule = NoiseSchedule.cosine(alpha_bar_T=1e-12)
    np.testing.assert_allclose(schedule.alpha_bars.numpy(), f / f[0], atol=2e-6)


@each_schedule
def test_q_sample_has_the_moments_of_its_single_steps(schedule):
    zero, one = (torch.full((1, 1), value, dtype=torch.float64) for value in (0.0, 1.0))
    mean, variance = 1.0, 0.0
    for t in range(1, schedule.T + 1):                           # x_t = √(1-β) x_{t-1} + √β z
        beta = float(schedule.betas[t])
        mean, variance = np.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        assert float(schedule.q_sample(one, t, zero)) == pytest.approx(mean, rel=1e-10)
        assert float(schedule.q_sample(zero, t, one)) ** 2 == pytest.approx(variance, rel=1e-10)


@each_schedule
def test_q_sample_and_every_posterior_agree_with_diffusers(schedule):
    peer = DDPMScheduler(schedule.T, trained_betas=schedule.betas[1:].tolist(), prediction_type="sample",
                         clip_sample=False)
    peer.betas, peer.alphas = schedule.betas[1:], 1 - schedule.betas[1:]         # float64; it stores float32
    peer.alphas_cumprod, peer.one = peer.alphas.cumprod(0), torch.ones((), dtype=torch.float64)
    x_0, x_t = randn(3, 2), randn(3, 2, seed=1)
    for t in range(1, schedule.T + 1):                           # diffusers counts from 0: its t - 1 is our t
        torch.testing.assert_close(schedule.q_sample(x_0, t, x_t),
                                   peer.add_noise(x_0, x_t, torch.full((3,), t - 1)), rtol=1e-9, atol=1e-9)
        mean, variance = schedule.q_posterior(x_0, x_t, t)
        theirs = float(peer._get_variance(t - 1)) if t > 1 else 0.0
        step, noise = peer.step(x_0, t - 1, x_t, generator=seeded(2)).prev_sample, randn(3, 2, seed=2)
        assert float(variance) == pytest.approx(theirs, rel=1e-9, abs=1e-15)
        torch.testing.assert_close(mean + theirs**0.5 * noise, step, rtol=1e-9, atol=1e-9)


@each_schedule
@pytest.mark.parametrize("t, s", [(150, 149), (150, 75), (80, 20), (80, 1), (7, 0), (1, 0), (2, 1)])
def test_the_posterior_between_any_two_times_is_bayes_rule(schedule, t, s):
    k_x, k_0, expected = bayes_posterior(float(schedule.alpha_bars[t]), float(schedule.alpha_bars[s]))
    x_0, x_t = randn(4, 1), randn(4, 1, seed=1)
    mean, variance = schedule.q_posterior(x_0, x_t, t, s)
    torch.testing.assert_close(mean, k_x * x_t + k_0 * x_0, rtol=1e-9, atol=1e-10)
    assert float(variance) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@each_schedule
def test_predictions_of_x_0_and_eps_undo_q_sample(schedule):
    x_0, eps, t = randn(4, 1, 2, 2), randn(4, 1, 2, 2, seed=1), torch.tensor([1, 2, 90, 150])
    x_t = schedule.q_sample(x_0, t, eps)
    torch.testing.assert_close(schedule.predict_x_0(x_t, t, eps), x_0, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(schedule.predict_eps(x_t, t, x_0), eps, rtol=1e-9, atol=1e-9)


def test_each_sample_has_its_own_t_and_keeps_its_dtype():
    schedule, t = NoiseSchedule.linear(), torch.tensor([3, 150, 77])
    x_0, eps = randn(3, 1, 2, 2).float(), randn(3, 1, 2, 2, seed=1).float()
    alone = [schedule.q_sample(x_0[i:i + 1], int(t[i]), eps[i:i + 1]) for i in range(3)]
    assert torch.equal(schedule.q_sample(x_0, t, eps), torch.cat(alone)) and alone[0].dtype == torch.float32


def test_times_are_drawn_from_1_to_T_both_included_and_equally_often():
    t = NoiseSchedule(torch.full((4,), 0.5)).sample_t(40_000, generator=seeded())
    values, counts = t.unique(return_counts=True)
    assert t.dtype == torch.int64 and values.tolist() == [1, 2, 3, 4]
    assert (counts - 10_000).abs().max() < 350                   # four standard deviations


@pytest.mark.parametrize("n, repeats, width", [(150, 1, 1), (50, 1, 3), (10, 1, 15), (300, 2, 1)])
def test_stratified_times_fall_once_in_each_stratum_in_random_order(n, repeats, width):
    t = NoiseSchedule.linear().sample_t_stratified(n, generator=seeded())
    strata = torch.arange(150 // width).repeat_interleave(repeats)
    assert torch.equal((t.sort().values - 1) // width, strata)
    assert not torch.equal(t, t.sort().values)


def test_each_stratified_time_alone_is_uniform():
    schedule = NoiseSchedule(torch.full((10,), 0.1))             # 4 does not divide 10: strata share borders
    draws = torch.stack([schedule.sample_t_stratified(4, generator=seeded(k)) for k in range(5000)])
    for counts in (torch.bincount(column, minlength=11) for column in draws.T):
        assert counts[0] == 0 and (counts[1:] - 500).abs().max() < 4.5 * (5000 * 0.09) ** 0.5


def test_wrong_input_is_refused():
    schedule, x = NoiseSchedule.linear(), torch.zeros(3, 1, 2, 2)
    for betas in ([], [0.0, 0.1], [0.1, 1.0], [float("nan")]):
        with pytest.raises(ValueError, match="β"):
            NoiseSchedule(torch.tensor(betas))
    for t in (-1, 151, torch.tensor([1, 2])):
        with pytest.raises(ValueError, match="t "):
            schedule.q_sample(x, t, x)
    with pytest.raises(TypeError, match="integer"):
        schedule.q_sample(x, 0.5, x)
    with pytest.raises(ValueError, match="shape"):
        schedule.q_sample(x, 3, x[:, 0])
    with pytest.raises(ValueError, match="t ≥ 1"):
        schedule.predict_eps(x, 0, x)
    for t, s in ((3, 3), (3, 4), (0, None)):
        with pytest.raises(ValueError):
            schedule.q_posterior(x, x, t, s)
    with pytest.raises(ValueError, match="alpha_bar_T"):
        NoiseSchedule.cosine(alpha_bar_T=0.0)
