"""The classifier of noisy images: its gradient by finite differences, its loss, its training, its file."""

import math
from pathlib import Path

import pytest
import torch
from helpers import FLOAT16_ROUNDING, FLOAT32_CPU, Stripes, seeded, tiny_unet
from safetensors import safe_open
from torch import Tensor

from ddpm_course.checkpoints import load_checkpoint, load_judge, save_checkpoint
from ddpm_course.lessons.classifier import (
    NoisyClassifier,
    class_gradient,
    classifier_loss,
    load_classifier,
    save_classifier,
)
from ddpm_course.parameterization import VelocityModel
from ddpm_course.records import load_record
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import Recipe, train

SCHEDULE = NoiseSchedule.cosine()
T, C = torch.tensor([1, 60, 150]), torch.tensor([2, 0, 1])


def classifier(n_classes: int = 3, *, shaken: float = 0.1, **options) -> NoisyClassifier:
    """Build a small classifier, the same one each time, every weight shaken so that no layer is zero."""
    options = {"widths": (8, 8, 16), "d_emb": 16} | options
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = NoisyClassifier(n_classes, **options)
        for weight in model.parameters():
            weight.add_(shaken * torch.randn(weight.shape))
    return model.eval()


def in_float64() -> NoisyClassifier:
    def widen(_, inputs: tuple[Tensor]) -> tuple[Tensor]:        # the embedding of t is float32
        return inputs[0].double(),

    model = classifier().double()
    model.time_mlp.register_forward_pre_hook(widen)
    return model


def noisy(n: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=seeded(2), dtype=dtype)


@torch.no_grad()
def test_logits_come_one_per_class_for_any_size_divisible_by_4() -> None:
    assert NoisyClassifier().eval()(torch.zeros(2, 1, 28, 28), torch.tensor([1, 150])).shape == (2, 10)
    model = classifier()
    for height, width in ((8, 8), (12, 4), (28, 28)):
        assert model(torch.zeros(3, 1, height, width), T).shape == (3, 3)


@torch.no_grad()
def test_the_answer_depends_on_t_and_each_image_is_judged_alone() -> None:
    model, x_t = classifier(), noisy()
    together = model(x_t, T)
    for i in range(3):
        torch.testing.assert_close(model(x_t[i:i + 1], T[i:i + 1]), together[i:i + 1], rtol=1e-4, atol=1e-5)
    assert (model(x_t, T.flip(0)) - together)[::2].abs().max() > 0.01


def test_the_gradient_is_that_of_the_log_probability_by_finite_differences() -> None:
    model, x_t, h = in_float64(), noisy(dtype=torch.float64), 1e-5
    found = class_gradient(model, x_t, T, C)
    assert found.shape == x_t.shape and found.dtype == torch.float64

    def log_p(x: Tensor, i: int) -> Tensor:                      # softmax by its definition: (N,)
        with torch.no_grad():
            p = model(x, T[i].expand(len(x))).exp()
        return (p[:, C[i]] / p.sum(dim=1)).log()

    for i in range(3):
        steps = h * torch.eye(64, dtype=torch.float64).reshape(64, 1, 8, 8)
        slopes = (log_p(x_t[i] + steps, i) - log_p(x_t[i] - steps, i)) / (2 * h)
        torch.testing.assert_close(found[i].flatten(), slopes, rtol=1e-6, atol=1e-8)
        assert slopes.abs().max() > 1e-3


def test_the_probabilities_gradients_over_all_classes_cancel() -> None:
    model, x_t = in_float64(), noisy(dtype=torch.float64)        # Σ_c p(c | x) ∇ log p(c | x) = ∇ 1
    p = model(x_t, T).detach().softmax(dim=1)
    gradients = [class_gradient(model, x_t, T, torch.full((3,), c)) for c in range(3)]
    total = sum(p[:, c, None, None, None] * gradient for c, gradient in enumerate(gradients))
    torch.testing.assert_close(total, torch.zeros_like(x_t), rtol=0, atol=1e-12)


def test_the_gradient_needs_no_grad_mode_and_leaves_nothing_behind() -> None:
    model, x_t = classifier(), noisy().requires_grad_(True)
    expected = class_gradient(model, x_t, T, C)
    with torch.no_grad():
        found = class_gradient(model, x_t, T, C)
        assert not torch.is_grad_enabled()
    assert torch.equal(found, expected) and found.abs().max() > 0 and not found.requires_grad
    assert all(weight.grad is None for weight in model.parameters()) and x_t.grad is None
    assert x_t.requires_grad and x_t.is_leaf
    plain, frozen = noisy(), model.requires_grad_(False)
    assert torch.equal(class_gradient(frozen, plain, T, C), expected)
    assert not plain.requires_grad


def test_the_gradient_of_one_image_does_not_depend_on_the_others() -> None:
    model, x_t = in_float64(), noisy(dtype=torch.float64)
    together = class_gradient(model, x_t, T, C)
    for i in range(3):
        alone = class_gradient(model, x_t[i:i + 1], T[i:i + 1], C[i:i + 1])
        torch.testing.assert_close(alone, together[i:i + 1], rtol=1e-10, atol=1e-12)
    others = torch.cat([x_t[:1], 5 * x_t[1:] - 1])
    changed = class_gradient(model, others, torch.tensor([1, 3, 9]), torch.tensor([2, 1, 0]))
    torch.testing.assert_close(changed[0], together[0], rtol=1e-10, atol=1e-12)
    assert (changed[1:] - together[1:]).abs().max() > 1e-3


