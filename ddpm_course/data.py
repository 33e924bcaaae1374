"""Datasets, loaders and the pixel range.

A picture is stored as bytes u ∈ {0 … 255}; the networks see x_0 = u / 127.5 - 1 ∈ [-1, 1]. Where a data set comes from, in
this order: the folder that the caller names, the one that `DDPM_COURSE_DATA` names (it holds `FashionMNIST/raw` and
`MNIST/raw`, unpacked or as .gz, and may be read-only), the course's cache, the network. Fashion has a last resort that is
always there: garments that `garments.py` draws. Taught in notebook 01.
"""

import gzip
import hashlib
import math
import os
import struct
import threading
import zlib
from concurrent.futures import Future
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import torch
from torch import Tensor
from tqdm import tqdm

from ddpm_course.garments import drawn_garments
from ddpm_course.runtime import cache_folder, setting

FASHION_NAMES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CLASS_NAMES = FASHION_NAMES
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PATIENCE = 10  # seconds for a server to answer, and for each piece of a download
DRAWN = {"train": 20_000, "test": 4_000}  # enough for the lessons' short trainings


class DownloadError(RuntimeError):
    """No folder was named, the cache does not hold the data, and no server delivered them."""


@dataclass(frozen=True)
class ImageSet:
    """Hold uint8 images (N, 1, 28, 28), int64 labels (N,), the classes' names and where all that came from."""

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    source: str  # "folder", "cache", "network" or "drawn"

    def __len__(self) -> int:
        return len(self.images)


class Loader:
    """Read a data set in shuffled batches without end, each epoch in an order drawn from (seed, epoch) alone.

    Batch number `step` can be asked for at any time: that is what lets a training resume exactly where it stopped.
    An incomplete last batch is dropped; nothing is augmented; `len` is the number of steps in an epoch.
    """

    def __init__(self, data: ImageSet, batch_size: int, *, seed: int) -> None:
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.steps_per_epoch = len(data) // batch_size
        self._epoch, self._order = -1, torch.empty(0)

    def __len__(self) -> int:
        return self.steps_per_epoch

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """Return x_0 (B, 1, 28, 28) in [-1, 1] and labels (B,) of step 0, 1, 2, …; ValueError for a negative one."""
        if step < 0:
            raise ValueError(f"step counts from 0, got {step}")
        epoch, i = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:  # a CPU generator heeds 32 bits of its seed: the pair has to be mixed into those
            generator = torch.Generator().manual_seed(zlib.crc32(f"{self.seed}, {epoch}".encode()))
            self._epoch, self._order = epoch, torch.randperm(len(self.data), generator=generator)
        rows = self._order[i * self.batch_size:(i + 1) * self.batch_size]
        return to_pixels(self.data.images[rows]), self.data.labels[rows]


def make_loader(data: ImageSet, batch_size: int, *, seed: int = 0) -> Loader:
    """Make the loader of `batch_size` images a step; ValueError unless 1 ≤ batch_size ≤ N."""
    if not 1 <= batch_size <= len(data):
        raise ValueError(f"batch_size has to lie in 1..{len(data)}, the number of images; got {batch_size}")
    return Loader(data, batch_size, seed=seed)


def to_pixels(images: Tensor) -> Tensor:
    """Map bytes to the networks' range: uint8 → float32 in [-1, 1]. Raises TypeError for other types."""
    if images.dtype != torch.uint8:
        raise TypeError(f"to_pixels takes uint8 images in 0..255, got {images.dtype}: are they in [-1, 1] already?")
    return images.float() / 127.5 - 1


def to_uint8(x: Tensor) -> Tensor:
    """Map [-1, 1] to bytes, the inverse of `to_pixels`: rounds, clamps. Raises TypeError unless x is floating."""
    if not x.is_floating_point():
        raise TypeError(f"to_uint8 takes floating-point images in [-1, 1], got {x.dtype}: are they bytes already?")
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def load_fashion(split: str = "train", *, root: str | Path | None = None) -> ImageSet:
    """Load Fashion-MNIST's "train" (60,000) or "test" (10,000) images; `root` holds `FashionMNIST/raw`.

    A folder that is named, by `root` or `DDPM_COURSE_DATA`, has to be sound: FileNotFoundError or RuntimeError otherwise.
    Without one the cache and the network are tried, and failing these the course draws garments, and says so.
    """
    try:
        return _load("FashionMNIST", FASHION_NAMES, split, root)
    except DownloadError as error:
        print(f"Garments drawn by the course stand in for Fashion-MNIST, which was not to be had ({error}). For the real "
              "images go online, or set DDPM_COURSE_DATA to a folder that holds FashionMNIST/raw.")
        return ImageSet(*drawn_garments(split, DRAWN[split]), FASHION_NAMES, "drawn")


def load_digits(split: str = "train", *, root: str | Path | None = None) -> ImageSet:
    """Load MNIST's "train" (60,000) or "test" (10,000) digits from the same places; `root` holds `MNIST/raw`.

    Nothing stands in for digits: DownloadError (a RuntimeError) where there is no folder, no cache and no network.
    """
    return _load("MNIST", tuple("0123456789"), split, root)


