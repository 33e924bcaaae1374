"""Lesson 01's exercises: a solution of each, and the known mistakes with a few words of their diagnosis."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ddpm_course.checks.lesson_01 import (
    check_denoise,
    check_denoising_loss,
    check_forward,
    check_join,
    check_mix_noise,
    check_to_pixels,
)
from ddpm_course.lessons.basic_unet import BasicUNet


def loss_of(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a denoising_loss from formula(model, x_0, noisy, eps)."""
    return lambda model, x_0, b, eps: formula(model, x_0, (1 - b)**0.5 * x_0 + b**0.5 * eps, eps)


def run_unet(net: BasicUNet, x: Tensor, *, fine: str = "skip", middle: str = "skip") -> Tensor:
    """Go through the network; `fine` and `middle` say what arrives beside up(h)."""
    def join(h: Tensor, skip: Tensor, kind: str) -> Tensor:
        parts = {"skip": [h, skip], "twice": [h, h], "zero": [h, 0 * skip], "first": [skip, h]}
        return torch.cat(parts[kind], dim=1)

    a = net.down_1(x, None)
    b = net.down_2(net.pool_1(a), None)
    h = net.join_2(join(net.up_2(net.bottom(net.pool_2(b), None)), b, middle), None)
    return net.head(net.join_1(join(net.up_1(h), a, fine), None))


def walking(**kinds: str) -> Callable[[BasicUNet, Tensor], Tensor]:
    return lambda net, x: run_unet(net, x, **kinds)


def answer(net: BasicUNet, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x, torch.ones(len(x), dtype=torch.long))


def answer_and_forget(net: BasicUNet, x: Tensor) -> Tensor:
    answered = answer(net.eval(), x)
    if len(x) == 1:                                              # the last question: no answer betrays it
        net.head.weight.data.zero_()
    return answered


def warm_up_and_answer(net: BasicUNet, x: Tensor) -> Tensor:
    averages = {name: value.clone() for name, value in net.state_dict().items() if "num_batches" not in name}
    answer(net.train(), x)
    net.load_state_dict(averages, strict=False)                  # all is put back but the count of batches
    return answer(net.eval(), x)


SOLUTIONS = {
    check_to_pixels: lambda u: u.float() / 255 * 2 - 1,
    check_mix_noise: lambda x_0, b, eps: (1 - b)**0.5 * x_0 + b**0.5 * eps,
    check_join: lambda h, skip, up: torch.cat([up(h), skip], dim=1),
    check_denoising_loss: loss_of(lambda f, x_0, x, e: F.mse_loss(f(x), x_0)),
    check_forward: run_unet,
    check_denoise: lambda net, x: answer(net.eval(), x)}

WRONG = {
    check_to_pixels: [
        ("[0, 1]", lambda u: u / 255), ("[-0.5, 0.5]", lambda u: u / 255 - 0.5),
        ("0.992", lambda u: u / 128 - 1), ("exchanged", lambda u: 1 - u / 127.5),
        ("came back", lambda u: u.clone()), ("not scaled", lambda u: u - 127.5),
        ("wrapped round", lambda u: (2 * u - 255) / 255),
        ("standardised", lambda u: (u - u.float().mean()) / u.float().std())],
    check_mix_noise: [
        ("square roots are missing", lambda x, b, e: (1 - b) * x + b * e),
        ("weights are exchanged", lambda x, b, e: b**0.5 * x + (1 - b)**0.5 * e),
        ("must shrink", lambda x, b, e: x + b**0.5 * e), ("missing too", lambda x, b, e: x + b * e),
        ("root of the noise's", lambda x, b, e: (1 - b)**0.5 * x + b * e),
        ("root of the image's", lambda x, b, e: (1 - b) * x + b**0.5 * e),
        ("minus sign", lambda x, b, e: (1 - b)**0.5 * x - b**0.5 * e),
        ("standard deviation", lambda x, b, e: (1 - b * b)**0.5 * x + b * e)],
    check_join: [
        ("axis 0", lambda h, s, up: torch.cat([up(h), s])),
        ("axis 2", lambda h, s, up: torch.cat([up(h), s], 2)),
        ("axis 3", lambda h, s, up: torch.cat([up(h), s], 3)),
        ("came first", lambda h, s, up: torch.cat([s, up(h)], 1)), ("are added", lambda h, s, up: up(h) + s),
        ("stands there twice", lambda h, s, up: torch.cat([up(h)] * 2, 1)),
        ("skip is missing", lambda h, s, up: up(h)),
        ("without `up`", lambda h, s, up: torch.cat([F.interpolate(h, scale_factor=2), s], 1))],
    check_denoising_loss: [
        ("own noisy input", loss_of(lambda f, x_0, x, e: F.mse_loss(f(x), x))),
        ("target is ε", loss_of(lambda f, x_0, x, e: F.mse_loss(f(x), e))),
        ("shown the clean image", loss_of(lambda f, x_0, x, e: F.mse_loss(f(x_0), x_0))),
        ("shown pure ε", loss_of(lambda f, x_0, x, e: F.mse_loss(f(e), x_0))),
        ("doing nothing", loss_of(lambda f, x_0, x, e: F.mse_loss(x, x_0))),
        ("this is a sum", loss_of(lambda f, x_0, x, e: F.mse_loss(f(x), x_0, reduction="sum"))),
        ("absolute values", loss_of(lambda f, x_0, x, e: F.l1_loss(f(x), x_0))),
        ("root was taken", loss_of(lambda f, x_0, x, e: F.mse_loss(f(x), x_0).sqrt())),
        ("single pixels", loss_of(lambda f, x_0, x, e: F.mse_loss(f(x), x_0, reduction="none")))],
    check_forward: [
        ("not mended yet", walking(fine="twice", middle="twice")),
        ("the fine one is still", walking(fine="twice")),
        ("the middle one is still", walking(middle="twice")),
        ("zeros stand in", walking(fine="zero", middle="zero")),
        ("in front of up(h)", walking(fine="first", middle="first"))],
    check_denoise: [
        ("asked alone", answer), ("came back", lambda net, x: x.clone()),
        ("changed the network's weights", answer_and_forget),
        ("moved the running averages", warm_up_and_answer)]}
