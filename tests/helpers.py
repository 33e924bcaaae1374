"""What several test files share: tiny networks and data, and a diffusion whose every moment is known exactly.

The reference is written in numpy, from Bayes' rule for scalar Gaussians and the solvers' definitions. It uses
nothing of the package but the array ᾱ.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ddpm_course.conditioning import LabelEmbedding
from ddpm_course.parameterization import VelocityModel
from ddpm_course.runtime import Runtime
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import Recipe, TrainingRun, train
from ddpm_course.unet import UNet

FLOAT32_CPU = Runtime(torch.device("cpu"), torch.float32, "ci", 12, 20)
RECIPE = Recipe(steps=20, lr=3e-3, warmup=5, ema_decay=0.9, p_uncond=0.2)
FLOAT16_ROUNDING = {"rtol": 2**-11, "atol": 2**-25}              # of a number that was stored in float16
Affine = tuple[float, float]                                     # (a, b) stands for x ↦ a·x + b


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tiny_unet(n_classes: int | None = 10, *, seed: int = 0) -> UNet:
    """Build a two-level U-Net for images of even size, every weight shaken so that no layer is still zero."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        embedder = None if n_classes is None else LabelEmbedding(n_classes, 12)
        net = UNet(embedder, channels=(8, 16), n_down=(1, 1), n_up=(1, 2), d_emb=16)
        for weight in net.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    return net


class Stripes:
    """Training data in two classes, stripes across and stripes down: a fixed batch (8, 1, 8, 8) a step."""

    def __init__(self, size: int = 8) -> None:
        self.size = size

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        c = torch.arange(self.size) % 2
        across = torch.tensor([1.0, -1.0]).repeat(4)[:, None].expand(8, 8)
        x_0 = torch.where(c[:, None, None] == 0, across, across.T)[:, None]
        return x_0 * (0.5 + 0.5 * torch.rand(self.size, 1, 1, 1, generator=seeded(step))), c


def train_stripes(recipe: Recipe = RECIPE, **options) -> TrainingRun:
    """Train a tiny class-conditional v-network on `Stripes`; the same call does the same to the bit."""
    model = VelocityModel(tiny_unet(2), NoiseSchedule.cosine())
    return train(model, model.schedule, Stripes(), recipe, null=model.network.embedder.null, progress=False,
                 runtime=FLOAT32_CPU, **options)


def assert_same_bits(a: TrainingRun, b: TrainingRun) -> None:
    assert a.step == b.step and a.losses == b.losses
    for one, other in ((a.model, b.model), (a.ema.model, b.ema.model)):
        assert all(torch.equal(x, y) for x, y in zip(one.parameters(), other.parameters(), strict=True))


class GaussianModel(nn.Module):
    """The exact ε: x_0 ~ N(mean, variance) where c is given, x_0 ~ N(null_mean, null_variance) for None."""

    def __init__(self, schedule: NoiseSchedule, mean: float, variance: float, null_mean: float = 0.0,
                 null_variance: float = 2.0) -> None:
        super().__init__()
        self.alpha_bars = schedule.alpha_bars
        self.given, self.null = (mean, variance), (null_mean, null_variance)

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        mean, variance = self.null if c is None else self.given
        alpha_bar = self.alpha_bars[t].to(x_t).reshape(-1, *[1] * (x_t.dim() - 1))
        variance_t = alpha_bar * variance + 1 - alpha_bar        # of x_t
        return (1 - alpha_bar).sqrt() * (x_t - alpha_bar.sqrt() * mean) / variance_t


def denoiser(alpha_bar: float, mean: float, variance: float) -> Affine:
    """Return E[x_0 | x_t] as an affine function of x_t, by regression of one Gaussian on another."""
    gain = math.sqrt(alpha_bar) * variance / (alpha_bar * variance + 1 - alpha_bar)
    return gain, mean - gain * math.sqrt(alpha_bar) * mean


def guided_denoiser(alpha_bar: float, w: float, given: Affine, null: Affine) -> Affine:
    """Extrapolate from the null denoiser through the conditional one; given, null: (mean, variance)."""
    c, empty = np.array(denoiser(alpha_bar, *given)), np.array(denoiser(alpha_bar, *null))
    return tuple(empty + (1 + w) * (c - empty))


