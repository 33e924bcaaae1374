"""Where data come from, what is done about damage, the loader and the pixel range. Needs no data and no network."""

import gzip
import hashlib
import io
import os
import shutil
import struct
import threading
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from data_files import fill, idx

from ddpm_course.data import files
from ddpm_course.data.files import FILES, DownloadError
from ddpm_course.data.images import FASHION_NAMES, ImageSet, load_digits, load_fashion, make_loader, to_pixels, to_uint8


def value_of(images: ImageSet) -> int:
    assert images.images.shape == (len(images), 1, 28, 28) and images.images.dtype == torch.uint8
    assert images.labels.shape == (len(images),) and images.labels.dtype == torch.int64
    assert images.images.unique().numel() == 1
    return images.images.unique().item()


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Reply(io.BytesIO):
    """What `urlopen` gives; it breaks off with an exception after so many bytes where one is given."""

    def __init__(self, content: bytes, *, breaks: BaseException | None = None) -> None:
        super().__init__(content)
        self.headers, self.breaks = {"Content-Length": str(len(content))}, breaks

    def read(self, size: int = -1) -> bytes:
        if self.breaks and self.tell() > 0:
            raise self.breaks
        return super().read(10 if self.breaks else size)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A private cache, no named folder, and a network that is down."""
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DDPM_COURSE_DATA", raising=False)

    def down(url, timeout=None):
        raise URLError("no network in this test")

    monkeypatch.setattr(files, "urlopen", down)
    return tmp_path / "cache"


class Server:
    """Serves fake data sets under torchvision's addresses, and counts what it is asked for."""

    def __init__(self, monkeypatch, value: int) -> None:
        import torchvision
        self.content = {f"{file}.gz": gzip.compress(idx(file, value)) for file in FILES}
        sums = [(file, hashlib.md5(content).hexdigest()) for file, content in self.content.items()]
        for dataset in (torchvision.datasets.MNIST, torchvision.datasets.FashionMNIST):
            monkeypatch.setattr(dataset, "resources", sums)
        monkeypatch.setattr(files, "urlopen", self)
        self.asked, self.timeouts, self.breaks = [], set(), {}

    def __call__(self, url: str, timeout: float | None = None) -> Reply:
        file = url.rpartition("/")[2]
        self.asked.append(url)
        self.timeouts.add(timeout)
        return Reply(self.content[file], breaks=self.breaks.get(file))


@pytest.fixture
def server(monkeypatch) -> Server:
    return Server(monkeypatch, value=50)


# Order of search

def test_order_of_search(tmp_path, cache, server, monkeypatch, capsys):
    server_is_down, load = files.urlopen, load_fashion
    named, env = tmp_path / "named", tmp_path / "env"
    fill(named / "FashionMNIST" / "raw", 10)
    fill(env / "FashionMNIST" / "raw", 20)
    monkeypatch.setenv("DDPM_COURSE_DATA", str(env))
    fill(cache / "FashionMNIST" / "raw", 30, packed=False)
    assert (value_of(load(root=named)), load(root=named).source) == (10, "folder")
    assert (value_of(load()), load().source) == (20, "folder")
    monkeypatch.setenv("DDPM_COURSE_DATA", "")
    assert (value_of(load()), load().source) == (30, "cache")
    assert not server.asked, "nothing is fetched while a nearer place has the data"
    shutil.rmtree(cache)
    assert server_is_down is server
    fetched = load()
    assert (value_of(fetched), fetched.source) == (50, "network")
    assert load().source == "cache"
    shutil.rmtree(cache)
    monkeypatch.setattr(files, "urlopen", lambda url, timeout: (_ for _ in ()).throw(URLError("down")))
    capsys.readouterr()
    assert load("test").source == "drawn"


def test_splits_names_and_digits(tmp_path):
    fill(tmp_path / "FashionMNIST" / "raw", 1)
    fill(tmp_path / "MNIST" / "raw", 2)
    train, test = load_fashion("train", root=tmp_path), load_fashion("test", root=str(tmp_path))
    assert (len(train), len(test)) == (30, 20)
    assert train.class_names == FASHION_NAMES and len(FASHION_NAMES) == 10
    digits = load_digits(root=tmp_path)
    assert value_of(digits) == 2 and digits.class_names == tuple("0123456789")
    for load in (load_fashion, load_digits):
        with pytest.raises(ValueError, match="'train' or 'test', got 'valid'"):
            load("valid", root=tmp_path)


