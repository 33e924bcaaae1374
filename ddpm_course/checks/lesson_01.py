"""The exercises of lesson 01, checked: bytes to pixels, noise, the join, the loss, and two networks to mend.

`reports` explains how a check is made. A check never raises.
"""

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.checks.reports import ask, check, expect, moved, real, refuse, same
from ddpm_course.data.images import to_pixels
from ddpm_course.lessons.basic_unet import BASIC, BasicUNet
from ddpm_course.lessons.denoising import denoise, mix_noise
from ddpm_course.randomness import weights_from


@check("to_pixels")
def check_to_pixels(function: Callable[[Tensor], Tensor]) -> str:
    """Check a student's `to_pixels(images)`: bytes → [-1, 1]."""
    for images in (torch.arange(256).to(torch.uint8).reshape(4, 1, 8, 8),
                   torch.tensor([0, 17, 200, 255], dtype=torch.uint8).reshape(1, 1, 2, 2)):
        u = images.float()
        expect(ask(function, images), to_pixels(images), {
            "this range is [0, 1]; black has to become -1": lambda: u / 255,
            "this range is [-0.5, 0.5]; it has to be twice as wide": lambda: u / 255 - 0.5,
            "white becomes 0.992, not 1: the middle of 0 … 255 is 127.5, not 128": lambda: u / 128 - 1,
            "black and white are exchanged": lambda: 1 - u / 127.5,
            "the bytes came back as they were": lambda: u,
            "the bytes were shifted but not scaled": lambda: u - 127.5,
            "bytes have wrapped round: uint8 knows no number below 0 or above 255. Make floats first":
                lambda: (2 * images - 255) / 255,
            "this is standardised, mean 0 and variance 1: the range then depends on the images":
                lambda: (u - u.mean()) / u.std()})
    return "0 becomes -1, 255 becomes 1, and the middle is 0"


@check("mix_noise")
def check_mix_noise(function: Callable[[Tensor, float, Tensor], Tensor]) -> str:
    """Check a student's `mix_noise(x_0, level, eps)`."""
    generator = torch.Generator().manual_seed(0)
    for b, shape in ((0.2, (3, 1, 4, 4)), (0.9, (2, 1, 6, 6)), (0.5, (2, 5)), (0.0, (1, 4)), (1.0, (1, 4))):
        x_0, eps = (torch.randn(shape, generator=generator) for _ in range(2))
        expect(ask(function, x_0, b, eps), mix_noise(x_0, b, eps), {
            "the square roots are missing: b is a share of the variance": lambda: (1 - b) * x_0 + b * eps,
            "the weights are exchanged: at b = 0 no noise may be left": lambda: b**0.5 * x_0 + (1 - b)**0.5 * eps,
            "noise is added to the full image: the image must shrink, or the variance grows":
                lambda: x_0 + b**0.5 * eps,
            "noise is added to the full image, and its square root is missing too": lambda: x_0 + b * eps,
            "the root of the noise's weight is missing": lambda: (1 - b)**0.5 * x_0 + b * eps,
            "the root of the image's weight is missing": lambda: (1 - b) * x_0 + b**0.5 * eps,
            "the noise has a minus sign": lambda: (1 - b)**0.5 * x_0 - b**0.5 * eps,
            "b was taken for a standard deviation: here b, not b², is the share of the variance":
                lambda: (1 - b**2)**0.5 * x_0 + b * eps}, seen=f"b = {b:g}")
    return "√(1 - b) x_0 + √b ε; the squares of the weights sum to 1"


@check("join")
def check_join(function: Callable[[Tensor, Tensor, nn.Module], Tensor]) -> str:
    """Check a student's `join(h, skip, up)`: enlarge h by `up` and put `skip` behind it along the channels."""
    generator = torch.Generator().manual_seed(0)
    with weights_from(0):
        up = nn.ConvTranspose2d(4, 2, 2, stride=2)
    for n, size in ((3, 7), (2, 3)):
        h = torch.randn(n, 4, size, size, generator=generator)
        skip = torch.randn(n, 2, 2 * size, 2 * size, generator=generator)
        large = up(h).detach()
        expect(ask(function, h, skip, up), torch.cat([large, skip], dim=1), {
            "they are joined along axis 0, the batch: that makes twice as many images":
                lambda: torch.cat([large, skip], dim=0),
            "they are joined along axis 2, one above the other; channels are axis 1":
                lambda: torch.cat([large, skip], dim=2),
            "they are joined along axis 3, side by side; channels are axis 1": lambda: torch.cat([large, skip], dim=3),
            "the skip came first. Either order can be trained, but the block's weights expect up(h) first":
                lambda: torch.cat([skip, large], dim=1),
            "they are added. Some networks do that; here they are put behind each other, so that nothing is mixed yet":
                lambda: large + skip,
            "up(h) stands there twice: the skip never arrives": lambda: torch.cat([large, large], dim=1),
            "the skip is missing": lambda: large,
            "h was enlarged without `up`, which has weights to learn":
                lambda: torch.cat([F.interpolate(h, scale_factor=2), skip], dim=1)})
    return "up(h) and the skip, one behind the other along the channels"


