"""One noise level: the mixture, the loss, the answers, and what is fed back."""

import math
from dataclasses import replace

import pytest
import torch
from helpers import FLOAT32_CPU, seeded
from torch import Tensor, nn
from viewing import decoded

from ddpm_course.lessons.basic_unet import BASIC
from ddpm_course.lessons.denoising import (
    LEVEL,
    denoise,
    denoising_loss,
    denoising_network,
    feed_back,
    mix_noise,
    one_level,
)
from ddpm_course.show.views import DenoisingView
from ddpm_course.show.views import mix_noise as mix_noise_of_the_slider
from ddpm_course.training import Recipe, train


class Half(nn.Module):
    """Answers with half of its input; counts how often it is asked and in which mode."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.asked = nn.Parameter(torch.tensor(0.5)), []

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        self.asked.append((len(x), t.tolist(), self.training))
        return self.weight * x


class Blocks:
    """Training data of two kinds, the left or the right half bright; the batch of step k is fixed."""

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        bright = torch.arange(8) < 4
        c = torch.rand(16, generator=seeded(step)) < 0.5
        row = torch.where(bright[None] == c[:, None], 1.0, -1.0)
        return row[:, None, None].expand(-1, 1, 8, 8).contiguous(), c.long()


def test_the_mixture_keeps_the_variance_and_its_ends_are_image_and_noise() -> None:
    x_0, eps = (torch.randn(100_000, generator=seeded(seed)) for seed in (0, 1))
    for b in (0.0, 0.3, 0.5, 1.0):
        x = mix_noise(x_0, b, eps)
        assert x.var().item() == pytest.approx(1, abs=0.02)
        assert (x * eps).mean().item() == pytest.approx(math.sqrt(b), abs=0.02)
    assert torch.equal(mix_noise(x_0, 0.0, eps), x_0) and torch.equal(mix_noise(x_0, 1.0, eps), eps)
    assert mix_noise_of_the_slider is mix_noise
    for b in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"lies in \[0, 1\]"):
            mix_noise(x_0, b, eps)


@pytest.mark.parametrize("b", [0.5, 0.2, 0.999])
def test_one_level_is_a_schedule_whose_only_step_is_the_mixture(b: float) -> None:
    schedule, x_0, eps = one_level(b), torch.randn(4, 1, 8, 8, generator=seeded()), torch.randn(4, 1, 8, 8)
    assert schedule.T == 1 and set(schedule.sample_t(50).tolist()) == {1}
    torch.testing.assert_close(schedule.q_sample(x_0, 1, eps), mix_noise(x_0, b, eps), rtol=1e-5, atol=1e-6)


def test_the_loss_is_the_mean_squared_distance_to_the_clean_image() -> None:
    x_0, eps = torch.rand(4, 1, 8, 8, generator=seeded()), torch.randn(4, 1, 8, 8)
    t = torch.ones(4, dtype=torch.long)
    by_hand = (0.5 * (math.sqrt(0.8) * x_0 + math.sqrt(0.2) * eps) - x_0).pow(2).sum() / x_0.numel()
    torch.testing.assert_close(denoising_loss(Half(), one_level(0.2), x_0, t, eps), by_hand)
    with pytest.raises(ValueError, match="one noise level; got a schedule of 2"):
        denoising_loss(Half(), type(one_level())(torch.tensor([0.1, 0.2])), x_0, t, eps)


def test_the_network_is_lesson_1s_and_its_seed_alone_decides() -> None:
    before = torch.get_rng_state()
    one, same, other = denoising_network(seed=1), denoising_network(seed=1), denoising_network(seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.choices == replace(BASIC, time="none")
    assert one.skips and not denoising_network(skips=False).skips
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), same.parameters()))
    assert not all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters()))


def test_denoising_is_done_in_batches_in_eval_mode_and_leaves_the_mode_alone() -> None:
    model, x = Half().train(), torch.randn(5, 1, 8, 8, generator=seeded())
    answer = denoise(model, x, batch_size=2)
    assert torch.equal(answer, 0.5 * x) and not answer.requires_grad and model.training
    assert model.asked == [(2, [1, 1], False), (2, [1, 1], False), (1, [1], False)]


def test_answers_go_back_in_as_they_are_or_with_fresh_noise() -> None:
    x = torch.randn(3, 1, 8, 8, generator=seeded())
    plain = list(feed_back(Half(), x, 3))
    assert [torch.equal(answer, x / 2**(k + 1)) for k, answer in enumerate(plain)] == [True] * 3
    noisy = list(feed_back(Half(), x, 2, level=0.5, generator=seeded(4)))
    eps = torch.randn(3, 1, 8, 8, generator=seeded(4))
    assert torch.equal(noisy[0], plain[0])
    torch.testing.assert_close(noisy[1], 0.5 * mix_noise(plain[0], 0.5, eps))
    assert list(feed_back(Half(), x, 0)) == []


def test_triplets_are_clean_noisy_and_one_row_per_model() -> None:
    images = torch.rand(4, 1, 28, 28, generator=seeded()) * 2 - 1
    triplets = DenoisingView(images)
    assert triplets.level == LEVEL and torch.equal(triplets.noisy, DenoisingView(images).noisy)
    one, two = triplets.render(Half()), triplets.render(Half(), Half(), names=("a", "b"))
    assert decoded(one).shape[0] < decoded(two).shape[0] and decoded(one).shape[1] == decoded(two).shape[1]
    with pytest.raises(ValueError, match="each model needs a name; got 2 models and 1 names"):
        triplets.render(Half(), Half())


def test_training_finds_the_posterior_mean_of_two_equally_likely_pictures() -> None:
    """At b = 0.95 a pixel's own value says little; all 64 together say which of the two pictures it is."""
    recipe = Recipe(steps=150, lr=1e-2, warmup=10, ema_decay=0.95)
    run = train(denoising_network(), one_level(0.95), Blocks(), recipe, loss=denoising_loss,
                runtime=FLOAT32_CPU, progress=False)
    x_0, _ = Blocks().batch(1000)
    noisy = mix_noise(x_0, 0.95, torch.randn(x_0.shape, generator=seeded(9)))
    picture = Blocks().batch(0)[0][:1]
    picture = picture * picture[0, 0, 0, 0]                      # one of the two; the other is its negative
    certain = torch.tanh((noisy * picture).sum(dim=(1, 2, 3), keepdim=True) * 0.05**0.5 / 0.95)
    ideal = certain * picture                                    # Bayes' rule for ± picture
    answer = denoise(run.ema.model, noisy)
    assert (answer - ideal).square().mean() < 0.3 * ideal.square().mean()
    assert (answer - x_0).square().mean() < (ideal - x_0).square().mean() + 0.3
