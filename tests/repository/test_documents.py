"""The runner of the course's texts finds what has drifted, and leaves alone what has not."""

from pathlib import Path

import pytest
from documents import Parser, missing_line, near, source_of
from sybil import Sybil
from sybil.document import Document


def run(text: str, folder: Path) -> list[str]:
    """Run a document and return what its examples complained about."""
    file = folder / "text.md"
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
QUOTING = "```python quote=ddpm_course.guidance.extrapolate\n    return (1 + w) * eps_c - w * eps_null\n```\n"


@pytest.mark.parametrize("text", [
    PRINTING,
    PRINTING.replace("share 0.104", "share 0.103"),              # one unit of the last digit
    QUOTING,
    "```python\na = 1\n```\n\n```python\nassert a == 1\n```\n"])
def test_what_is_as_it_was_passes(text: str, tmp_path: Path) -> None:
    assert run(text, tmp_path) == []


@pytest.mark.parametrize("text, complaint", [
    (PRINTING.replace("share 0.104", "share 0.110"), "the text says"),
    (PRINTING.replace("of 20\n", "of 21\n"), "the text says"),
    (PRINTING.replace("share 0", "part 0"), "the text says"),
    (PRINTING.replace(", 20)", ")"), "the text says"),
    ("```python\nassert 1 == 2\n```\n", "AssertionError"),
    (QUOTING.replace("1 + w", "w"), "does not hold the line"),
    (QUOTING.replace("guidance.extrapolate", "guidance.nothing"), "AttributeError")])
def test_what_has_drifted_is_found(text: str, complaint: str, tmp_path: Path) -> None:
    (found,) = run(text, tmp_path)
    assert complaint in found


def test_a_picture_must_be_what_the_block_above_it_draws(tmp_path: Path) -> None:
    text = ("```python\nfrom ddpm_course.show.pictures import Row, gray, sheet\nimport torch\n"
            "picture = sheet([Row('', gray(torch.full((1, 1, 8, 8), LEVEL)))])\n```\n\n![a tile](tile.png)\n")
    assert "was missing" in run(text.replace("LEVEL", "0.0"), tmp_path)[0]
    assert run(text.replace("LEVEL", "0.0"), tmp_path) == []
    assert "is not what the block draws" in run(text.replace("LEVEL", "1.0"), tmp_path)[0]


def test_quoted_lines_must_stand_together_unless_lines_are_left_out_openly() -> None:
    source = "def f():\n    a = 1\n    b = 2\n    return a + b\n"
    assert missing_line("a = 1\nb = 2", source) is None          # moved to the left as a whole
    assert missing_line("a = 1\n    b = 2", source) is not None  # bent
    assert missing_line("def f():\n    a = 1", source) is None
    assert missing_line("def f():\n    b = 2", source) == "    b = 2"
    assert missing_line("def f():\n# …\n    b = 2", source) is None
    assert missing_line("def f():\n# …\n    b = 2\n# …\n    a = 1", source) == "    a = 1"


def test_the_source_of_a_function_and_of_a_module_is_found() -> None:
    assert "eps_null" in source_of("ddpm_course.guidance.guide")
    assert "class UNet" in source_of("ddpm_course.unet")


@pytest.mark.parametrize("said, found, same", [
    ("20", "20", True), ("20", "21", False), ("97.9", "97.8", True), ("97.9", "95.0", False),
    ("0.02", "0.03", True), ("0.02", "0.04", False), ("1e-9", "1e-9", True), ("-1.0", "1.0", False)])
def test_figures_are_compared_by_their_last_digit(said: str, found: str, same: bool) -> None:
    assert near(said, found) is same
