"""The exercises of lesson 02, checked: the forward jump, the draw of t, the loss, x̂_0, and one reverse step.

`reports` explains how a check is made. A check never raises.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.checks.reports import ask, check, expect, real, refuse, same
from ddpm_course.parameterization import ddpm_loss
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.shapes import per_image


@check("q_sample")
def check_q_sample(function: Callable[[NoiseSchedule, Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check a student's `q_sample(schedule, x_0, t, eps)`; t is (B,)."""
    generator, schedule = torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for shape, times in (((4, 1, 4, 4), (1, 40, 90, 150)), ((3, 1, 6, 8), (10, 75, 120)), ((2, 5), (60, 30))):
        x_0, eps = (torch.randn(shape, generator=generator) for _ in range(2))
        t = torch.tensor(times)
        a = schedule.at(schedule.alpha_bars, t, x_0)
        alpha, before = schedule.at(schedule.alphas, t, x_0), schedule.at(schedule.alpha_bars, t - 1, x_0)
        row = schedule.alpha_bars[t].to(x_0)                                     # (B,), not shaped like an image
        expect(ask(function, schedule, x_0, t, eps), schedule.q_sample(x_0, t, eps), {
            "both square roots are missing: √ᾱ_t and √(1 - ᾱ_t)": lambda: a * x_0 + (1 - a) * eps,
            "the noise is multiplied by 1 - ᾱ_t, its variance; take the square root": lambda:
                a.sqrt() * x_0 + (1 - a) * eps,
            "the image is multiplied by ᾱ_t; take the square root": lambda: a * x_0 + (1 - a).sqrt() * eps,
            "1 - √ᾱ_t is not √(1 - ᾱ_t): subtract first, then take the root": lambda:
                a.sqrt() * x_0 + (1 - a.sqrt()) * eps,
            "image and noise have changed places": lambda: (1 - a).sqrt() * x_0 + a.sqrt() * eps,
            "that is a single step, with α_t; to come from x_0 it takes the product ᾱ_t": lambda:
                alpha.sqrt() * x_0 + (1 - alpha).sqrt() * eps,
            "that is x_{t-1}: index 0 is the clean image, so ᾱ_t stands at index t": lambda:
                before.sqrt() * x_0 + (1 - before).sqrt() * eps,
            "each column of pixels got its own t, instead of each image: ᾱ_t needs the shape (B, 1, 1, 1)": lambda:
                row.sqrt() * x_0 + (1 - row).sqrt() * eps})
    return "√ᾱ_t x_0 + √(1 - ᾱ_t) ε, each image at its own t"


@check("draw_t")
def check_draw_t(function: Callable[[int, int, torch.Generator], Tensor]) -> str:
    """Check a student's `draw_t(n, T, generator)`: n timesteps from 1 … T, both included."""
    n, T = 4000, 20
    t, again = (ask(function, n, T, torch.Generator().manual_seed(0)) for _ in range(2))
    refuse({
        "the shape should be ({n},), one t per image; yours is {shape}": lambda: t.shape != (n,),
        "t is an index, so its type should be torch.int64; yours is {dtype}": lambda: t.dtype != torch.int64},
        n=n, shape=tuple(t.shape), dtype=t.dtype)
    low, high = int(t.min()), int(t.max())
    counts = torch.bincount(t.clamp(0, T), minlength=T + 1)[1:].double()
    refuse({
        "all {n} are {low}: draw one t for each image, not one for the batch": lambda: low == high,
        "these are 0 … T - 1. Here 0 is the clean image: it has no noise to find, and T must be learned too":
            lambda: (low, high) == (0, T - 1),
        "T itself never comes: the upper end of torch.randint is left out, so ask for T + 1":
            lambda: (low, high) == (1, T - 1),
        "{low} came up: at t = 0 the image is clean, there is nothing to learn; draw from 1 … T": lambda: low < 1,
        "{high} came up, past the end of the schedule (T = {T})": lambda: high > T,
        "not uniform: of {n} draws t = {rare} came up {times} times":
            lambda: ((counts - n / T).abs() > 6 * (n / T)**0.5).any(),
        "two draws from the same seed differ: is the generator handed on?": lambda: not same(t, again)},
        n=n, T=T, low=low, high=high, rare=int(counts.argmin()) + 1, times=int(counts.min()))
    return "uniform over 1 … T, both ends included"


