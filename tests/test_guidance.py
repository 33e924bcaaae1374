"""The guidance formula and its variants as algebra. What they do to samples: `test_exact_gaussian`."""

import math

import pytest
import torch
from helpers import seeded
from torch import Tensor

from ddpm_course.guidance import cfg_plus_plus, check_weight, classifier_null, guide, limited, rescale

NAN, INFINITE = float("nan"), float("inf")
EXACTLY = {"rtol": 1e-12, "atol": 1e-12}                         # as near as float64 gets


def predictions(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    return tuple(torch.randn(4, 1, 3, 3, generator=seeded(k), dtype=dtype) for k in (0, 1))


@pytest.mark.parametrize("w", [-2.0, -0.5, 0.75, 2.0, 9.0])
def test_the_three_forms_of_guidance_are_one(w):
    eps_c, eps_null = predictions()
    guided = guide(eps_c, eps_null, w)
    torch.testing.assert_close(guided, eps_c + w * (eps_c - eps_null), **EXACTLY)
    torch.testing.assert_close(guided, eps_null + (1 + w) * (eps_c - eps_null), **EXACTLY)


def test_guidance_by_hand():
    assert guide(torch.tensor([[3.0]]), torch.tensor([[1.0]]), 2.0).item() == 7.0       # 3 · 3 - 2 · 1
    assert guide(torch.tensor([[3.0]]), torch.tensor([[1.0]]), 2).item() == 7.0


def test_w_0_is_exactly_conditional_and_w_minus_1_exactly_unconditional():
    eps_c, eps_null = predictions(torch.float32)
    assert torch.equal(guide(eps_c, eps_null, 0.0), eps_c)
    assert torch.equal(guide(eps_c, eps_null, -1.0), eps_null)


def test_one_w_per_image_equals_a_loop_over_images():
    eps_c, eps_null = predictions(torch.float32)
    w = torch.tensor([-1.0, 0.0, 2.0, 5.5])
    together = guide(eps_c, eps_null, w)
    for i in range(4):
        assert torch.equal(together[i:i + 1], guide(eps_c[i:i + 1], eps_null[i:i + 1], float(w[i])))


def test_guidance_does_not_jump_anywhere():
    eps_c, eps_null = predictions()
    slope = (eps_c - eps_null).abs().max()
    step = 2**-20
    for w in (-1.0, 0.0, 3.0):
        for near in (w - step, w + step):
            change = guide(eps_c, eps_null, near) - guide(eps_c, eps_null, w)
            assert change.abs().max() <= 1.01 * step * slope


def test_a_weight_keeps_the_precision_of_the_predictions():
    eps_c, eps_null = predictions()
    torch.testing.assert_close(guide(eps_c, eps_null, 0.7), eps_c + 0.7 * (eps_c - eps_null), **EXACTLY)


@pytest.mark.parametrize("w", [NAN, INFINITE, -INFINITE, torch.tensor([0.0, 1.0, NAN, 2.0])])
def test_a_weight_that_is_not_finite_is_refused(w):
    with pytest.raises(ValueError, match="finite"):
        guide(*predictions(), w)


@pytest.mark.parametrize("w", [torch.zeros(3), torch.zeros(1, 4), torch.zeros(4, 1), torch.zeros(4, 1, 1, 1)])
def test_weights_of_another_shape_are_refused(w):
    with pytest.raises(ValueError, match="one per image"):
        guide(*predictions(), w)
    with pytest.raises(ValueError, match="one per image"):
        check_weight(w, 4)


def test_predictions_of_two_shapes_are_refused():
    eps_c, eps_null = predictions()
    for other in (eps_null[:1], eps_null[:, 0]):
        with pytest.raises(ValueError, match="one shape"):
            guide(eps_c, other, 1.0)


# A limited interval

@pytest.mark.parametrize("t, inside", [
    (1, False), (20, False), (21, True), (60, True), (100, True), (101, False)])
def test_a_limited_w_acts_inside_its_interval_and_at_both_of_its_ends(t: int, inside: bool) -> None:
    assert limited(2.5, t, (21, 100)) == (2.5 if inside else 0.0)
    per_image, nothing = torch.tensor([1.0, -1.0, 4.0]), torch.zeros(3)
    assert torch.equal(nothing + limited(per_image, t, (21, 100)), per_image if inside else nothing)


def test_an_interval_may_be_a_single_step_and_none_is_every_step() -> None:
    assert [limited(3.0, t, (7, 7)) for t in (6, 7, 8)] == [0.0, 3.0, 0.0]
    assert [limited(3.0, t, None) for t in (0, 1, 150, 1000)] == [3.0] * 4


@pytest.mark.parametrize("t", [1, 50, 75, 100, 150])
def test_an_interval_the_wrong_way_round_is_refused_at_every_step(t: int) -> None:
    with pytest.raises(ValueError, match="t_lo ≤ t_hi"):
        limited(1.0, t, (100, 50))


# Rescaling

def normals(n: int) -> list[Tensor]:
    return [torch.randn(4, 2, 5, 3, generator=seeded(k), dtype=torch.float64) for k in range(n)]


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.7, 1.0])
def test_rescaling_equals_diffusers(phi: float) -> None:
    utils = pytest.importorskip("diffusers.guiders.guider_utils")    # the pipelines' copies need transformers
    guided, conditional = normals(2)
    spread = torch.tensor([0.2, 1.0, 5.0, 30.0], dtype=torch.float64)[:, None, None, None]
    guided = guided * spread + 0.5
    theirs = utils.rescale_noise_cfg(guided, conditional, guidance_rescale=phi)
    torch.testing.assert_close(rescale(guided, conditional, phi), theirs, **EXACTLY)


