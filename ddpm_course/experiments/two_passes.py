"""How much faster than two calls are one call of twice the batch, and one encoder for both?

Takes one minute; leave the machine alone.

Each ratio is the median over rounds in which the three ways take turns, so that whatever else the machine does falls on
all of them.
"""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ddpm_course.checkpoints import load_checkpoint
from ddpm_course.parameterization import predict_pair
from ddpm_course.randomness import normal
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import IMAGE_SHAPE

SIZES, ROUNDS, T_SHOWN = (1, 4, 10, 32, 64, 128), 25, 60


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Measure every batch size and write the record `two_passes`."""
    model = load_checkpoint("fashion").to(runtime.device)
    null = int(model.network.embedder.null)

    def sequential(x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        return model(x_t, t, c), model(x_t, t, None)

    def doubled(x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        return model(torch.cat([x_t, x_t]), torch.cat([t, t]), torch.cat([c, torch.full_like(c, null)])).chunk(2)

    def shared_encoder(x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, ...]:
        return predict_pair(model, x_t, t, c)

    rounds, sizes = (2, SIZES[:2]) if runtime.pace == "ci" else (ROUNDS, SIZES)
    rows = []
    for n in sizes:
        x_t = normal((n, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(0), device=runtime.device)
        draws = (x_t, torch.full((n,), T_SHOWN, device=runtime.device), torch.arange(n, device=runtime.device) % 10)
        taken = [[seconds(way, draws) for way in (sequential, doubled, shared_encoder)] for _ in range(rounds)]
        ratios = torch.tensor([[two / one, two / shared] for two, one, shared in taken]).quantile(0.5, dim=0)
        rows.append({"n": n, "doubled": round(float(ratios[0]), 3), "shared_encoder": round(float(ratios[1]), 3)})
    save_record("two_passes", {"model": "fashion", "device": str(runtime.device), "rounds": rounds, "rows": rows},
                folder=out or RECORDS)


@torch.no_grad()
def seconds(way: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, ...]], draws: tuple[Tensor, Tensor, Tensor]) -> float:
    """Return how long one call takes until its results have arrived in the CPU's memory."""
    start = time.perf_counter()
    [eps.cpu() for eps in way(*draws)]
    return time.perf_counter() - start
