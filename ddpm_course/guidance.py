"""Classifier-free guidance: pure algebra on two noise predictions; no network and no loop.

    ε̃ = (1 + w) ε_c - w ε_∅  =  ε_c + w (ε_c - ε_∅)  =  ε_∅ + (1 + w)(ε_c - ε_∅)

w = 0 is the plain conditional prediction, w = -1 exactly the unconditional one, w > 0 extrapolates away from it.
Other libraries write ε_∅ + s (ε_c - ε_∅) with s = 1 + w ("guidance_scale"). Ho & Salimans, arXiv 2207.12598, eq. 6.
Taught in notebook 04.
"""

import torch
from torch import Tensor


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
    w = torch.as_tensor(w, dtype=eps_c.dtype, device=eps_c.device)
    w = w.reshape(-1, *[1] * (eps_c.dim() - 1))                  # (B or 1, 1, …)
    return (1 + w) * eps_c - w * eps_null
