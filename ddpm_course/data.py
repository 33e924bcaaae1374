"""Datasets, loaders and the pixel range.

A picture is stored as bytes u ∈ {0 … 255}; the networks see x_0 = u / 127.5 - 1 ∈ [-1, 1]. Data are looked for in the
folder that the caller names; the one in `DDPM_COURSE_DATA` (both hold `FashionMNIST/raw` or `MNIST/raw`, plain or .gz,
read-only or not); the course's cache; the network. Failing all, the course draws its garments. Taught in notebook 01.
"""

import gzip
import hashlib
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import urlopen

import torch
from torch import Tensor
from tqdm import tqdm

from ddpm_course.garments import drawn_garments
from ddpm_course.runtime import cache_folder, setting

CLASS_NAMES = FASHION_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
PATIENCE, PIECE = 10, 1 << 16  # seconds for a server to answer, and for each piece of a download; bytes in a piece


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

    @property
    def is_real(self) -> bool:
        """False for garments that the course drew itself."""
        return self.source != "drawn"

    @property
    def kind(self) -> str:
        """Return "real" or "drawn"; trainings are filed by it, since real images are the same from every source."""
        return "real" if self.is_real else "drawn"


class Loader:
    """Read a data set in shuffled batches without end, each epoch in an order drawn from (seed, epoch) alone.

    Any step's batch can be asked for at any time: that lets a training resume exactly. An incomplete batch is dropped.
    """

    def __init__(self, data: ImageSet, batch_size: int, *, seed: int) -> None:
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.steps_per_epoch, self._epoch, self._order = len(data) // batch_size, -1, torch.empty(0)

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
    """Make the loader of `batch_size` images a step; ValueError unless it is an integer in 1..N."""
    if not isinstance(batch_size, int) or not 1 <= batch_size <= len(data):
        raise ValueError(f"batch_size has to be an integer in 1..{len(data)}, the number of images; got {batch_size!r}")
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
    """Load Fashion-MNIST's "train" (60,000) or "test" (10,000) images. A folder that is named has to hold them.

    FileNotFoundError or RuntimeError otherwise. With no folder, cache or network: drawn garments, and a notice.
    """
    try:
        return _load("FashionMNIST", FASHION_NAMES, split, root)
    except DownloadError as error:
        print(f"Garments drawn by the course stand in for Fashion-MNIST: {error}")
        return ImageSet(*drawn_garments(split, 20_000 if split == "train" else 4_000), FASHION_NAMES, "drawn")


def keep_fashion(root: str | Path) -> Path:
    """Copy Fashion-MNIST from a folder into the course's cache, where every lesson finds it; return its place there.

    FileNotFoundError or RuntimeError when the folder does not hold it whole.
    """
    home, kept = _open_folder(Path(root), "FashionMNIST"), cache_folder() / "FashionMNIST" / "raw"
    for file in FILES:
        source = home / "FashionMNIST" / "raw" / file
        _install(source.read_bytes(), source, kept / file)
    return kept


def load_digits(split: str = "train", *, root: str | Path | None = None) -> ImageSet:
    """Load MNIST's digits in the same way, but nothing stands in for them: DownloadError with no folder or network."""
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
        raise RuntimeError(f"Labels in {part.raw_folder} are no 0..9, one for each image: replace those four files.")
    return ImageSet(part.data[:, None], part.targets, class_names, source)


def _fault(path: Path) -> str | None:
    """Say what is wrong with an idx file of 28 × 28 images or of labels; None if nothing is."""
    if not path.is_file():
        return "it is missing"
    form, start, kind, item = (">iiii", 16, [2051, 28, 28], 784) if "images" in path.name else (">ii", 8, [2049], 1)
    with path.open("rb") as file:
        magic, n, *shape = struct.unpack(form, file.read(start).ljust(start))
    if [magic, *shape] != kind or n < 1:
        return f"it does not begin as an idx file of {'28 × 28 images' if shape else 'labels'} does"
    size, expected = path.stat().st_size, start + n * item
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
        raise RuntimeError(f"{origin} cannot be unpacked into {target.parent}: {error}. Replace it if it is damaged; "
                           "set DDPM_COURSE_CACHE to another folder if this one cannot be written.") from error


def _open_folder(root: Path, name: str) -> Path:
    """Return a root for torchvision: the student's folder if it is unpacked, else a copy in the cache, made once."""
    root = root.expanduser().resolve()
    if not root.is_dir():
        raise FileNotFoundError(f"{root} cannot be used for {name}: there is no such folder. Name one that holds "
                                f"{name}/raw, or none (unset DDPM_COURSE_DATA).")
    near = [root / name / "raw", root / name] + [root / "raw", root] * (name in root.parts[-2:])
    raw = next((folder for folder in near if any(folder.glob("*-ubyte*"))), near[0])
    files = [raw / file if (raw / file).is_file() else raw / f"{file}.gz" for file in FILES]
    for file in files:
        if fault := (_fault(file) if file.suffix != ".gz" else None if file.is_file() else "it is missing"):
            raise (RuntimeError if file.is_file() else FileNotFoundError)(
                f"{root} cannot be used for {name} because of {file}: {fault}. Expected that set's four files, plain "
                f"or .gz, in {near[0]}: mend this, or name no folder (unset DDPM_COURSE_DATA).")
    if raw == near[0] and not any(file.suffix for file in files):
        return root
    stamp = repr([(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files])
    home = cache_folder() / "unpacked" / hashlib.sha256(stamp.encode()).hexdigest()[:16]
    for file, packed in zip(FILES, files):
        if _fault(home / name / "raw" / file):
            _install(packed.read_bytes(), packed, home / name / "raw" / file)
    return home


def _open_cache(dataset: type) -> tuple[Path, str]:
    """Return the cache's folder and "cache", or "network" if something had to be fetched; DownloadError if in vain."""
    raw, failures = cache_folder() / dataset.__name__ / "raw", []
    if not (faults := {raw / file: fault for file in FILES if (fault := _fault(raw / file))}):
        return cache_folder(), "cache"
    for path in filter(Path.exists, faults):
        print(f"{path} is damaged, so it will be fetched again: {faults[path]}.")
    for mirror in dataset.mirrors:
        try:
            for file, md5 in dataset.resources:
                if _fault(target := raw / file.removesuffix(".gz")):
                    _install(_fetch(mirror + file, md5), file, target)
            return cache_folder(), "network"
        except (OSError, HTTPException, RuntimeError) as error:
            failures.append(f"{mirror}: {str(error) or type(error).__name__}")
    raise DownloadError(f"{raw} does not hold the data, and they cannot be fetched ({'; '.join(failures)}). Go online, "
                        f"or set DDPM_COURSE_DATA to a folder that holds {dataset.__name__}/raw.")


def _fetch(url: str, md5: str) -> bytes:
    """Download a file with a progress bar; a thread bounds what `urlopen` may wait for a name and many addresses."""
    with ThreadPoolExecutor(1).submit(urlopen, url, timeout=PATIENCE).result(PATIENCE) as reply:
        size, pieces = int(reply.headers.get("Content-Length") or 0), iter(lambda: reply.read(PIECE), b"")
        content = b"".join(tqdm(pieces, url.rpartition("/")[2], size // PIECE, unit="B", unit_scale=PIECE, leave=False))
    if (found := hashlib.md5(content, usedforsecurity=False).hexdigest()) != md5:
        raise RuntimeError(f"{url} came damaged: its MD5 sum is {found}, expected {md5}")
    return content
