"""The exercises of lesson 03, checked: the student's function against the course's, with a diagnosis.

A check never raises; its report is a line to read (see `reports`). Used in notebook 03.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.checks.reports import Report, call, compare, failed, passed, same
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.solvers import ddim_step
from ddpm_course.unet import sinusoidal_embedding


def check_velocity(function: Callable[[Tensor, Tensor, float], Tensor]) -> Report:
    """Check a student's `velocity(x_0, eps, alpha_bar)`; alpha_bar is a number."""
    name, generator = "velocity", torch.Generator().manual_seed(0)
    for alpha_bar, shape in ((0.9, (3, 1, 4, 4)), (0.3, (2, 5)), (0.5, (4, 2, 3))):
        x_0, eps = (torch.randn(shape, generator=generator) for _ in range(2))
        result = call(name, function, x_0, eps, alpha_bar)
        if isinstance(result, Report):
            return result
        signal, noise = alpha_bar**0.5, (1 - alpha_bar)**0.5
        diagnosis = compare(name, result, signal * eps - noise * x_0, {
            "this is x_t, the noisy image: v is the same circle a quarter turn on, with the roles of ε and x_0 swapped":
                lambda: signal * x_0 + noise * eps,
            "the two weights are swapped: √ᾱ belongs to ε and √(1 - ᾱ) to x_0": lambda: noise * eps - signal * x_0,
            "the sign is turned round: this is -v": lambda: noise * x_0 - signal * eps,
            "both terms have a plus sign; x_0 must be subtracted": lambda: signal * eps + noise * x_0,
            "the square roots are missing: the weights are √ᾱ and √(1 - ᾱ)":
                lambda: alpha_bar * eps - (1 - alpha_bar) * x_0,
            "this is ε - x_0, the target of flow matching, where the weights of the noising sum to one":
                lambda: eps - x_0})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at ᾱ = {alpha_bar:g})")
    return passed(name, "√ᾱ ε - √(1 - ᾱ) x_0")


def check_eps_from_velocity(function: Callable[[Tensor, Tensor, float], Tensor]) -> Report:
    """Check a student's `eps_from_velocity(x_t, v, alpha_bar)`; alpha_bar is a number."""
    name, generator = "eps_from_velocity", torch.Generator().manual_seed(0)
    for alpha_bar, shape in ((0.9, (3, 1, 4, 4)), (0.3, (2, 5))):
        x_t, v = (torch.randn(shape, generator=generator) for _ in range(2))
        result = call(name, function, x_t, v, alpha_bar)
        if isinstance(result, Report):
            return result
        signal, noise = alpha_bar**0.5, (1 - alpha_bar)**0.5
        diagnosis = compare(name, result, noise * x_t + signal * v, {
            "this is x_0, the other half of the pair: x_0 = √ᾱ x_t - √(1 - ᾱ) v": lambda: signal * x_t - noise * v,
            "the two weights are swapped: √(1 - ᾱ) belongs to x_t and √ᾱ to v": lambda: signal * x_t + noise * v,
            "v must be added: try your formula on v = √ᾱ ε - √(1 - ᾱ) x_0 and see whether x_0 cancels":
                lambda: noise * x_t - signal * v,
            "the square roots are missing": lambda: (1 - alpha_bar) * x_t + alpha_bar * v,
            "v came back: it is not yet ε": lambda: v,
            "you solved v = √ᾱ ε - √(1 - ᾱ) x_0 with x_t in the place of x_0; x_0 is not known here":
                lambda: (v + noise * x_t) / signal})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at ᾱ = {alpha_bar:g})")
    return passed(name, "√(1 - ᾱ) x_t + √ᾱ v, and x_0 has cancelled")


