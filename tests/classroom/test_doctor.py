"""The examination before class: a healthy machine passes, and each fault is found, named and given its mend."""

import shutil
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from data_files import fill

from ddpm_course import checkpoints
from ddpm_course.__main__ import main
from ddpm_course.checkpoints import CHECKSUMS, WEIGHTS, checksums, damaged_weights
from ddpm_course.classroom import doctor
from ddpm_course.classroom.doctor import Finding, install_again, requirements

Set = Callable[[Any, str, object], None]


def named(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_this_environment_is_ready_but_for_its_data(monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(doctor, "EXAMINATIONS", tuple(e for e in doctor.EXAMINATIONS if e is not doctor.data))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("ready\n") and "PROBLEM" not in out
    for seen in (metadata.version("torch"), "all files intact", "GB free", "in the kernel", "pace ci", "new strip"):
        assert seen in out


def test_one_problem_makes_the_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    findings = [Finding("a", "ok", "fine"), Finding("b", "problem", "broken", "mend it"), Finding("c", "note", "so so")]
    monkeypatch.setattr(doctor, "EXAMINATIONS", (lambda: iter(findings),))
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ok", "a", "fine"] and lines[1].split() == ["PROBLEM", "b", "broken"]
    assert lines[2].split() == ["->", "mend", "it"] and lines[-1] == "1 problem to mend"


def test_what_is_needed_is_read_from_the_installed_course() -> None:
    needed = {extra: {one.name: str(one.specifier) for one in requirements(extra)}
              for extra in ("", "lab", "lecture", "test")}
    assert needed[""]["torch"] == ">=2.9" and needed[""]["safetensors"] == ">=0.4.3"
    assert "jupyterlab" in needed["lab"] and "voila" in needed["lecture"] and "scipy" in needed["test"]
    names = [name for extra in needed.values() for name in extra]
    assert "ddpm-course" not in names and not set(needed["lab"]) & set(needed["lecture"])


@pytest.mark.parametrize("found, state, seen", [
    ({"torch": "2.8.1"}, "problem", "2.8.1, but 2.9 or newer"), ({"jupyterlab": None}, "problem", "not installed"),
    ({"voila": None}, "note", "only `lecture` needs it"), ({"scipy": None}, None, ""),
    ({"torch": "2.10.0"}, "ok", "2.10.0"),
    ({"torch": "2.11.0+cu128"}, "ok", "2.11.0"), ({"torch": "2.12.0.dev20260101"}, "ok", "dev")])
def test_an_old_or_missing_package_is_found(monkeypatch: pytest.MonkeyPatch, found: dict[str, str | None],
                                            state: str | None, seen: str) -> None:
    true = metadata.version

    def version(name: str) -> str:
        if found.get(name, "there") is None:
            raise metadata.PackageNotFoundError(name)
        return found.get(name) or true(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    (name,) = found
    finding = named(doctor.versions()).get(name)
    assert finding is None if state is None else (finding.state == state and seen in finding.seen)
    assert state in (None, "ok") or "ddpm" in finding.mend


@pytest.mark.parametrize("kernel, page, state", [("8.1.9", "3.0.17", "ok"), ("7.7.1", "1.1.1", "problem"),
                                                 ("8.1.9", "1.1.1", "problem"), ("7.7.1", "3.0.17", "problem")])
def test_both_halves_of_the_sliders_have_to_be_new(monkeypatch: pytest.MonkeyPatch, kernel: str, page: str,
                                                   state: str) -> None:
    monkeypatch.setattr(doctor.metadata, "version", {"ipywidgets": kernel, "jupyterlab_widgets": page}.__getitem__)
    (finding,) = doctor.widgets()
    assert finding.state == state and kernel in finding.seen and page in finding.seen


def test_colab_needs_no_jupyterlab_and_shows_old_sliders_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.metadata, "distributions", lambda name: [name] * (name == "google-colab"))
    monkeypatch.setattr(doctor.metadata, "version", lambda name: {"ipywidgets": "7.7.1"}.get(name, "99.0"))
    (finding,) = doctor.widgets()
    assert finding.state == "ok" and "7.7.1" in finding.seen
    looked_at = named(doctor.versions())
    assert "torch" in looked_at and not {"jupyterlab", "ipykernel", "voila"} & set(looked_at)


def test_a_device_that_is_not_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DDPM_COURSE_DEVICE", "abacus")
    (finding,) = doctor.device()
    assert finding.state == "problem" and "abacus" in finding.seen and "DDPM_COURSE_DEVICE = abacus" in finding.mend
    monkeypatch.setenv("DDPM_COURSE_DEVICE", "cpu")
    monkeypatch.setenv("DDPM_COURSE_PACE", "gallop")
    (finding,) = doctor.device()
    assert finding.state == "problem" and "DDPM_COURSE_PACE = gallop" in finding.mend


def images(source: str) -> Callable[[str], object]:
    class Images(SimpleNamespace):
        def __len__(self) -> int:
            return 7000

    return lambda split: Images(source=source, is_real=source != "drawn")


@pytest.mark.parametrize("source, state", [("folder", "ok"), ("cache", "ok"), ("network", "ok"), ("drawn", "problem")])
def test_where_the_data_came_from_is_told(monkeypatch: pytest.MonkeyPatch, source: str, state: str) -> None:
    monkeypatch.setattr(doctor, "load_fashion", images(source))
    (finding,) = doctor.data()
    assert finding.state == state and source in finding.seen and "7,000" in finding.seen
    assert ("--data FOLDER" in finding.mend) is (state == "problem")


def test_a_folder_without_data_is_found_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path))
    (finding,) = doctor.data()
    assert finding.state == "problem" and f"DDPM_COURSE_DATA = {tmp_path}" in finding.seen and "unset" in finding.mend
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path / "nothing"))
    (finding,) = doctor.data()
    assert finding.state == "problem" and "there is no such folder" in finding.seen


