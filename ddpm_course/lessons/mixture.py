"""Guidance in the plane, where the truth is known: three overlapping classes, and what w does to a cloud of samples.

    tilted density:  p̃(x) ∝ p(x | c)^{1+w} / p(x)^w  =  p(x | c) · (p(x | c) / p(x))^w

Guided samples do not follow it, though its score at a single noise level is the guided one. The scores here are exact,
so whatever a cloud of samples does is done by guidance and not by a network. `show/mixture_view` draws both.
"""

from torch import Tensor

from ddpm_course.lessons.exact import ExactModel, Gaussian, GaussianMixture
from ddpm_course.schedule import NoiseSchedule

MIXTURE_NAMES = ("blue", "orange", "green")
_LOBES = (((-0.9, -0.4), (1.0, 0.9)), ((-0.5, -1.1), (1.1, -0.9)), ((0.3, 1.4), (-1.4, 0.9)))


def lesson_mixture(schedule: NoiseSchedule, *, blur: float = 0.0) -> ExactModel:
    """Return the exact model of three equally frequent classes, two round lobes each, in the plane.

    `blur` is added to every lobe's variance of 0.1: the densities of a network that has learned too smooth a picture.
    """
    classes = [GaussianMixture([0.5, 0.5], [Gaussian(mean, 0.1 + blur) for mean in lobes]) for lobes in _LOBES]
    parts = [part for mixture in classes for part in mixture.components]
    return ExactModel(schedule, GaussianMixture([1 / len(parts)] * len(parts), parts), classes)


def tilted_log_density(model: ExactModel, x: Tensor, c: int, w: float, t: int = 0) -> Tensor:
    """Return log p(x | c)^{1+w} / p(x)^w at noise level t, not normalised: (B, D) → (B,) float64."""
    return (1 + w) * model.log_prob(x, t, c) - w * model.log_prob(x, t)
