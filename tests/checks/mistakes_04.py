"""Lesson 04's exercises: a solution of each, and the known mistakes with a few words of their diagnosis."""

from collections.abc import Callable

import torch
from torch import Tensor

from ddpm_course.checks.lesson_04 import (
    check_clipped_step,
    check_continuity,
    check_drop_condition,
    check_guide,
    check_guided_step,
)
from ddpm_course.shapes import per_image


def guide(eps_c: Tensor, eps_null: Tensor, w: float) -> Tensor:
    return eps_null + (1 + w) * (eps_c - eps_null)


def dropping(mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Make a drop_condition from mix(c, null, keep); keep is a bool per sample that broadcasts against c."""
    return lambda c, null, p_uncond, generator: mix(
        c, null, per_image(torch.rand(len(c), generator=generator) >= p_uncond, c))


def step_of(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a guided_step from formula(ε_c, ε_∅, x_t, ᾱ_t, ᾱ_s, w)."""
    return lambda model, schedule, x_t, t, s, c, w: formula(
        model(x_t, torch.full((len(x_t),), t), c), model(x_t, torch.full((len(x_t),), t), None), x_t,
        schedule.alpha_bars[t].item(), schedule.alpha_bars[s].item(), w)


def guided(e_c: Tensor, e_null: Tensor, x_t: Tensor, a_t: float, w: float) -> tuple[Tensor, Tensor]:
    """Return x̂_0 and the guided noise that belongs to it."""
    e = guide(e_c, e_null, w)
    return clean(e, x_t, a_t), e


def clean(e: Tensor, x_t: Tensor, a_t: float) -> Tensor:
    return (x_t - (1 - a_t)**0.5 * e) / a_t**0.5


def renoised(x_0: Tensor, e: Tensor, a: float) -> Tensor:
    return a**0.5 * x_0 + (1 - a)**0.5 * e


def clipped_of(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a clipped_step from formula(x̂_0, ε̂, x_t, ᾱ_t, ᾱ_s), x̂_0 not yet clipped."""
    return lambda schedule, x_t, t, s, e: formula(
        clean(e, x_t, schedule.alpha_bars[t].item()), e, x_t, *schedule.alpha_bars[[t, s]].tolist())


def clipping(x_0: Tensor, x_t: Tensor, a_t: float, a_s: float) -> Tensor:
    return renoised(x_0.clamp(-1, 1), (x_t - a_t**0.5 * x_0.clamp(-1, 1)) / (1 - a_t)**0.5, a_s)


drop = dropping(lambda c, n, keep: torch.where(keep, c, n))

SOLUTIONS = {
    check_guide: guide, check_continuity: guide, check_drop_condition: drop,
    check_guided_step: step_of(lambda c, n, x, a, b, w: renoised(*guided(c, n, x, a, w), b)),
    check_clipped_step: clipped_of(lambda x_0, e, x, a, b: clipping(x_0, x, a, b))}

WRONG_GUIDES = [
    ("s-convention", lambda c, n, w: n + w * (c - n)), ("swapped", lambda c, n, w: (1 + w) * n - w * c),
    ("plus sign", lambda c, n, w: (1 + w) * c + w * n), ("is the 1 missing", lambda c, n, w: w * c - w * n),
    ("the weight of ε_∅ is w", lambda c, n, w: (1 + w) * c - (1 + w) * n),
    ("ε_c came back", lambda c, n, w: c.clone()), ("ε_∅ came back", lambda c, n, w: n.clone()),
    ("the sign is turned", lambda c, n, w: c + w * (n - c)),
    ("brackets are missing", lambda c, n, w: 1 + w * c - w * n)]
WRONG_STEPS = [
    ("ε_c alone", lambda c, n, x, a, b, w: renoised(clean(c, x, a), c, b)),
    ("not used at all", lambda c, n, x, a, b, w: renoised(clean(n, x, a), n, b)),
    ("s-convention", lambda c, n, x, a, b, w: renoised(clean(n + w * (c - n), x, a), n + w * (c - n), b)),
    ("this is x̂_0", lambda c, n, x, a, b, w: clean(guide(c, n, w), x, a)),
    ("square root", lambda c, n, x, a, b, w: b * clean(guide(c, n, w), x, a) + (1 - b) * guide(c, n, w)),
    ("came back unchanged", lambda c, n, x, a, b, w: renoised(*guided(c, n, x, a, w), a)),
    ("x̂_0 was clipped", lambda c, n, x, a, b, w: clipping(clean(guide(c, n, w), x, a), x, a, b)),
    ("CFG++", lambda c, n, x, a, b, w: renoised(clean(guide(c, n, w), x, a), n, b)),
    ("ε_c was used to renoise", lambda c, n, x, a, b, w: renoised(clean(guide(c, n, w), x, a), c, b))]

WRONG = {
    check_guide: WRONG_GUIDES,
    check_drop_condition: [
        ("(B, 1) against labels",
         lambda c, n, p, g: torch.where(torch.rand(len(c), 1, generator=g) < p, n, c)),
        ("float mask", dropping(lambda c, n, keep: c * keep.float())),
        ("became class 0", dropping(lambda c, n, keep: c * keep)),
        ("single elements", lambda c, n, p, g: torch.where(torch.rand(c.shape, generator=g) < p, n, c)),
        ("neither the old one", dropping(lambda c, n, keep: torch.where(keep, c, 10))),  # the labels' ∅
        ("inverted", dropping(lambda c, n, keep: torch.where(keep, n, c))),
        ("for the whole batch",
         lambda c, n, p, g: c if torch.rand(1, generator=g) >= p else n.expand_as(c).clone()),
        ("instead of about 25%", lambda c, n, p, g: drop(c, n, 0.1, g))],
    check_guided_step: [(text, step_of(formula)) for text, formula in WRONG_STEPS],
    check_clipped_step: [(text, clipped_of(formula)) for text, formula in (
        ("not mended yet", lambda x_0, e, x, a, b: renoised(x_0.clamp(-1, 1), e, b)),
        ("nothing is clipped", lambda x_0, e, x, a, b: renoised(x_0, e, b)),
        ("moved to ε̂", lambda x_0, e, x, a, b: renoised(x_0, e.clamp(-1, 1), b)),
        ("x_s was clipped", lambda x_0, e, x, a, b: renoised(x_0, e, b).clamp(-1, 1)))],
    check_continuity: WRONG_GUIDES + [
        ("still jumps", lambda c, n, w: n + w * (c - n) if w > 0 else c),
        ("the shape should be", lambda c, n, w: guide(c, n, w)[:1])]}
