"""The package's files: short, explained, mapped, and doing nothing at import but define."""

import ast
import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_order import DOORS, FILES, PACKAGE

every_file = pytest.mark.parametrize("module", FILES)


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


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
    words = set(docstring.value.value.split())
    assert {name.split(".")[0] for name in FILES} - set(DOORS) - words == set()


WATCH = """
import importlib, os, random, socket, sys
import matplotlib, numpy, torch

class Closed(socket.socket):
    def __init__(self, *arguments, **options):
        raise AssertionError("a socket was opened")

def state():
    return (torch.get_rng_state().tolist(), random.getstate(), str(numpy.random.get_state()),
            torch.get_default_dtype(), torch.get_num_threads(), torch.get_default_device(),
            torch.is_grad_enabled(),
            torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled(),
            dict.copy(matplotlib.rcParams), dict(os.environ), sys.path[:], os.getcwd(), os.listdir())

socket.socket, before = Closed, state()
for name in sys.argv[1:]:
    importlib.import_module(name)
    assert state() == before, name
assert "torchvision" not in sys.modules, "it takes seconds, and most of the course does without"
"""


def test_importing_any_module_changes_nothing_writes_nothing_and_opens_no_socket(tmp_path: Path) -> None:
    modules = [f"ddpm_course.{name}" for name in FILES]
    settings = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    run = subprocess.run([sys.executable, "-c", WATCH, *modules], cwd=tmp_path, env=settings,
                         capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("folder, width", [("ddpm_course", 120), ("tests", 110)])
def test_lines_fit_the_page(folder: str, width: int) -> None:
    files = {file: file.read_text(encoding="utf-8") for file in (PACKAGE.parent / folder).rglob("*.py")}
    long = [f"{file.name}: {number}" for file, text in files.items()
            for number, line in enumerate(text.splitlines(), 1) if len(line) > width]
    assert files and long == []


@every_file
def test_only_show_draws_and_makes_widgets(module: str) -> None:
    nodes = list(ast.walk(tree(module)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    drawing = {name for name in names if name.split(".")[0] in ("matplotlib", "ipywidgets", "PIL", "IPython")}
    assert not drawing or module.startswith("show.")
