"""The model card says what the records say, and the records belong to the weights that ship."""

import torch
from little_world import LittleWorld

from ddpm_course.checkpoints import WEIGHTS, load_checkpoint, load_judge
from ddpm_course.evaluation import class_accuracy, judge_images, saturation, wilson_interval
from ddpm_course.experiments.model_card import card
from ddpm_course.experiments.tradeoff import BATCH, STEPS
from ddpm_course.models import fashion_model
from ddpm_course.records import load_record
from ddpm_course.sampling import sample_w


def test_the_card_is_the_records_words() -> None:
    assert (WEIGHTS / "README.md").read_text(encoding="utf-8") == card()


def test_a_card_made_from_other_records_says_what_those_say(world: LittleWorld) -> None:
    written = (world.made("model_card").out / "README.md").read_text(encoding="utf-8")
    assert f"{world.made('shipped_model').record['parameters']:,} parameters" in written
    assert f"{world.made('judge').record['real_test_set']['accuracy']:.2%}" in written
    assert "| Ankle boot |" in written and written != card()


def test_the_shipped_networks_are_the_recorded_ones() -> None:
    record = load_record("shipped_model")
    for name in ("fashion", "fashion_early"):
        model = load_checkpoint(name)
        assert sum(p.numel() for p in model.parameters()) == record["parameters"] <= 1_600_000
        assert model.schedule.T == record["recipe"]["T"]
        expected = {key: tuple(value.shape) for key, value in fashion_model().state_dict().items()}
        assert {key: tuple(value.shape) for key, value in model.state_dict().items()} == expected


def test_a_fresh_sample_of_the_shipped_model_lies_near_its_record() -> None:
    """A hundred new garments at w = 2; a failure by chance alone is rarer than one in ten thousand."""
    model, judge = load_checkpoint("fashion"), load_judge().judge
    labels = torch.arange(BATCH) % 10
    x = sample_w(model, labels, 2.0, steps=STEPS, generator=torch.Generator().manual_seed(99))
    low, high = wilson_interval(class_accuracy(judge_images(judge, x), labels), BATCH, z=4.0)
    recorded = next(p for p in load_record("tradeoff")["points"] if p["w"] == 2.0)
    assert low <= recorded["accuracy"] <= high
    assert abs(saturation(x) - recorded["saturation"]) < 0.03


def test_the_judge_is_the_recorded_one() -> None:
    trained, record = load_judge(), load_record("judge")
    assert trained.real == record["real_test_set"]
    assert abs(trained.reference.total_variance - trained.real["total_variance"]) < 1e-6
    assert trained.reference.n == trained.real["n"] == 10_000
