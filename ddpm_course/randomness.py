"""Draws that can be repeated: randomness is an argument.

Every function of the course that draws takes `generator: torch.Generator | None = None`. The numbers are drawn on the
generator's own device and then moved, so that one CPU generator gives the same starting noise on a laptop and on a GPU.
Without a generator PyTorch's global one is used.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def _home(generator: torch.Generator | None) -> torch.device:
    return torch.device("cpu") if generator is None else generator.device


def normal(shape: tuple[int, ...], *, generator: torch.Generator | None = None,
           device: torch.device | str = "cpu") -> Tensor:
    """Draw standard normal noise of the given shape, float32, on the generator's device; return it on `device`."""
    return torch.randn(shape, generator=generator, device=_home(generator)).to(device)


def uniform(shape: tuple[int, ...], *, generator: torch.Generator | None = None,
            device: torch.device | str = "cpu") -> Tensor:
    """Draw from U[0, 1), float32, on the generator's device; return it on `device`."""
    return torch.rand(shape, generator=generator, device=_home(generator)).to(device)


def integers(low: int, high: int, shape: tuple[int, ...], *, generator: torch.Generator | None = None,
             device: torch.device | str = "cpu") -> Tensor:
    """Draw int64 values from {low, …, high}, both ends included (`torch.randint` leaves its upper end out)."""
    return torch.randint(low, high + 1, shape, generator=generator, device=_home(generator)).to(device)


@contextmanager
def weights_from(seed: int) -> Iterator[None]:
    """Let the networks that are built inside draw their first weights from `seed`.

    Layers draw from PyTorch's global generators; the caller's random numbers are afterwards what they were before.
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
