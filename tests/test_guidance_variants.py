"""Guidance's variants as algebra: a limited interval, alone and in the samplers; rescaling; CFG++; a classifier."""

import math

import pytest
import torch
from helpers import GaussianModel, seeded, tiny_unet
from torch import Tensor, nn

from ddpm_course.guidance import cfg_plus_plus, classifier_null, guide, limited, rescale
from ddpm_course.parameterization import VelocityModel
from ddpm_course.sampling import reverse_process, sample
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import DDIM, SOLVERS

SCHEDULE = NoiseSchedule.cosine()                                # T = 150; four steps visit t = 150, 112, 75, 38
NET = VelocityModel(tiny_unet(), SCHEDULE).eval()
C = torch.tensor([0, 3, 9])
each_solver = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS.keys())


class Counting(nn.Module):
    """The same network without `predict_pair`, which notes every pass: its t, and whether a class was given."""

    def __init__(self) -> None:
        super().__init__()
        self.passes: list[tuple[int, bool]] = []

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        self.passes.append((int(t[0]), c is not None))
        return NET(x_t, t, c)


class CountingPairs(Counting):
    """The same with `predict_pair`, noted beside the single passes."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[int] = []

    def predict_pair(self, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        self.pairs.append(int(t[0]))
        return NET.predict_pair(x_t, t, c)


def draw(w: float | Tensor, interval: tuple[int, int] | None, model: nn.Module = NET, **options) -> Tensor:
    x_T = torch.randn(3, 1, 8, 8, generator=seeded(5))
    return sample(model, SCHEDULE, x_T, C, w, interval=interval, steps=4, clip=False, generator=seeded(1), **options)


def normals(n: int, *, batch: int = 4) -> list[Tensor]:
    return [torch.randn(batch, 2, 5, 3, generator=seeded(k), dtype=torch.float64) for k in range(n)]


@pytest.mark.parametrize("t, inside", [(1, False), (20, False), (21, True), (60, True), (100, True), (101, False)])
def test_a_limited_w_acts_inside_its_interval_and_at_both_of_its_ends(t: int, inside: bool) -> None:
    assert limited(2.5, t, (21, 100)) == (2.5 if inside else 0.0)
    per_image = torch.tensor([1.0, -1.0, 4.0])
    assert torch.equal(torch.zeros(3) + limited(per_image, t, (21, 100)), per_image if inside else torch.zeros(3))


def test_an_interval_may_be_a_single_step_and_none_is_every_step() -> None:
    assert [limited(3.0, t, (7, 7)) for t in (6, 7, 8)] == [0.0, 3.0, 0.0]
    assert [limited(3.0, t, None) for t in (0, 1, 150, 1000)] == [3.0] * 4


@pytest.mark.parametrize("t", [1, 50, 75, 100, 150])
def test_an_interval_the_wrong_way_round_is_refused_at_every_step(t: int) -> None:
    with pytest.raises(ValueError, match="t_lo ≤ t_hi"):
        limited(1.0, t, (100, 50))
    with pytest.raises(ValueError, match="t_lo ≤ t_hi"):
        draw(1.0, (t, t - 1))


@each_solver
def test_the_interval_of_all_steps_is_no_interval_to_the_bit(solver) -> None:
    for w in (3.0, -1.0, torch.tensor([-1.0, 0.0, 2.5])):
        assert torch.equal(draw(w, (1, SCHEDULE.T), solver=solver), draw(w, None, solver=solver))


@each_solver
def test_an_interval_that_no_step_visits_is_w_0_to_the_bit(solver) -> None:
    plain = draw(0.0, None, solver=solver)
    for interval in ((1, 37), (39, 74), (76, 111), (113, 149), (151, 900)):
        for w in (3.0, -1.0, torch.tensor([-1.0, 0.0, 2.5])):    # outside, w = -1 too means the class, not ∅
            assert torch.equal(draw(w, interval, solver=solver), plain)
    for interval in ((1, 38), (38, 74), (39, 75), (150, 900)):   # one more step, and it is another image
        assert not torch.allclose(draw(3.0, interval, solver=solver), plain, atol=1e-2)


@pytest.mark.parametrize("interval, guided", [((75, 112), [112, 75]), ((1, 74), [38]), ((113, 150), [150]),
                                              ((76, 111), []), (None, [150, 112, 75, 38])])
def test_outside_the_interval_one_pass_is_made_and_it_has_the_class(interval: tuple[int, int] | None,
                                                                    guided: list[int]) -> None:
    single, paired = Counting(), CountingPairs()
    draw(2.0, interval, single)
    draw(2.0, interval, paired)
    expected = [(t, given) for t in (150, 112, 75, 38) for given in ((True, False) if t in guided else (True,))]
    assert single.passes == expected
    assert paired.pairs == guided
    assert paired.passes == [(t, True) for t in (150, 112, 75, 38) if t not in guided]


@pytest.mark.parametrize("w", [2.0, -1.0, torch.tensor([3.0, 0.5, -1.0])])
def test_limited_sampling_equals_a_loop_by_hand(w: float | Tensor) -> None:
    model, interval = GaussianModel(SCHEDULE, 0.7, 0.3, -0.4, 1.5), (40, 112)
    x_T = torch.randn(3, 4, generator=seeded(2), dtype=torch.float64)
    frames = list(reverse_process(model, SCHEDULE, x_T, C, w, interval=interval, solver=DDIM(), steps=4, clip=False))
    signal, noise = SCHEDULE.alpha_bars.sqrt().tolist(), (1 - SCHEDULE.alpha_bars).sqrt().tolist()
    weight, x = torch.as_tensor(w, dtype=torch.float64).reshape(-1, 1), x_T
    for frame, (t, s) in zip(frames, [(150, 112), (112, 75), (75, 38), (38, 0)]):
        eps_c, eps_null = ((x - signal[t] * mean) * noise[t] / (signal[t]**2 * variance + noise[t]**2)
                           for mean, variance in ((0.7, 0.3), (-0.4, 1.5)))
        eps = eps_c + weight * (eps_c - eps_null) if t in (112, 75) else eps_c
        x_0_hat = (x - noise[t] * eps) / signal[t]
        assert frame[0] == t
        torch.testing.assert_close(frame[1], x, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(frame[2], x_0_hat, rtol=1e-10, atol=1e-10)
        x = signal[s] * x_0_hat + noise[s] * eps
    torch.testing.assert_close(frames[-1][1], x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 1.0])
def test_rescaling_equals_diffusers(phi: float) -> None:
    utils = pytest.importorskip("diffusers.guiders.guider_utils")        # the pipelines' copies need transformers
    guided, conditional = normals(2)
    guided = guided * torch.tensor([0.2, 1.0, 5.0, 30.0], dtype=torch.float64)[:, None, None, None] + 0.5
    theirs = utils.rescale_noise_cfg(guided, conditional, guidance_rescale=phi)
    torch.testing.assert_close(rescale(guided, conditional, phi), theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 30), (4, 1, 6, 5), (1, 1, 6, 5)])
def test_rescaling_by_hand_is_one_factor_per_image(shape: tuple[int, ...]) -> None:
    conditional = torch.randn(shape, generator=seeded(1), dtype=torch.float64)
    guided = 4 * torch.randn(shape, generator=seeded(2), dtype=torch.float64) + 3
    for one, given, result in zip(guided, conditional, rescale(guided, conditional, 0.7), strict=True):
        spread_c, spread_g = (math.sqrt(((x - x.mean())**2).mean()) for x in (given, one))
        torch.testing.assert_close(result, (0.7 * spread_c / spread_g + 0.3) * one, rtol=1e-12, atol=1e-12)


def test_phi_0_changes_no_bit_and_phi_1_gives_the_spread_of_the_conditional() -> None:
    guided, conditional = normals(2)
    guided = 3 * guided + 1
    assert torch.equal(rescale(guided, conditional, 0.0), guided)
    assert torch.equal(rescale(guided.float(), conditional.float(), 0.0), guided.float())
    whole = rescale(guided, conditional, 1.0)
    for result, given, before in zip(whole, conditional, guided):
        torch.testing.assert_close(result.std(), given.std(), rtol=1e-12, atol=0)
        assert not torch.isclose(before.std(), given.std(), rtol=0.5)
    torch.testing.assert_close(rescale(conditional, conditional, 0.7), conditional, rtol=1e-12, atol=0)


def test_each_image_is_rescaled_alone_whatever_else_is_in_the_batch() -> None:
    guided, conditional = normals(2)
    together = rescale(guided, conditional, 0.6)
    guided[1:], conditional[2:] = 100 * guided[1:], 0.01 * conditional[2:]
    assert torch.equal(rescale(guided, conditional, 0.6)[0], together[0])
    assert torch.equal(rescale(guided[:1], conditional[:1], 0.6)[0], together[0])


@pytest.mark.parametrize("phi", [-0.01, 1.01, 7.0, math.nan, math.inf])
def test_a_phi_outside_0_to_1_is_refused(phi: float) -> None:
    with pytest.raises(ValueError, match="φ"):
        rescale(*normals(2), phi)


def test_cfg_plus_plus_denoises_between_the_two_predictions_and_renoises_with_the_null_one() -> None:
    eps_c, eps_null = normals(2)
    for lam, expected in ((0, eps_null), (1, eps_c), (0.0, eps_null), (1.0, eps_c)):
        denoise, renoise = cfg_plus_plus(eps_c, eps_null, lam)
        assert torch.equal(denoise, expected) and torch.equal(renoise, eps_null)
    denoise, renoise = cfg_plus_plus(eps_c, eps_null, 0.3)
    torch.testing.assert_close(denoise, eps_null + 0.3 * (eps_c - eps_null), rtol=1e-12, atol=1e-12)
    assert torch.equal(renoise, eps_null)


@pytest.mark.parametrize("lam", [-0.01, 1.01, 7.5, math.nan, math.inf, -math.inf])
def test_a_lambda_outside_0_to_1_is_refused(lam: float) -> None:
    with pytest.raises(ValueError, match="λ"):
        cfg_plus_plus(*normals(2), lam)


@pytest.mark.parametrize("w", [-1.0, 0.0, 0.5, 3.0, torch.tensor([-1.0, 0.0, 2.0, 9.0])])
def test_guiding_with_the_classifiers_null_subtracts_w_times_its_scaled_gradient(w: float | Tensor) -> None:
    eps_c, gradient = normals(2)
    weight = torch.as_tensor(w).double().reshape(-1, 1, 1, 1)
    for sigma in (0.6, torch.tensor([0.1, 0.5, 0.9, 0.0], dtype=torch.float64)[:, None, None, None]):
        guided = guide(eps_c, classifier_null(eps_c, gradient, sigma), w)
        torch.testing.assert_close(guided, eps_c - weight * sigma * gradient, rtol=1e-12, atol=1e-12)


def test_without_noise_or_without_a_gradient_the_classifiers_null_is_the_conditional_prediction() -> None:
    eps_c, gradient = normals(2)
    assert torch.equal(classifier_null(eps_c, gradient, 0.0), eps_c)
    assert torch.equal(classifier_null(eps_c, torch.zeros_like(gradient), 0.7), eps_c)


def test_rescaling_by_nothing_changes_nothing_even_where_there_is_no_spread() -> None:
    flat = torch.ones(2, 1, 4, 4)
    assert torch.equal(rescale(flat, flat, 0.0), flat)
    with pytest.raises(ValueError, match="one shape"):
        rescale(flat, flat[:1], 0.5)


@pytest.mark.parametrize("w, c, message", [(float("nan"), C, "finite"), (torch.ones(2), C, "one per image"),
                                           (1.0, None, "needs a condition")])
def test_a_wrong_weight_is_refused_at_once_also_where_the_interval_begins_later(
        w: float | Tensor, c: Tensor | None, message: str) -> None:
    x_T = torch.zeros(3, 1, 8, 8)
    with pytest.raises(ValueError, match=message):
        next(reverse_process(NET, SCHEDULE, x_T, c, w, interval=(1, 2), steps=4))
