"""Runs the course's texts: blocks of Python, the outputs under them, pictures, quoted lines of the package.

    ```python                               is executed; the blocks of a file share one namespace
    ```text                                 must be what the block above printed: words exactly, figures near
    ```python quote=ddpm_course.module.name must stand, line by line, in that function, class or module;
                                            a line that holds only `# …` skips some lines
    ![alt](path.png)                        after a block that set `picture` (PNG bytes), must be that picture
"""

import contextlib
import importlib
import inspect
import io
import math
import re
from pathlib import Path

import numpy as np
from PIL import Image
from sybil import Document, Example, Region
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.lexers import LexerCollection
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer, RawFencedCodeBlockLexer

NUMBER = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
PICTURE = re.compile(r"^!\[[^\]]+\]\((?P<source>[^)]+\.png)\)$", re.MULTILINE)
QUOTE = re.compile(r"python quote=(?P<reference>[\w.]+)$\n", re.MULTILINE)
_evaluate = PythonEvaluator()


def run(example: Example) -> None:
    """Execute a block; what it prints is kept in the namespace for the output block that may follow."""
    printed = io.StringIO()
    example.namespace.pop("picture", None)
    with contextlib.redirect_stdout(printed):
        _evaluate(example)
    example.namespace["_printed"] = printed.getvalue()


def split(text: str) -> tuple[list[str], list[str]]:
    """Take a text apart into its words and its figures."""
    return NUMBER.sub("#", text).split(), [n.replace(",", "").replace("−", "-") for n in NUMBER.findall(text)]


def near(said: str, found: str) -> bool:
    """Compare two figures: whole numbers exactly, others within 2 % or one unit of the last digit written."""
    if not re.search(r"[.e]", said):
        return said == found
    unit = 10.0 ** -len(said.split("e")[0].partition(".")[2])
    return math.isclose(float(said), float(found), rel_tol=0.02, abs_tol=1.001 * unit)


def compare(example: Example) -> str | None:
    """Return what differs between an output block and what was printed, or None."""
    printed = example.namespace.get("_printed", "")
    (words, figures), (words_now, figures_now) = split(str(example.parsed)), split(printed)
    if words != words_now or len(figures) != len(figures_now) or not all(map(near, figures, figures_now)):
        return f"the text says:\n{example.parsed}\nthe block above it prints:\n{printed}"
    return None


def source_of(reference: str) -> str:
    """Return the source of a module of the package, or of a function, class or method in it."""
    parts = reference.split(".")
    for k in range(len(parts), 0, -1):
        try:
            thing = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for name in parts[k:]:
            thing = getattr(thing, name)
        return inspect.getsource(inspect.unwrap(thing))
    raise ValueError(f"nothing is called {reference}")


def missing_line(quoted: str, source: str) -> str | None:
    """Return the first quoted line that does not stand where it should, or None when all are there in order.

    A quote may be moved to the left as a whole, by some levels of indentation.
    """
    missing = [_missing_line(quoted, source.splitlines(), " " * margin) for margin in (0, 4, 8, 12)]
    return None if None in missing else missing[0]


def _missing_line(quoted: str, lines: list[str], margin: str) -> str | None:
    place, anywhere_below = 0, True
    for line in quoted.rstrip().splitlines():
        if line.strip() == "# …":
            anywhere_below = True
            continue
        wanted = margin + line if line else line
        candidates = lines[place:] if anywhere_below else lines[place:place + 1]
        if wanted not in candidates:
            return line
        place, anywhere_below = place + candidates.index(wanted) + 1, False
    return None


def check_quote(example: Example) -> str | None:
    """Return the line in which a quote has drifted from the package, or None."""
    reference = example.region.lexemes["reference"]
    line = missing_line(str(example.parsed), source_of(reference))
    return None if line is None else f"{reference} does not hold the line, or not there: {line!r}"


def check_picture(example: Example) -> str | None:
    """Return how a picture file differs from the one that the block above it drew, or None."""
    drawn = example.namespace.get("picture")
    if drawn is None:                                            # made elsewhere, such as by the command line
        return None
    now = np.asarray(Image.open(io.BytesIO(drawn)).convert("RGB"), dtype=float)
    file = Path(example.path).parent / example.parsed
    if not file.is_file():
        file.write_bytes(drawn)
        return f"{file} was missing and has been written; look at it"
    kept = np.asarray(Image.open(file).convert("RGB"), dtype=float)
    if kept.shape != now.shape or np.abs(kept - now).mean() > 4:
        return f"{file} is not what the block draws (remove it to have it written anew)"
    return None


class Parser:
    """Find the four kinds of example in a document."""

    def __init__(self) -> None:
        self.fenced = {run: FencedCodeBlockLexer("python"), compare: FencedCodeBlockLexer("text"),
                       check_quote: RawFencedCodeBlockLexer(QUOTE)}

    def __call__(self, document: Document) -> list[Region]:
        regions = []
        for evaluator, lexer in self.fenced.items():
            for region in LexerCollection([lexer])(document):
                region.parsed, region.evaluator = region.lexemes["source"], evaluator
                regions.append(region)
        for match in PICTURE.finditer(document.text):
            regions.append(Region(match.start(), match.end(), match["source"], check_picture))
        return regions
