"""Image sets, the loader and the pixel range.

A picture is stored as bytes u ∈ {0 … 255}; the networks see x_0 = u / 127.5 - 1 ∈ [-1, 1]. The images are looked for in

    1. the folder that the caller names;
    2. the folder named in `DDPM_COURSE_DATA`;
    3. the course's cache;
    4. the network.

Folders 1 and 2 hold `FashionMNIST/raw` or `MNIST/raw`, plain or .gz; they may be read-only. If all four fail, the
course draws its garments.
"""

import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ddpm_course.data.files import DownloadError, open_cache, open_folder
from ddpm_course.data.garments import drawn_garments
from ddpm_course.runtime import setting

FASHION_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


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

    @property
    def title(self) -> str:
        """Return what a record says of the data: "Fashion-MNIST" or "drawn"."""
        return "Fashion-MNIST" if self.is_real else "drawn"


class Loader:
    """Read a data set in shuffled batches without end, each epoch in an order drawn from (seed, epoch) alone.

    Any step's batch can be asked for at any time: that lets a training resume exactly. An incomplete batch is dropped.
    """

    def __init__(self, data: ImageSet, batch_size: int, *, seed: int) -> None:
        self.data, self.batch_size, self.seed = data, batch_size, seed
        self.steps_per_epoch, self._epoch, self._order = len(data) // batch_size, -1, torch.empty(0)

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


def load_digits(split: str = "train", *, root: str | Path | None = None) -> ImageSet:
    """Load MNIST's digits in the same way, but nothing stands in for them: DownloadError with no folder or network."""
    return _load("MNIST", tuple("0123456789"), split, root)


def _load(name: str, class_names: tuple[str, ...], split: str, root: str | Path | None) -> ImageSet:
    """Find a data set's files, read one split of them through torchvision, and check what was read."""
    if split not in ("train", "test"):
        raise ValueError(f"split has to be 'train' or 'test', got {split!r}")
    import torchvision  # here, not above: it takes seconds, and most of the course does without
    dataset, folder = getattr(torchvision.datasets, name), setting("DATA") if root is None else root
    if folder is None:
        home, source = open_cache(dataset)
    else:
        home, source = open_folder(Path(folder), name), "folder"
    part = dataset(home, train=split == "train")
    if len(part.data) != len(part.targets) or part.targets.max() > 9:
        raise RuntimeError(f"Labels in {part.raw_folder} are no 0..9, one for each image: replace those four files.")
    return ImageSet(part.data[:, None], part.targets, class_names, source)
