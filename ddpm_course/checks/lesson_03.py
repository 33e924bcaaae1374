"""The exercises of lesson 03, checked: v and back, EMA, the embedding of t, DDIM, and two networks' habits to mend.

`reports` explains how a check is made. A check never raises.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.checks.reports import ask, check, expect, moved, real, refuse, same
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.shapes import per_image
from ddpm_course.solvers import ddim_step
from ddpm_course.unet import sinusoidal_embedding


@check("velocity")
def check_velocity(function: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's `velocity(x_0, eps, alpha_bar)`; alpha_bar is a number."""
    generator = torch.Generator().manual_seed(0)
    for alpha_bar, shape in ((0.9, (3, 1, 4, 4)), (0.3, (2, 5)), (0.5, (4, 2, 3))):
        x_0, eps = (torch.randn(shape, generator=generator) for _ in range(2))
        signal, noise = alpha_bar**0.5, (1 - alpha_bar)**0.5
        expect(ask(function, x_0, eps, alpha_bar), signal * eps - noise * x_0, {
            "this is x_t, the noisy image: v is the same circle a quarter turn on, with the roles of ε and x_0 swapped":
                lambda: signal * x_0 + noise * eps,
            "the two weights are swapped: √ᾱ belongs to ε and √(1 - ᾱ) to x_0": lambda: noise * eps - signal * x_0,
            "the sign is turned round: this is -v": lambda: noise * x_0 - signal * eps,
            "both terms have a plus sign; x_0 must be subtracted": lambda: signal * eps + noise * x_0,
            "the square roots are missing: the weights are √ᾱ and √(1 - ᾱ)":
                lambda: alpha_bar * eps - (1 - alpha_bar) * x_0,
            "this is ε - x_0, the target of flow matching, where the weights of the noising sum to one":
                lambda: eps - x_0}, seen=f"ᾱ = {alpha_bar:g}")
    return "√ᾱ ε - √(1 - ᾱ) x_0"


