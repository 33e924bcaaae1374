"""Condition → vector, and the only home of the null condition ∅.

A label c ∈ {0, …, n-1} is looked up in a table with one row more than there are classes; row n is ∅, "no class given".
During training each sample's condition is replaced by ∅ with probability p_uncond, so that one network learns both
ε_θ(x_t, t, c) and ε_θ(x_t, t, ∅): Ho & Salimans, arXiv 2207.12598, Algorithm 1, lines 2–3.
"""

import torch
from torch import Tensor, nn

from ddpm_course.randomness import uniform
from ddpm_course.shapes import per_image


class LabelEmbedding(nn.Module):
    """Look up a vector for each label: (B,) integers in 0 … n_classes → (B, dim); index n_classes is ∅.

    Looking up row c is the same as multiplying a one-hot row vector by the table. `null` is the label that means ∅.
    Raises TypeError for labels that are not integers and ValueError for labels out of range or of another shape.
    """

    null: Tensor

    def __init__(self, n_classes: int, dim: int) -> None:
        super().__init__()
        self.n_classes, self.dim = n_classes, dim
        self.table = nn.Embedding(n_classes + 1, dim)            # + 1: the null row, never a real class
        self.register_buffer("null", torch.tensor(n_classes), persistent=False)

    def forward(self, c: Tensor) -> Tensor:
        if c.is_floating_point() or c.dtype == torch.bool:
            raise TypeError(f"labels must be integers; got {c.dtype} (a one-hot vector? give its index)")
        if c.dim() != 1:
            raise ValueError(f"labels must have shape (B,); got {tuple(c.shape)}")
        if len(c) and (int(c.min()) < 0 or int(c.max()) > self.n_classes):
            raise ValueError(f"labels must lie in 0 … {self.n_classes - 1} (or {self.n_classes} for 'no class'); "
                             f"got {int(c.min())} … {int(c.max())}")
        return self.table(c.long())                              # (B,) → (B, dim)


class VectorEmbedding(nn.Module):
    """Project a vector condition, such as a CLIP embedding: (B, d_in) → (B, dim).

    `null` is a learned vector of shape (d_in,) that stands in for ∅. Raises ValueError for another width.
    """

    def __init__(self, d_in: int, dim: int) -> None:
        super().__init__()
        self.d_in, self.dim = d_in, dim
        self.null = nn.Parameter(torch.zeros(d_in))
        self.project = nn.Linear(d_in, dim)

    def forward(self, c: Tensor) -> Tensor:
        if c.dim() != 2 or c.shape[1] != self.d_in:
            raise ValueError(f"the condition must have shape (B, {self.d_in}); got {tuple(c.shape)}")
        return self.project(c)                                   # (B, d_in) → (B, dim)


def drop_condition(c: Tensor, null: Tensor, p_uncond: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Replace each sample's condition by ∅ with probability `p_uncond` in [0, 1] (arXiv 2207.12598, Algorithm 1).

    One draw per sample, never one per element: c (B, …) and `null` (…) give (B, …). `embedding.null` is the ∅ to
    pass. Labels are never multiplied by a mask: that would turn dropped samples into class 0.
    Raises ValueError when `p_uncond` is no probability or `null` does not have the shape of one condition.
    """
    if not 0 <= p_uncond <= 1:
        raise ValueError(f"p_uncond is a probability in [0, 1]; got {p_uncond}")
    if null.shape != c.shape[1:]:
        raise ValueError(f"null must have the shape of one condition, {tuple(c.shape[1:])}; got {tuple(null.shape)}")
    keep = uniform((len(c),), generator=generator, device=c.device) >= p_uncond  # (B,)
    return torch.where(per_image(keep, c), c, null.to(c))
