"""Training against a loop written out by hand, and closed forms. Resuming: `test_training_resume`."""

import math

import pytest
import torch
from helpers import FLOAT32_CPU, RECIPE, Stripes, tiny_unet, train_stripes
from torch import nn

from ddpm_course.parameterization import VelocityModel, ddpm_loss
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import EMA, Recipe, draw, train

SCHEDULE = NoiseSchedule.cosine()


def test_the_loss_falls_and_the_average_follows():
    run = train_stripes(Recipe(steps=60, lr=5e-3, warmup=5, ema_decay=0.9))
    assert len(run.losses) == run.step == 60 and not run.model.training and not run.ema.model.training
    assert sum(run.losses[-10:]) < 0.5 * sum(run.losses[:10])
    x_0, c = Stripes().batch(1000)
    t, eps, _ = draw(SCHEDULE, x_0, c, None, RECIPE, 0)
    with torch.no_grad():
        untrained, trained = (float(ddpm_loss(model, SCHEDULE, x_0, t, eps, c))
                              for model in (VelocityModel(tiny_unet(2), SCHEDULE), run.ema.model))
    assert trained < 0.7 * untrained


def test_training_equals_algorithm_1_written_out():
    """Three steps with plain AdamW; the average with its decays 1/10, 2/11, 3/12."""
    net = tiny_unet(2)
    average = [p.detach().clone() for p in net.parameters()]
    optimizer = torch.optim.AdamW(net.parameters(), lr=1.0, weight_decay=0.01)
    recipe, losses = Recipe(steps=3, lr=1e-2, warmup=2, clip_norm=0.5), []
    for step, (rate, decay) in enumerate(zip((0.005, 0.01, 0.01), (1 / 10, 2 / 11, 3 / 12))):
        x_0, labels = Stripes().batch(step)
        t, eps, c = draw(SCHEDULE, x_0, labels, torch.tensor(2), recipe, step)
        signal, noise = (SCHEDULE.alpha_bars[t].sqrt().float().reshape(-1, 1, 1, 1),
                         (1 - SCHEDULE.alpha_bars[t]).sqrt().float().reshape(-1, 1, 1, 1))
        loss = (net(signal * x_0 + noise * eps, t, c) - (signal * eps - noise * x_0)).square().mean()
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        norm = math.sqrt(sum(float(g.square().sum()) for g in gradients))
        for p, g in zip(net.parameters(), gradients):
            p.grad = g * min(1.0, 0.5 / norm)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        average = [decay * a + (1 - decay) * p.detach() for a, p in zip(average, net.parameters())]
        losses.append(loss.item())
    run = train_stripes(recipe)
    assert run.losses == pytest.approx(losses, rel=1e-4)
    for ours, by_hand in ((run.model, list(net.parameters())), (run.ema.model, average)):
        for p, expected in zip(ours.parameters(), by_hand, strict=True):
            torch.testing.assert_close(p.detach(), expected.detach(), rtol=1e-3, atol=1e-4)


def test_the_learning_rate_rises_in_a_line_and_falls_in_half_a_cosine():
    recipe = Recipe(steps=110, lr=2.0, warmup=10)
    assert [recipe.learning_rate(step) for step in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert [recipe.learning_rate(step) for step in (10, 35, 60, 85, 110)] == pytest.approx(
        [2.0, 1 + math.sqrt(0.5), 1.0, 1 - math.sqrt(0.5), 0.0])
    seen: list[float] = []
    train_stripes(on_step=lambda run: seen.append(run.optimizer.param_groups[0]["lr"]))
    assert seen == pytest.approx([RECIPE.learning_rate(step) for step in range(20)])


def test_the_average_forgets_its_random_start_and_then_follows_the_decay():
    model = nn.BatchNorm1d(1)
    for start, updates, remembered in ((0, 5, 1 / math.comb(14, 5)), (10_000, 7, 0.9**7)):
        with torch.no_grad():
            model.weight.fill_(3.0)
            ema = EMA(model, 0.9 if start else 0.999)
            model.weight.fill_(1.0)                              # after updates at 1: 1 + (3 - 1) · Π d_k
        model.running_mean.fill_(5.0)
        for step in range(start, start + updates):
            ema.update(model, step)
        assert ema.model.weight.item() == pytest.approx(1 + 2 * remembered, rel=1e-5)
        assert ema.model.running_mean.item() == 5.0 and model.weight.item() == 1.0
        assert not ema.model.weight.requires_grad and not ema.model.training


def test_the_draws_of_a_step_depend_on_seed_and_step_alone():
    x_0, c, null = torch.zeros(400, 1, 2, 2), torch.arange(400) % 10, torch.tensor(10)
    t, eps, dropped = draw(SCHEDULE, x_0, c, null, Recipe(steps=9, p_uncond=0.25, seed=3), 7)
    assert t.min() >= 1 and t.max() <= 150 and abs(eps.std() - 1) < 0.1 and eps.shape == x_0.shape
    assert 60 < int((dropped == 10).sum()) < 140 and bool(((dropped == c) | (dropped == 10)).all())
    for seed, step, same in ((3, 7, True), (3, 8, False), (4, 7, False)):
        again = draw(SCHEDULE, x_0, c, null, Recipe(steps=9, p_uncond=0.25, seed=seed), step)
        assert all(torch.equal(a, b) == same for a, b in zip((t, eps, dropped), again))
    assert draw(SCHEDULE, x_0, c, None, RECIPE, 0)[2] is None


def test_a_plain_network_learns_eps_without_a_condition():
    run = train(tiny_unet(None), SCHEDULE, Stripes(), Recipe(steps=30, lr=5e-3, warmup=3), loss=ddpm_loss,
                progress=False, runtime=FLOAT32_CPU)
    assert sum(run.losses[-5:]) < 0.8 * sum(run.losses[:5])