class _ToyNoise(nn.Module):
    """A made-up ε_θ that depends on x_t and on t: all that the check of a loss needs."""

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return torch.tanh(x_t + 0.02 * per_image(t.to(x_t), x_t))


@check("loss")
def check_ddpm_loss(function: Callable[[nn.Module, NoiseSchedule, Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check a student's `loss(model, schedule, x_0, t, eps)`: a scalar, DDPM eq. 14."""
    generator, schedule, model = torch.Generator().manual_seed(0), NoiseSchedule.linear(), _ToyNoise()
    for times in ((1, 70, 150), (30, 5, 110)):
        x_0, eps = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(2))
        t = torch.tensor(times)
        loss, again = (ask(function, model, schedule, x_0, t, eps) for _ in range(2))
        refuse({"two calls with the same ε differ: another noise is drawn inside. The ε in x_t and the target must be "
                "one and the same": lambda: not loss.isnan().any() and not torch.equal(real(loss), real(again))})
        x_t = schedule.q_sample(x_0, t, eps)
        eps_hat = model(x_t, t)
        expect(loss, ddpm_loss(model, schedule, x_0, t, eps), {
            "the mean is missing: one number for the whole batch is wanted": lambda: (eps_hat - eps).square(),
            "the squares are summed; take their mean, so that the size of a batch does not change the loss": lambda:
                (eps_hat - eps).square().sum(),
            "the absolute error was taken; it is the squared one": lambda: (eps_hat - eps).abs().mean(),
            "the target is x_0; this network is to find the noise": lambda: F.mse_loss(eps_hat, x_0),
            "the target is x_t; the network is to find the noise in it": lambda: F.mse_loss(eps_hat, x_t),
            "the network was shown the clean x_0; it must see x_t": lambda: F.mse_loss(model(x_0, t), eps),
            "the network was told t / T; it expects the step t itself": lambda:
                F.mse_loss(model(x_t, t / schedule.T), eps),
            "a root was taken of the mean square": lambda: F.mse_loss(eps_hat, eps).sqrt()})
    return "noise the images, ask the network, mean squared error to the same ε"


@check("predict_x_0")
def check_predict_x_0(function: Callable[[NoiseSchedule, Tensor, Tensor, Tensor], Tensor]) -> str:
    """Check a student's `predict_x_0(schedule, x_t, t, eps_hat)`; t is (B,)."""
    generator, schedule = torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for shape, times in (((3, 1, 4, 8), (5, 70, 110)), ((2, 5), (60, 30))):
        x_t, eps_hat = (torch.randn(shape, generator=generator) for _ in range(2))
        t = torch.tensor(times)
        a, alpha = schedule.at(schedule.alpha_bars, t, x_t), schedule.at(schedule.alphas, t, x_t)
        expect(ask(function, schedule, x_t, t, eps_hat), schedule.predict_x_0(x_t, t, eps_hat), {
            "both square roots are missing": lambda: (x_t - (1 - a) * eps_hat) / a,
            "√(1 - ᾱ_t) belongs before ε̂; its root is missing": lambda: (x_t - (1 - a) * eps_hat) / a.sqrt(),
            "the division is by √ᾱ_t; its root is missing": lambda: (x_t - (1 - a).sqrt() * eps_hat) / a,
            "the noise is taken away, but x_0 is still too small: the division by √ᾱ_t is missing": lambda:
                x_t - (1 - a).sqrt() * eps_hat,
            "the noise must be taken away; it has a plus sign": lambda: (x_t + (1 - a).sqrt() * eps_hat) / a.sqrt(),
            "that is the way forward; solve it for x_0": lambda: schedule.q_sample(x_t, t, eps_hat),
            "the whole noise ε̂ was taken away, but x_t holds only √(1 - ᾱ_t) of it":
                lambda: (x_t - eps_hat) / a.sqrt(),
            "that undoes a single step, with α_t; all of them take ᾱ_t": lambda:
                (x_t - (1 - alpha).sqrt() * eps_hat) / alpha.sqrt()})
    return "(x_t - √(1 - ᾱ_t) ε̂) / √ᾱ_t, which is q_sample solved for x_0"


@check("ddpm_step")
def check_ddpm_step(function: Callable[[NoiseSchedule, Tensor, int, Tensor, Tensor], Tensor]) -> str:
    """Check a student's `ddpm_step(schedule, x_t, t, eps_hat, z)`, line 4 of Algorithm 2; β and β̃ both pass."""
    generator, schedule = torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for t in (100, 20, 1):
        x_t, eps_hat, z = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(3))
        beta, alpha, a = (float(values[t]) for values in (schedule.betas, schedule.alphas, schedule.alpha_bars))
        beta_s, alpha_s, a_s = (float(v[t - 1]) for v in (schedule.betas, schedule.alphas, schedule.alpha_bars))
        tilde = (1 - a_s) / (1 - a) * beta
        mean, noise = (x_t - beta / (1 - a)**0.5 * eps_hat) / alpha**0.5, (t > 1) * z
        expect(ask(function, schedule, x_t, t, eps_hat, z), mean + tilde**0.5 * noise, {
            "the variance β_t multiplies z; its square root must": lambda: mean + beta * z,
            "the variance β̃_t multiplies z; its square root must": lambda: mean + tilde * z,
            "noise was added in the last step; the finished image would be grainy": lambda: mean + beta**0.5 * z,
            "no noise was added, though this is not the last step": lambda: mean,
            "z is inside the bracket, so it is divided by √α_t too": lambda: mean + (beta / alpha)**0.5 * z,
            "the division is by √ᾱ_t; one step takes √α_t": lambda: (mean * (alpha / a)**0.5 + beta**0.5 * z),
            "√(1 - ᾱ_t) belongs under β_t; its root is missing": lambda:
                (x_t - beta / (1 - a) * eps_hat) / alpha**0.5 + beta**0.5 * z,
            "the division by √α_t is missing": lambda: mean * alpha**0.5 + beta**0.5 * z,
            "the division is by √α_t; its root is missing": lambda: mean / alpha**0.5 + beta**0.5 * z,
            "the noise must be taken away; ε̂ has a plus sign": lambda: 2 * x_t / alpha**0.5 - mean + beta**0.5 * z,
            "that is x̂_0, all steps in one jump": lambda: (x_t - (1 - a)**0.5 * eps_hat) / a**0.5,
            "the index is t - 1; β_t, α_t and ᾱ_t stand at index t": lambda:
                (x_t - beta_s / (1 - a_s)**0.5 * eps_hat) / alpha_s**0.5 + beta_s**0.5 * z},
            also=mean + beta**0.5 * noise, seen=f"t = {t}")
    return "the mean of Algorithm 2, a standard deviation times z, and no noise at t = 1"


@check("posterior_step")
def check_posterior_step(function: Callable[[NoiseSchedule, Tensor, int, Tensor, Tensor], Tensor]) -> str:
    """Check a mended `posterior_step(schedule, x_t, t, x_0_hat, z)`: DDPM eq. 6–7 with x̂_0 for x_0."""
    generator, schedule = torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for t in (100, 20, 1):
        x_t, x_0_hat, z = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(3))
        mean, variance = schedule.q_posterior(x_0_hat, x_t, t)
        swapped = schedule.q_posterior(x_t, x_0_hat, t)[0]
        beta, root = float(schedule.betas[t]), variance.sqrt()
        expect(ask(function, schedule, x_t, t, x_0_hat, z), mean + root * z, {
            "not mended yet. N(mean, variance) is drawn as mean + …? Look at what multiplies z": lambda:
                mean + variance * z,
            "now there is no noise at all: each step must bring a little back": lambda: mean,
            "noise was added in the last step; there the variance is 0": lambda: mean + beta**0.5 * z,
            "the spread is right now, but the mean has changed: x̂_0 and x_t have swapped places": lambda:
                swapped + root * z,
            "the root was taken twice": lambda: mean + root.sqrt() * z,
            "z has its full strength; it needs the standard deviation before it": lambda: mean + z},
            also=mean + beta**0.5 * (t > 1) * z, seen=f"t = {t}")
    return "mean + √variance · z, the standard deviation and not the variance"
