"""Lesson 03's exercises: a solution of each, and the known mistakes with a few words of their diagnosis."""

import itertools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.checks.lesson_03 import (
    check_ddim_step,
    check_ema,
    check_embedding,
    check_eps_from_velocity,
    check_eval_mode,
    check_group_norm,
    check_velocity,
)
from ddpm_course.schedule import NoiseSchedule


def embedding_of(frequency: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Tensor]:
    """Make an embedding from frequency(k, half), k being 0 … half - 1."""
    def embedding(t: Tensor, dim: int) -> Tensor:
        angles = t[:, None] * frequency(torch.arange(dim // 2), dim // 2)
        return torch.cat([angles.sin(), angles.cos()], dim=1)
    return embedding


falling = embedding_of(lambda k, half: 1e-4 ** (k / (half - 1)))


def step_of(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a ddim_step from formula(x̂_0, ε̂, x_t, ᾱ_t, ᾱ_s)."""
    def step(schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, e: Tensor) -> Tensor:
        a_t, a_s = schedule.alpha_bars[[t, s]].tolist()
        return formula((x_t - (1 - a_t)**0.5 * e) / a_t**0.5, e, x_t, a_t, a_s)
    return step


def renoised(x_0: Tensor, e: Tensor, a: float) -> Tensor:
    return a**0.5 * x_0 + (1 - a)**0.5 * e


def ancestral_mean(x_0: Tensor, x_t: Tensor, a_t: float, a_s: float) -> Tensor:
    alpha = a_t / a_s
    return (a_s**0.5 * (1 - alpha) * x_0 + alpha**0.5 * (1 - a_s) * x_t) / (1 - a_t)


class EverySecondTimeNoisy:
    """A ddim_step that is right the first time and adds noise the second."""

    def __init__(self) -> None:
        self.calls, self.generator = itertools.count(), torch.Generator().manual_seed(0)

    def __call__(self, schedule: NoiseSchedule, x_t: Tensor, t: int, s: int, e: Tensor) -> Tensor:
        x_s = SOLUTIONS[check_ddim_step](schedule, x_t, t, s, e)
        return x_s + next(self.calls) % 2 * torch.randn(x_t.shape, generator=self.generator)


def predict(model: nn.Module, x_t: Tensor, t: Tensor) -> Tensor:
    was_training = model.training
    try:
        return model.eval()(x_t, t)
    finally:
        model.train(was_training)


def peek_afterwards(model: nn.Module, x_t: Tensor, t: Tensor) -> Tensor:
    answer = predict(model, x_t, t)
    model(x_t, t)
    return answer


def predict_and_forget(model: nn.Module, x_t: Tensor, t: Tensor) -> Tensor:
    answer = predict(model, x_t, t)
    model.norm.weight.data.zero_()
    return answer


SOLUTIONS = {
    check_velocity: lambda x_0, e, a: a**0.5 * e - (1 - a)**0.5 * x_0,
    check_eps_from_velocity: lambda x, v, a: (1 - a)**0.5 * x + a**0.5 * v,
    check_ema: lambda average, w, d: average + (1 - d) * (w - average),
    check_embedding: falling,
    check_ddim_step: step_of(lambda x_0, e, x, a, b: renoised(x_0, e, b)),
    check_group_norm: lambda x, size: F.group_norm(x, x.shape[1] // size),
    check_eval_mode: predict}

WRONG = {
    check_velocity: [
        ("this is x_t", lambda x_0, e, a: a**0.5 * x_0 + (1 - a)**0.5 * e),
        ("two weights are swapped", lambda x_0, e, a: (1 - a)**0.5 * e - a**0.5 * x_0),
        ("this is -v", lambda x_0, e, a: (1 - a)**0.5 * x_0 - a**0.5 * e),
        ("plus sign", lambda x_0, e, a: a**0.5 * e + (1 - a)**0.5 * x_0),
        ("roots are missing", lambda x_0, e, a: a * e - (1 - a) * x_0),
        ("flow matching", lambda x_0, e, a: e - x_0)],
    check_eps_from_velocity: [
        ("this is x_0", lambda x, v, a: a**0.5 * x - (1 - a)**0.5 * v),
        ("two weights are swapped", lambda x, v, a: a**0.5 * x + (1 - a)**0.5 * v),
        ("must be added", lambda x, v, a: (1 - a)**0.5 * x - a**0.5 * v),
        ("roots are missing", lambda x, v, a: (1 - a) * x + a * v),
        ("v came back", lambda x, v, a: v.clone()),
        ("in the place of x_0", lambda x, v, a: (v + (1 - a)**0.5 * x) / a**0.5)],
    check_ema: [
        ("roles are swapped", lambda m, w, d: d * w + (1 - d) * m), ("as it was", lambda m, w, d: m.clone()),
        ("forgotten everything", lambda m, w, d: w.clone()), ("the average grows", lambda m, w, d: d * m + w),
        ("not shrunk", lambda m, w, d: m + (1 - d) * w), ("plain mean", lambda m, w, d: (m + w) / 2),
        ("moves away", lambda m, w, d: m + (1 - d) * (m - w))],
    check_embedding: [
        ("axes are swapped", lambda t, dim: falling(t, dim).T),
        ("stand still", lambda t, dim: falling(t / 150, dim)),
        ("frequencies rise", embedding_of(lambda k, half: 10_000.0 ** (k.double() / (half - 1)))),
        ("not quite", embedding_of(lambda k, half: 1e-4 ** (k / half))),
        ("evenly spaced", embedding_of(lambda k, half: torch.linspace(1, 1e-4, half))),
        ("only the sines", lambda t, dim: falling(t, dim)[:, :dim // 2].repeat(1, 2)),
        ("the angles themselves",
         lambda t, dim: (t[:, None] * 1e-4 ** (torch.arange(dim // 2) / (dim // 2 - 1))).repeat(1, 2)),
        ("only one half", lambda t, dim: falling(t, dim)[:, :dim // 2])],
    check_ddim_step: [
        ("draws no noise", EverySecondTimeNoisy()), ("this is x̂_0", step_of(lambda x_0, e, x, a, b: x_0)),
        ("came back unchanged", step_of(lambda x_0, e, x, a, b: renoised(x_0, e, a))),
        ("was clipped", step_of(lambda x_0, e, x, a, b: renoised(
            x_0.clamp(-1, 1), (x - a**0.5 * x_0.clamp(-1, 1)) / (1 - a)**0.5, b))),
        ("a square root is missing", step_of(lambda x_0, e, x, a, b: b * x_0 + (1 - b) * e)),
        ("not put back", step_of(lambda x_0, e, x, a, b: b**0.5 * x_0)),
        ("ancestral step's mean", step_of(lambda x_0, e, x, a, b: ancestral_mean(x_0, x, a, b)))],
    check_group_norm: [
        ("not mended yet", lambda x, size: F.group_norm(x, size)),
        ("layer norm", lambda x, size: F.group_norm(x, 1)),
        ("instance norm", lambda x, size: F.instance_norm(x)),
        ("batch norm", lambda x, size: F.batch_norm(x, None, None, training=True)),
        ("as it was", lambda x, size: x.clone())],
    check_eval_mode: [
        ("not mended yet", lambda model, x, t: model(x, t)),
        ("asked alone", lambda model, x, t: torch.cat([model(a, b) for a, b in zip(x.split(1), t.split(1))])),
        ("changed the model's weights", predict_and_forget), ("running averages moved", peek_afterwards),
        ("left in eval mode", lambda model, x_t, t: model.eval()(x_t, t))]}
