"""Run one experiment: `python -m ddpm_course.experiments NAME [--pace ci|laptop|gpu] [--out FOLDER]`; `--list`: which.

An experiment is one short file over the package's public functions. It writes a record (JSON) into
`ddpm_course/records/`. Those that take long keep what is done: after a stop, the same command goes on from there.
"""

import argparse
import importlib
import pkgutil
from pathlib import Path

from ddpm_course import experiments
from ddpm_course.runtime import PACES, choose_runtime, runs_folder


def names() -> list[str]:
    """List the experiments: the modules of this folder that are not private."""
    return sorted(m.name for m in pkgutil.iter_modules(experiments.__path__) if not m.name.startswith("_"))


def table() -> str:
    """Write the experiments as a Markdown table, from the first two paragraphs of each file's docstring."""
    rows = ["| experiment | question or task | takes |", "|---|---|---|"]
    for name in names():
        asks, takes, *_ = importlib.import_module(f"{experiments.__name__}.{name}").__doc__.split("\n\n")
        rows.append(f"| [`{name}`]({name}.py) | {asks} | {takes.strip().removeprefix('Takes ').rstrip('.')} |")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run the experiment they name."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course.experiments", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=names())
    parser.add_argument("--list", action="store_true", help="only say which experiments there are")
    parser.add_argument("--pace", choices=PACES, default="gpu", help="ci: seconds, to see that it runs; else in full")
    parser.add_argument("--out", type=Path, help="folder for record and weights (default: inside the package; at pace "
                                                 "ci: in the runs folder)")
    options = parser.parse_args(arguments)
    if options.list:
        print(table())
        return
    if options.name is None:
        parser.error("name an experiment; --list says which there are")
    out = options.out or (runs_folder() / "experiments" if options.pace == "ci" else None)
    runtime = choose_runtime(options.pace)
    importlib.import_module(f"ddpm_course.experiments.{options.name}").run(runtime, out)


if __name__ == "__main__":
    main()
