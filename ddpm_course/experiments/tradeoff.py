"""How do accuracy, Fréchet distance and diversity of the shipped model change with w?

Takes about half an hour of one core.

One row is 1,000 images of one (w, seed), a hundred of each class, by DPM-Solver++ 2M with 20 steps. A finished row is
kept in the runs folder, so that the command can be stopped and called again.
"""

from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.experiments._judged_rows import Row, judged_row, summary
from ddpm_course.experiments._kept import rows_folder
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.sampling import sample_w

ROWS = {0.0: 5, 0.5: 5, 1.0: 5, 2.0: 5, 3.0: 5, 5.0: 5}
ROW_SIZE, STEPS, BATCH = 1000, 20, 100


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Make the rows that are missing and write the record `tradeoff`."""
    model, trained_judge = load_checkpoint("fashion").to(runtime.device), load_judge()
    counts, size = ({0.0: 2, 2.0: 2}, 20) if runtime.pace == "ci" else (ROWS, ROW_SIZE)
    todo = [(w, seed) for seed in range(max(counts.values())) for w, n in counts.items() if seed < n]
    rows: dict[float, list[Row]] = {w: [] for w in counts}
    folder = rows_folder("tradeoff", model, trained_judge.judge)
    for w, seed in tqdm(todo, desc="rows"):
        path = folder / f"w{w:g}_seed{seed}_n{size}_steps{STEPS}.pt"
        generator = torch.Generator().manual_seed(1000 + seed)

        def draw(labels: Tensor) -> Tensor:
            return torch.cat([sample_w(model, part.to(runtime.device), w, steps=STEPS, generator=generator).cpu()
                              for part in labels.split(BATCH)])

        rows[w].append(judged_row(path, torch.arange(size) % 10, draw, trained_judge))
    points = [{"w": w} | summary(rows[w], trained_judge) for w in counts]
    save_record("tradeoff", {"model": "fashion", "sampler": "DPM-Solver++ 2M", "steps": STEPS, "points": points,
                             "real_test_set": trained_judge.real}, folder=out or RECORDS)
