"""The U-Net of lessons 01 and 02, and, choice by choice, what lesson 03 changes in it.

    down:  x → block → pool → block → pool → block        up:  … → up → join with what came down → block → … → x̂

One family: `Choices()` is the plain network (batch norm, ReLU, max pooling, time as the number t/T, no shortcuts), and
each field has the other value that lesson 03 tries. The network of lesson 04 (`unet`) has all of them. Ronneberger et
al., arXiv 1505.04597.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.unet import sinusoidal_embedding

OPTIONS = {"norm": ("batch", "group"), "activation": ("relu", "gelu"), "pooling": ("max", "space_to_depth"),
           "time": ("fraction", "sinusoidal", "none"), "residual": (False, True)}


@dataclass(frozen=True)
class Choices:
    """What a block is made of. Raises ValueError for a value that is not in `OPTIONS`.

    `time`: "fraction" feeds t/T, "sinusoidal" the embedding of `unet`, "none" ignores t (lesson 01 has no t).
    """

    norm: str = "batch"
    activation: str = "relu"
    pooling: str = "max"
    time: str = "fraction"
    residual: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value not in OPTIONS[name]:
                raise ValueError(f"{name} must be one of {OPTIONS[name]}; got {value!r}")


BASIC = Choices()
MODERN = Choices(norm="group", activation="gelu", pooling="space_to_depth", time="sinusoidal", residual=True)


def _norm(kind: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.GroupNorm(channels // 8, channels)


class Block(nn.Module):
    """Two 3 × 3 convolutions, each normalised and activated; the time is added in between, a number per channel.

    x (B, c_in, H, W), time (B, d_emb) or None → (B, c_out, H, W). `residual` adds x, through a 1 × 1 convolution where
    the channels differ.
    """

    def __init__(self, c_in: int, c_out: int, choices: Choices, d_emb: int) -> None:
        super().__init__()
        self.activation = {"relu": F.relu, "gelu": F.gelu}[choices.activation]
        self.conv_1, self.conv_2 = nn.Conv2d(c_in, c_out, 3, padding=1), nn.Conv2d(c_out, c_out, 3, padding=1)
        self.norm_1, self.norm_2 = _norm(choices.norm, c_out), _norm(choices.norm, c_out)
        self.add_time = None if choices.time == "none" else nn.Linear(d_emb, c_out)
        self.shortcut = nn.Conv2d(c_in, c_out, 1) if choices.residual and c_in != c_out else nn.Identity()
        self.residual = choices.residual

    def forward(self, x: Tensor, time: Tensor | None) -> Tensor:
        h = self.activation(self.norm_1(self.conv_1(x)))
        if self.add_time is not None:
            h = h + self.add_time(time)[:, :, None, None]                        # (B, c_out) → (B, c_out, 1, 1)
        h = self.activation(self.norm_2(self.conv_2(h)))
        return h + self.shortcut(x) if self.residual else h


class Pool(nn.Module):
    """Halve the resolution: keep the largest of four pixels, or keep all four as channels and mix them by 1 × 1."""

    def __init__(self, channels: int, pooling: str) -> None:
        super().__init__()
        self.mix = None if pooling == "max" else nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.mix is None:
            return F.max_pool2d(x, 2)
        return self.mix(F.pixel_unshuffle(x, 2))                                 # (B, C, H, W) → (B, 4C, H/2, W/2) → …


class BasicUNet(nn.Module):
    """Predict one value per pixel from x_t (B, 1, H, W) and t (B,) in 0 … T; H and W divisible by 4, else ValueError.

    The signature is that of `UNet`, so that the same loss, training and samplers serve; there is no condition, and
    c must be None. `skips=False` cuts the connections from the way down to the way up, to see what they do.
    """

    def __init__(self, choices: Choices = BASIC, *, T: int = 150, channels: tuple[int, int, int] = (16, 32, 64),
                 d_emb: int = 64, skips: bool = True) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.choices, self.T, self.d_emb, self.skips = choices, T, d_emb, skips
        first = 1 if choices.time == "fraction" else d_emb
        self.time_mlp = nn.Sequential(nn.Linear(first, d_emb), nn.GELU(), nn.Linear(d_emb, d_emb), nn.GELU())
        self.down_1, self.down_2 = Block(1, fine, choices, d_emb), Block(fine, middle, choices, d_emb)
        self.pool_1, self.pool_2 = Pool(fine, choices.pooling), Pool(middle, choices.pooling)
        self.bottom = Block(middle, coarse, choices, d_emb)
        self.up_2 = nn.ConvTranspose2d(coarse, middle, 2, stride=2)
        self.up_1 = nn.ConvTranspose2d(middle, fine, 2, stride=2)
        self.join_2, self.join_1 = Block(2 * middle, middle, choices, d_emb), Block(2 * fine, fine, choices, d_emb)
        self.head = nn.Conv2d(fine, 1, 3, padding=1)

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        if x_t.dim() != 4 or x_t.shape[1] != 1 or x_t.shape[2] % 4 or x_t.shape[3] % 4 or c is not None:
            raise ValueError("BasicUNet takes x_t (B, 1, H, W) with H and W divisible by 4, and no condition; got "
                             f"{tuple(x_t.shape)} and c = {c}")
        time = self.time_vector(t)                                               # (B, d_emb)
        a = self.down_1(x_t, time)                                               # (B, 16, 28, 28)
        b = self.down_2(self.pool_1(a), time)                                    # (B, 32, 14, 14)
        h = self.bottom(self.pool_2(b), time)                                    # (B, 64,  7,  7)
        if not self.skips:
            a, b = torch.zeros_like(a), torch.zeros_like(b)
        h = self.join_2(torch.cat([self.up_2(h), b], dim=1), time)               # (B, 64, 14, 14) → (B, 32, 14, 14)
        h = self.join_1(torch.cat([self.up_1(h), a], dim=1), time)               # (B, 32, 28, 28) → (B, 16, 28, 28)
        return self.head(h)

    def time_vector(self, t: Tensor) -> Tensor | None:
        """Turn t (B,) into a vector (B, d_emb), or None when the network ignores it."""
        if self.choices.time == "none":
            return None
        if self.choices.time == "fraction":
            return self.time_mlp(t.float()[:, None] / self.T)
        return self.time_mlp(sinusoidal_embedding(t, self.d_emb))