def test_class_names_are_in_the_order_of_the_labels():
    import torchvision
    assert list(FASHION_NAMES) == torchvision.datasets.FashionMNIST.classes


# A folder of the student's

def test_read_only_gz_is_unpacked_into_the_cache(tmp_path, cache, monkeypatch):
    raw = fill(tmp_path / "lent" / "FashionMNIST" / "raw")
    before = files_in(tmp_path / "lent")
    for path in (*raw.iterdir(), raw, raw.parent, tmp_path / "lent"):
        path.chmod(path.stat().st_mode & ~0o222)
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path / "lent"))
    try:
        assert value_of(load_fashion()) == 7 and load_fashion().source == "folder"
        assert files_in(tmp_path / "lent") == before
    finally:
        for path in (tmp_path / "lent", raw.parent, raw):
            path.chmod(0o755)
    copies = list((cache / "unpacked").iterdir())
    assert len(copies) == 1 and len(files_in(copies[0])) == 4
    stamps = {path: path.stat().st_mtime_ns for path in copies[0].rglob("*-ubyte")}
    load_fashion("test")
    assert stamps == {path: path.stat().st_mtime_ns for path in copies[0].rglob("*-ubyte")}, "unpacked once"


def test_two_sources_are_never_confused(tmp_path, cache):
    for value in (11, 12):
        fill(tmp_path / str(value) / "FashionMNIST" / "raw", value)
    assert [value_of(load_fashion(root=tmp_path / str(value))) for value in (11, 12, 11)] == [11, 12, 11]
    changed = tmp_path / "11" / "FashionMNIST" / "raw"
    shutil.rmtree(changed)
    fill(changed, 13)
    for path in changed.iterdir():
        os.utime(path, ns=(1, 1))                   # another time of change, whatever the clock's resolution
    assert value_of(load_fashion(root=tmp_path / "11")) == 13
    assert not (cache / "FashionMNIST").exists(), "a copy of a folder is not the downloaded set"


def test_unpacked_files_are_used_where_they_lie(tmp_path, cache):
    fill(tmp_path / "FashionMNIST" / "raw", packed=False)
    assert value_of(load_fashion(root=tmp_path)) == 7 and not cache.exists()


@pytest.mark.parametrize("below, named", [("FashionMNIST", ""), ("FashionMNIST/raw", "FashionMNIST"),
                                          ("FashionMNIST/raw", "FashionMNIST/raw"), ("FashionMNIST", "FashionMNIST")])
@pytest.mark.parametrize("packed", [True, False])
def test_other_layouts(tmp_path, below, named, packed):
    fill(tmp_path / below, packed=packed)
    assert value_of(load_fashion(root=tmp_path / named)) == 7


def test_plain_and_packed_files_may_be_mixed(tmp_path):
    raw = fill(tmp_path / "FashionMNIST" / "raw")
    (raw / FILES[1]).write_bytes(gzip.decompress((raw / f"{FILES[1]}.gz").read_bytes()))
    (raw / f"{FILES[1]}.gz").unlink()
    assert value_of(load_fashion(root=tmp_path)) == 7


def test_fashion_is_never_taken_for_digits(tmp_path):
    fill(tmp_path / "FashionMNIST" / "raw")
    for root in (tmp_path, tmp_path / "FashionMNIST", tmp_path / "FashionMNIST" / "raw"):
        with pytest.raises(FileNotFoundError, match="MNIST"):
            load_digits(root=root)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    fill(tmp_path / "sets" / "FashionMNIST" / "raw")
    monkeypatch.setenv("DDPM_COURSE_DATA", "~/sets")
    assert value_of(load_fashion()) == 7


