"""Lesson 02's exercises: a solution of each, and the known mistakes with a few words of their diagnosis."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ddpm_course.checks.lesson_02 import (
    check_ddpm_loss,
    check_ddpm_step,
    check_draw_t,
    check_posterior_step,
    check_predict_x_0,
    check_q_sample,
)
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.shapes import per_image


def two_images(formula: Callable[..., Tensor], *, before: int = 0) -> Callable[..., Tensor]:
    """Make a q_sample or predict_x_0 from formula(image, noise, ᾱ_t, α_t), `before` indices too low."""
    return lambda schedule, image, t, noise: formula(
        image, noise, *(per_image(values[t - before].to(image), image)
                        for values in (schedule.alpha_bars, schedule.alphas)))


def noised(schedule: NoiseSchedule, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    return two_images(lambda x, e, a, al: a.sqrt() * x + (1 - a).sqrt() * e)(schedule, x_0, t, eps)


def loss_of(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a loss from formula(model, x_0, x_t, t, ε)."""
    return lambda model, schedule, x_0, t, eps: formula(model, x_0, noised(schedule, x_0, t, eps), t, eps)


def step_of(formula: Callable[..., Tensor], *, before: int = 0, grainy: bool = False
            ) -> Callable[..., Tensor]:
    """Make a ddpm_step from formula(x_t, ε̂, z, β_t, α_t, ᾱ_t, β̃_t).

    z is 0 in the last step, unless it is to be `grainy`. The schedule is read `before` indices too low.
    """
    def step(schedule: NoiseSchedule, x_t: Tensor, t: int, eps: Tensor, z: Tensor) -> Tensor:
        k = t - before
        b, al, a, a_s = (v.item() for v in (schedule.betas[k], schedule.alphas[k], schedule.alpha_bars[k],
                                            schedule.alpha_bars[max(k - 1, 0)]))
        tilde = (1 - a_s) / (1 - a) * b if a < 1 else 0.0
        return formula(x_t, eps, z * (t > 1 or grainy), b, al, a, tilde)
    return step


