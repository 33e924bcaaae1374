"""The checks of lesson 01: right answers pass, each known wrong answer gets its own diagnosis, and nothing raises."""

import ast
import inspect
from collections.abc import Callable

import pytest
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


def ask(net: BasicUNet, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net(x, torch.ones(len(x), dtype=torch.long))


def ask_and_move(net: BasicUNet, x: Tensor) -> Tensor:
    ask(net, x)                                                  # in train mode: batch norm's averages move
    net.load_state_dict({name: value for name, value in FRESH.items() if "num_batches" not in name}, strict=False)
    return ask(net.eval(), x)


FRESH: dict[str, Tensor] = {}


def remember(function: Callable[[BasicUNet, Tensor], Tensor]) -> Callable[[BasicUNet, Tensor], Tensor]:
    """Keep the weights that the network has when the check hands it over."""
    def remembering(net: BasicUNet, x: Tensor) -> Tensor:
        if len(x) > 1:
            FRESH.update({name: value.clone() for name, value in net.state_dict().items()})
        return function(net, x)
    return remembering


SOLUTIONS = {
    check_to_pixels: lambda u: u.float() / 255 * 2 - 1,
    check_mix_noise: lambda x_0, b, eps: (1 - b)**0.5 * x_0 + b**0.5 * eps,
    check_join: lambda h, skip, up: torch.cat([up(h), skip], dim=1),
    check_denoising_loss: loss_of(lambda f, x_0, x, e: F.mse_loss(f(x), x_0)),
    check_forward: run_unet,
    check_denoise: lambda net, x: ask(net.eval(), x)}
WRONG = {
    check_to_pixels: [
        ("[0, 1]", lambda u: u / 255), ("[-0.5, 0.5]", lambda u: u / 255 - 0.5), ("0.992", lambda u: u / 128 - 1),
        ("exchanged", lambda u: 1 - u / 127.5), ("came back", lambda u: u.clone()),
        ("not scaled", lambda u: u - 127.5), ("wrapped round", lambda u: (2 * u - 255) / 255),
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
        ("axis 0", lambda h, s, up: torch.cat([up(h), s])), ("axis 2", lambda h, s, up: torch.cat([up(h), s], 2)),
        ("axis 3", lambda h, s, up: torch.cat([up(h), s], 3)),
        ("came first", lambda h, s, up: torch.cat([s, up(h)], 1)),
        ("are added", lambda h, s, up: up(h) + s), ("stands there twice", lambda h, s, up: torch.cat([up(h)] * 2, 1)),
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
        ("the fine one is still", walking(fine="twice")), ("the middle one is still", walking(middle="twice")),
        ("zeros stand in", walking(fine="zero", middle="zero")),
        ("in front of up(h)", walking(fine="first", middle="first"))],
    check_denoise: [("asked alone", ask), ("came back", lambda net, x: x.clone()),
                    ("moved the running averages", remember(ask_and_move))]}
every_check = pytest.mark.parametrize("check", SOLUTIONS, ids=lambda check: check.__name__)


@every_check
def test_every_diagnosis_of_the_checks_is_tried_here(check: Callable) -> None:
    parts = ast.walk(ast.parse(inspect.getsource(check)))
    texts = sum(len(part.keys) for part in parts if isinstance(part, ast.Dict))
    assert texts + (2 if check is check_denoise else 0) == len(WRONG[check])


def test_the_network_is_left_alone_when_the_answer_is_right() -> None:
    def eval_and_back(net: BasicUNet, x: Tensor) -> Tensor:
        answer = ask(net.eval(), x)
        net.train()
        return answer

    assert check_denoise(eval_and_back).passed


USELESS = {"raises": lambda x: 1 / 0, "None": lambda x: None, "a number": lambda x: 0.5, "a tuple": lambda x: (x, x),
           "a scalar": lambda x: x.double().mean() + 7, "too few": lambda x: x[:1], "too many axes": lambda x: x[None],
           "integers": lambda x: x.long() * 0 - 7, "NaN": lambda x: x * float("nan"), "complex": lambda x: 1j * x,
           "bools": lambda x: x == 0, "no element": lambda x: torch.empty(0)}


@pytest.mark.filterwarnings("ignore:Casting complex values")
@pytest.mark.parametrize("check, kind", [
    pytest.param(check, kind, id=f"{check.__name__}: {kind}") for check in SOLUTIONS for kind in USELESS])
def test_a_check_never_raises(check: Callable, kind: str) -> None:
    report = check(lambda *arguments: USELESS[kind](next(a for a in arguments if isinstance(a, Tensor))))
    assert not report.passed and report.text.startswith("✗") and "not yet" not in report.text
