"""A strip of garments as a PNG, without a browser: what `python -m ddpm_course` draws.

One row per w, the same starting noise in each.
"""

import argparse
from pathlib import Path

import torch

from ddpm_course.checkpoints import load_checkpoint
from ddpm_course.data.images import FASHION_NAMES
from ddpm_course.sampling import sample_w
from ddpm_course.show.pictures import Row, gray, sheet
from ddpm_course.whole_files import check_writable, write_whole


def parse_class(text: str) -> list[int]:
    """Read a class by number or by the beginning of its name; "all" is one of each."""
    if text.lower() == "all":
        return list(range(len(FASHION_NAMES)))
    matches = [k for k, name in enumerate(FASHION_NAMES) if text == str(k) or name.lower().startswith(text.lower())]
    if len(matches) != 1:
        found = "is no class" if not matches else f"names {len(matches)} classes"
        raise argparse.ArgumentTypeError(f"{text!r} {found}; take one of: all, "
                                         + ", ".join(f"{k} ({name})" for k, name in enumerate(FASHION_NAMES)))
    return matches


def parse_weights(text: str) -> list[float]:
    """Read one w or several, separated by commas; each must be finite."""
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers; write for example 0,1,2") from None
    if not all(abs(w) <= 1000 for w in weights):                 # NaN fails this too
        raise argparse.ArgumentTypeError(f"every w must be finite, in -1000 … 1000; got {text!r}")
    return weights


def options_of(arguments: list[str], T: int, about: str | None) -> argparse.Namespace:
    """Read and check the options; a wrong one ends the program with exit code 2 and says why."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course", description=about,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--class", dest="labels", type=parse_class, default="all", help="name, number or all")
    parser.add_argument("--w", type=parse_weights, default="0,2",
                        help="guidance, one or several: 0,1,2; 0 is none; --w=-1,0 if the first is negative")
    parser.add_argument("--n", type=int, default=10, help="garments per row for a single class (1 … 50)")
    parser.add_argument("--steps", type=int, default=20, help="solver steps (1 … 150)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starting noise")
    parser.add_argument("--out", type=Path, default=Path("garments.png"), help="the PNG to write")
    options = parser.parse_args(arguments)
    if not 1 <= options.steps <= T or not 1 <= options.n <= 50 or not 0 <= options.seed < 2**63:
        parser.error(f"--steps must lie in 1 … {T}, --n in 1 … 50 and --seed in 0 … 2^63 - 1")
    try:
        check_writable(options.out)
    except OSError as error:
        parser.error(f"{str(options.out)!r} cannot be written: {error}")
    return options


def picture(arguments: list[str], *, about: str | None = None) -> Path:
    """Read the options, draw, write the PNG in one move, and return its path; `about` is what --help says first."""
    model = load_checkpoint("fashion")
    options = options_of(arguments, model.schedule.T, about)
    labels = torch.tensor(options.labels if len(options.labels) > 1 else options.labels * options.n)
    rows = []
    for w in options.w:
        generator = torch.Generator().manual_seed(options.seed)
        x_0 = sample_w(model, labels, w, steps=options.steps, generator=generator)
        rows.append(Row(f"w = {w:g}", gray(x_0)))
    captions = tuple(FASHION_NAMES[k] for k in labels.tolist())
    rows[-1] = Row(rows[-1].title, rows[-1].tiles, captions)
    write_whole(options.out, sheet(rows, margin=70))
    weights = ", ".join(f"{w:g}" for w in options.w)
    print(f"{options.out}: {len(labels)} garments a row, w = {weights}, {options.steps} steps, seed {options.seed}")
    return options.out
