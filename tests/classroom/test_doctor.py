"""The examination before class: a healthy machine passes, each fault is found and gets its mend."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from ddpm_course import checkpoints
from ddpm_course.__main__ import main
from ddpm_course.classroom import doctor
from ddpm_course.classroom.doctor import Finding, install_again, requirements


def named(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


# The command

def test_this_environment_is_ready_but_for_its_data(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    without_data = tuple(examine for examine in doctor.EXAMINATIONS if examine is not doctor.data)
    monkeypatch.setattr(doctor, "EXAMINATIONS", without_data)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("ready\n") and "PROBLEM" not in out
    assert metadata.version("torch") in out
    for seen in ("all files intact", "GB free", "in the kernel", "pace ci", "new strip"):
        assert seen in out


def test_one_problem_makes_the_exit_code_1(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    findings = [Finding("a", "ok", "fine"), Finding("b", "problem", "broken", "mend it"),
                Finding("c", "note", "so so")]
    monkeypatch.setattr(doctor, "EXAMINATIONS", (lambda: iter(findings),))
    assert main(["doctor"]) == 1
    fine, broken, mend, _, summary = capsys.readouterr().out.splitlines()
    assert fine.split() == ["ok", "a", "fine"]
    assert broken.split() == ["PROBLEM", "b", "broken"] and mend.split() == ["->", "mend", "it"]
    assert summary == "1 problem to mend"


def test_a_report_can_be_written_with_the_letters_of_an_old_console(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("DDPM_COURSE_DEVICE", "abacus")
    for examine in (doctor.versions, doctor.widgets, doctor.device, doctor.data, doctor.weights):
        for finding in examine():
            str(finding).encode("cp1252")                        # raises where a letter is missing


# Versions

def test_what_is_needed_is_read_from_the_installed_course() -> None:
    course, lab, lecture, test = (
        {requirement.name: str(requirement.specifier) for requirement in requirements(extra)}
        for extra in ("", "lab", "lecture", "test"))
    assert course["torch"] == ">=2.9" and course["safetensors"] == ">=0.4.3"
    assert "jupyterlab" in lab and "voila" in lecture and "scipy" in test
    assert "ddpm-course" not in {*course, *lab, *lecture, *test}
    assert not set(lab) & set(lecture)


def pretend_version(monkeypatch: pytest.MonkeyPatch, package: str, version: str | None) -> None:
    """Let a package be installed in this version, or not at all; all others are as they are."""
    true = metadata.version

    def found(name: str) -> str:
        if name != package:
            return true(name)
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(doctor.metadata, "version", found)


@pytest.mark.parametrize("package, version, state, seen", [
    ("torch", "2.8.1", "problem", "2.8.1, but 2.9 or newer"),
    ("jupyterlab", None, "problem", "not installed"),
    ("voila", None, "note", "only `lecture` needs it")])
def test_an_old_or_missing_package_is_found_with_its_mend(
        monkeypatch: pytest.MonkeyPatch, package: str, version: str | None, state: str, seen: str) -> None:
    pretend_version(monkeypatch, package, version)
    finding = named(doctor.versions())[package]
    assert finding.state == state and seen in finding.seen and "ddpm" in finding.mend


@pytest.mark.parametrize("version", ["2.10.0", "2.11.0+cu128", "2.12.0.dev20260101"])
def test_a_newer_version_of_any_form_is_enough(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    pretend_version(monkeypatch, "torch", version)
    finding = named(doctor.versions())["torch"]
    assert finding.state == "ok" and finding.seen == version


def test_a_package_that_only_tests_need_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_version(monkeypatch, "scipy", None)
    assert "scipy" not in named(doctor.versions())


@pytest.mark.parametrize("kernel, page, state", [
    ("8.1.9", "3.0.17", "ok"), ("7.7.1", "1.1.1", "problem"),
    ("8.1.9", "1.1.1", "problem"), ("7.7.1", "3.0.17", "problem")])
def test_both_halves_of_the_sliders_have_to_be_new(
        monkeypatch: pytest.MonkeyPatch, kernel: str, page: str, state: str) -> None:
    versions = {"ipywidgets": kernel, "jupyterlab_widgets": page}
    monkeypatch.setattr(doctor.metadata, "version", versions.__getitem__)
    (finding,) = doctor.widgets()
    assert finding.state == state and kernel in finding.seen and page in finding.seen


def test_colab_needs_no_jupyterlab_and_shows_old_sliders_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.metadata, "distributions", lambda name: [name] * (name == "google-colab"))
    monkeypatch.setattr(doctor.metadata, "version", lambda name: {"ipywidgets": "7.7.1"}.get(name, "99.0"))
    (finding,) = doctor.widgets()
    assert finding.state == "ok" and "7.7.1" in finding.seen
    looked_at = named(doctor.versions())
    assert "torch" in looked_at and not {"jupyterlab", "ipykernel", "voila"} & set(looked_at)


def test_the_course_is_installed_again_from_its_address() -> None:
    assert '"ddpm-course[lecture] @ git+https://github.com/' in install_again("--upgrade")


# The device

@pytest.mark.parametrize("name, value", [("DEVICE", "abacus"), ("PACE", "gallop")])
def test_a_device_or_pace_that_does_not_exist_is_found(
        monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DDPM_COURSE_{name}", value)
    (finding,) = doctor.device()
    assert finding.state == "problem" and value in finding.seen
    assert f"DDPM_COURSE_{name} = {value}" in finding.mend


# Speed

def test_weights_that_cannot_be_loaded_are_not_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path)
    (finding,) = doctor.speed()
    assert finding.state == "problem" and "not timed" in finding.seen


def test_a_slow_machine_is_told_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 60, 5))
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(doctor.GuidanceView, "render", lambda *arguments: b"")
    (finding,) = doctor.speed()
    assert finding.state == "note" and "5.0 s" in finding.seen and finding.mend
