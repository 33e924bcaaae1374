"""The experiments that train the weights that ship: the model, the noisy classifier, the judge."""

import torch
from little_world import LittleWorld

from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.experiments import noisy_classifier
from ddpm_course.lessons.classifier import load_classifier


def n_parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_the_shipped_model_can_be_loaded_and_its_record_has_every_loss(world: LittleWorld) -> None:
    made = world.made("shipped_model")
    model = load_checkpoint(made.out / "fashion.safetensors")
    assert model.schedule.T == made.record["recipe"]["T"] == 150
    assert n_parameters(model) == made.record["parameters"] and made.record["data"] == "drawn"
    assert len(made.record["loss"]) == made.record["recipe"]["steps"] == 10


def test_the_early_model_is_the_same_network_with_other_weights(world: LittleWorld) -> None:
    out = world.made("shipped_model").out
    late = load_checkpoint(out / "fashion.safetensors").state_dict()
    early = load_checkpoint(out / "fashion_early.safetensors").state_dict()
    assert late.keys() == early.keys() and any(not torch.equal(late[key], early[key]) for key in late)


def test_the_noisy_classifier_is_scored_at_every_level(world: LittleWorld) -> None:
    record = world.made("noisy_classifier").record
    assert (record["n"], record["data"], record["recipe"]["steps"]) == (20, "drawn", 5)
    assert [level["t"] for level in record["levels"]] == list(noisy_classifier.LEVELS)
    for level in record["levels"]:
        low, high = level["interval"]
        assert 0 <= low <= level["accuracy"] <= high <= 1


def test_the_noisy_classifier_can_be_loaded_and_is_not_the_one_that_ships(world: LittleWorld) -> None:
    made, x_t, t = world.made("noisy_classifier"), torch.zeros(3, 1, 28, 28), torch.tensor([1, 75, 150])
    classifier = load_classifier(made.out / "classifier.safetensors")
    assert n_parameters(classifier) == made.record["parameters"]
    logits = classifier(x_t, t)
    assert logits.shape == (3, 10) and not torch.equal(logits, load_classifier()(x_t, t))


def test_the_judge_can_be_loaded_with_what_real_images_score(world: LittleWorld) -> None:
    made = world.made("judge")
    trained, record = load_judge(made.out / "judge.safetensors"), made.record
    assert trained.real == record["real_test_set"] and trained.reference.n == record["real_test_set"]["n"]
    assert n_parameters(trained.judge) == record["recipe"]["parameters"]
    assert record["recipe"]["data"] == "drawn"