def _toy(x: Tensor) -> Tensor:
    """A made-up denoiser: all that the check of a loss needs."""
    return torch.tanh(x) + 0.1


@check("denoising_loss")
def check_denoising_loss(function: Callable[[Callable[[Tensor], Tensor], Tensor, float, Tensor], Tensor]) -> str:
    """Check a student's `denoising_loss(model, x_0, level, eps)`; model(x) is a denoiser."""
    generator = torch.Generator().manual_seed(0)
    for b in (0.5, 0.2):
        x_0, eps = torch.rand(4, 1, 6, 6, generator=generator) * 2 - 1, torch.randn(4, 1, 6, 6, generator=generator)
        noisy = mix_noise(x_0, b, eps)
        error = _toy(noisy) - x_0
        expect(ask(function, _toy, x_0, b, eps), error.square().mean(), {
            "the answer is compared with its own noisy input; the target is the clean image":
                lambda: (_toy(noisy) - noisy).square().mean(),
            "the target is ε. Lesson 02 asks for that; here it is x_0": lambda: (_toy(noisy) - eps).square().mean(),
            "the network was shown the clean image: there is nothing to remove":
                lambda: (_toy(x_0) - x_0).square().mean(),
            "the network was shown pure ε, without the image": lambda: (_toy(eps) - x_0).square().mean(),
            "the network was not asked: this is the error of doing nothing": lambda: (noisy - x_0).square().mean(),
            "this is a sum; a mean does not depend on how many pixels there are": lambda: error.square().sum(),
            "these are absolute values; the loss squares them": lambda: error.abs().mean(),
            "the root was taken; the loss is the mean square itself": lambda: error.square().mean().sqrt(),
            "these are the squared errors of single pixels; one number is wanted, their mean": lambda: error.square()})
    return "mix, ask, compare with the clean image, mean square"


def _tiny() -> BasicUNet:
    """An untrained lesson-01 network, small, in train mode, always the same."""
    with weights_from(0):
        return BasicUNet(replace(BASIC, time="none"), T=1, channels=(4, 8, 12))


_JOINS = {"right": lambda h, skip: [h, skip], "first": lambda h, skip: [skip, h], "twice": lambda h, skip: [h, h],
          "zeros": lambda h, skip: [h, torch.zeros_like(skip)]}


@torch.no_grad()
def _walk(net: BasicUNet, x: Tensor, *, middle: str, fine: str) -> Tensor:
    """Go through the network; `middle` and `fine` say how up(h) and the skip of that level are joined."""
    a = net.down_1(x, None)
    b = net.down_2(net.pool_1(a), None)
    h = net.bottom(net.pool_2(b), None)
    h = net.join_2(torch.cat(_JOINS[middle](net.up_2(h), b), dim=1), None)
    return net.head(net.join_1(torch.cat(_JOINS[fine](net.up_1(h), a), dim=1), None))


@check("run_unet")
def check_forward(function: Callable[[BasicUNet, Tensor], Tensor]) -> str:
    """Check a mended `run_unet(net, x)`: the way through a `BasicUNet`, both skips arriving; net is in eval mode."""
    net, x = _tiny().eval(), torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expect(ask(function, net, x), denoise(net, x), {
        "not mended yet: nothing that was kept on the way down arrives. Which names are given a second value?":
            lambda: _walk(net, x, middle="twice", fine="twice"),
        "half mended: the middle skip arrives, the fine one is still overwritten":
            lambda: _walk(net, x, middle="right", fine="twice"),
        "half mended: the fine skip arrives, the middle one is still overwritten":
            lambda: _walk(net, x, middle="twice", fine="right"),
        "zeros stand in for both skips": lambda: _walk(net, x, middle="zeros", fine="zeros"),
        "both skips arrive, but in front of up(h); the weights expect up(h) first":
            lambda: _walk(net, x, middle="first", fine="first")})
    return "both skips arrive where they are needed"


@check("remove_noise")
def check_denoise(function: Callable[[BasicUNet, Tensor], Tensor]) -> str:
    """Check a mended `remove_noise(net, x)`: an image's answer must not depend on its company; net is in train mode."""
    net, untouched = _tiny(), _tiny()
    x = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    together, alone = (ask(lambda images: function(net, images), images) for images in (x, x[:1]))
    comparable = together.shape == x.shape and alone.shape == x[:1].shape
    refuse({
        "asked alone, the first image gets another answer than in company, by up to {gap:.2f}: batch norm still takes "
        "mean and variance from the batch. `torch.no_grad` does not change that; the network's mode does":
            lambda: comparable and not same(together[:1], alone)},
        gap=(real(together[:1]) - real(alone)).abs().max() if comparable else 0)
    for answer, noisy in ((together, x), (alone, x[:1])):
        expect(answer, denoise(untouched, noisy), {"the noisy images came back": lambda: noisy})
    refuse({
        "the answers are right, but asking has changed the network's weights":
            lambda: moved(net.named_parameters(), untouched.named_parameters()),
        "the answers are right, but asking has moved the running averages of batch norm":
            lambda: moved(net.named_buffers(), untouched.named_buffers())})
    return "the same answer alone and in company, and the network is as it was"
