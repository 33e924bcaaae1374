"""What holds for every check of every lesson; each lesson's file has its solutions and its known mistakes."""

from collections.abc import Callable
from unittest.mock import Mock

import pytest
import test_lesson_01
import test_lesson_02
import test_lesson_03
import test_lesson_04
import torch

LESSONS = (test_lesson_01, test_lesson_02, test_lesson_03, test_lesson_04)
SOLUTIONS = {check: solution for lesson in LESSONS for check, solution in lesson.SOLUTIONS.items()}
WRONG = {check: pairs for lesson in LESSONS for check, pairs in lesson.WRONG.items()}
CASES = [pytest.param(check, text, wrong, id=f"{check.__name__}: {text}")
         for check, pairs in WRONG.items() for text, wrong in pairs]
every_check = pytest.mark.parametrize("check", SOLUTIONS, ids=lambda check: check.__name__)


@every_check
def test_a_solution_passes_and_nothing_is_printed_or_drawn(check: Callable, capsys: pytest.CaptureFixture) -> None:
    before = torch.get_rng_state()
    report = check(SOLUTIONS[check])
    assert report.passed and report.text.startswith("✓") and repr(report) == report.text
    assert torch.equal(torch.get_rng_state(), before) and capsys.readouterr() == ("", "")


@every_check
def test_an_empty_exercise_is_not_yet_done(check: Callable) -> None:
    report = check(Mock(side_effect=NotImplementedError))
    assert not report.passed and "not yet" in report.text and "✗" not in report.text


@pytest.mark.parametrize("check, text, wrong", CASES)
def test_a_known_mistake_gets_its_own_diagnosis_and_no_other(check: Callable, text: str, wrong: Callable) -> None:
    report = check(wrong)
    assert not report.passed and report.text.startswith("✗")
    assert [other for other, _ in WRONG[check] if other in report.text] == [text]
