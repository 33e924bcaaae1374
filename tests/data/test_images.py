"""Image sets, the loader and the pixel range. Needs no data and no network."""

import os
import re
import struct
from pathlib import Path

import pytest
import torch
from data_files import RAW, fill, value_of

from ddpm_course.data.files import FILES
from ddpm_course.data.images import (
    FASHION_NAMES,
    ImageSet,
    load_digits,
    load_fashion,
    make_loader,
    to_pixels,
    to_uint8,
)

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
REAL = os.environ.get("DDPM_COURSE_DATA")                        # read before the tests hide it


# Where the images come from

def test_the_callers_folder_comes_first_then_the_variables_folder_then_the_cache(
        tmp_path, cache, server, monkeypatch):
    fill(tmp_path / "named" / RAW, 10)
    fill(tmp_path / "variable" / RAW, 20)
    fill(cache / RAW, 30, packed=False)
    monkeypatch.setenv("DDPM_COURSE_DATA", str(tmp_path / "variable"))
    named, variable = load_fashion(root=tmp_path / "named"), load_fashion()
    monkeypatch.setenv("DDPM_COURSE_DATA", "")                   # an empty value names no folder
    cached = load_fashion()
    assert (value_of(named), named.source) == (10, "folder")
    assert (value_of(variable), variable.source) == (20, "folder")
    assert (value_of(cached), cached.source) == (30, "cache")
    assert not server.asked, "nothing is fetched while a nearer place has the images"


def test_the_network_comes_after_the_cache_and_fills_it(server):
    fetched, cached = load_fashion(), load_fashion()
    assert (value_of(fetched), fetched.source) == (50, "network")
    assert (value_of(cached), cached.source) == (50, "cache")


def test_drawn_garments_come_last_and_are_told_in_one_line(capsys):
    train = load_fashion("train")
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "drawn" in said and "DDPM_COURSE_DATA" in said and "no network" in said
    test = load_fashion("test")
    assert (len(train), train.source, len(test), test.source) == (20_000, "drawn", 4_000, "drawn")
    assert not torch.equal(train.images[:4_000], test.images)


def test_the_files_of_a_split_are_its_own(tmp_path):
    fill(tmp_path / RAW)
    train, test = load_fashion("train", root=tmp_path), load_fashion("test", root=str(tmp_path))
    assert (len(train), len(test)) == (30, 20)
    assert train.class_names == test.class_names == FASHION_NAMES and len(FASHION_NAMES) == 10


def test_digits_are_found_beside_fashion(tmp_path):
    fill(tmp_path / RAW, 1)
    fill(tmp_path / "MNIST" / "raw", 2)
    digits = load_digits(root=tmp_path)
    assert value_of(digits) == 2 and digits.class_names == tuple("0123456789")


@pytest.mark.parametrize("load", [load_fashion, load_digits])
def test_another_split_is_refused(load):
    with pytest.raises(ValueError, match="'train' or 'test', got 'valid'"):
        load("valid")


def test_class_names_are_in_the_order_of_the_labels():
    import torchvision
    assert list(FASHION_NAMES) == torchvision.datasets.FashionMNIST.classes


@pytest.mark.parametrize("labels, words", [
    (struct.pack(">2i", 2049, 29) + bytes(29), "Labels"),                    # one label too few
    (struct.pack(">2i", 2049, 30) + bytes([10] * 30), "0..9")])
def test_labels_have_to_fit_the_images(tmp_path, labels, words):
    raw = fill(tmp_path / RAW, packed=False)
    (raw / FILES[1]).write_bytes(labels)
    with pytest.raises(RuntimeError, match=words):
        load_fashion(root=tmp_path)


@pytest.mark.parametrize("source, kind, title", [
    ("folder", "real", "Fashion-MNIST"), ("cache", "real", "Fashion-MNIST"),
    ("network", "real", "Fashion-MNIST"), ("drawn", "drawn", "drawn")])