def check_ema(function: Callable[[Tensor, Tensor, float], Tensor]) -> Report:
    """Check a student's `ema(average, weights, decay)`: one update of the average, returned."""
    name, generator = "ema", torch.Generator().manual_seed(0)
    for decay in (0.99, 0.7):
        average, weights = (torch.randn(6, 4, generator=generator) for _ in range(2))
        result = call(name, function, average, weights, decay)
        if isinstance(result, Report):
            return result
        diagnosis = compare(name, result, decay * average + (1 - decay) * weights, {
            "the roles are swapped: with d near 1 the average must move slowly, and yours jumps to the new weights":
                lambda: decay * weights + (1 - decay) * average,
            "the average came back as it was; it must move a little towards the weights": lambda: average,
            "the weights came back: the average has forgotten everything": lambda: weights,
            "the factor 1 - d is missing: the new weights are added whole, and the average grows":
                lambda: decay * average + weights,
            "the average is not shrunk by d before the new share is added": lambda: average + (1 - decay) * weights,
            "this is the plain mean of two; d plays no part": lambda: (average + weights) / 2,
            "the average moves away from the weights: the sign of the difference is turned round":
                lambda: average + (1 - decay) * (average - weights)})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at d = {decay:g})")
    return passed(name, "d · average + (1 - d) · weights")


def check_embedding(function: Callable[[Tensor, int], Tensor]) -> Report:
    """Check a student's `embedding(t, dim)`; sines and cosines may stand in any order of the columns."""
    name = "embedding"
    for t, dim in ((torch.tensor([0, 1, 7, 75, 150]), 8), (torch.tensor([3, 140]), 32)):
        result = call(name, function, t, dim)
        if isinstance(result, Report):
            return result
        half, angle = dim // 2, t[:, None].double()
        spaced = torch.arange(half).double() / (half - 1)

        def waves(angles: Tensor) -> Tensor:
            return torch.cat([angles.sin(), angles.cos()], dim=1)

        def ordered(columns: Tensor) -> Tensor:
            return columns.double()[:, torch.argsort(columns.double()[-1])] if columns.dim() == 2 else columns

        rising = angle * 10_000.0**spaced
        diagnosis = compare(name, ordered(result), ordered(sinusoidal_embedding(t, dim)), {
            "the axes are swapped: one row per sample, the frequencies along the columns":
                lambda: ordered(sinusoidal_embedding(t, dim).T),
            "t was divided by T = 150. All but the highest frequencies then stand still: feed the step itself":
                lambda: ordered(waves(angle / 150 * 10_000.0**-spaced)),
            "the frequencies rise from 1 to 10,000; they should fall from 1 to 1/10,000 (a minus is missing)":
                lambda: ordered(waves(rising)),
            "the last frequency is not quite 1/10,000: divide k by half - 1, not by half":
                lambda: ordered(waves(angle * 10_000.0**(-torch.arange(half).double() / half))),
            "the frequencies are evenly spaced; make them a geometric series, so that each scale has its own":
                lambda: ordered(waves(angle * torch.linspace(1, 1e-4, half).double())),
            "only the sines are there, twice; the second half is for cosines":
                lambda: ordered(torch.cat([(angle * 10_000.0**-spaced).sin()] * 2, dim=1)),
            "the angles themselves came back; take their sines and cosines":
                lambda: ordered(torch.cat([angle * 10_000.0**-spaced] * 2, dim=1)),
            "only one half is there: sines and cosines together have dim columns":
                lambda: ordered((angle * 10_000.0**-spaced).sin())})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at dim = {dim})")
    return passed(name, "sines and cosines of t at frequencies from 1 down to 1/10,000, one row per sample")


