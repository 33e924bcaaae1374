"""One noise level, and a network that removes it: a denoiser without any t.

    x = √(1 - b) x_0 + √b ε,        loss = ‖ x_0 - network(x) ‖²,  smallest at the posterior mean E[x_0 | x]

A schedule of one step, ᾱ_1 = 1 - b, says the same in the terms of the later lessons; that is how `training.train`
serves this one too.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.lessons.basic_unet import BASIC, BasicUNet
from ddpm_course.randomness import normal, weights_from
from ddpm_course.sampling import evaluating
from ddpm_course.schedule import NoiseSchedule

LEVEL = 0.5


def mix_noise(x_0: Tensor, level: float, eps: Tensor) -> Tensor:
    """Return √(1 - b) x_0 + √b ε for a noise level b in [0, 1]; images (B, …). There is no t yet in lesson 01."""
    if not 0 <= level <= 1:
        raise ValueError(f"the noise level lies in [0, 1]; got {level}")
    return (1 - level) ** 0.5 * x_0 + level**0.5 * eps


def one_level(level: float = LEVEL) -> NoiseSchedule:
    """Return the schedule with the single step ᾱ_1 = 1 - b: what `train` asks for. Its t is always 1; 0 < b < 1."""
    return NoiseSchedule(torch.tensor([level], dtype=torch.float64))


def denoising_network(*, skips: bool = True, seed: int = 0) -> BasicUNet:
    """Return lesson 01's untrained U-Net, which ignores t, its weights drawn from `seed`."""
    with weights_from(seed):
        return BasicUNet(replace(BASIC, time="none"), T=1, skips=skips)


def denoising_loss(model: nn.Module, schedule: NoiseSchedule, x_0: Tensor, t: Tensor, eps: Tensor,
                   c: Tensor | None = None) -> Tensor:
    """Return the mean of ‖x_0 - model(x)‖² per pixel, a scalar, at the one level of `schedule` (see `one_level`).

    x_0, eps (B, 1, H, W). The signature is `train`'s; t is 1 for all, and no condition is used. Raises ValueError for a
    schedule of several steps.
    """
    if schedule.T != 1:
        raise ValueError(f"lesson 01 knows one noise level; got a schedule of {schedule.T}. Use `one_level(b)`")
    noisy = mix_noise(x_0, 1 - float(schedule.alpha_bars[1]), eps)
    return F.mse_loss(model(noisy, t), x_0)


@torch.no_grad()
def denoise(model: nn.Module, x: Tensor, *, batch_size: int = 250) -> Tensor:
    """Return the network's answer to x (B, 1, H, W), of the same shape, in eval mode and in batches."""
    with evaluating(model):
        return torch.cat([model(part, torch.ones(len(part), dtype=torch.long, device=x.device))
                          for part in x.split(batch_size)])


def feed_back(model: nn.Module, x: Tensor, rounds: int, *, level: float = 0.0,
              generator: torch.Generator | None = None) -> Iterator[Tensor]:
    """Yield the answer to x, then the answer to that answer, and so on, `rounds` images in all.

    `level`: how much fresh noise is mixed into an answer before it goes back in; 0 is none.
    """
    for _ in range(rounds):
        answer = denoise(model, x)
        yield answer
        x = mix_noise(answer, level, normal(tuple(answer.shape), generator=generator, device=answer.device))