def test_images_are_real_from_every_source_but_the_courses_own_pen(source, kind, title):
    no_images = torch.zeros(0, 1, 28, 28, dtype=torch.uint8)
    images = ImageSet(no_images, torch.zeros(0, dtype=torch.int64), FASHION_NAMES, source)
    assert (images.kind, images.title, images.is_real) == (kind, title, kind == "real")


def test_notebooks_name_their_trainings_by_the_kind_of_the_images_and_not_by_their_source():
    texts = [notebook.read_text(encoding="utf-8") for notebook in NOTEBOOKS]
    assert {name for text in texts for name in re.findall(r"\{data\.(\w+)\}_", text)} == {"kind"}


@pytest.mark.skipif(not REAL, reason="DDPM_COURSE_DATA does not name a folder with the real images")
def test_the_real_images_are_all_there(monkeypatch):
    monkeypatch.setenv("DDPM_COURSE_DATA", REAL)
    train, test = load_fashion("train"), load_fashion("test")
    assert train.labels.bincount().tolist() == [6000] * 10 and test.labels.bincount().tolist() == [1000] * 10
    pixels = train.images.double() / 255
    assert pixels.mean().item() == pytest.approx(0.2860, abs=5e-4)
    assert pixels.std().item() == pytest.approx(0.3530, abs=5e-4)
    assert len(load_digits("test")) == 10_000


# Pixels

def test_pixels_go_there_and_back():
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


def test_pixels_of_the_wrong_type_are_refused():
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


def test_a_batch_keeps_images_and_labels_together(numbered):
    loader = make_loader(numbered, 10)
    assert loader.steps_per_epoch == 10
    x_0, labels = loader.batch(3)
    assert x_0.shape == (10, 1, 28, 28) and x_0.dtype == torch.float32 and labels.shape == (10,)
    assert torch.equal(to_uint8(x_0)[:, 0, 0, 0].long(), labels)


def test_each_epoch_is_a_permutation_of_its_own(numbered):
    loader = make_loader(numbered, 10)
    epochs = [torch.cat([loader.batch(epoch * 10 + i)[1] for i in range(10)]) for epoch in range(4)]
    assert all(len(epoch.unique()) == 100 for epoch in epochs), "no image twice in an epoch"
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 4
    assert len(torch.cat(epochs).unique()) == 103, "what one epoch drops another has"


def test_a_batch_may_be_the_whole_set(numbered):
    _, labels = make_loader(numbered, 103).batch(5)
    assert torch.equal(labels.sort().values, numbered.labels)


def test_a_batch_is_the_same_in_whatever_order_the_steps_are_asked(numbered):
    loader = make_loader(numbered, 8, seed=3)
    in_order = [loader.batch(step)[1].tolist() for step in range(40)]
    for step in torch.randperm(40, generator=torch.Generator().manual_seed(0)).tolist():
        assert loader.batch(step)[1].tolist() == in_order[step]
    resumed = make_loader(numbered, 8, seed=3)
    assert resumed.batch(29)[1].tolist() == in_order[29], "a training may go on anywhere"


def test_the_global_generator_neither_decides_nor_moves(numbered):
    torch.manual_seed(0)
    _, labels = make_loader(numbered, 50, seed=1).batch(0)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert torch.equal(make_loader(numbered, 50, seed=1).batch(0)[1], labels)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_seed_and_epoch_has_an_order_of_its_own(numbered):
    seeds = [0, 1, 2, -1, 2**32, 2**32 + 1, 2**40, 10**30]
    orders = {tuple(make_loader(numbered, 103, seed=seed).batch(epoch)[1].tolist())
              for seed in seeds for epoch in (0, 1, 2)}
    assert len(orders) == 3 * len(seeds)


@pytest.mark.parametrize("batch_size", [0, -3, 104, 2.5, "8"])
def test_a_batch_size_that_the_set_cannot_fill_is_refused(numbered, batch_size):
    with pytest.raises(ValueError, match="1..103"):
        make_loader(numbered, batch_size)


def test_a_negative_step_is_refused(numbered):
    with pytest.raises(ValueError, match="-1"):
        make_loader(numbered, 8).batch(-1)