@check("eps_from_velocity")
def check_eps_from_velocity(function: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's `eps_from_velocity(x_t, v, alpha_bar)`; alpha_bar is a number."""
    generator = torch.Generator().manual_seed(0)
    for alpha_bar, shape in ((0.9, (3, 1, 4, 4)), (0.3, (2, 5))):
        x_t, v = (torch.randn(shape, generator=generator) for _ in range(2))
        signal, noise = alpha_bar**0.5, (1 - alpha_bar)**0.5
        expect(ask(function, x_t, v, alpha_bar), noise * x_t + signal * v, {
            "this is x_0, the other half of the pair: x_0 = √ᾱ x_t - √(1 - ᾱ) v": lambda: signal * x_t - noise * v,
            "the two weights are swapped: √(1 - ᾱ) belongs to x_t and √ᾱ to v": lambda: signal * x_t + noise * v,
            "v must be added: try your formula on v = √ᾱ ε - √(1 - ᾱ) x_0 and see whether x_0 cancels":
                lambda: noise * x_t - signal * v,
            "the square roots are missing": lambda: (1 - alpha_bar) * x_t + alpha_bar * v,
            "v came back: it is not yet ε": lambda: v,
            "you solved v = √ᾱ ε - √(1 - ᾱ) x_0 with x_t in the place of x_0; x_0 is not known here":
                lambda: (v + noise * x_t) / signal}, seen=f"ᾱ = {alpha_bar:g}")
    return "√(1 - ᾱ) x_t + √ᾱ v, and x_0 has cancelled"


@check("ema")
def check_ema(function: Callable[[Tensor, Tensor, float], Tensor]) -> str:
    """Check a student's `ema(average, weights, decay)`: one update of the average, returned."""
    generator = torch.Generator().manual_seed(0)
    for decay in (0.99, 0.7):
        average, weights = (torch.randn(6, 4, generator=generator) for _ in range(2))
        expect(ask(function, average, weights, decay), decay * average + (1 - decay) * weights, {
            "the roles are swapped: with d near 1 the average must move slowly, and yours jumps to the new weights":
                lambda: decay * weights + (1 - decay) * average,
            "the average came back as it was; it must move a little towards the weights": lambda: average,
            "the weights came back: the average has forgotten everything": lambda: weights,
            "the factor 1 - d is missing: the new weights are added whole, and the average grows":
                lambda: decay * average + weights,
            "the average is not shrunk by d before the new share is added": lambda: average + (1 - decay) * weights,
            "this is the plain mean of two; d plays no part": lambda: (average + weights) / 2,
            "the average moves away from the weights: the sign of the difference is turned round":
                lambda: average + (1 - decay) * (average - weights)}, seen=f"d = {decay:g}")
    return "d · average + (1 - d) · weights"


def _ordered(columns: Tensor) -> Tensor:
    """Sort the columns by their last row: sines and cosines may stand in any order."""
    sortable = columns.dim() == 2 and len(columns) > 0
    return columns[:, torch.argsort(real(columns)[-1])] if sortable else columns


def _waves(angles: Tensor) -> Tensor:
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@check("embedding")
def check_embedding(function: Callable[[Tensor, int], Tensor]) -> str:
    """Check a student's `embedding(t, dim)`; sines and cosines may stand in any order of the columns."""
    for t, dim in ((torch.tensor([0, 1, 7, 75, 150]), 8), (torch.tensor([3, 140]), 32)):
        right, time, k = sinusoidal_embedding(t, dim), t[:, None].double(), torch.arange(dim // 2).double()
        falling = 10_000.0**(-k / (dim // 2 - 1))                # the frequencies: 1 … 1/10,000
        mistakes = {
            "the axes are swapped: one row per sample, the frequencies along the columns": lambda: right.T,
            "t was divided by T = 150. All but the highest frequencies then stand still: feed the step itself":
                lambda: _waves(time / 150 * falling),
            "the frequencies rise from 1 to 10,000; they should fall from 1 to 1/10,000 (a minus is missing)":
                lambda: _waves(time * 10_000.0**(k / (dim // 2 - 1))),
            "the last frequency is not quite 1/10,000: divide k by half - 1, not by half":
                lambda: _waves(time * 10_000.0**(-k / (dim // 2))),
            "the frequencies are evenly spaced; make them a geometric series, so that each scale has its own":
                lambda: _waves(time * torch.linspace(1, 1e-4, dim // 2).double()),
            "only the sines are there, twice; the second half is for cosines":
                lambda: (time * falling).sin().repeat(1, 2),
            "the angles themselves came back; take their sines and cosines": lambda: (time * falling).repeat(1, 2),
            "only one half is there: sines and cosines together have dim columns": lambda: (time * falling).sin()}
        expect(_ordered(ask(function, t, dim)), _ordered(right), {
            diagnosis: lambda mistake=mistake: _ordered(mistake()) for diagnosis, mistake in mistakes.items()},
            seen=f"dim = {dim}")
    return "sines and cosines of t at frequencies from 1 down to 1/10,000, one row per sample"


@check("ddim_step")
def check_ddim_step(function: Callable[[NoiseSchedule, Tensor, int, int, Tensor], Tensor]) -> str:
    """Check a student's `ddim_step(schedule, x_t, t, s, eps_hat)`: deterministic and unclipped."""
    generator, schedule = torch.Generator().manual_seed(0), NoiseSchedule.cosine()
    for t, s in ((100, 90), (60, 20), (8, 0)):
        x_t, eps_hat = (torch.randn(3, 1, 4, 4, generator=generator) for _ in range(2))
        x_0_hat, a_s = schedule.predict_x_0(x_t, t, eps_hat), float(schedule.alpha_bars[s])
        x_s = ask(function, schedule, x_t, t, s, eps_hat)
        expect(x_s, ddim_step(schedule, x_t, t, s, x_0_hat), {
            "this is x̂_0; it still has to be renoised to level s": lambda: x_0_hat,
            "x_t came back unchanged: is one level used for both steps?": lambda: x_t,
            "x̂_0 was clipped; that is a good idea for images, but here leave it as it is":
                lambda: ddim_step(schedule, x_t, t, s, x_0_hat.clamp(-1, 1)),
            "a square root is missing: the weights are √ᾱ_s and √(1 - ᾱ_s)":
                lambda: a_s * x_0_hat + (1 - a_s) * eps_hat,
            "the noise was taken away but not put back: √(1 - ᾱ_s) ε̂ is missing": lambda: a_s**0.5 * x_0_hat,
            "this is the ancestral step's mean (DDPM); DDIM puts all of ε̂ back":
                lambda: schedule.q_posterior(x_0_hat, x_t, t, s)[0]}, seen=f"t = {t}, s = {s}")
        again = ask(function, schedule, x_t, t, s, eps_hat)
        refuse({"two calls with the same input differ: a DDIM step with η = 0 draws no noise":
                lambda: not same(again, x_s)})
    return "x̂_0 from level t, renoised to level s with the same ε̂; nothing is drawn"


@check("normalise")
def check_group_norm(function: Callable[[Tensor, int], Tensor]) -> str:
    """Check a mended `normalise(x, group_size)`: group normalisation with `group_size` channels a group."""
    generator = torch.Generator().manual_seed(0)
    for channels, group_size in ((32, 8), (12, 2)):
        scale = torch.linspace(0.5, 3, channels)[:, None, None]
        x = scale * torch.randn(4, channels, 6, 6, generator=generator) + scale
        expect(ask(function, x, group_size), F.group_norm(x, channels // group_size), {
            "not mended yet: the first number of a group norm is the NUMBER of groups, not their size":
                lambda: F.group_norm(x, group_size),
            "this is one group of all channels (layer norm over the whole image)": lambda: F.group_norm(x, 1),
            "this is one group per channel (instance norm): the channels' relative strength is lost":
                lambda: F.group_norm(x, channels),
            "this is batch norm: an image's result now depends on the other images of its batch":
                lambda: F.batch_norm(x, None, None, training=True),
            "x came back as it was": lambda: x}, seen=f"{channels} channels, group_size = {group_size}")
    return "channels // group_size groups of group_size channels; each image for itself"


class _Companions(nn.Module):
    """A network with batch norm, its running averages away from any batch: all that the check of a mode needs."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.norm.running_mean.fill_(0.5)
        self.norm.running_var.fill_(4.0)

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.norm(x_t) + 0.01 * per_image(t.to(x_t), x_t)


@check("predict")
def check_eval_mode(function: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> str:
    """Check a mended `predict(model, x_t, t)`: the answer in eval mode, the model's mode as it was afterwards."""
    x_t = 2 * torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0)) + 1
    t, model, untouched = torch.tensor([10, 60, 90, 140]), _Companions().train(), _Companions()
    result = ask(lambda x_t, t: function(model, x_t, t), x_t, t)
    expect(result, _Companions().eval()(x_t, t).detach(), {
        "not mended yet: the answer for an image still depends on its companions in the batch (train mode)":
            lambda: _Companions().train()(x_t, t).detach(),
        "each image was asked alone, but still in train mode: then it is normalised by itself":
            lambda: torch.cat([_Companions().train()(x, k).detach() for x, k in zip(x_t.split(1), t.split(1))])})
    refuse({
        "the answer is right, but asking has changed the model's weights":
            lambda: moved(model.named_parameters(), untouched.named_parameters()),
        "the answer is right, but the running averages moved: some pass was made in train mode":
            lambda: moved(model.named_buffers(), untouched.named_buffers()),
        "the answer is right, but the model is left in eval mode, and training may go on after this: put the mode back":
            lambda: not all(part.training for part in model.modules())})
    return "eval mode for the answer, the old mode afterwards; an image's answer is its own"
