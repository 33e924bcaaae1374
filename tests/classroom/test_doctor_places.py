"""What the examination before class says of images, weights and folders."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from data_files import RAW, fill

from ddpm_course.__main__ import main
from ddpm_course.checkpoints import CHECKSUMS, WEIGHTS, checksums, damaged_weights
from ddpm_course.classroom import doctor
from ddpm_course.classroom.doctor import Finding


def folders() -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.folders()}


# The data

class SevenThousand(SimpleNamespace):
    """What the examination looks at in an image set."""

    def __len__(self) -> int:
        return 7000


@pytest.mark.parametrize("source, state", [
    ("folder", "ok"), ("cache", "ok"), ("network", "ok"), ("drawn", "problem")])
def test_where_the_data_came_from_is_told(monkeypatch: pytest.MonkeyPatch, source: str, state: str) -> None:
    images = SevenThousand(source=source, is_real=source != "drawn")
    monkeypatch.setattr(doctor, "load_fashion", lambda split: images)
    (finding,) = doctor.data()
    assert finding.state == state and source in finding.seen and "7,000" in finding.seen
    assert ("--data FOLDER" in finding.mend) is (state == "problem")


def test_a_folder_without_data_is_found_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path))
    (finding,) = doctor.data()
    assert finding.state == "problem"
    assert f"DDPM_COURSE_DATA = {tmp_path}" in finding.seen and "unset" in finding.mend


def test_a_folder_that_is_not_there_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path / "nothing"))
    (finding,) = doctor.data()
    assert finding.state == "problem" and "there is no such folder" in finding.seen


@pytest.fixture
def only_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let the command examine nothing but the data; return its cache, which is not there yet."""
    monkeypatch.setattr(doctor, "EXAMINATIONS", (doctor.data,))
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DDPM_COURSE_DATA", raising=False)
    return tmp_path / "cache"


def test_data_are_copied_from_a_folder_into_the_cache_and_found_there(
        only_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    stick = tmp_path / "stick"
    fill(stick / RAW)
    assert main(["doctor", "--data", str(stick)]) == 0
    out = capsys.readouterr().out
    assert f"copied into {only_data / RAW}" in out and "from the cache" in out
    shutil.rmtree(stick)
    assert main(["doctor"]) == 0 and "from the cache" in capsys.readouterr().out


def test_a_folder_to_copy_from_that_is_not_there_ends_with_exit_code_2(
        only_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["doctor", "--data", str(tmp_path / "stick")])
    assert stopped.value.code == 2 and "there is no such folder" in capsys.readouterr().err


# The weights

@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))


@pytest.mark.parametrize("spoil, named_file", [
    (lambda folder: (folder / "judge.safetensors").unlink(), "judge.safetensors"),
    (lambda folder: (folder / "fashion.safetensors").write_bytes(b"half"), "fashion.safetensors"),
    (lambda folder: (folder / CHECKSUMS).unlink(), CHECKSUMS),
    (lambda folder: (folder / CHECKSUMS).write_text("\n"), CHECKSUMS),
    (lambda folder: (folder / "more.safetensors").write_bytes(b"?"), "more.safetensors")])
def test_damaged_weights_are_found(copied: Path, monkeypatch: pytest.MonkeyPatch,
                                   spoil: Callable[[Path], object], named_file: str) -> None:
    assert damaged_weights(copied) == []
    spoil(copied)
    assert damaged_weights(copied) == [named_file]
    monkeypatch.setattr(doctor, "damaged_weights", lambda: damaged_weights(copied))
    (finding,) = doctor.weights()
    assert finding.state == "problem" and named_file in finding.seen and "git checkout" in finding.mend


def test_the_checksums_that_ship_are_those_of_the_files() -> None:
    assert (WEIGHTS / CHECKSUMS).read_text(encoding="utf-8") == checksums()
    assert checksums().count("\n") == len([*WEIGHTS.glob("*.safetensors")]) >= 4


# Folders

@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Name a drive for the trainings, which is not there yet, and a cache, which is."""
    monkeypatch.setenv("DDPM_COURSE_RUNS", str(tmp_path / "drive" / "runs"))
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path))
    return tmp_path / "drive"


def test_folders_that_can_be_made_are_fine_and_kept_trainings_are_listed(drive: Path) -> None:
    states = {name: finding.state for name, finding in folders().items()}
    assert states == {"runs folder": "ok", "cache": "ok"}
    (drive / "runs").mkdir(parents=True)
    (drive / "runs" / "lesson04_folder_800.pt").touch()
    assert "lesson04_folder_800.pt" in folders()["runs folder"].seen


def test_a_full_disk_is_found(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: SimpleNamespace(free=5e8))
    full = folders()
    assert all(finding.state == "problem" and "0.5 GB free" in finding.seen for finding in full.values())
    assert "DDPM_COURSE_RUNS" in full["runs folder"].mend and "DDPM_COURSE_CACHE" in full["cache"].mend


def test_a_folder_that_cannot_be_written_is_found(drive: Path) -> None:
    drive.write_text("a file where the folder should be")
    closed = folders()["runs folder"]
    assert closed.state == "problem" and "nothing can be written" in closed.seen
    assert "DDPM_COURSE_RUNS" in closed.mend


def test_a_drive_that_is_not_there_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RUNS", "CACHE"):
        monkeypatch.setenv(f"DDPM_COURSE_{name}", str(tmp_path / "not made"))
    monkeypatch.setattr(Path, "exists", lambda path: False)      # as Z: on a Windows machine without it
    findings = list(doctor.folders())
    assert len(findings) == 2 and all(finding.state == "problem" for finding in findings)
