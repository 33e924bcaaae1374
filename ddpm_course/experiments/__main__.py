"""`python -m ddpm_course.experiments NAME [--pace ci|laptop|gpu] [--out FOLDER]`: run one experiment."""

import argparse
import importlib
import pkgutil
from pathlib import Path

from ddpm_course import experiments
from ddpm_course.runtime import PACES, choose_runtime, runs_folder


def names() -> list[str]:
    """List the experiments: the modules of this folder that are not private."""
    return sorted(m.name for m in pkgutil.iter_modules(experiments.__path__) if not m.name.startswith("_"))


def main(arguments: list[str] | None = None) -> None:
    """Read the options and run the experiment they name."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course.experiments", description=experiments.__doc__)
    parser.add_argument("name", choices=names())
    parser.add_argument("--pace", choices=PACES, default="gpu", help="ci: seconds, to see that it runs; else in full")
    parser.add_argument("--out", type=Path, help="folder for record and weights (default: inside the package; at pace "
                                                 "ci: in the runs folder)")
    options = parser.parse_args(arguments)
    out = options.out or (runs_folder() / "experiments" if options.pace == "ci" else None)
    runtime = choose_runtime(options.pace)
    importlib.import_module(f"ddpm_course.experiments.{options.name}").run(runtime, out)


if __name__ == "__main__":
    main()
