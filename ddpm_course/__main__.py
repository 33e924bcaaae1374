"""`python -m ddpm_course`: draw garments with the shipped model into a PNG, without a browser.

    python -m ddpm_course --class sneaker --w 0,1,2,5 --out sneakers.png
    python -m ddpm_course explorer -o guidance.html
    python -m ddpm_course lecture 04
    python -m ddpm_course doctor

One row per w, the same starting noise in each. `explorer` writes the slider as one HTML page, which needs neither
Python nor a network to be shown; `lecture` opens a lesson's interactive pieces without code, large; `doctor` looks
whether this machine is ready for class.
"""

import argparse
import os
import sys
from pathlib import Path

try:
    import torch

    from ddpm_course import doctor, lecture, onepage
    from ddpm_course.checkpoints import load_checkpoint, load_judge
    from ddpm_course.data import FASHION_NAMES
    from ddpm_course.explorer import GuidanceExplorer
    from ddpm_course.pictures import Row, gray, sheet
    from ddpm_course.records import load_record
    from ddpm_course.sampling import sample_w
except ModuleNotFoundError as error:
    raise SystemExit(f"{error.name} is not installed for {sys.executable}. Use the Python of the course's environment "
                     "(.venv/bin/python, on Windows .venv\\Scripts\\python), or in a copy of the repository call "
                     "python -m ddpm_course.start doctor, which installs all that is needed.") from None


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


def explorer_page(arguments: list[str]) -> Path:
    """Read the options of `explorer`, draw every picture, write the page in one move, and return its path."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course explorer", description="Write the guidance slider as "
                                     "one HTML page (about 1.5 MB, two minutes) that needs no Python and no network.")
    parser.add_argument("-o", "--out", type=Path, default=Path("guidance.html"), help="the page to write")
    out = parser.parse_args(arguments).out
    explorer, record = GuidanceExplorer(load_checkpoint("fashion"), load_judge()), load_record("tradeoff")
    try:                                                         # a bad path is told now, not after the drawing
        if not out.name or out.is_dir():
            raise IsADirectoryError("it is a folder; --out takes a file's name")
        part = out.with_name(f"{out.name}.{os.getpid()}.part")
        part.touch()
    except OSError as error:
        parser.error(f"{str(out)!r} cannot be written: {error}")
    try:
        part.write_text(onepage.build(explorer, record), encoding="utf-8", newline="\n")
        os.replace(part, out)
    except OSError as error:
        parser.error(f"{out} cannot be written: {error}")
    finally:
        part.unlink(missing_ok=True)
    size = out.stat().st_size / 1e6
    print(f"{out}: {size:.2f} MB; open it in a browser; the arrow keys move w")
    return out


def main(arguments: list[str]) -> int:
    """Do what the first argument says, or draw; return the exit code."""
    command, *rest = arguments or [""]
    if command == "lecture":
        return lecture.main(rest)
    if command == "doctor":
        return doctor.main(rest)
    if command == "explorer":
        explorer_page(rest)
    elif command and not command.startswith("-"):
        print(f"there is no command {command!r}; there are explorer, lecture and doctor, and without a command a "
              "picture is drawn (--help tells its options)", file=sys.stderr)
        return 2
    else:
        picture(arguments)
    return 0


def picture(arguments: list[str]) -> Path:
    """Read the options, draw, write the PNG in one move, and return its path."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--class", dest="labels", type=parse_class, default="all", help="name, number or all")
    parser.add_argument("--w", type=parse_weights, default="0,2",
                        help="guidance, one or several: 0,1,2; 0 is none; --w=-1,0 if the first is negative")
    parser.add_argument("--n", type=int, default=10, help="garments per row for a single class (1 … 50)")
    parser.add_argument("--steps", type=int, default=20, help="solver steps (1 … 150)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the starting noise")
    parser.add_argument("--out", type=Path, default=Path("garments.png"), help="the PNG to write")
    options = parser.parse_args(arguments)
    model = load_checkpoint("fashion")
    if not 1 <= options.steps <= model.schedule.T or not 1 <= options.n <= 50 or not 0 <= options.seed < 2**63:
        parser.error(f"--steps must lie in 1 … {model.schedule.T}, --n in 1 … 50 and --seed in 0 … 2^63 - 1")
    if not options.out.name or options.out.is_dir():
        parser.error(f"{str(options.out)!r} cannot be written: it is a folder; --out takes a file's name")
    labels = torch.tensor(options.labels if len(options.labels) > 1 else options.labels * options.n)
    rows = []
    for w in options.w:
        generator = torch.Generator().manual_seed(options.seed)
        x_0 = sample_w(model, model.schedule, labels, w, steps=options.steps, generator=generator)
        rows.append(Row(f"w = {w:g}", gray(x_0)))
    captions = tuple(FASHION_NAMES[k] for k in labels.tolist())
    rows[-1] = Row(rows[-1].title, rows[-1].tiles, captions)
    part = options.out.with_name(f"{options.out.name}.{os.getpid()}.part")
    try:
        part.write_bytes(sheet(rows, margin=70))
        os.replace(part, options.out)
    except OSError as error:
        part.unlink(missing_ok=True)
        parser.error(f"{options.out} cannot be written: {error}")
    weights = ", ".join(f"{w:g}" for w in options.w)
    print(f"{options.out}: {len(labels)} garments a row, w = {weights}, {options.steps} steps, seed {options.seed}")
    return options.out


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
