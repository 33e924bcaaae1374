"""How few steps are enough?

Takes about ten minutes of one core.

The shipped model, told the class and without guidance, by DDIM and by DPM-Solver++ 2M with 5 to 50 steps: 1,000 images
an arm in five rows of 200, the same starting noise for all. A finished row is kept in the runs folder.
"""

from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.experiments._judged_rows import judged_row, summary
from ddpm_course.experiments._kept import rows_folder
from ddpm_course.randomness import normal
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import IMAGE_SHAPE, sample
from ddpm_course.solvers import SOLVERS

STEPS, ROWS, ROW_SIZE = (5, 10, 20, 50), 5, 200


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Make the rows that are missing and write the record `few_steps`."""
    model, trained_judge = load_checkpoint("fashion").to(runtime.device), load_judge()
    folder = rows_folder("few_steps", model, trained_judge.judge)
    counts, size, chosen = (2, 20, STEPS[:2]) if runtime.pace == "ci" else (ROWS, ROW_SIZE, STEPS)
    arms = []
    for solver, steps in tqdm([(name, steps) for name in ("ddim", "dpm") for steps in chosen], desc="arms"):
        rows = []
        for seed in range(counts):
            x_T = normal((size, *IMAGE_SHAPE), generator=torch.Generator().manual_seed(8000 + seed),
                         device=runtime.device)

            def draw(c: Tensor) -> Tensor:
                return sample(model, model.schedule, x_T, c.to(runtime.device), solver=SOLVERS[solver], steps=steps)

            path = folder / f"{solver}_steps{steps}_seed{seed}_n{size}.pt"
            rows.append(judged_row(path, torch.arange(size) % 10, draw, trained_judge))
        arms.append({"solver": solver, "steps": steps} | summary(rows, trained_judge))
    save_record("few_steps", {"model": "fashion", "w": 0.0, "arms": arms, "real_test_set": trained_judge.real},
                folder=out or RECORDS)