def _load(name: str, class_names: tuple[str, ...], split: str, root: str | Path | None) -> ImageSet:
    """Find a data set's files, read one split of them through torchvision, and check what was read."""
    if split not in ("train", "test"):
        raise ValueError(f"split has to be 'train' or 'test', got {split!r}")
    import torchvision  # here, not above: it takes seconds, and most of the course does without

    dataset, folder = getattr(torchvision.datasets, name), setting("DATA") if root is None else root
    home, source = _open_cache(dataset) if folder is None else (_open_folder(Path(folder), name), "folder")
    part = dataset(home, train=split == "train")
    if len(part.data) != len(part.targets) or part.targets.max() > 9:
        raise RuntimeError(f"{part.raw_folder} has {len(part.data)} images and {len(part.targets)} labels up to "
                           f"{part.targets.max()}; expected one label in 0..9 for each image. Replace its files.")
    return ImageSet(part.data[:, None], part.targets, class_names, source)


def _fault(path: Path) -> str | None:
    """Say what is wrong with an idx file of 28 × 28 images or of labels; None if nothing is."""
    if not path.is_file():
        return "it is missing"
    kind, form = ([2051, 28, 28], ">iiii") if "images" in path.name else ([2049], ">ii")
    start, size = struct.calcsize(form), path.stat().st_size
    with path.open("rb") as file:
        magic, n, *shape = struct.unpack(form, file.read(start).ljust(start))
    if [magic, *shape] != kind or n < 1:
        return f"it does not begin as an idx file of {'28 × 28 images' if shape else 'labels'} does"
    expected = start + n * math.prod(shape)
    return None if size == expected else f"it has {size:,} bytes, but {expected:,} by its own header"


def _install(content: bytes, origin: str | Path, target: Path) -> None:
    """Write the idx file `target` from a plain or gzipped one: whole or not at all, even with two processes at it."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent) as folder:
            part = Path(folder, target.name)
            part.write_bytes(gzip.decompress(content) if str(origin).endswith(".gz") else content)
            if fault := _fault(part):
                raise EOFError(f"unpacked, {fault}")
            os.replace(part, target)
    except (OSError, EOFError, zlib.error) as error:
        raise RuntimeError(f"{origin} cannot be unpacked into {target.parent}: {error}. Replace it if it is damaged; set "
                           "DDPM_COURSE_CACHE to another folder if this one cannot be written.") from error


def _open_folder(root: Path, name: str) -> Path:
    """Return a root for torchvision: the student's folder if it is unpacked, else a copy in the cache, made once."""
    root = root.expanduser().resolve()
    near = [root / name / "raw", root / name] + [root / "raw", root] * (name in root.parts[-2:])
    raw = next((folder for folder in near if any(folder.glob("*-ubyte*"))), near[0])
    files = [raw / file if (raw / file).is_file() else raw / f"{file}.gz" for file in FILES]
    for file in files:
        if fault := (_fault(file) if file.suffix != ".gz" else None if file.is_file() else "it is missing"):
            raise (RuntimeError if file.is_file() else FileNotFoundError)(
                f"{root} cannot be used for {name} because of {file}: {fault}. Expected that set's four files, plain or "
                f".gz, in {near[0]}: mend this, or name no folder (neither root nor DDPM_COURSE_DATA).")
    if raw == near[0] and not any(file.suffix for file in files):
        return root
    stamp = repr([(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files])
    home = cache_folder() / "unpacked" / hashlib.sha256(stamp.encode()).hexdigest()[:16]
    for file, packed in zip(FILES, files):
        if _fault(home / name / "raw" / file):
            _install(packed.read_bytes(), packed, home / name / "raw" / file)
    return home


def _open_cache(dataset: Any) -> tuple[Path, str]:
    """Return the cache's folder and "cache", or "network" if something had to be fetched; DownloadError if in vain."""
    raw, failures = cache_folder() / dataset.__name__ / "raw", []
    faults = {raw / file: fault for file in FILES if (fault := _fault(raw / file))}
    for path in filter(Path.exists, faults):
        print(f"{path} is damaged, so it will be fetched again: {faults[path]}.")
    for mirror in dataset.mirrors if faults else ():
        try:
            for file, md5 in dataset.resources:
                if _fault(target := raw / file.removesuffix(".gz")):
                    _install(_fetch(mirror + file, md5), file, target)
            return cache_folder(), "network"
        except (OSError, HTTPException, RuntimeError) as error:
            failures.append(f"{mirror} answers: {str(error) or type(error).__name__}")
    if failures:
        raise DownloadError(f"not in {raw}; " + "; ".join(failures))
    return cache_folder(), "cache"


def _fetch(url: str, md5: str) -> bytes:
    """Download a file, with a progress bar; OSError or RuntimeError if it does not come, or not as it should be."""
    answer, content = Future(), bytearray()

    def ask() -> None:
        try:
            answer.set_result(urlopen(url, timeout=PATIENCE))
        except Exception as error:  # handed to the thread that waits
            answer.set_exception(error)

    # A thread, since `urlopen` would spend its timeout on each address in turn, and more on a silent name server.
    threading.Thread(target=ask, daemon=True).start()
    with answer.result(PATIENCE) as reply:
        size = int(reply.headers.get("Content-Length") or 0) or None
        with tqdm(total=size, desc=url.rpartition("/")[2], unit="B", unit_scale=True, leave=False) as bar:
            while piece := reply.read(1 << 16):
                content += piece
                bar.update(len(piece))
    if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
        raise RuntimeError(f"{url} came damaged: its MD5 sum is {found}, expected {md5}")
    return bytes(content)
