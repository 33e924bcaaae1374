"""Is this machine ready for class? `python -m ddpm_course doctor` looks, and says what to do about each problem.

Each examination returns findings: a state ("ok", "note" or "problem"), what was seen, and the mend. The data are loaded
as a lesson loads them, so what is missing is fetched now and not in front of the class.
"""

import argparse
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

import torch
from packaging.requirements import Requirement  # comes with matplotlib
from packaging.version import Version

from ddpm_course.checkpoints import WEIGHTS, damaged_weights, load_checkpoint, load_judge
from ddpm_course.classroom.lecture import kept_runs
from ddpm_course.data.files import keep_fashion
from ddpm_course.data.images import load_fashion
from ddpm_course.runtime import cache_folder, choose_runtime, setting
from ddpm_course.show.guidance_view import ONE_OF_EACH, GuidanceView

_DATA = "go online once, or copy them from a folder that holds FashionMNIST/raw: doctor --data FOLDER"
ENOUGH = 1e9                                                     # bytes: data twice, and a student's trainings
SLOW = 2.0                                                       # seconds that a new strip may take


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is ("ok", "note" or "problem"), what was seen, and what to do about it."""

    name: str
    state: str
    seen: str
    mend: str = ""

    def __str__(self) -> str:
        mark = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}[self.state]
        line = f"{mark}  {self.name:12} {self.seen}"
        return f"{line}\n{'':21} -> {self.mend}" if self.mend else line


def install_again(*options: str) -> str:
    """Return how to install the course again: in a copy of the repository, or elsewhere from its address."""
    address = next((line.split(", ")[1] for line in metadata.metadata("ddpm-course").get_all("Project-URL", [])
                    if line.startswith("Repository, ")), "its repository's address")
    extra = "" if _on_colab() else "[lecture]"
    return ("in a copy of the repository delete .venv and call python -m ddpm_course.start doctor; elsewhere "
            f'{" ".join(("pip install", *options))} "ddpm-course{extra} @ git+{address}"')


def requirements(extra: str) -> Iterator[Requirement]:
    """List what the course needs, as its installed metadata say: for an extra, or for "" by itself."""
    for requirement in map(Requirement, metadata.requires("ddpm-course") or []):
        of_extra = requirement.marker is not None
        wanted = not of_extra if extra == "" else of_extra and requirement.marker.evaluate({"extra": extra})
        if wanted and requirement.name != "ddpm-course":         # an extra names the one that it holds
            yield requirement


def versions() -> Iterator[Finding]:
    """Compare Python and the packages of a lesson with what the course needs."""
    yield Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")
    try:
        yield Finding("course", "ok", f"{metadata.version('ddpm-course')} in {WEIGHTS.parent}")
        needed = {extra: list(requirements(extra)) for extra in ("", "lab", "lecture")}
    except metadata.PackageNotFoundError:
        yield Finding("course", "problem", f"used from {WEIGHTS.parent}, but not installed",
                      "call python -m ddpm_course.start doctor in a copy of the repository")
        return
    for extra in ("",) if _on_colab() else needed:
        for requirement in needed[extra]:
            if requirement.name != "ipywidgets":                 # `widgets` looks at both halves of it
                yield _version(requirement, optional=extra == "lecture")


def _on_colab() -> bool:
    return any(metadata.distributions(name="google-colab"))


def _version(requirement: Requirement, *, optional: bool) -> Finding:
    package, needed = requirement.name, str(requirement.specifier).replace(">=", "") + " or newer is needed"
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError:
        if optional:
            return Finding(package, "note", "not installed; only `lecture` needs it",
                           "python -m ddpm_course.start lecture installs it")
        return Finding(package, "problem", f"not installed; {needed}", install_again())
    if not requirement.specifier.contains(found, prereleases=True):
        return Finding(package, "problem", f"{found}, but {needed}", install_again("--upgrade"))
    return Finding(package, "ok", found)


def widgets() -> Iterator[Finding]:
    """See that JupyterLab 4 can show the kernel's sliders: ipywidgets 8, and its other half, jupyterlab_widgets 3."""
    try:
        kernel = metadata.version("ipywidgets")
        page = "" if _on_colab() else metadata.version("jupyterlab_widgets")
    except metadata.PackageNotFoundError as error:
        yield Finding("sliders", "problem", f"{error.name} is missing: no slider will appear", install_again())
        return
    if not page:
        yield Finding("sliders", "ok", f"ipywidgets {kernel}, shown by Colab itself")
        return
    seen = f"ipywidgets {kernel} in the kernel, jupyterlab_widgets {page} in JupyterLab"
    if (Version(kernel).major, Version(page).major) == (8, 3):
        yield Finding("sliders", "ok", seen)
    else:
        yield Finding("sliders", "problem", seen, install_again("--upgrade"))