def test_data_are_copied_from_a_folder_into_the_cache_and_found_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                                                      capsys: pytest.CaptureFixture) -> None:
    stick = tmp_path / "stick"
    fill(stick / "FashionMNIST" / "raw")
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DDPM_COURSE_DATA", raising=False)
    monkeypatch.setattr(doctor, "EXAMINATIONS", (doctor.data,))
    assert main(["doctor", "--data", str(stick)]) == 0
    shutil.rmtree(stick)
    out = capsys.readouterr().out
    assert f"copied into {tmp_path / 'cache' / 'FashionMNIST' / 'raw'}" in out and "from the cache" in out
    assert main(["doctor"]) == 0 and "from the cache" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--data", str(stick)])
    assert stopped.value.code == 2 and "there is no such folder" in capsys.readouterr().err


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))


@pytest.mark.parametrize("spoil, named_file", [
    (lambda folder: (folder / "judge.safetensors").unlink(), "judge.safetensors"),
    (lambda folder: (folder / "fashion.safetensors").write_bytes(b"half"), "fashion.safetensors"),
    (lambda folder: (folder / CHECKSUMS).unlink(), CHECKSUMS),
    (lambda folder: (folder / CHECKSUMS).write_text("\n"), CHECKSUMS),
    (lambda folder: (folder / "more.safetensors").write_bytes(b"?"), "more.safetensors")])
def test_damaged_weights_are_found(copied: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Path], object],
                                   named_file: str) -> None:
    assert damaged_weights(copied) == []
    spoil(copied)
    assert damaged_weights(copied) == [named_file]
    monkeypatch.setattr(doctor, "damaged_weights", lambda: damaged_weights(copied))
    (finding,) = doctor.weights()
    assert finding.state == "problem" and named_file in finding.seen and "git checkout" in finding.mend


def test_the_checksums_that_ship_are_those_of_the_files() -> None:
    assert (WEIGHTS / CHECKSUMS).read_text(encoding="utf-8") == checksums()
    assert checksums().count("\n") == len([*WEIGHTS.glob("*.safetensors")]) >= 4


def test_weights_that_cannot_be_loaded_are_not_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path)
    (finding,) = doctor.speed()
    assert finding.state == "problem" and "not timed" in finding.seen


def test_a_full_disk_a_closed_folder_and_kept_trainings_are_found(monkeypatch: pytest.MonkeyPatch,
                                                                  tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_COURSE_RUNS", str(tmp_path / "drive" / "runs"))          # not made yet
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path))
    assert {name: finding.state for name, finding in named(doctor.folders()).items()} == {
        "runs folder": "ok", "cache": "ok"}
    (tmp_path / "drive" / "runs").mkdir(parents=True)
    (tmp_path / "drive" / "runs" / "lesson04_folder_800.pt").touch()
    assert "lesson04_folder_800.pt" in named(doctor.folders())["runs folder"].seen
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=5e8))
    full = named(doctor.folders())
    assert all(finding.state == "problem" and "0.5 GB free" in finding.seen for finding in full.values())
    assert "DDPM_COURSE_RUNS" in full["runs folder"].mend and "DDPM_COURSE_CACHE" in full["cache"].mend
    shutil.rmtree(tmp_path / "drive")
    (tmp_path / "drive").write_text("a file where the folder should be")
    closed = named(doctor.folders())["runs folder"]
    assert closed.state == "problem" and "nothing can be written" in closed.seen and "DDPM_COURSE_RUNS" in closed.mend


def test_a_drive_that_is_not_there_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RUNS", "CACHE"):
        monkeypatch.setenv(f"DDPM_COURSE_{name}", str(tmp_path / "not made"))
    monkeypatch.setattr(Path, "exists", lambda path: False)      # as Z: on a Windows machine without it
    findings = list(doctor.folders())
    assert len(findings) == 2 and all(finding.state == "problem" for finding in findings)


def test_a_report_can_be_written_with_the_letters_of_an_old_console(monkeypatch: pytest.MonkeyPatch,
                                                                    tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("DDPM_COURSE_DEVICE", "abacus")
    for examine in (doctor.versions, doctor.widgets, doctor.device, doctor.data, doctor.weights):
        for finding in examine():
            str(finding).encode("cp1252")
    assert '"ddpm-course[lecture] @ git+https://github.com/' in install_again("--upgrade")


def test_a_slow_machine_is_told_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 60, 5))
    monkeypatch.setattr(doctor.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(doctor.GuidanceView, "render", lambda *arguments: b"")
    (finding,) = doctor.speed()
    assert finding.state == "note" and "5.0 s" in finding.seen and finding.mend
