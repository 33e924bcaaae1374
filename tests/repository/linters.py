"""Two linters of the course's texts: one for the figures in sentences, one for the form of the answers.

Figures. Every percentage and every decimal fraction in a sentence must be a number that code printed, perhaps
rounded:

    prose_and_outputs(file)      takes a text or a notebook apart: what it says, and what its code printed
    claims(prose)                finds the figures in the sentences
    printed_numbers(outputs)     finds the numbers in the outputs
    has_output(figure, numbers)  looks whether one of them, rounded, is the figure
    figures_without_output(file) does all that, and leaves out what is CITED

Where a figure is reported, one of two things is missing: a block (in a notebook a cell) that prints it, or an
entry in CITED with the reason why no code can print it.

Answers. `faults_of_answers(text, n)` says what is missing from a file of answers.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from project import cells_of, text_of

# Figures that no code can print, such as a definition or a fact from a paper. An entry looks like this:
# "answers/01_UNets.md": {"66.7 %": "the share that the paper reports, its Table 2"}
CITED: dict[str, dict[str, str]] = {}

NOT_PROSE = re.compile(r"""
      \$\$.*?\$\$            # a formula on lines of its own
    | `[^`]*`                # code in a sentence
    | \]\([^)]*\)            # the address of a link
    | \$[^$\n]*\$            # a formula in a sentence
    | !\[[^\]]*\]            # the caption of a picture
    """, re.VERBOSE | re.DOTALL)


@dataclass(frozen=True)
class Figure:
    """A figure in a sentence: its digits as written, whether it is a percentage, the words around it."""

    digits: str
    percent: bool
    context: str = ""

    def __str__(self) -> str:
        return f"{self.digits} %" if self.percent else self.digits


# Step 1: what a file says, and what its code printed

def prose_and_outputs(file: Path) -> tuple[str, str]:
    """Take a text or a notebook apart into its prose and what its code printed."""
    prose, outputs = _of_notebook(file) if file.suffix == ".ipynb" else _of_text(file)
    prose = re.sub(r"^#+ .*$", "", prose, flags=re.MULTILINE)    # headings have numbers of their own
    return NOT_PROSE.sub(" ", prose), outputs


def _of_text(file: Path) -> tuple[str, str]:
    """A text's outputs are its ```text blocks; all that is no block is prose."""
    text = file.read_text(encoding="utf-8")
    outputs = re.findall(r"^```text\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), "\n".join(outputs)


def _of_notebook(notebook: Path) -> tuple[str, str]:
    """A notebook's outputs are what its cells printed, and the cells of its tables."""
    cells = cells_of(notebook)
    outputs = []
    for output in (output for cell in cells for output in cell.get("outputs", [])):
        outputs.append("".join(output.get("text", "")))
        page = "".join(output.get("data", {}).get("text/html", ""))
        if "<table" in page:
            outputs.append(re.sub(r"<[^>]+>", " ", page))
    return text_of(cells, "markdown"), "\n".join(outputs)


# Step 2: the figures in sentences

def claims(prose: str) -> list[Figure]:
    """List the percentages and decimal fractions in sentences that speak of a finding, in order."""
    found = []
    for number in re.finditer(r"(?<![\w.,])(?P<digits>\d+(?:\.\d+)?)(?P<percent> ?%)?", prose):
        digits, percent = number["digits"], number["percent"] is not None
        before, after = prose[:number.start()], prose[number.end():]
        if _is_no_finding(digits, before):
            continue
        if not percent and "." not in digits:                    # a whole number: steps, seeds, years
            continue
        if not percent and re.match(r"\w|\.\d", after):          # part of more: 2.67e-5, 3.2M, 2.9.0
            continue
        context = " ".join(f"{before[-40:]}{number[0]}{after[:20]}".split())
        found.append(Figure(digits, percent, context))
    return found