def posterior_of(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a posterior_step from formula(x̂_0, x_t, z, k_0, k_x, β̃_t, β_t)."""
    def step(schedule: NoiseSchedule, x_t: Tensor, t: int, x_0: Tensor, z: Tensor) -> Tensor:
        b, al, a, a_s = (v.item() for v in (schedule.betas[t], schedule.alphas[t], schedule.alpha_bars[t],
                                            schedule.alpha_bars[t - 1]))
        tilde = (1 - a_s) / (1 - a) * b
        return formula(x_0, x_t, z, a_s**0.5 * b / (1 - a), al**0.5 * (1 - a_s) / (1 - a), tilde, b)
    return step


def mean(x: Tensor, e: Tensor, b: float, al: float, a: float) -> Tensor:
    return (x - b / (1 - a)**0.5 * e) / al**0.5


def square(difference: Tensor) -> Tensor:
    return difference.square().mean()


def integers(low: int, high: int, T: int, n: int, g: torch.Generator) -> Tensor:
    """Draw from low … T + high, both included."""
    return torch.randint(low, T + high + 1, (n,), generator=g)


def columnwise(schedule: NoiseSchedule, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    a = schedule.alpha_bars[t].float()
    return a.sqrt() * x_0 + (1 - a).sqrt() * eps


def restless(model: nn.Module, schedule: NoiseSchedule, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
    return square(model(schedule.q_sample(x_0, t, torch.randn_like(x_0)), t) - eps)


SOLUTIONS = {
    check_q_sample: noised,
    check_draw_t: lambda n, T, g: torch.randint(1, T + 1, (n,), generator=g),
    check_ddpm_loss: loss_of(lambda m, x_0, x_t, t, e: square(m(x_t, t) - e)),
    check_predict_x_0: two_images(lambda x, e, a, al: (x - (1 - a).sqrt() * e) / a.sqrt()),
    check_ddpm_step: step_of(lambda x, e, z, b, al, a, v: mean(x, e, b, al, a) + v**0.5 * z),
    check_posterior_step: posterior_of(lambda x_0, x, z, k_0, k_x, v, b: k_0 * x_0 + k_x * x + v**0.5 * z)}

WRONG_STEPS = [
    ("the variance β_t multiplies", lambda x, e, z, b, al, a, v: mean(x, e, b, al, a) + b * z),
    ("the variance β̃_t multiplies", lambda x, e, z, b, al, a, v: mean(x, e, b, al, a) + v * z),
    ("no noise was added", lambda x, e, z, b, al, a, v: mean(x, e, b, al, a)),
    ("inside the bracket", lambda x, e, z, b, al, a, v: (x - b / (1 - a)**0.5 * e + b**0.5 * z) / al**0.5),
    ("one step takes √α_t", lambda x, e, z, b, al, a, v: (x - b / (1 - a)**0.5 * e) / a**0.5 + b**0.5 * z),
    ("belongs under β_t", lambda x, e, z, b, al, a, v: (x - b / (1 - a) * e) / al**0.5 + b**0.5 * z),
    ("the division by √α_t is missing", lambda x, e, z, b, al, a, v: x - b / (1 - a)**0.5 * e + b**0.5 * z),
    ("the division is by √α_t", lambda x, e, z, b, al, a, v: mean(x, e, b, al, a) / al**0.5 + b**0.5 * z),
    ("a plus sign", lambda x, e, z, b, al, a, v: mean(x, -e, b, al, a) + b**0.5 * z),
    ("that is x̂_0", lambda x, e, z, b, al, a, v: (x - (1 - a)**0.5 * e) / a**0.5)]

WRONG = {
    check_q_sample: [
        ("both square roots", two_images(lambda x, e, a, al: a * x + (1 - a) * e)),
        ("its variance", two_images(lambda x, e, a, al: a.sqrt() * x + (1 - a) * e)),
        ("multiplied by ᾱ_t", two_images(lambda x, e, a, al: a * x + (1 - a).sqrt() * e)),
        ("subtract first", two_images(lambda x, e, a, al: a.sqrt() * x + (1 - a.sqrt()) * e)),
        ("changed places", two_images(lambda x, e, a, al: (1 - a).sqrt() * x + a.sqrt() * e)),
        ("a single step", two_images(lambda x, e, a, al: al.sqrt() * x + (1 - al).sqrt() * e)),
        ("x_{t-1}", two_images(lambda x, e, a, al: a.sqrt() * x + (1 - a).sqrt() * e, before=1)),
        ("each column", columnwise)],
    check_draw_t: [
        ("one t per image", lambda n, T, g: integers(1, 0, T, n, g)[:, None]),
        ("its type should be", lambda n, T, g: integers(1, 0, T, n, g).float()),
        ("not one for the batch", lambda n, T, g: integers(1, 0, T, 1, g).expand(n)),
        ("0 … T - 1", lambda n, T, g: integers(0, -1, T, n, g)),
        ("T itself never comes", lambda n, T, g: integers(1, -1, T, n, g)),
        ("at t = 0 the image is clean", lambda n, T, g: integers(0, 0, T, n, g)),
        ("past the end", lambda n, T, g: integers(1, 1, T, n, g)),
        ("not uniform", lambda n, T, g: torch.maximum(integers(1, 0, T, n, g), integers(1, 0, T, n, g))),
        ("is the generator handed on", lambda n, T, g: torch.randint(1, T + 1, (n,)))],
    check_ddpm_loss: [
        ("another noise is drawn", restless),
        ("the mean is missing", loss_of(lambda m, x_0, x_t, t, e: (m(x_t, t) - e).square())),
        ("summed", loss_of(lambda m, x_0, x_t, t, e: (m(x_t, t) - e).square().sum())),
        ("absolute error", loss_of(lambda m, x_0, x_t, t, e: (m(x_t, t) - e).abs().mean())),
        ("the target is x_0", loss_of(lambda m, x_0, x_t, t, e: square(m(x_t, t) - x_0))),
        ("the target is x_t", loss_of(lambda m, x_0, x_t, t, e: square(m(x_t, t) - x_t))),
        ("shown the clean x_0", loss_of(lambda m, x_0, x_t, t, e: square(m(x_0, t) - e))),
        ("told t / T", loss_of(lambda m, x_0, x_t, t, e: square(m(x_t, t / 150) - e))),
        ("a root was taken", loss_of(lambda m, x_0, x_t, t, e: square(m(x_t, t) - e).sqrt()))],
    check_predict_x_0: [
        ("both square roots", two_images(lambda x, e, a, al: (x - (1 - a) * e) / a)),
        ("belongs before ε̂", two_images(lambda x, e, a, al: (x - (1 - a) * e) / a.sqrt())),
        ("the division is by √ᾱ_t", two_images(lambda x, e, a, al: (x - (1 - a).sqrt() * e) / a)),
        ("still too small", two_images(lambda x, e, a, al: x - (1 - a).sqrt() * e)),
        ("a plus sign", two_images(lambda x, e, a, al: (x + (1 - a).sqrt() * e) / a.sqrt())),
        ("the way forward", noised),
        ("the whole noise", two_images(lambda x, e, a, al: (x - e) / a.sqrt())),
        ("undoes a single step", two_images(lambda x, e, a, al: (x - (1 - al).sqrt() * e) / al.sqrt()))],
    check_ddpm_step: [
        *((text, step_of(formula)) for text, formula in WRONG_STEPS),
        ("in the last step", step_of(
            lambda x, e, z, b, al, a, v: mean(x, e, b, al, a) + b**0.5 * z, grainy=True)),
        ("the index is t - 1", step_of(
            lambda x, e, z, b, al, a, v: mean(x, e, b, al, a) + b**0.5 * z, before=1))],
    check_posterior_step: [(text, posterior_of(formula)) for text, formula in (
        ("not mended yet", lambda x_0, x, z, k_0, k_x, v, b: k_0 * x_0 + k_x * x + v * z),
        ("no noise at all", lambda x_0, x, z, k_0, k_x, v, b: k_0 * x_0 + k_x * x),
        ("in the last step", lambda x_0, x, z, k_0, k_x, v, b: k_0 * x_0 + k_x * x + b**0.5 * z),
        ("swapped places", lambda x_0, x, z, k_0, k_x, v, b: k_0 * x + k_x * x_0 + v**0.5 * z),
        ("taken twice", lambda x_0, x, z, k_0, k_x, v, b: k_0 * x_0 + k_x * x + v**0.25 * z),
        ("its full strength", lambda x_0, x, z, k_0, k_x, v, b: k_0 * x_0 + k_x * x + z))]}