@pytest.mark.parametrize("by_variable", [True, False])
@pytest.mark.parametrize("harm, error", [
    ("no folder", FileNotFoundError), ("one missing", FileNotFoundError), ("cut gz", RuntimeError),
    ("no gz", RuntimeError), ("flipped gz", RuntimeError), ("short idx in gz", RuntimeError),
    ("short idx", RuntimeError), ("long idx", RuntimeError), ("empty idx", RuntimeError), ("other idx", RuntimeError),
])
def test_a_damaged_folder_is_named_with_its_file(tmp_path, cache, server, monkeypatch, harm, error, by_variable):
    root, file = tmp_path / "mine", FILES[2]
    raw = root / "FashionMNIST" / "raw"
    plain = harm.endswith(" idx")
    if harm != "no folder":
        fill(raw, packed=not plain)
        bad, good = raw / (file if plain else f"{file}.gz"), idx(file, 7)
        flipped = bytearray(gzip.compress(good))
        flipped[-6] ^= 255                          # the checksum at the end
        if harm == "one missing":
            bad.unlink()
        else:
            bad.write_bytes({"cut gz": gzip.compress(good)[:-20], "no gz": b"<html>please log in</html>",
                             "flipped gz": bytes(flipped), "short idx in gz": gzip.compress(good[:-1]),
                             "short idx": good[:-100], "long idx": good + b"x", "empty idx": b"",
                             "other idx": good.replace(struct.pack(">i", 28), struct.pack(">i", 32), 1)}[harm])
    else:
        file = "there is no such folder"
    if by_variable:
        monkeypatch.setenv("DDPM_COURSE_DATA", str(root))
    with pytest.raises(error, match=file) as caught:
        load_fashion("test", **({} if by_variable else {"root": root}))
    assert not isinstance(caught.value, DownloadError) and not server.asked, "no fallback for a folder that is named"
    assert str(root) in str(caught.value)
    assert not any("tmp" in path.name for path in cache.rglob("tmp*"))


@pytest.mark.parametrize("source, kind", [("folder", "real"), ("cache", "real"), ("network", "real"),
                                          ("drawn", "drawn")])
def test_trainings_are_filed_by_what_the_images_are_and_not_by_where_they_came_from(source, kind):
    images = ImageSet(torch.zeros(1, 1, 28, 28, dtype=torch.uint8), torch.zeros(1, dtype=torch.int64), ("a",), source)
    assert images.kind == kind
    for notebook in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"):
        assert "{data.source}_" not in notebook.read_text(encoding="utf-8")


def test_labels_have_to_fit_the_images(tmp_path):
    raw = fill(tmp_path / "FashionMNIST" / "raw", packed=False)
    (raw / FILES[1]).write_bytes(struct.pack(">2i", 2049, 29) + bytes(29))
    with pytest.raises(RuntimeError, match="Labels"):
        load_fashion(root=tmp_path)
    (raw / FILES[1]).write_bytes(struct.pack(">2i", 2049, 30) + bytes([10] * 30))
    with pytest.raises(RuntimeError, match="0..9"):
        load_fashion(root=tmp_path)


def test_a_damaged_copy_in_the_cache_is_unpacked_again(tmp_path, cache):
    fill(tmp_path / "FashionMNIST" / "raw")
    load_fashion(root=tmp_path)
    for i, copy in enumerate(sorted(cache.rglob("*-ubyte"))):
        copy.write_bytes(copy.read_bytes()[:-1]) if i % 2 else copy.unlink()
    assert value_of(load_fashion(root=tmp_path)) == 7


def test_a_cache_that_cannot_be_written_says_so(tmp_path, monkeypatch):
    fill(tmp_path / "FashionMNIST" / "raw")
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(RuntimeError, match="DDPM_COURSE_CACHE"):
        load_fashion(root=tmp_path)
    monkeypatch.delenv("DDPM_COURSE_DATA", raising=False)
    assert load_fashion("test").source == "drawn", "without a folder the drawn garments are still there"


def test_many_at_once(tmp_path):
    fill(tmp_path / "FashionMNIST" / "raw")
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


# The network

def test_download(cache, server, capsys):
    images = load_digits()
    assert value_of(images) == 50 and images.source == "network"
    assert files_in(cache / "MNIST") == sorted(f"raw/{file}" for file in FILES), "neither archives nor scraps stay"
    assert len(server.asked) == 4 and server.timeouts == {files.PATIENCE} and files.PATIENCE <= 10
    assert "train-images-idx3-ubyte.gz" in capsys.readouterr().err, "a progress bar"
    assert load_digits("test").source == "cache" and len(server.asked) == 4
    assert load_fashion().source == "network", "digits in the cache are not fashion"


