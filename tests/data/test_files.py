"""A data set in a folder: found in every usual layout, left as it is, and refused when a file is damaged."""

import gzip
import os
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from data_files import RAW, files_in, fill, idx, value_of

from ddpm_course.data.files import FILES, DownloadError
from ddpm_course.data.images import load_digits, load_fashion

# Layouts

@pytest.mark.parametrize("below, named", [
    ("FashionMNIST", ""), ("FashionMNIST", "FashionMNIST"),
    ("FashionMNIST/raw", "FashionMNIST"), ("FashionMNIST/raw", "FashionMNIST/raw")])
@pytest.mark.parametrize("packed", [True, False])
def test_other_layouts_are_found(tmp_path, below, named, packed):
    fill(tmp_path / below, packed=packed)
    assert value_of(load_fashion(root=tmp_path / named)) == 7


def test_plain_and_packed_files_may_be_mixed(tmp_path):
    raw = fill(tmp_path / RAW)
    (raw / f"{FILES[1]}.gz").unlink()
    (raw / FILES[1]).write_bytes(idx(FILES[1], 7))
    assert value_of(load_fashion(root=tmp_path)) == 7


@pytest.mark.parametrize("named", ["", "FashionMNIST", "FashionMNIST/raw"])
def test_fashion_is_never_taken_for_digits(tmp_path, named):
    fill(tmp_path / RAW)
    with pytest.raises(FileNotFoundError, match=r"cannot be used for MNIST"):
        load_digits(root=tmp_path / named)


def test_a_tilde_is_the_users_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))             # its name on Windows
    fill(tmp_path / "sets" / RAW)
    monkeypatch.setenv("DDPM_COURSE_DATA", "~/sets")
    assert value_of(load_fashion()) == 7


# The folder is left as it is; what has to be unpacked goes into the cache

def test_plain_files_are_used_where_they_lie(tmp_path, cache):
    fill(tmp_path / RAW, packed=False)
    assert value_of(load_fashion(root=tmp_path)) == 7 and not cache.exists()


@pytest.fixture
def lent(tmp_path: Path) -> Path:
    """A folder of packed files that nobody may write."""
    folder = tmp_path / "lent"
    fill(folder / RAW)
    below = [folder, *folder.rglob("*")]
    for path in below:
        path.chmod(path.stat().st_mode & ~0o222)
    yield folder
    for path in below:
        path.chmod(path.stat().st_mode | 0o200)


def test_packed_files_are_unpacked_into_the_cache_once(lent, cache):
    before = files_in(lent)
    train = load_fashion("train", root=lent)
    (copy,) = (cache / "unpacked").iterdir()
    assert (value_of(train), train.source) == (7, "folder")
    assert files_in(copy) == sorted(str(RAW / file) for file in FILES) and files_in(lent) == before
    times = {path: path.stat().st_mtime_ns for path in copy.rglob("*-ubyte")}
    assert value_of(load_fashion("test", root=lent)) == 7
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*-ubyte")} == times


def test_two_folders_are_never_confused(tmp_path, cache):
    one, other = tmp_path / "one", tmp_path / "other"
    fill(one / RAW, 11)
    fill(other / RAW, 12)
    assert [value_of(load_fashion(root=root)) for root in (one, other, one)] == [11, 12, 11]
    assert not (cache / RAW).exists(), "a copy of a folder is not the downloaded set"


def test_a_folder_that_has_changed_is_unpacked_again(tmp_path):
    fill(tmp_path / RAW, 11)
    assert value_of(load_fashion(root=tmp_path)) == 11
    shutil.rmtree(tmp_path / RAW)
    fill(tmp_path / RAW, 13)
    for path in (tmp_path / RAW).iterdir():
        os.utime(path, ns=(1, 1))                                # another time, however coarse the clock is
    assert value_of(load_fashion(root=tmp_path)) == 13


