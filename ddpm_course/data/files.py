"""Where a data set's files are found: a folder, the course's cache, the network; whole or not at all.

A data set is four files in idx format, as torchvision names them. A file is used when its header and its size agree,
and it is written under its own name only when it is whole. `images` asks `open_folder` or `open_cache` for a root that
torchvision can read.
"""

import gzip
import hashlib
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.request import urlopen

from tqdm import tqdm

from ddpm_course.runtime import cache_folder
from ddpm_course.whole_files import write_whole

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PATIENCE, PIECE = 10, 1 << 16  # seconds for a server to answer, and for each piece of a download; bytes in a piece


class DownloadError(RuntimeError):
    """No folder was named, the cache does not hold the data, and no server delivered them."""


def fault_of(name: str, head: bytes, size: int) -> str | None:
    """Say what is wrong with an idx file by its first 16 bytes and its size in bytes; None if nothing is.

    A file with "images" in its name holds 28 × 28 images, another one labels.
    """
    of_images = "images" in name
    form, start, kind, item = (">iiii", 16, [2051, 28, 28], 784) if of_images else (">ii", 8, [2049], 1)
    magic, n, *shape = struct.unpack(form, head[:start].ljust(start))
    if [magic, *shape] != kind or n < 1:
        return f"it does not begin as an idx file of {'28 × 28 images' if of_images else 'labels'} does"
    expected = start + n * item
    return None if size == expected else f"it has {size:,} bytes, but {expected:,} by its own header"


def fault(path: Path) -> str | None:
    """Say what is wrong with an idx file on the disk; None if nothing is."""
    if not path.is_file():
        return "it is missing"
    with path.open("rb") as file:
        return fault_of(path.name, file.read(16), path.stat().st_size)


def faults(raw: Path) -> dict[Path, str]:
    """Return what is wrong with a data set's four files in the folder `raw`; empty if nothing is."""
    found = {raw / file: fault(raw / file) for file in FILES}
    return {path: wrong for path, wrong in found.items() if wrong is not None}


def install(content: bytes, origin: str | Path, target: Path) -> None:
    """Write the idx file `target` from a plain or gzipped one: whole or not at all, even with two processes at it."""
    try:
        if str(origin).endswith(".gz"):
            content = gzip.decompress(content)
        wrong = fault_of(target.name, content[:16], len(content))
        if wrong is not None:
            raise EOFError(f"unpacked, {wrong}")
        write_whole(target, content)
    except (OSError, EOFError, zlib.error) as error:
        raise RuntimeError(f"{origin} cannot be unpacked into {target.parent}: {error}. Replace it if it is damaged; "
                           "set DDPM_COURSE_CACHE to another folder if this one cannot be written.") from error


def find(root: Path, name: str) -> tuple[Path, list[Path]]:
    """Return the folder under `root` that holds the data set's files, and the four files, plain or .gz.

    FileNotFoundError or RuntimeError when one of them is missing or damaged.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{root} cannot be used for {name}: there is no such folder. Name one that holds "
                                f"{name}/raw, or none (unset DDPM_COURSE_DATA).")
    near = [root / name / "raw", root / name]
    if name in root.parts[-2:]:                                  # the folder of the set itself was named
        near += [root / "raw", root]
    raw = next((folder for folder in near if any(folder.glob("*-ubyte*"))), near[0])
    files = [raw / file if (raw / file).is_file() else raw / f"{file}.gz" for file in FILES]
    for file in files:
        wrong = None if file.suffix == ".gz" and file.is_file() else fault(file)
        if wrong is not None:
            kind = RuntimeError if file.is_file() else FileNotFoundError
            raise kind(f"{root} cannot be used for {name} because of {file}: {wrong}. Expected that set's four files, "
                       f"plain or .gz, in {near[0]}: mend this, or name no folder (unset DDPM_COURSE_DATA).")
    return raw, files


def open_folder(root: Path, name: str) -> Path:
    """Return a root for torchvision: the student's folder if it is unpacked, else a copy in the cache, made once."""
    root = root.expanduser().resolve()
    raw, files = find(root, name)
    if raw == root / name / "raw" and all(file.suffix != ".gz" for file in files):
        return root
    stamp = repr([(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files])
    home = cache_folder() / "unpacked" / hashlib.sha256(stamp.encode()).hexdigest()[:16]
    for file, packed in zip(FILES, files):
        if fault(home / name / "raw" / file) is not None:
            install(packed.read_bytes(), packed, home / name / "raw" / file)
    return home


def open_cache(dataset: type) -> tuple[Path, str]:
    """Return the cache's folder and "cache", or "network" if something had to be fetched; DownloadError if in vain.

    `dataset` is a class of torchvision: its `mirrors` and its `resources` (file, MD5) say where the files come from.
    """
    raw, failures = cache_folder() / dataset.__name__ / "raw", []
    wrong = faults(raw)
    if not wrong:
        return cache_folder(), "cache"
    for path in wrong:
        if path.exists():
            print(f"{path} is damaged, so it will be fetched again: {wrong[path]}.")
    for mirror in dataset.mirrors:
        try:
            for file, md5 in dataset.resources:
                target = raw / file.removesuffix(".gz")
                if fault(target) is not None:
                    install(fetch(mirror + file, md5), file, target)
            return cache_folder(), "network"
        except (OSError, HTTPException, RuntimeError) as error:
            failures.append(f"{mirror}: {str(error) or type(error).__name__}")
    raise DownloadError(f"{raw} does not hold the data, and they cannot be fetched ({'; '.join(failures)}). Go online, "
                        f"or set DDPM_COURSE_DATA to a folder that holds {dataset.__name__}/raw.")


def fetch(url: str, md5: str) -> bytes:
    """Download a file with a progress bar and compare its MD5 sum. OSError or RuntimeError when that fails."""
    with opened(url) as reply:
        size = int(reply.headers.get("Content-Length") or 0)
        bar = tqdm(desc=url.rpartition("/")[2], total=size or None, unit="B", unit_scale=True, leave=False)
        with bar:
            content = b"".join(pieces(reply, bar))
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise RuntimeError(f"{url} came damaged: its MD5 sum is {found}, expected {md5}")
    return content


def opened(url: str) -> HTTPResponse:
    """Open an address, waiting for `PATIENCE` seconds in all.

    `urlopen` bounds each wait for a server, but neither the look-up of its name nor the number of its addresses; the
    thread bounds them all.
    """
    return ThreadPoolExecutor(1).submit(urlopen, url, timeout=PATIENCE).result(PATIENCE)


def pieces(reply: HTTPResponse, bar: tqdm) -> Iterator[bytes]:
    """Read a reply to its end, a piece at a time, and move the bar."""
    while piece := reply.read(PIECE):
        bar.update(len(piece))
        yield piece


def keep_fashion(root: str | Path) -> Path:
    """Copy Fashion-MNIST from a folder into the course's cache, where every lesson finds it; return its place there.

    FileNotFoundError or RuntimeError when the folder does not hold it whole.
    """
    home, kept = open_folder(Path(root), "FashionMNIST"), cache_folder() / "FashionMNIST" / "raw"
    for file in FILES:
        source = home / "FashionMNIST" / "raw" / file
        install(source.read_bytes(), source, kept / file)
    return kept
