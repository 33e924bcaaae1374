"""The runner of the course's texts finds what it should find; every figure in a sentence is one that code printed."""

import json
import re
from pathlib import Path

import pytest
from documents import missing_line, near, source_of
from sybil import Sybil
from sybil.document import Document

from documents import Parser  # isort: skip

ROOT = Path(__file__).parents[2]
TEXTS = sorted(file for folder in ("answers", "walkthroughs", "notebooks") for file in (ROOT / folder).iterdir()
               if file.suffix in (".md", ".ipynb"))
LEVELS = ("Beginner", "Intermediate", "Advanced", "Implementation")
FIGURE = re.compile(r"(?<![\w.,=^§])(?<!= )(?<!arXiv )(?<!section )(?!\d{4}\.\d{5})"
                    r"(?:(\d+(?:\.\d+)?)(?= ?%)|(\d+\.\d+)(?![\w.%]))")
CITED = {  # figures of sentences that no block prints: definitions and facts with a source
    "04_Classifier_Free_Diffusion.md": {"95 %": "a level of confidence", "10 %": "the classes are equally frequent",
                                        "0 %": "p_uncond", "50 %": "p_uncond", "20 %": "p_uncond",
                                        "30 %": "quoted as wrong"}}


def run(text: str, tmp_path: Path) -> list[str]:
    """Run a document and return what its examples complained about."""
    file = tmp_path / "text.md"
    file.write_text(text, encoding="utf-8")
    document = Document.parse(str(file), *Sybil([Parser()]).parsers)
    complaints = []
    for example in document.examples():
        try:
            example.evaluate()
        except Exception as error:
            complaints.append(f"{type(error).__name__}: {error}")
    return complaints


PRINTING = "```python\nprint('share', 0.104, 'of', 20)\n```\n\n```text\nshare 0.104 of 20\n```\n"
QUOTING = '```python quote=ddpm_course.guidance.extrapolate\n    return (1 + w) * eps_c - w * eps_null\n```\n'


@pytest.mark.parametrize("text, complaint", [
    (PRINTING, None), (PRINTING.replace("share 0.104", "share 0.103"), None),        # one unit of the last digit
    (PRINTING.replace("share 0.104", "share 0.110"), "the text says"),
    (PRINTING.replace("of 20\n", "of 21\n"), "the text says"), (PRINTING.replace("share 0", "part 0"), "the text says"),
    (PRINTING.replace(", 20)", ")"), "the text says"), ("```python\nassert 1 == 2\n```\n", "AssertionError"),
    (QUOTING, None), (QUOTING.replace("1 + w", "w"), "does not hold the line"),
    (QUOTING.replace("guidance.extrapolate", "guidance.nothing"), "AttributeError"),
    ("```python\na = 1\n```\n\n```python\nassert a == 1\n```\n", None)])
def test_what_has_drifted_is_found(text: str, complaint: str | None, tmp_path: Path) -> None:
    found = run(text, tmp_path)
    assert not found if complaint is None else len(found) == 1 and complaint in found[0]


def test_a_picture_must_be_what_the_block_above_it_draws(tmp_path: Path) -> None:
    text = ("```python\nfrom ddpm_course.show.pictures import Row, gray, sheet\nimport torch\n"
            "picture = sheet([Row('', gray(torch.full((1, 1, 8, 8), LEVEL)))])\n```\n\n![a tile](tile.png)\n")
    assert "was missing" in run(text.replace("LEVEL", "0.0"), tmp_path)[0]
    assert run(text.replace("LEVEL", "0.0"), tmp_path) == []
    assert "is not what the block draws" in run(text.replace("LEVEL", "1.0"), tmp_path)[0]


def test_quoted_lines_must_stand_together_unless_lines_are_left_out_openly() -> None:
    source = "def f():\n    a = 1\n    b = 2\n    return a + b\n"
    assert missing_line("a = 1\nb = 2", source) is None                              # moved to the left as a whole
    assert missing_line("a = 1\n    b = 2", source) is not None                      # bent
    assert missing_line("def f():\n    a = 1", source) is None
    assert missing_line("def f():\n    b = 2", source) == "    b = 2"
    assert missing_line("def f():\n# …\n    b = 2", source) is None
    assert missing_line("def f():\n# …\n    b = 2\n# …\n    a = 1", source) == "    a = 1"
    assert "eps_null" in source_of("ddpm_course.guidance.guide") and "class UNet" in source_of("ddpm_course.unet")


