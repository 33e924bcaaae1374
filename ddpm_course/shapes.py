"""One value per image: how a number, or a vector (B,), meets a batch of images (B, …)."""

from torch import Tensor


def per_image(values: Tensor, like: Tensor) -> Tensor:
    """Shape one value, or one per image, (B,), so that it multiplies `like` (B, …): (1, 1, …) or (B, 1, …).

    PyTorch lines shapes up from the right: (B,) against (B, 1, 28, 28) would give each column of pixels a value of its
    own, or an error. Raises ValueError for another number of values.
    """
    if values.dim() > 1 or values.numel() not in (1, len(like)):
        raise ValueError(f"one value, or one per image, ({len(like)},), is needed; got shape {tuple(values.shape)}")
    return values.reshape(-1, *[1] * (like.dim() - 1))
