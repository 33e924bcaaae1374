"""The exercises of lesson 02, checked: the forward jump, the draw of t, the loss, x̂_0, and one reverse step.

A check never raises; its report is a line to read (see `reports`). Used in notebook 02.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.checks.reports import Report, call, compare, failed, passed, same
from ddpm_course.parameterization import ddpm_loss
from ddpm_course.schedule import NoiseSchedule


def check_q_sample(function: Callable[[NoiseSchedule, Tensor, Tensor, Tensor], Tensor]) -> Report:
    """Check a student's `q_sample(schedule, x_0, t, eps)`; t is (B,)."""
    name, generator, schedule = "q_sample", torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for shape, times in (((4, 1, 4, 4), (1, 40, 90, 150)), ((3, 1, 6, 8), (10, 75, 120)), ((2, 5), (60, 30))):
        x_0, eps = (torch.randn(shape, generator=generator) for _ in range(2))
        t = torch.tensor(times)
        result = call(name, function, schedule, x_0, t, eps)
        if isinstance(result, Report):
            return result
        a = schedule.at(schedule.alpha_bars, t, x_0)
        alpha, before = schedule.at(schedule.alphas, t, x_0), schedule.at(schedule.alpha_bars, t - 1, x_0)
        row = schedule.alpha_bars[t].to(x_0)                                     # (B,), not shaped like an image
        diagnosis = compare(name, result, schedule.q_sample(x_0, t, eps), {
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
        if diagnosis:
            return failed(name, diagnosis)
    return passed(name, "√ᾱ_t x_0 + √(1 - ᾱ_t) ε, each image at its own t")


def check_draw_t(function: Callable[[int, int, torch.Generator], Tensor]) -> Report:
    """Check a student's `draw_t(n, T, generator)`: n timesteps from 1 … T, both included."""
    name, n, T = "draw_t", 4000, 20
    results = [call(name, function, n, T, torch.Generator().manual_seed(0)) for _ in range(2)]
    if isinstance(results[0], Report):
        return results[0]
    diagnosis = _judge_times(results[0], n, T)
    if diagnosis is None and not (isinstance(results[1], Tensor) and torch.equal(*results)):
        diagnosis = "two draws from the same seed differ: is the generator handed on?"
    return failed(name, diagnosis) if diagnosis else passed(name, "uniform over 1 … T, both ends included")


def _judge_times(t: Tensor, n: int, T: int) -> str | None:
    """Look at what was drawn, since a student's random draws need not be the course's."""
    if t.shape != (n,):
        return f"the shape should be ({n},), one t per image; yours is {tuple(t.shape)}"
    if t.dtype != torch.int64:
        return f"t is an index, so its type should be torch.int64; yours is {t.dtype}"
    low, high = int(t.min()), int(t.max())
    if low == high:
        return f"all {n} are {low}: draw one t for each image, not one for the batch"
    if (low, high) == (0, T - 1):
        return "these are 0 … T - 1. Here 0 is the clean image: it has no noise to find, and T must be learned too"
    if (low, high) == (1, T - 1):
        return "T itself never comes: the upper end of torch.randint is left out, so ask for T + 1"
    if low < 1:
        return f"{low} came up: at t = 0 the image is clean, there is nothing to learn; draw from 1 … T"
    if high > T:
        return f"{high} came up, past the end of the schedule (T = {T})"
    counts = torch.bincount(t, minlength=T + 1)[1:].double()
    if ((counts - n / T).abs() > 6 * (n / T) ** 0.5).any():
        return f"not uniform: of {n} draws t = {int(counts.argmin()) + 1} came up {int(counts.min())} times"
    return None


class _ToyNoise(nn.Module):
    """A made-up ε_θ that depends on x_t and on t: all that the check of a loss needs."""

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return torch.tanh(x_t + 0.02 * t.to(x_t).reshape(-1, *[1] * (x_t.dim() - 1)))


def check_ddpm_loss(function: Callable[[nn.Module, NoiseSchedule, Tensor, Tensor, Tensor], Tensor]) -> Report:
    """Check a student's `loss(model, schedule, x_0, t, eps)`: a scalar, DDPM eq. 14."""
    name, generator, schedule, model = "loss", torch.Generator().manual_seed(0), NoiseSchedule.linear(), _ToyNoise()
    for times in ((1, 70, 150), (30, 5, 110)):
        x_0, eps = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(2))
        t = torch.tensor(times)
        with torch.random.fork_rng(devices=[]):
            result, again = (call(name, function, model, schedule, x_0, t, eps) for _ in range(2))
        if isinstance(result, Report):
            return result
        if isinstance(again, Tensor) and result.shape == again.shape and not torch.equal(result, again) \
                and not result.isnan().any():
            return failed(name, "two calls with the same ε differ: another noise is drawn inside. The ε in x_t and the "
                                "target must be one and the same")
        x_t = schedule.q_sample(x_0, t, eps)
        eps_hat = model(x_t, t)
        diagnosis = compare(name, result, ddpm_loss(model, schedule, x_0, t, eps), {
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
        if diagnosis:
            return failed(name, diagnosis)
    return passed(name, "noise the images, ask the network, mean squared error to the same ε")


def check_predict_x_0(function: Callable[[NoiseSchedule, Tensor, Tensor, Tensor], Tensor]) -> Report:
    """Check a student's `predict_x_0(schedule, x_t, t, eps_hat)`; t is (B,)."""
    name, generator, schedule = "predict_x_0", torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for shape, times in (((3, 1, 4, 8), (5, 70, 110)), ((2, 5), (60, 30))):
        x_t, eps_hat = (torch.randn(shape, generator=generator) for _ in range(2))
        t = torch.tensor(times)
        result = call(name, function, schedule, x_t, t, eps_hat)
        if isinstance(result, Report):
            return result
        a, alpha = schedule.at(schedule.alpha_bars, t, x_t), schedule.at(schedule.alphas, t, x_t)
        right = schedule.predict_x_0(x_t, t, eps_hat)
        diagnosis = compare(name, result, right, {
            "both square roots are missing": lambda: (x_t - (1 - a) * eps_hat) / a,
            "√(1 - ᾱ_t) belongs before ε̂; its root is missing": lambda: (x_t - (1 - a) * eps_hat) / a.sqrt(),
            "the division is by √ᾱ_t; its root is missing": lambda: (x_t - (1 - a).sqrt() * eps_hat) / a,
            "the noise is taken away, but x_0 is still too small: the division by √ᾱ_t is missing": lambda:
                x_t - (1 - a).sqrt() * eps_hat,
            "the noise must be taken away; it has a plus sign": lambda: (x_t + (1 - a).sqrt() * eps_hat) / a.sqrt(),
            "that is the way forward; solve it for x_0": lambda: schedule.q_sample(x_t, t, eps_hat),
            "the whole noise ε̂ was taken away, but x_t holds only √(1 - ᾱ_t) of it": lambda: (x_t - eps_hat) / a.sqrt(),
            "that undoes a single step, with α_t; all of them take ᾱ_t": lambda:
                (x_t - (1 - alpha).sqrt() * eps_hat) / alpha.sqrt()})
        if diagnosis:
            return failed(name, diagnosis)
    return passed(name, "(x_t - √(1 - ᾱ_t) ε̂) / √ᾱ_t, which is q_sample solved for x_0")


def check_ddpm_step(function: Callable[[NoiseSchedule, Tensor, int, Tensor, Tensor], Tensor]) -> Report:
    """Check a student's `ddpm_step(schedule, x_t, t, eps_hat, z)`, line 4 of Algorithm 2; β and β̃ both pass."""
    name, generator, schedule = "ddpm_step", torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for t in (100, 20, 1):
        x_t, eps_hat, z = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(3))
        result = call(name, function, schedule, x_t, t, eps_hat, z)
        if isinstance(result, Report):
            return result
        beta, alpha, a = (float(values[t]) for values in (schedule.betas, schedule.alphas, schedule.alpha_bars))
        tilde = (1 - float(schedule.alpha_bars[t - 1])) / (1 - a) * beta
        mean, noise = (x_t - beta / (1 - a)**0.5 * eps_hat) / alpha**0.5, (t > 1) * z
        if same(result, mean + beta**0.5 * noise):
            continue
        beta_s, alpha_s, a_s = (float(v[t - 1]) for v in (schedule.betas, schedule.alphas, schedule.alpha_bars))
        diagnosis = compare(name, result, mean + tilde**0.5 * noise, {
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
                (x_t - beta_s / (1 - a_s)**0.5 * eps_hat) / alpha_s**0.5 + beta_s**0.5 * z})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at t = {t})")
    return passed(name, "the mean of Algorithm 2, a standard deviation times z, and no noise at t = 1")


def check_posterior_step(function: Callable[[NoiseSchedule, Tensor, int, Tensor, Tensor], Tensor]) -> Report:
    """Check a mended `posterior_step(schedule, x_t, t, x_0_hat, z)`: DDPM eq. 6–7 with x̂_0 for x_0."""
    name, generator, schedule = "posterior_step", torch.Generator().manual_seed(0), NoiseSchedule.linear()
    for t in (100, 20, 1):
        x_t, x_0_hat, z = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(3))
        result = call(name, function, schedule, x_t, t, x_0_hat, z)
        if isinstance(result, Report):
            return result
        mean, variance = schedule.q_posterior(x_0_hat, x_t, t)
        beta, root = float(schedule.betas[t]), variance.sqrt()
        if t > 1 and same(result, mean + beta**0.5 * z):
            continue
        swapped = schedule.q_posterior(x_t, x_0_hat, t)[0]
        diagnosis = compare(name, result, mean + root * z, {
            "not mended yet. N(mean, variance) is drawn as mean + …? Look at what multiplies z": lambda:
                mean + variance * z,
            "now there is no noise at all: each step must bring a little back": lambda: mean,
            "noise was added in the last step; there the variance is 0": lambda: mean + beta**0.5 * z,
            "the spread is right now, but the mean has changed: x̂_0 and x_t have swapped places": lambda:
                swapped + root * z,
            "the root was taken twice": lambda: mean + root.sqrt() * z,
            "z has its full strength; it needs the standard deviation before it": lambda: mean + z})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at t = {t})")
    return passed(name, "mean + √variance · z, the standard deviation and not the variance")