def test_no_network_draws_garments_and_says_so_in_one_line(capsys):
    train = load_fashion()
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "drawn" in said and "DDPM_COURSE_DATA" in said and "no network" in said
    assert (len(train), train.source) == (20_000, "drawn")
    test = load_fashion("test")
    assert len(test) == 4_000 and not torch.equal(train.images[:4_000], test.images)


def test_no_network_and_no_digits(cache):
    with pytest.raises(DownloadError, match="DDPM_COURSE_DATA") as caught:
        load_digits()
    assert str(cache) in str(caught.value) and "no network in this test" in str(caught.value)
    assert "MNIST/raw" in str(caught.value)


def test_a_silent_network_is_given_up_soon(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    monkeypatch.setattr(files, "urlopen", lambda url, timeout: released.wait(5))
    try:
        with pytest.raises(DownloadError, match="TimeoutError"):
            load_digits()
        assert load_fashion("test").source == "drawn"
    finally:
        released.set()


@pytest.mark.parametrize("breaks", [TimeoutError("timed out"), ConnectionResetError("gone"), KeyboardInterrupt()])
def test_an_interrupted_download_leaves_no_broken_cache(cache, server, breaks):
    server.breaks = {f"{FILES[2]}.gz": breaks}
    with pytest.raises(KeyboardInterrupt if isinstance(breaks, KeyboardInterrupt) else DownloadError):
        load_digits()
    assert files_in(cache / "MNIST") == sorted(f"raw/{file}" for file in FILES[:2])
    server.breaks, server.asked = {}, []
    assert value_of(load_digits("test")) == 50
    assert len(server.asked) == 2, "what had come is kept"


def test_a_wrong_checksum_is_refused_and_the_next_mirror_asked(cache, server, monkeypatch):
    import torchvision
    good = dict(server.content)
    server.content[f"{FILES[0]}.gz"] = gzip.compress(idx(FILES[0], 66))
    with pytest.raises(DownloadError, match=f"{FILES[0]}.gz came damaged: its MD5 sum is"):
        load_digits()
    assert not files_in(cache)

    def second_mirror_is_sound(url: str, timeout: float) -> Reply:
        return Reply(good[url.rpartition("/")[2]] if url.startswith("http://two/") else b"<html>log in</html>")

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://one/", "http://two/"])
    monkeypatch.setattr(files, "urlopen", second_mirror_is_sound)
    assert value_of(load_digits()) == 50


def test_a_damaged_download_is_named_and_fetched_again(cache, server, capsys):
    load_fashion()
    broken = cache / "FashionMNIST" / "raw" / FILES[0]
    broken.write_bytes(broken.read_bytes()[:-5])
    capsys.readouterr()
    server.asked.clear()
    images = load_fashion()
    assert value_of(images) == 50 and images.source == "network" and len(server.asked) == 1
    said = capsys.readouterr().out
    assert str(broken) in said and f"{16 + 30 * 784 - 5:,} bytes" in said and f"{16 + 30 * 784:,}" in said


def test_a_damaged_download_without_a_network(cache, server, monkeypatch, capsys):
    load_fashion()
    broken = cache / "FashionMNIST" / "raw" / FILES[3]
    broken.write_bytes(b"")
    monkeypatch.setattr(files, "urlopen", lambda url, timeout: (_ for _ in ()).throw(URLError("down")))
    assert load_fashion("test").source == "drawn"
    assert str(broken) in capsys.readouterr().out


# Pixels

def test_pixels_there_and_back():
    images = torch.arange(256, dtype=torch.uint8)
    x = to_pixels(images)
    assert x.dtype == torch.float32 and x.min() == -1 and x.max() == 1
    assert torch.allclose(x.diff(), torch.tensor(2 / 255), atol=1e-6)
    assert torch.equal(to_uint8(x), images) and torch.equal(to_uint8(x.double()), images)


def test_to_uint8_rounds_and_clamps():
    step = 2 / 255
    x = torch.tensor([-7.0, -1 + 0.49 * step, -1 + 0.51 * step, 0.999, 1.5, float("inf")])
    assert to_uint8(x).tolist() == [0, 0, 1, 255, 255, 255]
    assert to_uint8(torch.tensor([-1, 1], dtype=torch.bfloat16)).tolist() == [0, 255]


def test_pixels_of_the_wrong_type():
    with pytest.raises(TypeError, match="float32"):
        to_pixels(torch.zeros(2))
    with pytest.raises(TypeError, match="int64"):
        to_uint8(torch.zeros(2, dtype=torch.int64))


# The loader

@pytest.fixture
def numbered() -> ImageSet:
    """103 images, each painted with its own number, which is its label too."""
    number = torch.arange(103)
    images = number.to(torch.uint8)[:, None, None, None].expand(-1, 1, 28, 28)
    return ImageSet(images, number, FASHION_NAMES, "drawn")


def test_batches(numbered):
    loader = make_loader(numbered, 10)
    assert loader.steps_per_epoch == 10
    x_0, labels = loader.batch(3)
    assert x_0.shape == (10, 1, 28, 28) and x_0.dtype == torch.float32 and labels.shape == (10,)
    assert torch.equal(to_uint8(x_0)[:, 0, 0, 0].long(), labels), "images and labels stay together"


def test_each_epoch_is_a_permutation_of_its_own(numbered):
    loader = make_loader(numbered, 10)
    epochs = [torch.cat([loader.batch(epoch * 10 + i)[1] for i in range(10)]) for epoch in range(4)]
    assert all(len(epoch.unique()) == 100 for epoch in epochs), "no image twice in an epoch"
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 4
    assert len(torch.cat(epochs).unique()) == 103, "what one epoch drops another has"
    whole = make_loader(numbered, 103)
    assert torch.equal(whole.batch(5)[1].sort().values, numbered.labels)


def test_random_access_equals_reading_in_order(numbered):
    loader, steps = make_loader(numbered, 8, seed=3), list(range(40))
    in_order = {step: loader.batch(step)[1].tolist() for step in steps}
    mixed = [steps[i] for i in torch.randperm(40, generator=torch.Generator().manual_seed(0))]
    assert all(loader.batch(step)[1].tolist() == in_order[step] for step in mixed)
    assert make_loader(numbered, 8, seed=3).batch(29)[1].tolist() == in_order[29], "a training may resume anywhere"


def test_the_seed_decides_and_the_global_generator_does_not(numbered):
    torch.manual_seed(0)
    one = make_loader(numbered, 50, seed=1).batch(0)[1]
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(make_loader(numbered, 50, seed=1).batch(0)[1], one)
    assert torch.equal(torch.get_rng_state(), state)
    seeds = [0, 1, 2, -1, 2**32, 2**32 + 1, 2**40, 10**30]
    orders = {tuple(make_loader(numbered, 103, seed=seed).batch(epoch)[1].tolist())
              for seed in seeds for epoch in (0, 1, 2)}
    assert len(orders) == 3 * len(seeds)


@pytest.mark.parametrize("batch_size", [0, -3, 104, 2.5, "8"])
def test_wrong_batch_size(numbered, batch_size):
    with pytest.raises(ValueError, match="1..103"):
        make_loader(numbered, batch_size)


def test_wrong_step(numbered):
    with pytest.raises(ValueError, match="-1"):
        make_loader(numbered, 8).batch(-1)


REAL = os.environ.get("DDPM_COURSE_DATA")


@pytest.mark.skipif(not REAL, reason="DDPM_COURSE_DATA does not name a folder with the real images")
def test_the_real_images(monkeypatch):
    monkeypatch.setenv("DDPM_COURSE_DATA", REAL)
    train, test = load_fashion("train"), load_fashion("test")
    assert train.labels.bincount().tolist() == [6000] * 10 and test.labels.bincount().tolist() == [1000] * 10
    pixels = train.images.double() / 255
    assert pixels.mean().item() == pytest.approx(0.2860, abs=5e-4)
    assert pixels.std().item() == pytest.approx(0.3530, abs=5e-4)
    assert len(load_digits("test")) == 10_000
