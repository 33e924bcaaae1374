"""The package's order: imports run down the levels, files are short, and importing does nothing but define.

`ARROWS` is written by hand: a new import shows up here as a failing test, to be let in on purpose or not at all.
"""

import ast
import functools
import graphlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ddpm_course

PACKAGE = Path(ddpm_course.__file__).parent
FILES = {".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): file
         for file in sorted(PACKAGE.rglob("*.py")) if file != PACKAGE / "__init__.py"}
ARROWS = {
    # level 0: algebra, data, numbers
    "randomness": "", "guidance": "", "unet": "", "evaluation": "", "runtime": "", "records": "", "pictures": "",
    "lesson": "", "start": "",
    "schedule": "randomness",
    "parameterization": "schedule",
    "conditioning": "randomness",
    "garments": "randomness",
    "data": "garments runtime",
    "exact": "randomness schedule",
    "classifier": "schedule unet",
    "basic_unet": "unet",
    # level 1: what brings them together
    "solvers": "randomness schedule",
    "sampling": "guidance randomness schedule solvers",
    "training": "conditioning parameterization randomness runtime schedule",
    "models": "conditioning parameterization schedule unet",
    "variants": "classifier guidance parameterization sampling schedule solvers",
    "mixture": "evaluation exact randomness sampling schedule solvers",
    "checkpoints": "classifier conditioning evaluation parameterization schedule unet",
    "plotting": "schedule",
    "denoising": "basic_unet pictures randomness sampling schedule",
    "views": "denoising pictures randomness sampling schedule solvers",
    "onepage": "explorer pictures",
    "explorer": "checkpoints data evaluation parameterization pictures randomness sampling",
    # level 2: what a reader uses
    "widgets": "checkpoints explorer mixture parameterization plotting randomness sampling schedule training views",
    "reports": "",
    "checks": "guidance reports sampling schedule solvers",
    "checks_unets": "basic_unet data denoising reports",
    "checks_diffusion": "parameterization reports schedule",
    "checks_training": "reports schedule solvers unet",
    "lecture": "runtime",
    "doctor": "checkpoints data explorer lecture runtime",
    "__main__": "checkpoints data doctor explorer lecture onepage pictures records sampling",
    "experiments": "",
    "experiments.__main__": "experiments runtime",
    "experiments._rows": "checkpoints evaluation",
    "experiments.ablation": "basic_unet checkpoints data evaluation parameterization randomness records runtime "
                            "sampling schedule training",
    "experiments.few_steps": "checkpoints experiments._rows randomness records runtime sampling solvers",
    "experiments.fixed_level": "checkpoints data denoising evaluation randomness records runtime training",
    "experiments.guidance_lab": "checkpoints experiments._rows parameterization randomness records runtime sampling "
                                "solvers variants",
    "experiments.lessons": "lecture records runtime",
    "experiments.judge": "checkpoints data evaluation records runtime training",
    "experiments.mixture_lab": "evaluation exact experiments._rows mixture randomness records runtime sampling "
                               "schedule solvers variants",
    "experiments.model_card": "checkpoints data records runtime",
    "experiments.noisy_classifier": "checkpoints classifier data evaluation randomness records runtime schedule "
                                    "training",
    "experiments.null_condition": "checkpoints conditioning data evaluation models records runtime sampling "
                                  "training",
    "experiments.two_losses": "checkpoints data evaluation parameterization randomness records runtime sampling "
                              "training",
    "experiments.two_passes": "checkpoints randomness records runtime sampling",
    "experiments.p_uncond": "checkpoints data evaluation models records runtime sampling training",
    "experiments.shipped_model": "checkpoints data models records runtime training",
    "experiments.terminal_signal": "basic_unet checkpoints data evaluation parameterization randomness records "
                                   "runtime sampling schedule solvers training",
    "experiments.tradeoff": "checkpoints experiments._rows records runtime sampling"}
LEVELS = [{"randomness", "schedule", "parameterization", "unet", "conditioning", "guidance", "exact", "data",
           "classifier", "basic_unet", "garments", "evaluation", "runtime", "records", "pictures", "start", "lesson"},
          {"solvers", "sampling", "training", "models", "clip", "checkpoints", "onepage", "plotting", "explorer",
           "views", "denoising", "variants", "mixture"},
          {"widgets", "reports", "checks", "checks_unets", "checks_diffusion", "checks_training", "assessment",
           "lecture", "doctor", "__main__", "experiments"}]
every_file = pytest.mark.parametrize("module", FILES)


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def arrows(module: str) -> set[str]:
    """List the package's modules that this one imports, at the top or inside a function."""
    found = set()
    for node in ast.walk(tree(module)):
        names = [alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)]
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path"
            path = node.module.removeprefix("ddpm_course").removeprefix(".")
            names = [f"ddpm_course.{path}"] if path else [f"ddpm_course.{name}" for name in names]
            names = names if node.module.split(".")[0] == "ddpm_course" else []
        found |= {name.removeprefix("ddpm_course.") for name in names if name.split(".")[0] == "ddpm_course"}
    return found


def level(module: str) -> int:
    return next(k for k, names in enumerate(LEVELS) if module.split(".")[0] in names)


def test_every_file_has_its_place_in_the_list() -> None:
    assert set(FILES) == set(ARROWS), "write a new file's arrows down here, and its name into LEVELS"


@every_file
def test_a_module_imports_exactly_what_is_written_down(module: str) -> None:
    assert arrows(module) == set(ARROWS[module].split())


@every_file
def test_no_arrow_goes_up_a_level(module: str) -> None:
    assert [other for other in arrows(module) if level(other) > level(module)] == []


def test_no_module_imports_itself_by_a_detour() -> None:
    graphlib.TopologicalSorter({module: arrows(module) for module in FILES}).prepare()       # raises CycleError


@every_file
def test_files_and_functions_are_short(module: str) -> None:
    assert len(FILES[module].read_text(encoding="utf-8").splitlines()) <= 250
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.end_lineno - node.lineno + 1 > 45] == []


@every_file
def test_every_public_function_and_class_says_what_it_does(module: str) -> None:
    assert ast.get_docstring(tree(module))
    public = [node for node in tree(module).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
              and not node.name.startswith("_")]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


def test_the_package_itself_holds_a_map_and_the_version_and_nothing_else() -> None:
    docstring, version = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8")).body
    assert ast.unparse(version.targets[0]) == "__version__"
    words = set(docstring.value.value.replace(",", " ").replace("`", " ").split())
    assert {name.split(".")[0] for name in FILES} - {"__main__"} - words == set()


WATCH = """
import importlib, os, random, socket, sys
import matplotlib, numpy, torch

class Closed(socket.socket):
    def __init__(self, *arguments, **options):
        raise AssertionError("a socket was opened")

def state():
    return (torch.get_rng_state().tolist(), random.getstate(), str(numpy.random.get_state()), torch.get_default_dtype(),
            torch.get_num_threads(), torch.get_default_device(), torch.is_grad_enabled(),
            torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled(),
            dict.copy(matplotlib.rcParams), dict(os.environ), sys.path[:], os.getcwd(), os.listdir())

socket.socket, before = Closed, state()
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert state() == before, name
"""


def test_importing_any_module_changes_nothing_writes_nothing_and_opens_no_socket(tmp_path: Path) -> None:
    modules = [f"ddpm_course.{name}" for name in FILES]
    run = subprocess.run([sys.executable, "-c", WATCH, *modules], cwd=tmp_path, capture_output=True, text=True,
                         check=False, env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)})
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
