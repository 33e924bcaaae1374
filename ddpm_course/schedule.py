"""The fixed forward process q and its algebra; no network appears here.

    q(x_t | x_{t-1}) = N(√α_t x_{t-1}, β_t I),   α_t = 1 - β_t,   ᾱ_t = α_1 ⋯ α_t
    q(x_t | x_0)     = N(√ᾱ_t x_0, (1 - ᾱ_t) I)

Arrays have length T + 1 and index 0 is the clean image (β_0 = 0, ᾱ_0 = 1), so that the code's index is the paper's.
Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, §2.
"""

import math

import torch
from torch import Tensor

from ddpm_course.randomness import integers, uniform
from ddpm_course.shapes import per_image


class NoiseSchedule:
    """Hold β_t, α_t and ᾱ_t for t = 0 … T in float64 and do the forward process's algebra with them.

    `betas`: (T,) the values β_1 … β_T, each in (0, 1). The attributes `betas`, `alphas`, `alpha_bars` are (T+1,).
    In all methods `t` is an int or an int64 tensor (B,), images are (B, …), and results have the image's dtype.
    Raises ValueError when a β lies outside (0, 1).
    """

    def __init__(self, betas: Tensor) -> None:
        betas = torch.as_tensor(betas, dtype=torch.float64).flatten()
        if len(betas) == 0 or not bool(((betas > 0) & (betas < 1)).all()):
            raise ValueError(f"every β must lie strictly between 0 and 1; got {len(betas)} values in "
                             f"[{betas.min():.4g}, {betas.max():.4g}]" if len(betas) else "no β was given")
        self.T = len(betas)
        self.betas = torch.cat([torch.zeros(1, dtype=torch.float64), betas])     # (T+1,), β_0 = 0
        self.alphas = 1 - self.betas                                             # (T+1,)
        self.alpha_bars = torch.cumprod(self.alphas, dim=0)                      # (T+1,), ᾱ_0 = 1

    @classmethod
    def linear(cls, T: int = 150, beta_1: float = 1e-4, beta_T: float = 0.02) -> "NoiseSchedule":
        """Build DDPM's linear β, stretched by 1000/T so that ᾱ_T stays small (2.67e-5 at T = 150).

        `beta_1` and `beta_T` are the values at T = 1000, as in the paper (§4). Raises ValueError when β_T would pass 1.
        """
        pace = 1000 / T
        if pace * beta_T >= 1:
            raise ValueError(f"linear schedule with T = {T}: β_T would be {pace * beta_T:.3g} ≥ 1; "
                             f"take T > {math.floor(1000 * beta_T)}, or the cosine schedule")
        return cls(torch.linspace(pace * beta_1, pace * beta_T, T, dtype=torch.float64))

    @classmethod
    def cosine(cls, T: int = 150, *, alpha_bar_T: float = 1e-4) -> "NoiseSchedule":
        """Build the cosine ᾱ_t = cos²(θ_t), with the angle cut off where ᾱ_T = `alpha_bar_T` (in (0, 1)).

        Nichol & Dhariwal, arXiv 2102.09672, eq. 17, let θ run to π/2 and cap β at 0.999; that ends at ᾱ_T ≈ 1e-7 and
        makes the first reverse steps blow up errors in ε̂. Here the angle stops earlier instead, and no cap is needed.
        """
        if not 0 < alpha_bar_T < 1:
            raise ValueError(f"alpha_bar_T must lie in (0, 1); got {alpha_bar_T}")
        offset = 0.008                                           # the paper's s: keeps β_1 from being tiny
        start = offset / (1 + offset) * math.pi / 2
        end = math.acos(math.sqrt(alpha_bar_T) * math.cos(start))
        theta = torch.linspace(start, end, T + 1, dtype=torch.float64)
        alpha_bars = torch.cos(theta) ** 2 / math.cos(start) ** 2
        return cls(1 - alpha_bars[1:] / alpha_bars[:-1])

    def at(self, values: Tensor, t: int | Tensor, like: Tensor) -> Tensor:
        """Gather `values` (T+1,) at t and shape the result so that it multiplies `like` (B, …) per sample.

        Raises ValueError when t is not in 0 … T or does not have one entry per sample.
        """
        index = torch.as_tensor(t, device="cpu").reshape(-1)
        if index.is_floating_point():
            raise TypeError(f"t must be an integer timestep in 0 … {self.T}; got {index.dtype}")
        if index.numel() and (int(index.min()) < 0 or int(index.max()) > self.T):
            raise ValueError(f"t must lie in 0 … {self.T}; got {int(index.min())} … {int(index.max())}")
        if len(index) not in (1, len(like)):
            raise ValueError(f"t needs one entry per sample: got {len(index)} for a batch of {len(like)}")
        return per_image(values[index].to(like), like)           # (B or 1, 1, …)

    def signal_and_noise(self, t: int | Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return √ᾱ_t and √(1 - ᾱ_t), shaped to multiply `like`."""
        return self.at(self.alpha_bars.sqrt(), t, like), self.at((1 - self.alpha_bars).sqrt(), t, like)

    def q_sample(self, x_0: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
        """Jump to x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε (DDPM eq. 4). `eps` has the shape of `x_0`."""
        if eps.shape != x_0.shape:
            raise ValueError(f"eps must have the shape of x_0, {tuple(x_0.shape)}; got {tuple(eps.shape)}")
        signal, noise = self.signal_and_noise(t, x_0)
        return signal * x_0 + noise * eps

    def predict_x_0(self, x_t: Tensor, t: int | Tensor, eps: Tensor) -> Tensor:
        """Solve `q_sample` for x_0 = (x_t - √(1 - ᾱ_t) ε) / √ᾱ_t (DDPM eq. 15)."""
        signal, noise = self.signal_and_noise(t, x_t)
        return (x_t - noise * eps) / signal

    def predict_eps(self, x_t: Tensor, t: int | Tensor, x_0: Tensor) -> Tensor:
        """Solve `q_sample` for ε = (x_t - √ᾱ_t x_0) / √(1 - ᾱ_t); t ≥ 1, a clean image has no noise to find."""
        if bool((torch.as_tensor(t) == 0).any()):
            raise ValueError("predict_eps needs t ≥ 1: at t = 0 the image is clean and ε is undefined")
        signal, noise = self.signal_and_noise(t, x_t)
        return (x_t - signal * x_0) / noise

    def q_posterior(self, x_0: Tensor, x_t: Tensor, t: int | Tensor, s: int | Tensor | None = None
                    ) -> tuple[Tensor, Tensor]:
        """Return mean and variance of q(x_s | x_t, x_0) for s < t; s = t - 1 (DDPM eq. 6–7) unless given.

        The mean has the shape of x_t, the variance β̃ broadcasts against it. Raises ValueError unless 0 ≤ s < t.
        """
        t = torch.as_tensor(t)
        s = t - 1 if s is None else torch.as_tensor(s)
        if bool((s >= t).any()):
            raise ValueError(f"the posterior steps down: s < t is needed, got s = {s.tolist()}, t = {t.tolist()}")
        alpha_bar_t, alpha_bar_s = self.at(self.alpha_bars, t, x_t), self.at(self.alpha_bars, s, x_t)
        rest_t, rest_s = self.at(1 - self.alpha_bars, t, x_t), self.at(1 - self.alpha_bars, s, x_t)
        alpha = alpha_bar_t / alpha_bar_s                                        # α_t when s = t - 1
        beta = self.at(self.betas, t, x_t) if bool((s == t - 1).all()) else 1 - alpha
        mean = (alpha_bar_s.sqrt() * beta * x_0 + alpha.sqrt() * rest_s * x_t) / rest_t
        return mean, rest_s / rest_t * beta

    def sample_t(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw n timesteps uniformly from {1, …, T}, both included (DDPM Algorithm 1, line 3). Returns int64 (n,)."""
        return integers(1, self.T, (n,), generator=generator)

    def sample_t_stratified(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw n timesteps from {1, …, T}, one from each n-th part of the range, in random order: (n,) int64.

        Each t alone is still uniform, but a batch covers all noise levels evenly, so that the loss is less noisy
        (as the low-discrepancy sampler of Kingma et al., arXiv 2107.00630, but with a draw of its own in each part).
        """
        places = (torch.arange(n, dtype=torch.float64) + uniform((n,), generator=generator).cpu()) / n
        t = 1 + (places * self.T).long().clamp(max=self.T - 1)
        shuffle = torch.argsort(uniform((n,), generator=generator).cpu())
        return t[shuffle]