def test_a_damaged_copy_in_the_cache_is_unpacked_again(tmp_path, cache):
    fill(tmp_path / RAW)
    load_fashion(root=tmp_path)
    one, other, third, fourth = cache.rglob("*-ubyte")
    for lost in (one, third):
        lost.unlink()
    for short in (other, fourth):
        short.write_bytes(short.read_bytes()[:-1])
    assert value_of(load_fashion("train", root=tmp_path)) == 7
    assert value_of(load_fashion("test", root=tmp_path)) == 7


def test_a_cache_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    fill(tmp_path / RAW)
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(RuntimeError, match="DDPM_COURSE_CACHE"):
        load_fashion(root=tmp_path)
    assert load_fashion("test").source == "drawn", "without a folder the drawn garments are still there"


def test_many_may_unpack_at_once(tmp_path):
    fill(tmp_path / RAW)
    found, gate = [], threading.Barrier(6)

    def load() -> None:
        gate.wait()
        found.append(value_of(load_fashion(root=tmp_path)))

    threads = [threading.Thread(target=load) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [7] * 6


# Damage

BAD = FILES[2]                                                   # the file that is spoiled: the test images
MISSING, DAMAGED = FileNotFoundError, RuntimeError
SOUND = idx(BAD, 7)
GZ = gzip.compress(SOUND)
WRONG_CHECKSUM = GZ[:-6] + bytes([GZ[-6] ^ 255]) + GZ[-5:]       # a gzip file ends with checksum and length
GZ_OF_SHORT = gzip.compress(SOUND[:-1])
OTHER_SHAPE = SOUND.replace(struct.pack(">i", 28), struct.pack(">i", 32), 1)
UNPACKED = f"{BAD}.gz cannot be unpacked .*: "


def packed_as(content: bytes) -> Callable[[Path], None]:
    """Return what fills a folder with .gz files, of which one holds `content`."""
    return lambda raw: (fill(raw) / f"{BAD}.gz").write_bytes(content)


def plain_as(content: bytes) -> Callable[[Path], None]:
    """Return what fills a folder with plain files, of which one holds `content`."""
    return lambda raw: (fill(raw, packed=False) / BAD).write_bytes(content)


# What makes the folder; the error, and a pattern of its words
HARMS = {
    "no folder": (lambda raw: None, MISSING, "there is no such folder"),
    "file missing": (lambda raw: (fill(raw) / f"{BAD}.gz").unlink(), MISSING, f"{BAD}.gz: it is missing"),
    "gz cut off": (packed_as(GZ[:-20]), DAMAGED, UNPACKED + "Compressed file ended"),
    "gz that is none": (packed_as(b"<html>please log in</html>"), DAMAGED, UNPACKED + "Not a gzipped file"),
    "gz with a wrong checksum": (packed_as(WRONG_CHECKSUM), DAMAGED, UNPACKED + "CRC check failed"),
    "gz of a short file": (packed_as(GZ_OF_SHORT), DAMAGED, f"{UNPACKED}unpacked, it has 15,695 bytes"),
    "short": (plain_as(SOUND[:-100]), DAMAGED, f"{BAD}: it has 15,596 bytes, but 15,696"),
    "long": (plain_as(SOUND + b"x"), DAMAGED, f"{BAD}: it has 15,697 bytes, but 15,696"),
    "empty": (plain_as(b""), DAMAGED, f"{BAD}: it does not begin as an idx file of 28 × 28 images does"),
    "images of another size": (plain_as(OTHER_SHAPE), DAMAGED, f"{BAD}: it does not begin as an idx file"),
}


@pytest.mark.parametrize("named_by", ["argument", "variable"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_folder_is_named_with_its_file_and_nothing_stands_in_for_it(
        tmp_path, cache, server, monkeypatch, harm, named_by):
    make, error, words = HARMS[harm]
    root = tmp_path / "mine"
    make(root / RAW)
    if named_by == "variable":
        monkeypatch.setenv("DDPM_COURSE_DATA", str(root))
    with pytest.raises(error, match=words) as caught:
        load_fashion("test", root=root if named_by == "argument" else None)
    assert str(root) in str(caught.value)
    assert not isinstance(caught.value, DownloadError) and not server.asked
    whole = {*FILES} - {BAD}
    assert {path.name for path in cache.rglob("*") if path.is_file()} <= whole, "a part stays in the cache"
