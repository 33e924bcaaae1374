"""Imports run to the left: a file uses its own folder and those before it. No door, no circle."""

import ast
import graphlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "ddpm_course"
ORDER = ("core", "records", "data", "lessons", "checks", "show", "classroom", "grading", "experiments",
         "doors")                                                # from left to right
DOORS = ("__main__", "start")                                    # commands; the core is the rest


def modules(package: Path) -> dict[str, Path]:
    """Name the files of a package: {"data.images": its path}. Its own `__init__`, a map, is left out."""
    files = {file.relative_to(package).with_suffix(""): file for file in package.rglob("*.py")}
    return {".".join(path.parts).removesuffix(".__init__"): file for path, file in files.items()
            if str(path) != "__init__"}


def folder(module: str, package: Path) -> str:
    """Return the place of a module in ORDER."""
    first, *rest = module.split(".")
    if first in DOORS:
        return "doors"
    return first if rest or (package / first).is_dir() else "core"


def imports(file: Path, files: dict[str, Path]) -> set[str]:
    """List the package's modules that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports by a relative path"
            for alias in node.names:                             # a module, or a name in one
                name = f"{node.module}.{alias.name}"
                found.add(name if name.removeprefix("ddpm_course.") in files else node.module)
    return {name.removeprefix("ddpm_course.") for name in found if name.startswith("ddpm_course.")}


def faults(package: Path) -> list[str]:
    """List the imports that run to the right, those of doors, and a circle if there is one."""
    files = modules(package)
    arrows = {module: imports(file, files) for module, file in files.items()}
    found = [f"{module} imports {other}" for module, others in arrows.items() for other in sorted(others)
             if folder(other, package) == "doors"
             or ORDER.index(folder(other, package)) > ORDER.index(folder(module, package))]
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as circle:
        found.append(f"a circle: {' -> '.join(circle.args[1])}")
    return found


FILES = modules(PACKAGE)


def test_imports_run_to_the_left_and_in_no_circle() -> None:
    assert len(FILES) > 40 and {folder(module, PACKAGE) for module in FILES} <= set(ORDER)
    assert faults(PACKAGE) == []


@pytest.mark.parametrize("file, line, fault", [
    ("schedule.py", "from ddpm_course.lessons.exact import Gaussian", "schedule imports lessons.exact"),
    ("data/images.py", "from ddpm_course.show import plotting", "data.images imports show.plotting"),
    ("lessons/exact.py", "import ddpm_course.checks.reports", "lessons.exact imports checks.reports"),
    ("show/page.py", "def f():\n    from ddpm_course.start import main", "show.page imports start"),
    ("experiments/judge.py", "from ddpm_course import start", "experiments.judge imports start"),
    ("randomness.py", "from ddpm_course.sampling import sample", "a circle"),
    ("data/files.py", "from ddpm_course.data import images", "a circle")])
def test_a_planted_fault_is_found(file: str, line: str, fault: str, tmp_path: Path) -> None:
    for original in FILES.values():
        copy = tmp_path / original.relative_to(PACKAGE)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(original.read_text(encoding="utf-8"), encoding="utf-8")
    with open(tmp_path / file, "a", encoding="utf-8") as planted:
        planted.write(f"\n{line}\n")
    assert fault in "\n".join(faults(tmp_path))