@pytest.mark.parametrize("shape", [(4, 30), (4, 1, 6, 5), (1, 1, 6, 5)])
def test_rescaling_by_hand_is_one_factor_per_image(shape: tuple[int, ...]) -> None:
    conditional = torch.randn(shape, generator=seeded(1), dtype=torch.float64)
    guided = 4 * torch.randn(shape, generator=seeded(2), dtype=torch.float64) + 3
    for one, given, result in zip(guided, conditional, rescale(guided, conditional, 0.7), strict=True):
        spread_c, spread_g = (math.sqrt(((x - x.mean())**2).mean()) for x in (given, one))
        torch.testing.assert_close(result, (0.7 * spread_c / spread_g + 0.3) * one, **EXACTLY)


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


def test_rescaling_by_nothing_changes_nothing_even_where_there_is_no_spread() -> None:
    flat = torch.ones(2, 1, 4, 4)
    assert torch.equal(rescale(flat, flat, 0.0), flat)
    with pytest.raises(ValueError, match="one shape"):
        rescale(flat, flat[:1], 0.5)


# CFG++

def test_cfg_plus_plus_denoises_between_the_two_predictions_and_renoises_with_the_null_one() -> None:
    eps_c, eps_null = normals(2)
    for lam, expected in ((0, eps_null), (1, eps_c), (0.0, eps_null), (1.0, eps_c)):
        denoise, renoise = cfg_plus_plus(eps_c, eps_null, lam)
        assert torch.equal(denoise, expected) and torch.equal(renoise, eps_null)
    denoise, renoise = cfg_plus_plus(eps_c, eps_null, 0.3)
    torch.testing.assert_close(denoise, eps_null + 0.3 * (eps_c - eps_null), **EXACTLY)
    assert torch.equal(renoise, eps_null)


@pytest.mark.parametrize("lam", [-0.01, 1.01, 7.5, math.nan, math.inf, -math.inf])
def test_a_lambda_outside_0_to_1_is_refused(lam: float) -> None:
    with pytest.raises(ValueError, match="λ"):
        cfg_plus_plus(*normals(2), lam)


# A classifier's gradient

@pytest.mark.parametrize("w", [-1.0, 0.0, 0.5, 3.0, torch.tensor([-1.0, 0.0, 2.0, 9.0])])
def test_guiding_with_the_classifiers_null_subtracts_w_times_its_scaled_gradient(w: float | Tensor) -> None:
    eps_c, gradient = normals(2)
    weight = torch.as_tensor(w).double().reshape(-1, 1, 1, 1)
    for sigma in (0.6, torch.tensor([0.1, 0.5, 0.9, 0.0], dtype=torch.float64)[:, None, None, None]):
        guided = guide(eps_c, classifier_null(eps_c, gradient, sigma), w)
        torch.testing.assert_close(guided, eps_c - weight * sigma * gradient, **EXACTLY)


def test_without_noise_or_without_a_gradient_the_classifiers_null_is_the_conditional_prediction() -> None:
    eps_c, gradient = normals(2)
    assert torch.equal(classifier_null(eps_c, gradient, 0.0), eps_c)
    assert torch.equal(classifier_null(eps_c, torch.zeros_like(gradient), 0.7), eps_c)