def check_ddim_step(function: Callable[[NoiseSchedule, Tensor, int, int, Tensor], Tensor]) -> Report:
    """Check a student's `ddim_step(schedule, x_t, t, s, eps_hat)`: deterministic and unclipped."""
    name, generator, schedule = "ddim_step", torch.Generator().manual_seed(0), NoiseSchedule.cosine()
    for t, s in ((100, 90), (60, 20), (8, 0)):
        x_t, eps_hat = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(2))
        result = call(name, function, schedule, x_t, t, s, eps_hat)
        if isinstance(result, Report):
            return result
        x_0_hat = schedule.predict_x_0(x_t, t, eps_hat)
        a_s = float(schedule.alpha_bars[s])
        diagnosis = compare(name, result, ddim_step(schedule, x_t, t, s, x_0_hat), {
            "this is x̂_0; it still has to be renoised to level s": lambda: x_0_hat,
            "x_t came back unchanged: is one level used for both steps?": lambda: x_t,
            "x̂_0 was clipped; that is a good idea for images, but here leave it as it is":
                lambda: ddim_step(schedule, x_t, t, s, x_0_hat.clamp(-1, 1)),
            "a square root is missing: the weights are √ᾱ_s and √(1 - ᾱ_s)":
                lambda: a_s * x_0_hat + (1 - a_s) * eps_hat,
            "the noise was taken away but not put back: √(1 - ᾱ_s) ε̂ is missing": lambda: a_s**0.5 * x_0_hat,
            "this is the ancestral step's mean (DDPM); DDIM puts all of ε̂ back":
                lambda: schedule.q_posterior(x_0_hat, x_t, t, s)[0]})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at t = {t}, s = {s})")
        again = call(name, function, schedule, x_t, t, s, eps_hat)
        if isinstance(again, Report) or not same(again, result):
            return failed(name, "two calls with the same input differ: a DDIM step with η = 0 draws no noise")
    return passed(name, "x̂_0 from level t, renoised to level s with the same ε̂; nothing is drawn")


def check_group_norm(function: Callable[[Tensor, int], Tensor]) -> Report:
    """Check a mended `normalise(x, group_size)`: group normalisation with `group_size` channels a group."""
    name, generator = "normalise", torch.Generator().manual_seed(0)
    for channels, group_size in ((32, 8), (12, 2)):
        scale = torch.linspace(0.5, 3, channels)[:, None, None]
        x = scale * torch.randn(4, channels, 6, 6, generator=generator) + scale
        result = call(name, function, x, group_size)
        if isinstance(result, Report):
            return result
        diagnosis = compare(name, result, F.group_norm(x, channels // group_size), {
            "not mended yet: the first number of a group norm is the NUMBER of groups, not their size":
                lambda: F.group_norm(x, group_size),
            "this is one group of all channels (layer norm over the whole image)": lambda: F.group_norm(x, 1),
            "this is one group per channel (instance norm): the channels' relative strength is lost":
                lambda: F.group_norm(x, channels),
            "this is batch norm: an image's result now depends on the other images of its batch":
                lambda: F.batch_norm(x, None, None, training=True),
            "x came back as it was": lambda: x})
        if diagnosis:
            return failed(name, f"{diagnosis} (seen at {channels} channels, group_size = {group_size})")
    return passed(name, "channels // group_size groups of group_size channels; each image for itself")


class _Companions(nn.Module):
    """A network with batch norm, its running averages away from any batch: all that the check of a mode needs."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.norm.running_mean.fill_(0.5)
        self.norm.running_var.fill_(4.0)

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.norm(x_t) + 0.01 * t.to(x_t).reshape(-1, 1, 1, 1)


def check_eval_mode(function: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> Report:
    """Check a mended `predict(model, x_t, t)`: the answer in eval mode, the model's mode as it was afterwards."""
    name, x_t = "predict", 2 * torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0)) + 1
    t, model = torch.tensor([10, 60, 90, 140]), _Companions().train()
    expected = _Companions().eval()(x_t, t).detach()
    result = call(name, function, model, x_t, t)
    if isinstance(result, Report):
        return result
    diagnosis = compare(name, result, expected, {
        "not mended yet: the answer for an image still depends on its companions in the batch (train mode)":
            lambda: _Companions().train()(x_t, t).detach(),
        "each image was asked alone, but still in train mode: then it is normalised by itself":
            lambda: torch.cat([_Companions().train()(x, k).detach() for x, k in zip(x_t.split(1), t.split(1))])})
    if diagnosis:
        return failed(name, diagnosis)
    if not same(model.norm.running_mean, _Companions().norm.running_mean):
        return failed(name, "the answer is right, but the running averages moved: some pass was made in train mode")
    if not model.training:
        return failed(name, "the answer is right, but the model is left in eval mode, and training may go on after "
                            "this: put the mode back")
    return passed(name, "eval mode for the answer, the old mode afterwards; an image's answer is its own")
