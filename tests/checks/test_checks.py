"""What holds for every check of every lesson, for solutions, known mistakes and useless answers."""

from collections.abc import Callable
from unittest.mock import Mock

import mistakes_01
import mistakes_02
import mistakes_03
import mistakes_04
import pytest
import torch
from mistakes_01 import check_denoise
from mistakes_02 import check_draw_t
from mistakes_03 import check_eval_mode
from torch import Tensor
from useless import USELESS, spoil, spoiling

from ddpm_course.checks import lesson_01, lesson_02, lesson_03, lesson_04, reports
from ddpm_course.checks.reports import Report

LESSONS = (mistakes_01, mistakes_02, mistakes_03, mistakes_04)
SOLUTIONS = {check: solution for lesson in LESSONS for check, solution in lesson.SOLUTIONS.items()}
WRONG = {check: pairs for lesson in LESSONS for check, pairs in lesson.WRONG.items()}
LENDING = (check_denoise, check_eval_mode)                       # they look at the network that they lent

every_check = pytest.mark.parametrize("check", SOLUTIONS, ids=lambda check: check.__name__)
every_mistake = pytest.mark.parametrize("check, text, wrong", [
    pytest.param(check, text, wrong, id=f"{check.__name__}: {text}")
    for check, pairs in WRONG.items() for text, wrong in pairs])


def assert_diagnosis(report: Report, check: Callable, text: str) -> None:
    assert not report.passed and report.text.startswith("✗")
    assert [other for other, _ in WRONG[check] if other in report.text] == [text]


def test_every_check_has_a_solution_and_known_mistakes() -> None:
    checks = {name: value for lesson in (lesson_01, lesson_02, lesson_03, lesson_04)
              for name, value in vars(lesson).items() if name.startswith("check_")}
    assert set(checks.values()) == set(SOLUTIONS) == set(WRONG)
    assert {check.__name__ for check in SOLUTIONS} == set(checks)


@every_check
def test_a_solution_passes_and_nothing_is_printed_or_drawn(check: Callable, capsys: pytest.CaptureFixture
                                                           ) -> None:
    before = torch.get_rng_state()
    report = check(SOLUTIONS[check])
    assert report.passed and report.text.startswith("✓") and repr(report) == report.text
    assert torch.equal(torch.get_rng_state(), before) and capsys.readouterr() == ("", "")


@every_check
def test_an_empty_exercise_is_not_yet_done(check: Callable) -> None:
    report = check(Mock(side_effect=NotImplementedError))
    assert not report.passed and "not yet" in report.text and "✗" not in report.text


@every_mistake
def test_a_known_mistake_gets_its_own_diagnosis_and_no_other(check: Callable, text: str, wrong: Callable
                                                             ) -> None:
    assert_diagnosis(check(wrong), check, text)


@every_check
def test_every_diagnosis_that_a_check_offers_is_tried(check: Callable, monkeypatch: pytest.MonkeyPatch
                                                      ) -> None:
    offered, found, diagnose = set(), [], reports.diagnose

    def watched(mistakes: dict[str, Callable], made: Callable[[Callable], bool]) -> str | None:
        offered.update(mistakes)
        found.append(diagnose(mistakes, made))
        return found[-1]

    monkeypatch.setattr(reports, "diagnose", watched)
    for wrong in (SOLUTIONS[check], *(wrong for _, wrong in WRONG[check])):
        check(wrong)
    assert {diagnosis for diagnosis in found if diagnosis} == offered and len(offered) == len(WRONG[check])


@pytest.mark.usefixtures("strict_warnings")
@pytest.mark.parametrize("check, kind", [
    pytest.param(check, kind, id=f"{check.__name__}: {kind}") for check in SOLUTIONS for kind in USELESS])
def test_a_check_never_raises_or_warns(check: Callable, kind: str, capsys: pytest.CaptureFixture) -> None:
    before = torch.get_rng_state()
    report = check(USELESS[kind](SOLUTIONS[check]))
    assert type(report) is Report and not report.passed and report.text.startswith("✗")
    assert "could not make sense" not in report.text             # the net below all checks was not needed
    assert torch.equal(torch.get_rng_state(), before) and capsys.readouterr() == ("", "")


@every_check
def test_a_function_that_is_right_only_at_first_does_not_pass(check: Callable) -> None:
    for right_calls in range(10):
        student = Mock(side_effect=SOLUTIONS[check])

        def fading(*arguments: object) -> Tensor:
            answer = student(*arguments)
            return answer if student.call_count <= right_calls else answer + 7

        report = check(fading)
        assert report.passed == (student.call_count <= right_calls)
        assert "could not make sense" not in report.text
        if report.passed:                                        # it asks no more often than this
            return


@every_check
def test_only_a_press_on_stop_comes_through(check: Callable) -> None:
    with pytest.raises(KeyboardInterrupt):
        check(Mock(side_effect=KeyboardInterrupt))


@every_check
def test_spoilt_arguments_do_not_change_the_verdict_on_a_solution(check: Callable) -> None:
    report = check(spoiling(SOLUTIONS[check]))
    assert report == check(SOLUTIONS[check]) if check not in LENDING else not report.passed


@every_mistake
def test_a_known_mistake_is_found_though_the_arguments_are_spoilt(check: Callable, text: str, wrong: Callable
                                                                  ) -> None:
    if check in LENDING:                                         # a lent network is the student's to change
        def spoilt(net: torch.nn.Module, *images: Tensor) -> Tensor:
            return spoiling(lambda *images: wrong(net, *images))(*images)
    else:
        spoilt = spoiling(wrong)
    assert_diagnosis(check(spoilt), check, text)


@pytest.mark.parametrize("check", [check for check in SOLUTIONS if check is not check_draw_t],
                         ids=lambda check: check.__name__)       # a generator set back is still a generator
def test_a_solution_does_not_pass_when_it_spoils_its_arguments_first(check: Callable) -> None:
    def spoil_and_answer(*arguments: object) -> Tensor:
        spoil(*arguments)
        return SOLUTIONS[check](*arguments)

    assert not check(spoil_and_answer).passed
