"""Files are written whole or not at all, whoever else writes and whatever fails on the way."""

import os
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from ddpm_course.whole_files import check_writable, write_whole


def contents_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_the_content_arrives_in_a_folder_that_was_missing_and_nothing_else_stays(tmp_path):
    write_whole(tmp_path / "new" / "folder" / "file", b"one")
    write_whole(str(tmp_path / "new" / "folder" / "file"), b"two")
    assert contents_of(tmp_path / "new" / "folder") == {"file": b"two"}


@pytest.mark.parametrize("trouble", [OSError("no space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("place", ["fsync", "replace"])
def test_what_stops_the_writer_leaves_the_old_file_and_no_part(tmp_path, monkeypatch, trouble, place):
    write_whole(tmp_path / "file", b"old")
    monkeypatch.setattr(os, place, Mock(side_effect=trouble))
    with pytest.raises(type(trouble)):
        write_whole(tmp_path / "file", b"new")
    assert contents_of(tmp_path) == {"file": b"old"}


def test_many_writers_leave_the_content_of_one(tmp_path):
    file, contents = tmp_path / "file", [bytes([k]) * 100_000 for k in range(8)]
    writers = [threading.Thread(target=write_whole, args=(file, content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert contents_of(tmp_path) in [{"file": content} for content in contents]


def test_a_place_that_can_be_written_is_left_as_it_was(tmp_path):
    check_writable(tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["", "folder", "missing/file", "file/file", "n" * 300])
def test_a_place_that_cannot_be_written_is_told(tmp_path, path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        check_writable(tmp_path / path)
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "file"}
