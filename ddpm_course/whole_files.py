"""Write a file whole or not at all: whatever stops the writer, a reader sees the old file or the new one.

The content goes into a file beside the target first, and then takes its name in one move, which the operating system
does not interrupt. Weights, trainings, records and pictures are all written so.
"""

import os
import threading
from pathlib import Path


def write_whole(path: str | Path, content: bytes) -> None:
    """Write `content` to `path` in one move; a missing folder is made. OSError leaves an old file as it was.

    Two threads or processes may write the same file: each has a part of its own, and the last one to finish stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())                              # on the disk before it gets its name
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Name the file in which this thread prepares `path`."""
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")


def check_writable(path: Path) -> None:
    """Raise OSError now where writing `path` would raise it later: a folder is there, or none to write into."""
    if not path.name or path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; the name of a file is needed")
    part_of(path).touch()
    part_of(path).unlink()
