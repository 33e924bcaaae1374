"""Figures of merit against closed forms, published values and cases counted by hand."""

import pytest
import scipy.linalg
import scipy.stats
import torch
from helpers import seeded
from torch import Tensor

from ddpm_course.evaluation import (
    FeatureStatistics,
    Judge,
    Verdict,
    class_accuracy,
    diversity,
    energy_distance,
    frechet_distance,
    judge_images,
    saturation,
    wilson_interval,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def statistics(seed: int, n: int = 40, d: int = 6) -> FeatureStatistics:
    mixed, shift = randn(d, d, seed=seed + 10), randn(d, seed=seed + 20)
    return FeatureStatistics.of(randn(n, d, seed=seed) @ mixed + shift)


def test_statistics_are_mean_and_unbiased_covariance():
    found = FeatureStatistics.of(torch.tensor([[1.0, 0.0], [3.0, 0.0], [2.0, 3.0]]))
    torch.testing.assert_close(found.mean, torch.tensor([2.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(found.covariance, torch.tensor([[1.0, 0.0], [0.0, 3.0]], dtype=torch.float64))
    assert found.n == 3 and found.total_variance == pytest.approx(4.0)
    for features in (torch.zeros(1, 3), torch.zeros(3), torch.zeros(2, 3, 4)):
        with pytest.raises(ValueError, match="N ≥ 2"):
            FeatureStatistics.of(features)


def test_frechet_distance_of_commuting_covariances_compares_the_standard_deviations():
    axes, _ = torch.linalg.qr(randn(3, 3))
    a, b = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 1.0, 0.0]).double()
    mean_a, mean_b = randn(3, seed=1), randn(3, seed=2)
    distance = frechet_distance(FeatureStatistics(mean_a, axes * a @ axes.T, 9),
                                FeatureStatistics(mean_b, axes * b @ axes.T, 9))
    assert distance == pytest.approx(float((mean_a - mean_b).square().sum()) + (1 + 1 + 9), rel=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_frechet_distance_agrees_with_scipys_matrix_root_and_is_symmetric(seed):
    a, b = statistics(seed), statistics(seed + 5)
    root = scipy.linalg.sqrtm(a.covariance.numpy() @ b.covariance.numpy()).real
    between = float((a.mean - b.mean).square().sum())
    expected = between + a.total_variance + b.total_variance - 2 * root.trace()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-8)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_is_0_for_equal_statistics_even_of_rank_deficient_ones():
    assert frechet_distance(statistics(0), statistics(0)) == pytest.approx(0, abs=1e-9)
    few = statistics(1, n=3)
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("k, n, low, high", [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718),
    (29, 29, 0.8830, 1.0)])
def test_wilsons_interval_has_its_published_values(k, n, low, high):
    """The first four: Newcombe, Statistics in Medicine 17 (1998), Table I, method 3."""
    assert wilson_interval(k / n, n, z=1.959964) == pytest.approx((low, high), abs=6e-5)
    assert wilson_interval(k / n, n) == pytest.approx((low, high), abs=1e-4)


def test_class_accuracy_counts_the_likeliest_class():
    probabilities = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0, 0, 1]])
    verdict = Verdict(torch.zeros(4, 2), probabilities)
    assert class_accuracy(verdict, torch.tensor([0, 2, 1, 2])) == 1.0
    assert class_accuracy(verdict, torch.tensor([0, 1, 1, 0])) == 0.5
    with pytest.raises(ValueError, match="one label per image"):
        class_accuracy(verdict, torch.tensor([0, 1, 1]))


def test_labels_in_a_column_are_refused():
    with pytest.raises(ValueError, match="one label per image"):
        class_accuracy(Verdict(torch.zeros(3, 2), torch.eye(3)), torch.arange(3)[:, None])


