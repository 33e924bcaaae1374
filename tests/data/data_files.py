"""Small idx files, such as a data set is made of, and a server that delivers them."""

import gzip
import hashlib
import io
import struct
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError

import pytest
import torch

from ddpm_course.data import files
from ddpm_course.data.files import FILES
from ddpm_course.data.images import ImageSet

COUNTS = {"train": 30, "t10k": 20}
RAW = Path("FashionMNIST") / "raw"                               # where a named folder holds the files


def idx(file: str, value: int) -> bytes:
    """Return the bytes of a small idx file. Its images are all `value`, or its labels are 0 … 9, 0 … 9, …"""
    n = COUNTS[file[:file.index("-")]]
    if "images" in file:
        return struct.pack(">4i", 2051, n, 28, 28) + bytes([value]) * (n * 784)
    return struct.pack(">2i", 2049, n) + bytes(i % 10 for i in range(n))


def fill(raw: Path, value: int = 7, *, packed: bool = True) -> Path:
    """Make the folder `raw` and write a data set's four files into it, as .gz or plain. Return the folder."""
    raw.mkdir(parents=True)
    for file in FILES:
        content = idx(file, value)
        (raw / (f"{file}.gz" if packed else file)).write_bytes(gzip.compress(content) if packed else content)
    return raw


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def value_of(images: ImageSet) -> int:
    """Return the one value of all pixels, once shapes and types are what they should be."""
    assert images.images.shape == (len(images), 1, 28, 28) and images.images.dtype == torch.uint8
    assert images.labels.shape == (len(images),) and images.labels.dtype == torch.int64
    (value,) = images.images.unique().tolist()
    return value


def no_network(url: str, timeout: float | None = None) -> NoReturn:
    """Stand in for `urlopen` on a machine that is offline."""
    raise URLError("no network in this test")


class Reply(io.BytesIO):
    """What `urlopen` returns. With `breaks` it delivers ten bytes, and then raises that exception."""

    def __init__(self, content: bytes, *, breaks: BaseException | None = None) -> None:
        super().__init__(content)
        self.headers, self.breaks = {"Content-Length": str(len(content))}, breaks

    def read(self, size: int = -1) -> bytes:
        if self.breaks is None:
            return super().read(size)
        if self.tell() > 0:
            raise self.breaks
        return super().read(10)


class Server:
    """Stand in for `urlopen`: deliver small data sets under torchvision's addresses, note what was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, value: int) -> None:
        import torchvision
        self.content = {f"{file}.gz": gzip.compress(idx(file, value)) for file in FILES}
        self.breaks: dict[str, BaseException] = {}               # by file: what ends its download
        self.asked: list[str] = []                               # addresses
        self.timeouts: set[float | None] = set()
        sums = [(file, hashlib.md5(content).hexdigest()) for file, content in self.content.items()]
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", sums)
        monkeypatch.setattr(torchvision.datasets.FashionMNIST, "resources", sums)
        monkeypatch.setattr(files, "urlopen", self)

    def __call__(self, url: str, timeout: float | None = None) -> Reply:
        file = url.rpartition("/")[2]
        self.asked.append(url)
        self.timeouts.add(timeout)
        return Reply(self.content[file], breaks=self.breaks.get(file))