@pytest.mark.parametrize("said, found, same", [
    ("20", "20", True), ("20", "21", False), ("97.9", "97.8", True), ("97.9", "95.0", False), ("0.02", "0.03", True),
    ("0.02", "0.04", False), ("1e-9", "1e-9", True), ("-1.0", "1.0", False)])
def test_figures_are_compared_by_their_last_digit(said: str, found: str, same: bool) -> None:
    assert near(said, found) is same


def sentences_and_outputs(file: Path) -> tuple[str, str]:
    """Take a text or a notebook apart into its prose and what its code printed."""
    if file.suffix == ".ipynb":
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        prose = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        every = [out for cell in cells for out in cell.get("outputs", [])]
        shown = [out.get("data", {}) | {"text": out.get("text", "")} for out in every]
        tables = ["".join(out["text/html"]) for out in shown if "<table" in "".join(out.get("text/html", ""))]
        outputs = "\n".join(["".join(out["text"]) for out in shown] + [re.sub(r"<[^>]+>", " ", t) for t in tables])
    else:
        text = file.read_text(encoding="utf-8")
        outputs = "\n".join(re.findall(r"^```text\n(.*?)^```", text, re.M | re.S))
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    prose = re.sub(r"^#+ .*$", "", prose, flags=re.M)                        # headings have numbers of their own
    prose = re.sub(r"\$\$.*?\$\$|`[^`]*`|\]\([^)]*\)|\$[^$\n]*\$|!\[[^\]]*\]", " ", prose, flags=re.S)
    return prose, outputs


def unfounded(prose: str, outputs: str) -> list[str]:
    """List the percentages and decimal fractions in sentences that no output holds, rounded as they are."""
    printed = [(float(n.replace(",", "")), bool(percent))
               for n, percent in re.findall(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)( ?%)?", outputs)]
    found = []
    for percent, plain in FIGURE.findall(prose):
        digits, value = len((percent or plain).partition(".")[2]), float(percent or plain)
        values = [v if p or not percent else 100 * v for v, p in printed] + [v for v, p in printed if percent]
        if not any(abs(v - value) <= 0.5001 * 10.0**-digits for v in values):
            found.append(f"{percent} %" if percent else plain)
    return found


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_figure_in_a_sentence_was_printed(file: Path) -> None:
    missing = set(unfounded(*sentences_and_outputs(file)))
    assert missing - set(CITED.get(file.name, {})) == set()


def test_a_figure_that_nobody_printed_is_found() -> None:
    assert unfounded("it is 87.4 % or 0.91, w = 0.5, arXiv 2207.12598", "0.8744 0.912") == []
    assert unfounded("it is 88.4 %, 12 % or 0.93", "0.8744 12% 0.912") == ["88.4 %", "0.93"]


@pytest.mark.parametrize("file", sorted((ROOT / "answers").glob("*.md")), ids=lambda file: file.name)
def test_the_answers_answer_every_question_at_its_level_in_two_parts(file: Path) -> None:
    n = 12 if file.name.startswith("01") else 16
    text = file.read_text(encoding="utf-8").split("\n## The exercises")[0]
    parts = re.split(r"^### Q(\d+) ", text, flags=re.M)
    assert [int(k) for k in parts[1::2]] == list(range(1, n + 1)) and "<!-- skip" not in text
    for body in parts[2::2]:
        assert body.count("**Short answer.**") == body.count("**Detailed explanation.**") == 1
        assert re.search(r"^```python\n", body, re.M) and "usual misunderstanding" in body
    title = re.compile(f"^## ({'|'.join(LEVELS)})$", re.M)
    assert tuple(title.findall(text)) == LEVELS
    for k, group in enumerate(title.split(text)[2::2]):
        expected = range(k * n // 4 + 1, (k + 1) * n // 4 + 1)
        assert [int(q) for q in re.findall(r"^### Q(\d+) ", group, re.M)] == list(expected)
