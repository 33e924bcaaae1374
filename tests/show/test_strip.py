"""The command that draws: garments into a PNG, without data and without a network."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from viewing import decoded

from ddpm_course import sampling
from ddpm_course.__main__ import main
from ddpm_course.checkpoints import load_checkpoint
from ddpm_course.data.images import to_uint8
from ddpm_course.show.strip import parse_class, picture

MARGIN, TILE, GAP, LINE = 70, 84, 4, 15


def drawn(folder: Path, *arguments: str) -> bytes:
    """Draw with one solver step unless the arguments say otherwise."""
    return picture(["--steps", "1", *arguments, "--out", str(folder / "garments.png")]).read_bytes()


def tile(page: Tensor, row: int, column: int) -> Tensor:
    """Cut out one garment, (28, 28), of the page (H, W, 3)."""
    return page[GAP + row * (TILE + GAP):, MARGIN + column * (TILE + GAP):][:TILE:3, :TILE:3, 0]


def test_each_row_is_one_w_and_each_tile_the_models_own_garment(tmp_path: Path,
                                                                capsys: pytest.CaptureFixture) -> None:
    options = "--class sneaker --w 0,2 --n 3 --seed 5 --steps 2".split()
    page = decoded(drawn(tmp_path, *options))
    assert page.shape == (2 * (TILE + GAP) + GAP + LINE, MARGIN + 3 * (TILE + GAP) + GAP, 3)
    model = load_checkpoint("fashion")
    for row, w in enumerate((0.0, 2.0)):
        x_0 = sampling.sample_w(model, torch.full((3,), 7), w, steps=2,
                                generator=torch.Generator().manual_seed(5))
        for column in range(3):
            assert torch.equal(tile(page, row, column), to_uint8(x_0[column, 0]))
    assert capsys.readouterr().out.endswith("garments.png: 3 garments a row, w = 0, 2, 2 steps, seed 5\n")


def test_a_class_is_named_by_number_or_by_the_beginning_of_its_name(tmp_path: Path) -> None:
    pictures = {text: drawn(tmp_path, "--class", text, "--n", "1") for text in ("7", "sneaker", "SNEAK", "8")}
    assert pictures["7"] == pictures["sneaker"] == pictures["SNEAK"] != pictures["8"]
    assert parse_class("shirt") == [6] and parse_class("t-") == [0] and parse_class("All") == list(range(10))
    assert decoded(drawn(tmp_path, "--w", "0,1,2")).shape == (3 * 88 + GAP + LINE, MARGIN + 10 * 88 + GAP, 3)


def test_the_seed_alone_decides_and_each_row_starts_from_the_same_noise(tmp_path: Path) -> None:
    one = drawn(tmp_path, "--w", "0,3", "--seed", "1")
    torch.rand(1)
    assert drawn(tmp_path, "--w", "0,3", "--seed", "1") == one != drawn(tmp_path, "--w", "0,3", "--seed", "2")
    alone, page = decoded(drawn(tmp_path, "--w", "3", "--seed", "1")), decoded(one)
    assert all(torch.equal(tile(alone, 0, column), tile(page, 1, column)) for column in range(10))


def test_without_arguments_the_picture_lies_in_this_folder(tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert picture([]) == Path("garments.png")
    assert [file.name for file in tmp_path.iterdir()] == ["garments.png"]


@pytest.mark.parametrize("arguments, reason", [
    (["--class", "hat"], "'hat' is no class"),
    (["--class", "s"], "'s' names 3 classes"),
    (["--class", "10"], "9 (Ankle boot)"),
    (["--w", "nan"], "must be finite"),
    (["--w", "0,inf"], "must be finite"),
    (["--w", "1e39"], "must be finite"),
    (["--w", "strong"], "not a list of numbers"),
    (["--w", "0,,1"], "not a list of numbers"),
    (["--steps", "0"], "1 … 150"),
    (["--steps", "151"], "1 … 150"),
    (["--n", "0"], "1 … 50"),
    (["--n", "51"], "1 … 50"),
    (["--seed", str(2**64)], "seed"),
    (["--out", "missing/garments.png"], "cannot be written"),
    (["--out", "."], "cannot be written"),
    (["--out", "folder"], "cannot be written")])
def test_a_wrong_option_ends_with_exit_code_2_says_why_and_writes_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str],
        reason: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    quick = ["--w", "0", "--steps", "1"]                         # the last of two equal options counts
    with pytest.raises(SystemExit) as stopped:
        picture([*quick, *arguments])
    assert stopped.value.code == 2 and reason in capsys.readouterr().err
    assert [file.name for file in tmp_path.rglob("*")] == ["folder"]


def test_an_unknown_command_is_told_those_that_there_are(capsys: pytest.CaptureFixture) -> None:
    assert main(["lectrue", "04"]) == 2
    said = capsys.readouterr().err
    assert "'lectrue'" in said and all(command in said for command in ("explorer", "lecture", "doctor"))


def test_with_a_package_missing_the_command_names_it_and_the_python_to_use(tmp_path: Path) -> None:
    without_it = ("import runpy, sys; sys.modules['safetensors'] = None; sys.argv = ['ddpm_course']; "
                  "runpy.run_module('ddpm_course', run_name='__main__')")
    run = subprocess.run([sys.executable, "-c", without_it], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 1 and "Traceback" not in run.stderr
    for said in ("safetensors is not installed", sys.executable, "python -m ddpm_course.start doctor"):
        assert said in run.stderr