def bayes_posterior(alpha_bar_t: float, alpha_bar_s: float) -> tuple[float, float, float]:
    """Return (k_x, k_0, variance) of q(x_s | x_t, x_0), with mean k_x x_t + k_0 x_0. Precisions add up."""
    if alpha_bar_s == 1:
        return 0.0, 1.0, 0.0
    alpha = alpha_bar_t / alpha_bar_s
    prior, likelihood = 1 / (1 - alpha_bar_s), alpha / (1 - alpha)
    variance = 1 / (prior + likelihood)
    return variance * likelihood / math.sqrt(alpha), variance * prior * math.sqrt(alpha_bar_s), variance


def ancestral(alpha_bar_t: float, alpha_bar_s: float, *, variance: str) -> tuple[float, float, float]:
    """Return (k_x, k_0, σ²) of one DDPM step; "beta" is the variance of q(x_t | x_s); no noise at the end."""
    k_x, k_0, beta_tilde = bayes_posterior(alpha_bar_t, alpha_bar_s)
    beta = 0.0 if alpha_bar_s == 1 else 1 - alpha_bar_t / alpha_bar_s
    return k_x, k_0, beta if variance == "beta" else beta_tilde


def ddim(alpha_bar_t: float, alpha_bar_s: float, *, eta: float) -> tuple[float, float, float]:
    """Return (k_x, k_0, σ²) of one DDIM step. Noise that is not fresh points along x_t - √ᾱ_t x_0."""
    sigma2 = eta**2 * bayes_posterior(alpha_bar_t, alpha_bar_s)[2]
    k_x = math.sqrt((1 - alpha_bar_s - sigma2) / (1 - alpha_bar_t))
    return k_x, math.sqrt(alpha_bar_s) - k_x * math.sqrt(alpha_bar_t), sigma2


def exact_moments(alpha_bars: np.ndarray, times: list[int], x_0_hat: Callable[[float], Affine],
                  step: Callable[[float, float], tuple[float, float, float]]) -> tuple[float, float]:
    """Return mean and variance of x_0 when x_T ~ N(0, 1): V ← k² V + σ² over the given steps."""
    mean, variance = 0.0, 1.0
    for t, s in zip(times[:-1], times[1:]):
        a, b = x_0_hat(alpha_bars[t])
        k_x, k_0, sigma2 = step(alpha_bars[t], alpha_bars[s])
        k = k_x + k_0 * a
        mean, variance = k * mean + k_0 * b, k**2 * variance + sigma2
    return mean, variance


def exact_2m(alpha_bars: np.ndarray, times: list[int], x_0_hat: Callable[[float], Affine]) -> Affine:
    """Return the whole of DPM-Solver++ 2M as one affine map of x_T.

    The exact solution from t to s is σ_s (x_t/σ_t + ∫ e^λ x̂_0(λ) dλ), and ∫ e^λ dλ = √ᾱ_s/σ_s - √ᾱ_t/σ_t.
    Here x̂_0(λ) is the line through the last two estimates, taken at the midpoint of the step.
    """
    x, line = np.array([1.0, 0.0]), None                         # (slope, offset) as a function of x_T
    for t, s in zip(times[:-1], times[1:]):
        a, b = x_0_hat(alpha_bars[t])
        estimate = a * x + np.array([0.0, b])
        if s == 0:
            return tuple(estimate)
        signal, noise = np.sqrt(alpha_bars[[t, s]]), np.sqrt(1 - alpha_bars[[t, s]])
        lam_t, lam_s = np.log(signal / noise)
        middle = estimate
        if line is not None:
            middle = estimate + (estimate - line[1]) / (lam_t - line[0]) * ((lam_t + lam_s) / 2 - lam_t)
        x = noise[1] * (x / noise[0] + (signal[1] / noise[1] - signal[0] / noise[0]) * middle)
        line = lam_t, estimate
    raise AssertionError("the steps must end at 0")
