"""Classifier-free guidance: pure algebra on two noise predictions; no network and no loop.

    ε̃ = (1 + w) ε_c - w ε_∅  =  ε_c + w (ε_c - ε_∅)  =  ε_∅ + (1 + w)(ε_c - ε_∅)

w = 0 is the plain conditional prediction, w = -1 exactly the unconditional one, w > 0 extrapolates away from it.
Other libraries write ε_∅ + s (ε_c - ε_∅) with s = 1 + w ("guidance_scale"). Ho & Salimans, arXiv 2207.12598, eq. 6.

`guide` is the formula. The functions after it are variants from research: a limited interval, rescaling, CFG++ and a
classifier's gradient. The models that use them are in `lessons/variants`.
"""

import torch
from torch import Tensor

from ddpm_course.shapes import per_image


def check_weight(w: float | Tensor, batch: int) -> None:
    """Raise ValueError unless w is one finite number or a tensor (B,) of finite numbers."""
    w = torch.as_tensor(w)
    if w.dim() > 1 or (w.dim() == 1 and len(w) != batch):
        raise ValueError(f"w must be one number or one per image, shape ({batch},); got shape {tuple(w.shape)}")
    if not bool(torch.isfinite(w).all()):
        raise ValueError(f"w must be finite; got {w.tolist()}")


def guide(eps_c: Tensor, eps_null: Tensor, w: float | Tensor) -> Tensor:
    """Return (1 + w) ε_c - w ε_∅ (arXiv 2207.12598, eq. 6).

    eps_c, eps_null (B, …): predictions for the class and for ∅; w: a number, or (B,) for one w per image.
    Raises ValueError for other shapes and for w that is NaN or infinite.
    """
    if eps_c.shape != eps_null.shape:
        raise ValueError(f"the two predictions must have one shape; got {tuple(eps_c.shape)} and "
                         f"{tuple(eps_null.shape)}")
    check_weight(w, len(eps_c))
    w = per_image(torch.as_tensor(w, dtype=eps_c.dtype, device=eps_c.device), eps_c)     # (B or 1, 1, …)
    return extrapolate(eps_c, eps_null, w)


def extrapolate(eps_c: Tensor, eps_null: Tensor, w: float | Tensor) -> Tensor:
    """Return (1 + w) ε_c - w ε_∅ for a w that is a number or has its shape, (B, 1, …), already; nothing is checked.

    It is the line inside `guide`, for a loop that has checked its w once.
    """
    return (1 + w) * eps_c - w * eps_null


def limited(w: float | Tensor, t: int, interval: tuple[int, int] | None) -> float | Tensor:
    """Return w while t_lo ≤ t ≤ t_hi, and 0 outside (Kynkäänniemi et al., arXiv 2404.07724).

    interval: (t_lo, t_hi) in timesteps, or None for every t. Raises ValueError when t_lo > t_hi.
    """
    if interval is None:
        return w
    t_lo, t_hi = interval
    if t_lo > t_hi:
        raise ValueError(f"the interval must be (t_lo, t_hi) with t_lo ≤ t_hi; got {interval}")
    return w if t_lo <= t <= t_hi else 0.0


def rescale(guided: Tensor, conditional: Tensor, phi: float) -> Tensor:
    """Give each guided output the spread of the conditional one, in part: (φ std_c / std_g + 1 - φ) · guided.

    guided, conditional (B, …); the spreads are over all but B; φ in [0, 1], 0 changes nothing, else ValueError.
    Lin et al., arXiv 2305.08891, §3.4, rescale the network's own output, there and here v.
    """
    if not 0 <= phi <= 1 or guided.shape != conditional.shape:
        raise ValueError(f"φ must lie in [0, 1], and the outputs have one shape; got φ = {phi}, "
                         f"{tuple(guided.shape)} and {tuple(conditional.shape)}")
    if phi == 0:
        return guided
    axes = tuple(range(1, guided.dim()))
    ratio = conditional.std(dim=axes, keepdim=True) / guided.std(dim=axes, keepdim=True)         # (B, 1, …)
    return (phi * ratio + 1 - phi) * guided


def cfg_plus_plus(eps_c: Tensor, eps_null: Tensor, lam: float) -> tuple[Tensor, Tensor]:
    """Return the two predictions of a CFG++ step: ε_∅ + λ (ε_c - ε_∅) to denoise with, and ε_∅ to renoise with.

    λ in [0, 1], else ValueError: it interpolates, and λ = 1 denoises with ε_c. Chung et al., arXiv 2406.08070, Alg. 2.
    """
    if not 0 <= lam <= 1:
        raise ValueError(f"λ of CFG++ lies in [0, 1] (it is no w: it interpolates); got {lam}")
    return guide(eps_c, eps_null, lam - 1), eps_null


def classifier_null(eps_c: Tensor, gradient: Tensor, sigma_t: float | Tensor) -> Tensor:
    """Return the ε_∅ that Bayes' rule implies when a classifier says ∇ log p(c | x_t): ε_c + σ_t ∇ log p(c | x_t).

    Guided with it, ε̃ = ε_c - w σ_t ∇ log p(c | x_t): classifier guidance (Dhariwal & Nichol, arXiv 2105.05233).
    """
    return eps_c + sigma_t * gradient
