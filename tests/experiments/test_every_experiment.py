"""What holds for every experiment: it writes a record, and it makes only what is missing.

The lists are read from the modules. An experiment that trains imports `train`. One that keeps rows imports
`kept` (an arm, in JSON) or `judged_row` (judged images).
"""

import pytest
from little_world import LittleWorld, module_of

from ddpm_course.data import images
from ddpm_course.data.images import ImageSet
from ddpm_course.experiments.__main__ import names

TRAIN = [name for name in names() if "train" in vars(module_of(name))]
KEEP_ROWS = [name for name in names() if {"kept", "judged_row"} & {*vars(module_of(name))}]
KEEP = sorted({*TRAIN, *KEEP_ROWS})
WRITE_A_RECORD = [name for name in names() if name != "model_card"]      # which writes text


@pytest.mark.parametrize("name", WRITE_A_RECORD)
def test_it_writes_a_record_that_says_which_experiment_and_when(world: LittleWorld, name: str) -> None:
    record = world.made(name).record
    assert record["experiment"] == name and record["made_with"]["date"]


@pytest.mark.parametrize("name", sorted({*names()} - {*TRAIN}))
def test_without_an_import_of_train_it_takes_no_training_step(world: LittleWorld, name: str) -> None:
    assert world.made(name).training_steps == 0, "it belongs into TRAIN, so that the tests below look at it"


@pytest.mark.parametrize("name", TRAIN)
def test_what_was_kept_of_drawn_garments_is_never_read_back_for_real_images(
        world: LittleWorld, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    drawn = world.made(name)
    monkeypatch.setattr(images, "_load", drawings_as_real_images)
    real = world.run(name, out="real")
    assert (drawn.record["data"], real.record["data"]) == ("drawn", "Fashion-MNIST")
    assert real.training_steps == drawn.training_steps > 0
    assert len(real.kept) == len(drawn.kept) > 0


def drawings_as_real_images(name: str, class_names: tuple[str, ...], split: str, root: None) -> ImageSet:
    """Return drawn garments that claim to be the images of a folder."""
    return ImageSet(*images.drawn_garments(split, 20_000), class_names, "folder")


@pytest.mark.parametrize("name", KEEP)
def test_called_again_it_does_no_work_and_finds_the_same(world: LittleWorld, name: str) -> None:
    first = world.made(name)
    again = world.run(name, out="again")
    assert first.training_steps + first.samplings > 0 and first.kept
    assert again.training_steps + again.samplings == 0 and not again.kept
    assert again.figures == first.figures


@pytest.mark.parametrize("name", KEEP_ROWS)
def test_a_row_that_is_missing_is_made_again_and_no_other(world: LittleWorld, name: str) -> None:
    first = world.made(name)
    lost, rows = first.kept[0], len(first.kept)
    lost.unlink()
    again = world.run(name, out="again")
    assert again.kept == [lost]
    assert again.training_steps == first.training_steps / rows
    assert again.samplings == first.samplings / rows > 0
    assert again.figures == first.figures