def test_the_loss_is_the_mean_of_minus_log_p_of_the_noised_image() -> None:
    model, x_0, eps = classifier(), noisy(), torch.randn(3, 1, 8, 8, generator=seeded(3))
    loss = classifier_loss(model, SCHEDULE, x_0, T, eps, C)
    total = 0.0
    for x, t, e, c in zip(x_0, T, eps, C):
        alpha_bar = float(SCHEDULE.alpha_bars[t])
        logits = model((math.sqrt(alpha_bar) * x + math.sqrt(1 - alpha_bar) * e)[None], t[None])[0].tolist()
        total -= math.log(math.exp(logits[c]) / sum(math.exp(value) for value in logits)) / 3
    assert loss.dim() == 0 and loss.item() == pytest.approx(total, rel=1e-4)
    loss.backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_training_lowers_the_loss_and_the_average_tells_noisy_stripes_apart() -> None:
    model = classifier(2, shaken=0.0)
    recipe = Recipe(steps=40, lr=5e-3, warmup=5, ema_decay=0.8, p_uncond=0.0)
    run = train(model, SCHEDULE, Stripes(), recipe, null=torch.tensor(2), loss=classifier_loss,
                progress=False, runtime=FLOAT32_CPU)
    first, last = (sum(part) / len(part) for part in (run.losses[:5], run.losses[-10:]))
    assert first > 0.6 and last < 0.6 * first                    # log 2 = 0.69 is guessing
    x_0, c = Stripes().batch(99)
    x_t, t = SCHEDULE.q_sample(x_0, 40, torch.randn(x_0.shape, generator=seeded(5))), torch.full((8,), 40)
    assert torch.equal(run.ema.model(x_t, t).argmax(dim=1), c)
    for label in (0, 1):                                         # the gradient points towards the class
        asked = torch.full((8,), label)
        up = x_t + 0.1 * class_gradient(run.ema.model, x_t, t, asked)
        before, after = (run.ema.model(x, t).log_softmax(dim=1)[:, label] for x in (x_t, up))
        assert bool((after > before).all())


def test_a_classifier_comes_back_as_it_was_to_half_precision(tmp_path) -> None:
    model = classifier(10, widths=(16, 32, 64), d_emb=64).train()
    file = tmp_path / "new" / "classifier.safetensors"
    save_classifier(model, file)
    back = load_classifier(file)
    assert not any(part.training for part in back.modules())
    assert back.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert back.state_dict()[name].dtype == torch.float32
        torch.testing.assert_close(back.state_dict()[name], value, **FLOAT16_ROUNDING)
    with torch.no_grad():
        torch.testing.assert_close(back(noisy(), T), model(noisy(), T), rtol=0.02, atol=0.02)
    with safe_open(file, framework="pt") as opened:
        assert {opened.get_tensor(name).dtype for name in opened.keys()} == {torch.float16}
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_of_another_kind_is_refused_and_a_missing_one_named(tmp_path) -> None:
    save_checkpoint(VelocityModel(tiny_unet(), SCHEDULE), tmp_path / "net")
    save_classifier(NoisyClassifier(), tmp_path / "classifier")
    with pytest.raises(ValueError, match="holds 'denoiser'; a noisy classifier was expected"):
        load_classifier(tmp_path / "net")
    with pytest.raises(ValueError, match="holds 'noisy classifier'; a denoiser was expected"):
        load_checkpoint(tmp_path / "classifier")
    with pytest.raises(ValueError, match="holds 'noisy classifier'; a judge was expected"):
        load_judge(tmp_path / "classifier")
    with pytest.raises(FileNotFoundError, match="'nowhere'.*shipped .*classifier"):
        load_classifier("nowhere")
    whole = (tmp_path / "classifier").read_bytes()
    (tmp_path / "classifier").write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="damaged"):
        load_classifier(tmp_path / "classifier")


def test_the_shipped_classifier_is_the_one_that_the_record_measures() -> None:
    record, model = load_record("noisy_classifier"), load_classifier()
    assert sum(weight.numel() for weight in model.parameters()) == record["parameters"]
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())
    assert record["data"] == "Fashion-MNIST" and record["n"] >= 1000
    assert record["recipe"]["steps"] >= 1000 and record["recipe"]["p_uncond"] == 0


def test_on_record_accuracy_falls_with_the_noise_from_good_to_guessing() -> None:
    levels = load_record("noisy_classifier")["levels"]
    times, accuracies = [level["t"] for level in levels], [level["accuracy"] for level in levels]
    assert times == sorted(set(times)) and times[0] == 1 and times[-1] == SCHEDULE.T and len(times) >= 5
    assert accuracies[0] > 0.8 and 0.08 < accuracies[-1] < 0.2
    assert all(later < earlier for earlier, later in zip(accuracies, accuracies[1:]))
    for level in levels:
        assert 0 <= level["interval"][0] <= level["accuracy"] <= level["interval"][1] <= 1


def test_a_class_for_some_images_only_or_a_classifier_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one class per image"):
        class_gradient(classifier(), torch.zeros(3, 1, 8, 8), T, C[:2])
    with pytest.raises(ValueError, match="default size"):
        save_classifier(classifier(), tmp_path / "classifier.safetensors")
    assert list(tmp_path.iterdir()) == []