def _is_no_finding(digits: str, before: str) -> bool:
    """Tell by what stands before a number that it is set or named, so that nothing has to print it."""
    return (before.endswith(("=", "= "))                         # a setting: w = 0.5
            or before.endswith("^")                              # an exponent
            or before.endswith(("§", "section "))                # a place in a paper
            or before.endswith("arXiv ")                         # a paper
            or re.match(r"\d{4}\.\d{5}", digits) is not None)    # a paper, in a list of several


# Step 3: the numbers in outputs

def printed_numbers(outputs: str) -> list[tuple[float, bool]]:
    """List the numbers that code printed, each with whether a percent sign follows; 1,000 is a thousand."""
    numbers = re.findall(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)( ?%)?", outputs)
    return [(float(digits.replace(",", "")), bool(percent)) for digits, percent in numbers]


# Step 4: compare

def has_output(figure: Figure, numbers: list[tuple[float, bool]]) -> bool:
    """Say whether one of the printed numbers, rounded to the figure's decimals, is the figure."""
    candidates = [number for number, _ in numbers]               # with and without a percent sign
    if figure.percent:                                           # 87.4 % may have been printed as 0.8744
        candidates += [100 * number for number, percent in numbers if not percent]
    decimals = len(figure.digits.partition(".")[2])
    half_a_unit = 0.5001 * 10.0**-decimals                       # and a little more: floats are not exact
    return any(abs(number - float(figure.digits)) <= half_a_unit for number in candidates)


def unfounded(prose: str, outputs: str) -> list[Figure]:
    """List the figures of sentences that no output holds."""
    numbers = printed_numbers(outputs)
    return [figure for figure in claims(prose) if not has_output(figure, numbers)]


def figures_without_output(file: Path) -> list[str]:
    """List in words the figures of a file that no output holds and that are not cited."""
    name = f"{file.parent.name}/{file.name}"
    cited = CITED.get(name, {})
    missing = [figure for figure in unfounded(*prose_and_outputs(file)) if str(figure) not in cited]
    return [f'a figure without an output: {name} says {figure} ("… {figure.context} …"), and no code in it '
            "printed that. Print it in a block (in a notebook in a cell), or enter it in CITED in "
            "tests/repository/linters.py with a reason." for figure in missing]


# The form of the answers

LEVELS = ("Beginner", "Intermediate", "Advanced", "Implementation")


def faults_of_answers(text: str, n: int) -> list[str]:
    """List what is missing from a file that answers n questions, a quarter of them at each level."""
    text = text.split("\n## The exercises")[0]
    _, *parts = re.split(r"^### Q(\d+) ", text, flags=re.MULTILINE)
    numbers, bodies = list(map(int, parts[::2])), parts[1::2]
    found = []
    if numbers != list(range(1, n + 1)):
        found.append(f"the questions should be 1 … {n}; they are {numbers}")
    if "<!-- skip" in text:
        found.append("a block is skipped")
    for number, body in zip(numbers, bodies):
        for part in ("**Short answer.**", "**Detailed explanation.**"):
            if body.count(part) != 1:
                found.append(f"Q{number} needs {part} once")
        if not re.search(r"^```python\n", body, flags=re.MULTILINE):
            found.append(f"Q{number} has no block of Python")
        if "usual misunderstanding" not in body:
            found.append(f"Q{number} names no usual misunderstanding")
    return found + _faults_of_levels(text, n)


def _faults_of_levels(text: str, n: int) -> list[str]:
    heading = re.compile(f"^## ({'|'.join(LEVELS)})$", flags=re.MULTILINE)
    _, *parts = heading.split(text)
    levels, groups = tuple(parts[::2]), parts[1::2]
    if levels != LEVELS:
        return [f"the levels should be {', '.join(LEVELS)}; they are {', '.join(levels)}"]
    found = []
    for k, (level, group) in enumerate(zip(levels, groups)):
        expected = list(range(k * n // 4 + 1, (k + 1) * n // 4 + 1))
        numbers = [int(number) for number in re.findall(r"^### Q(\d+) ", group, flags=re.MULTILINE)]
        if numbers != expected:
            found.append(f"{level} should hold the questions {expected}; it holds {numbers}")
    return found
