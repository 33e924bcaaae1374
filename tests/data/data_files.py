"""Small idx files, such as a data set is made of, for the tests that look for one."""

import gzip
import struct
from pathlib import Path

from ddpm_course.data.files import FILES

COUNTS = {"train": 30, "t10k": 20}


def idx(file: str, value: int) -> bytes:
    """The bytes of a small idx file whose images are all `value` and whose labels go round."""
    n = COUNTS[file[:file.index("-")]]
    if "images" in file:
        return struct.pack(">4i", 2051, n, 28, 28) + bytes([value]) * (n * 784)
    return struct.pack(">2i", 2049, n) + bytes(i % 10 for i in range(n))


def fill(raw: Path, value: int = 7, *, packed: bool = True) -> Path:
    raw.mkdir(parents=True)
    for file in FILES:
        content = idx(file, value)
        (raw / (f"{file}.gz" if packed else file)).write_bytes(gzip.compress(content) if packed else content)
    return raw
