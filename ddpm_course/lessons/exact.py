"""Densities whose scores are known in closed form: guidance with ground truth.

    x_0 ~ Σ_k π_k N(μ_k, Σ_k)   ⇒   x_t ~ Σ_k π_k N(√ᾱ_t μ_k, ᾱ_t Σ_k + (1 - ᾱ_t) I)

The best possible prediction is then known: ε = -√(1 - ᾱ_t) ∇ log p(x_t). `ExactModel` answers like a U-Net, so that the
course's samplers run on it untouched. The conditional densities and the null density are given separately, so that p(x)
need not be a mixture of the classes: p(x | c) = N(0, 1) may stand beside p(x) = N(0, 2). All in float64.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ddpm_course.randomness import normal, uniform
from ddpm_course.schedule import NoiseSchedule


class Gaussian:
    """N(mean, covariance) in D dimensions; mean (D,), covariance (D, D), or a number for a multiple of I.

    Raises ValueError when the covariance has another shape or is not positive definite.
    """

    def __init__(self, mean: Tensor | Sequence[float], covariance: Tensor | float) -> None:
        self.mean = torch.as_tensor(mean, dtype=torch.float64).reshape(-1)
        covariance = torch.as_tensor(covariance, dtype=torch.float64)
        dim = len(self.mean)
        self.covariance = covariance * torch.eye(dim, dtype=torch.float64) if covariance.dim() == 0 else covariance
        if self.covariance.shape != (dim, dim):
            raise ValueError(f"covariance must be a number or ({dim}, {dim}); got {tuple(covariance.shape)}")
        self.cholesky, failed = torch.linalg.cholesky_ex(self.covariance)
        if bool(failed) or not torch.allclose(self.covariance, self.covariance.T):
            raise ValueError("the covariance must be symmetric and positive definite")

    def noised(self, alpha_bar: float) -> "Gaussian":
        """Return the density of √ᾱ x_0 + √(1 - ᾱ) ε."""
        identity = torch.eye(len(self.mean), dtype=torch.float64)
        return Gaussian(alpha_bar**0.5 * self.mean, alpha_bar * self.covariance + (1 - alpha_bar) * identity)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x): (B, D) → (B,) float64."""
        centred = (x.double() - self.mean).T                                     # (D, B)
        white = torch.linalg.solve_triangular(self.cholesky, centred, upper=False)
        log_det = 2 * self.cholesky.diagonal().log().sum()
        return -0.5 * (white.square().sum(dim=0) + log_det + len(self.mean) * torch.log(torch.tensor(2 * torch.pi)))

    def score(self, x: Tensor) -> Tensor:
        """Return ∇ log p(x) = -Σ⁻¹ (x - μ): (B, D) → (B, D) float64."""
        return -torch.cholesky_solve((x.double() - self.mean).T, self.cholesky).T

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw n points: (n, D) float64."""
        return self.mean + normal((n, len(self.mean)), generator=generator).double() @ self.cholesky.T


class GaussianMixture:
    """Σ_k π_k N(μ_k, Σ_k): weights (K,) that sum to one, and K Gaussians. Else ValueError."""

    def __init__(self, weights: Sequence[float], components: Sequence[Gaussian]) -> None:
        self.weights, self.components = torch.tensor(weights, dtype=torch.float64), tuple(components)
        if len(self.weights) != len(self.components) or bool((self.weights <= 0).any()) or \
                abs(float(self.weights.sum()) - 1) > 1e-9:
            raise ValueError(f"{len(self.components)} components need as many positive weights that sum to one; got "
                             f"{self.weights.tolist()}")

    def noised(self, alpha_bar: float) -> "GaussianMixture":
        """Return the density of √ᾱ x_0 + √(1 - ᾱ) ε: the components are noised, the weights stay."""
        return GaussianMixture(self.weights.tolist(), [part.noised(alpha_bar) for part in self.components])

    def _joint(self, x: Tensor) -> Tensor:
        """log π_k + log N(x; μ_k, Σ_k): (B, K)."""
        return self.weights.log() + torch.stack([part.log_prob(x) for part in self.components], dim=1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x): (B, D) → (B,) float64."""
        return self._joint(x).logsumexp(dim=1)

    def posterior(self, x: Tensor) -> Tensor:
        """Return p(k | x), the share of each component: (B, D) → (B, K) float64."""
        return self._joint(x).softmax(dim=1)

    def score(self, x: Tensor) -> Tensor:
        """Return ∇ log p(x) = Σ_k p(k | x) ∇ log N(x; μ_k, Σ_k): (B, D) → (B, D) float64."""
        scores = torch.stack([part.score(x) for part in self.components], dim=1)          # (B, K, D)
        return (self.posterior(x)[:, :, None] * scores).sum(dim=1)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw n points: (n, D) float64."""
        borders = self.weights.cumsum(0)
        chosen = torch.searchsorted(borders, uniform((n,), generator=generator).double()).clamp(max=len(borders) - 1)
        draws = torch.stack([part.sample(n, generator=generator) for part in self.components])    # (K, n, D)
        return draws[chosen, torch.arange(n)]


Density = Gaussian | GaussianMixture


class ExactModel:
    """Answer ε(x_t, t, c) exactly: `null` is the density for ∅, `conditional[c]` the one of class c.

    x_t (B, D) in float32 or float64; t (B,) in 1 … T; c (B,) in 0 … len(conditional) - 1, or None for ∅.
    """

    def __init__(self, schedule: NoiseSchedule, null: Density, conditional: Sequence[Density]) -> None:
        self.schedule, self.null, self.conditional = schedule, null, tuple(conditional)

    @classmethod
    def labelled(cls, schedule: NoiseSchedule, mixture: GaussianMixture) -> "ExactModel":
        """Make each component a class of its own; then p(x) = Σ_c p(x | c) p(c) holds."""
        return cls(schedule, mixture, mixture.components)

    def density(self, t: int, c: int | None = None) -> Density:
        """Return p(x_t | c), or p(x_t) for c = None."""
        return (self.null if c is None else self.conditional[c]).noised(float(self.schedule.alpha_bars[t]))

    def log_prob(self, x_t: Tensor, t: int, c: int | None = None) -> Tensor:
        """Return log p(x_t | c): (B,) float64."""
        return self.density(t, c).log_prob(x_t)

    def score(self, x_t: Tensor, t: int, c: int | None = None) -> Tensor:
        """Return ∇ log p(x_t | c): (B, D) float64."""
        return self.density(t, c).score(x_t)

    def eps(self, x_t: Tensor, t: int, c: int | None = None) -> Tensor:
        """Return E[ε | x_t, c] = -√(1 - ᾱ_t) ∇ log p(x_t | c): (B, D) float64."""
        return -(1 - float(self.schedule.alpha_bars[t])) ** 0.5 * self.score(x_t, t, c)

    def __call__(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Answer like a network: one ε per sample, each at its own t and c, in x_t's dtype."""
        labels, eps = torch.full_like(t, -1) if c is None else c, torch.empty_like(x_t)          # -1 stands for ∅
        for t_k, c_k in torch.stack([t, labels]).unique(dim=1).T.tolist():
            rows = (t == t_k) & (labels == c_k)
            eps[rows] = self.eps(x_t[rows], t_k, None if c_k < 0 else c_k).to(x_t.dtype)
        return eps
