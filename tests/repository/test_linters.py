"""The course's texts satisfy their linters, and the linters find what they should find."""

from pathlib import Path

import linters
import pytest
from linters import LEVELS, claims, faults_of_answers, figures_without_output, prose_and_outputs, unfounded
from project import NOTEBOOKS, ROOT

ANSWERS = sorted((ROOT / "answers").glob("*.md"))
TEXTS = [*ANSWERS, *sorted((ROOT / "walkthroughs").glob("*.md")), *NOTEBOOKS]


def name_of(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


@pytest.mark.parametrize("file", TEXTS, ids=name_of)
def test_every_figure_in_a_sentence_was_printed(file: Path) -> None:
    found = figures_without_output(file)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", TEXTS, ids=name_of)
def test_nothing_is_cited_that_an_output_holds(file: Path) -> None:
    missing = {str(figure) for figure in unfounded(*prose_and_outputs(file))}
    assert set(linters.CITED.get(name_of(file), {})) - missing == set(), "remove these from CITED"


def test_nothing_is_cited_of_a_file_that_is_not_there() -> None:
    assert set(linters.CITED) <= set(map(name_of, TEXTS))


@pytest.mark.parametrize("prose, outputs, missing", [
    ("it is 87.4 % or 0.91, w = 0.5, arXiv 2207.12598", "0.8744 0.912", []),
    ("it is 88.4 %, 12 % or 0.93", "0.8744 12% 0.912", ["88.4 %", "0.93"]),
    ("it ends at 0.93.", "0.91", ["0.93"]),                      # also before a full stop
    ("half a unit: 0.5", "0.449 0.551", ["0.5"]),
    ("half a unit: 0.5", "0.4501", []),
    ("of 1,000 images 12 %", "1,200", ["12 %"]),
    ("1200.0 of them", "1,200", []),
    ("0.87", "87 %", ["0.87"]),
    ("0.87", "0.0087", ["0.87"]),
    ("500 %", "5 %", ["500 %"])])
def test_a_figure_that_nobody_printed_is_found(prose: str, outputs: str, missing: list[str]) -> None:
    assert [str(figure) for figure in unfounded(prose, outputs)] == missing


@pytest.mark.parametrize("prose", [
    "w=0.5 and φ = 0.7", "10^0.5", "§4.2", "section 3.2", "arXiv 1312.6114", "(2207.12598, 2202.00512)",
    "2.67e-5", "3.2M", "PyTorch 2.9.0", "20 steps in 2026", "x0.5", "1,000.5"])
def test_numbers_that_are_set_or_named_are_no_claims(prose: str) -> None:
    assert claims(prose) == []


TEXT = """# Heading 0.1
A sentence says 0.2, `code 0.3`, $0.4$ and [a link](0.5.md).

$$ 0.6 $$
![0.7](a.png)
```python
print(0.8, "`")
```

```text
0.9
```
"""


def test_a_text_is_taken_apart_into_sentences_and_outputs(tmp_path: Path) -> None:
    file = tmp_path / "text.md"
    file.write_text(TEXT, encoding="utf-8")
    prose, outputs = prose_and_outputs(file)
    assert [str(figure) for figure in claims(prose)] == ["0.2"] and outputs == "0.9\n"


def test_a_complaint_names_file_figure_and_sentence_and_an_entry_in_CITED_ends_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "text.md"
    file.write_text(TEXT, encoding="utf-8")
    (complaint,) = figures_without_output(file)
    for part in (f"{tmp_path.name}/text.md says 0.2", "A sentence says 0.2", "CITED"):
        assert part in complaint
    monkeypatch.setattr(linters, "CITED", {f"{tmp_path.name}/text.md": {"0.2": "a definition"}})
    assert figures_without_output(file) == []


@pytest.mark.parametrize("file", ANSWERS, ids=lambda file: file.name)
def test_the_answers_answer_every_question_at_its_level_in_two_parts(file: Path) -> None:
    n = 12 if file.name.startswith("01") else 16
    assert faults_of_answers(file.read_text(encoding="utf-8"), n) == []


def four_answers() -> str:
    parts = [f"## {level}\n\n### Q{k} What?\n\n**Short answer.** Yes.\n\n**Detailed explanation.** It is. "
             "*The usual misunderstanding* is no.\n\n```python\nprint(1)\n```\n\n"
             for k, level in enumerate(LEVELS, start=1)]
    return "".join(parts) + "## The exercises\n\n### Q9 is of another kind\n"


@pytest.mark.parametrize("old, new, fault", [
    ("### Q2 ", "### Q3 ", "the questions should be 1 … 4; they are [1, 3, 3, 4]"),
    ("Yes.", "<!-- skip: next -->", "a block is skipped"),
    ("**Short answer.**", "Short:", "Q1 needs **Short answer.** once"),
    ("**Detailed explanation.**", "Because:", "Q1 needs **Detailed explanation.** once"),
    ("```python", "```text", "Q1 has no block of Python"),
    ("usual misunderstanding", "mistake", "Q1 names no usual misunderstanding"),
    ("## Advanced", "## Expert", "the levels should be Beginner, Intermediate, Advanced, Implementation; "
                                 "they are Beginner, Intermediate, Implementation"),
    ("### Q2 ", "### Q3 ", "Intermediate should hold the questions [2]; it holds [3]")])
def test_a_fault_in_the_answers_is_found(old: str, new: str, fault: str) -> None:
    assert faults_of_answers(four_answers(), 4) == []
    assert fault in faults_of_answers(four_answers().replace(old, new, 1), 4)