def test_diversity_is_the_variance_within_a_class_averaged_over_classes():
    features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [100.0, 7.0], [100.0, 7.0], [100.0, 13.0]])
    labels = torch.tensor([4, 4, 9, 9, 9])
    assert diversity(features, labels) == pytest.approx((2 + 12) / 2)    # far-apart classes add nothing
    assert diversity(features[[0, 0]], labels[[0, 1]]) == 0.0
    with pytest.raises(ValueError, match="two images of class 9"):
        diversity(features[:3], labels[:3])


def test_the_energy_distance_by_hand() -> None:
    line = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [4.0], [8.0]])
    assert energy_distance(*line) == pytest.approx(2 * 27 / 6 - 1 - 10 / 3)
    plane = torch.tensor([[0.0, 0.0], [3.0, 4.0]]), torch.tensor([[3.0, 0.0], [3.0, 0.0]])
    assert energy_distance(*plane) == pytest.approx(2 * (3 + 3 + 4 + 4) / 4 - 5 - 0)
    for a, b in (line, plane):
        assert energy_distance(b, a) == energy_distance(a, b) == pytest.approx(energy_distance(a + 7, b + 7))
        assert energy_distance(3 * a, 3 * b) == pytest.approx(3 * energy_distance(a, b))


def test_the_energy_distance_is_scipys_squared_without_its_bias() -> None:
    """scipy takes a root, and counts each point's distance 0 to itself: (n - 1)/n of our mean within."""
    a, b = randn(30, 1), 0.5 + 2 * randn(20, 1, seed=1)
    within = [float((x - x.T).abs().mean()) / (len(x) - 1) for x in (a, b)]
    expected = scipy.stats.energy_distance(a[:, 0], b[:, 0])**2 - sum(within)
    assert expected > 0.05 and energy_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_the_energy_distance_of_equal_distributions_is_0_on_average() -> None:
    pairs = [(randn(6, 2, seed=k), randn(9, 2, seed=1000 + k)) for k in range(600)]
    found = torch.tensor([energy_distance(a, b) for a, b in pairs])
    error = float(found.std()) / 600**0.5
    assert error < 0.02 and abs(float(found.mean())) < 4 * error                 # the biased one: 0.5
    assert bool((found < 0).any()) and energy_distance(randn(6, 2), 3 + randn(9, 2, seed=1)) > 1


def test_saturation_is_the_share_of_white_pixels():
    x = torch.tensor([-1.0, -0.99, 0.5, 0.98, 0.985, 1.0, 1.0, 0.0]).reshape(2, 1, 2, 2)
    assert saturation(x) == 3 / 8 and saturation(x, threshold=0.4) == 5 / 8 and saturation(-x) == 2 / 8


@pytest.mark.parametrize("training", [True, False])
def test_judging_needs_eval_mode_gives_it_back_and_does_not_depend_on_the_batch(training):
    judge, x = Judge().train(training), torch.rand(7, 1, 28, 28, generator=seeded()) * 2 - 1
    before = {name: value.clone() for name, value in judge.state_dict().items()}
    verdict, in_parts = judge_images(judge, x), judge_images(judge, x, batch_size=3)
    assert judge.training == training
    assert all(torch.equal(value, before[name]) for name, value in judge.state_dict().items())
    assert verdict.features.shape == (7, 128) and verdict.features.dtype == torch.float64
    assert not verdict.features.requires_grad and verdict.probabilities.shape == (7, 10)
    torch.testing.assert_close(verdict.probabilities.sum(dim=1), torch.ones(7))
    torch.testing.assert_close(in_parts.features, verdict.features, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        logits = judge.eval()(x)
    assert torch.equal(logits.argmax(dim=1), verdict.probabilities.argmax(dim=1))


@pytest.mark.parametrize("shape", [(1, 28, 28), (2, 3, 28, 28), (2, 1, 32, 32)])
def test_the_judge_refuses_other_images(shape):
    with pytest.raises(ValueError, match="28"):
        Judge()(torch.zeros(shape))


def test_the_judges_mode_comes_back_after_an_error_too():
    judge = Judge().train()
    with pytest.raises(ValueError):
        judge_images(judge, torch.zeros(2, 1, 32, 32))
    assert judge.training
