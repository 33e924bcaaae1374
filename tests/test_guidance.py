"""The guidance formula, its three forms and two special weights; what it does to samples: `test_exact_gaussian`."""

import pytest
import torch
from helpers import seeded
from torch import Tensor

from ddpm_course.guidance import check_weight, guide


def predictions(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    return tuple(torch.randn(4, 1, 3, 3, generator=seeded(k), dtype=dtype) for k in (0, 1))


@pytest.mark.parametrize("w", [-2.0, -0.5, 0.75, 2.0, 9.0])
def test_the_three_forms_of_guidance_are_one(w):
    eps_c, eps_null = predictions()
    guided = guide(eps_c, eps_null, w)
    torch.testing.assert_close(guided, eps_c + w * (eps_c - eps_null), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(guided, eps_null + (1 + w) * (eps_c - eps_null), rtol=1e-12, atol=1e-12)


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
    for w in (-1.0, 0.0, 3.0):
        for near in (w - 2**-20, w + 2**-20):
            assert (guide(eps_c, eps_null, near) - guide(eps_c, eps_null, w)).abs().max() <= 1.01 * 2**-20 * slope


def test_a_weight_keeps_the_precision_of_the_predictions():
    eps_c, eps_null = predictions()
    torch.testing.assert_close(guide(eps_c, eps_null, 0.7), eps_c + 0.7 * (eps_c - eps_null), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("w", [float("nan"), float("inf"), -float("inf"), torch.tensor([0.0, 1.0, float("nan"), 2.0])])
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