def device() -> Iterator[Finding]:
    """Say where lessons will compute; a device that was asked for and is not there is a problem."""
    try:
        runtime = choose_runtime()
    except ValueError as error:
        given = [f"DDPM_COURSE_{name} = {setting(name)}" for name in ("DEVICE", "PACE") if setting(name)]
        yield Finding("device", "problem", str(error), f"change or unset what was set: {', '.join(given)}")
        return
    yield Finding("device", "ok", f"{str(runtime).removeprefix('device ')} ({torch.get_num_threads()} threads)")


def data() -> Iterator[Finding]:
    """Load Fashion-MNIST as lesson 01 does, and say where it came from."""
    try:
        train, test = load_fashion("train"), load_fashion("test")
    except (OSError, RuntimeError, ValueError) as error:
        mend = "name a folder that holds FashionMNIST/raw, or unset it" if setting("DATA") else _DATA
        named = f"DDPM_COURSE_DATA = {setting('DATA')}: " if setting("DATA") else ""
        yield Finding("data", "problem", f"{named}{error}", mend)
        return
    seen = f"{len(train):,} + {len(test):,} images"
    if not train.is_real:
        yield Finding("data", "problem", f"{seen} drawn by the course stand in for Fashion-MNIST", _DATA)
        return
    where = setting("DATA") if train.source == "folder" else cache_folder()
    yield Finding("data", "ok", f"Fashion-MNIST, {seen}, from the {train.source} ({where})")


def weights() -> Iterator[Finding]:
    """Compare the shipped weights with their checksums."""
    damaged = damaged_weights()
    if damaged:
        yield Finding("weights", "problem", f"missing or not as shipped: {', '.join(damaged)}",
                      "in a copy of the repository git checkout ddpm_course/weights; elsewhere "
                      + install_again("--force-reinstall", "--no-deps").partition("elsewhere ")[2])
    else:
        yield Finding("weights", "ok", f"all files intact in {WEIGHTS}")


def folders() -> Iterator[Finding]:
    """See that trainings and unpacked data can be kept: writable folders with free space."""
    for name, folder, variable in (("runs folder", kept_runs(), "RUNS"), ("cache", cache_folder(), "CACHE")):
        folder, other = folder.absolute(), f"set DDPM_COURSE_{variable} to another folder"
        try:
            there = next((parent for parent in (folder, *folder.parents) if parent.exists()), folder)
            with tempfile.TemporaryDirectory(dir=there):         # asking for permission would not tell, on Windows
                free = shutil.disk_usage(there).free
        except OSError as error:
            yield Finding(name, "problem", f"{folder}: nothing can be written there ({error})", other)
            continue
        seen = f"{folder}, {free / 1e9:.1f} GB free"
        if free < ENOUGH:
            yield Finding(name, "problem", f"{seen}; {ENOUGH / 1e9:.0f} GB are wanted", f"delete something, or {other}")
        else:
            if name == "runs folder":
                kept = ", ".join(file.name for file in sorted(folder.glob("lesson*.pt"))) or "none yet"
                seen = f"{seen}; trainings kept: {kept}"
            yield Finding(name, "ok", seen)


def speed() -> Iterator[Finding]:
    """Time a new strip of the guidance slider: ten garments, 20 steps, judged and drawn."""
    try:
        model = load_checkpoint("fashion").to(choose_runtime().device)
        view = GuidanceView(model, load_judge())
    except (OSError, ValueError) as error:                       # `weights` or `device` tells the mend
        yield Finding("speed", "problem", f"not timed: {error}")
        return
    seconds = []
    for seed in range(3):                                        # the first one warms up
        began = time.perf_counter()
        view.render(2.0, ONE_OF_EACH, 20, seed, 60)
        seconds.append(time.perf_counter() - began)
    seen = f"a new strip on the slider takes {min(seconds[1:]):.1f} s"
    if min(seconds[1:]) > SLOW:
        yield Finding("speed", "note", seen,
                      "other programs may be busy; the lessons' sliders start at 20 steps, 10 take half the time")
    else:
        yield Finding("speed", "ok", seen)


EXAMINATIONS: tuple[Callable[[], Iterator[Finding]], ...] = (
    versions, widgets, device, data, weights, folders, speed)


def main(arguments: list[str]) -> int:
    """Print every finding as it is made; return 1 if there is a problem, else 0."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course doctor", description="Look whether this machine is "
                                     "ready for the lessons, and say what to do about each problem.")
    parser.add_argument("--data", metavar="FOLDER", help="first copy the images from here into the course's cache, "
                        "so that no network and no setting is needed: a folder that holds FashionMNIST/raw")
    options = parser.parse_args(arguments)
    if options.data is not None:
        try:
            print(f"copied into {keep_fashion(options.data)}", flush=True)
        except (OSError, RuntimeError) as error:
            parser.error(str(error))
    problems = 0
    for examine in EXAMINATIONS:
        for finding in examine():
            print(finding, flush=True)
            problems += finding.state == "problem"
    if problems == 0:
        print("ready")
        return 0
    print("1 problem to mend" if problems == 1 else f"{problems} problems to mend")
    return 1
