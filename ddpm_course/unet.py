"""The network ε_θ(x_t, t, c): a U-Net whose encoder knows the time and whose decoder knows the time and the class.

    encode:  x_t, t      →  features at each resolution        (the same for every class)
    decode:  features, c →  one prediction per pixel

Since the class enters the decoder only, one encoder pass serves both predictions that guidance needs, and a guided
step costs one encoder and two decoders instead of two whole networks (`predict_pair`).

A skip connection goes through a 1 × 1 convolution of its own and is then added. Joining the channels and mixing them by
one 1 × 1 convolution is the same map: W [h, s] = W_h h + W_s s. When it is added, W_s s is computed once for the pair.

Ronneberger et al., arXiv 1505.04597 (the U); Ho et al., arXiv 2006.11239, Appendix B (time).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoidal_embedding(t: Tensor, dim: int, *, max_period: float = 10_000.0) -> Tensor:
    """Turn timesteps (B,) into (B, dim): sines, then cosines, of t at dim/2 frequencies from 1 down to 1/max_period.

    `t` counts steps (0 … T). Fed t/T in [0, 1] instead, all but the highest frequencies would stand still.
    Vaswani et al., arXiv 1706.03762, §3.5. Raises ValueError when dim is odd or t is not (B,).
    """
    if dim % 2 or t.dim() != 1:
        raise ValueError(f"needs an even dim and t of shape (B,); got dim = {dim}, t of shape {tuple(t.shape)}")
    half = dim // 2
    frequencies = torch.exp(-math.log(max_period) * torch.arange(half, device=t.device) / max(half - 1, 1))
    angles = t.float()[:, None] * frequencies                    # (B, 1) × (half,) → (B, half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)        # (B, dim)


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions around a shortcut: x + f(x, emb). x (B, C, H, W) and emb (B, d_emb) → (B, C, H, W).

    `emb` acts by scale and shift on the normalised features, (1 + γ(emb)) · h + δ(emb); multiplying features by the
    class and adding the time, as some texts do, is a special case. FiLM, Perez et al., arXiv 1709.07871.
    """

    def __init__(self, channels: int, d_emb: int, *, group_size: int = 8) -> None:
        super().__init__()
        groups = channels // group_size                          # GroupNorm takes the NUMBER of groups first
        self.norm_1, self.norm_2 = nn.GroupNorm(groups, channels), nn.GroupNorm(groups, channels)
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.scale_shift = nn.Linear(d_emb, 2 * channels)
        nn.init.zeros_(self.conv_2.weight)                       # a new block passes x through unchanged
        nn.init.zeros_(self.conv_2.bias)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.conv_1(F.gelu(self.norm_1(x)))
        scale, shift = self.scale_shift(emb)[:, :, None, None].chunk(2, dim=1)   # each (B, C, 1, 1)
        h = torch.addcmul(shift, self.norm_2(h), 1 + scale)                      # norm(h) · (1 + γ) + δ, in one pass
        return x + self.conv_2(F.gelu(h))


class Downsample(nn.Module):
    """Halve the resolution without losing a pixel: space to depth, then a 1 × 1 convolution chooses what to keep."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(4 * c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(F.pixel_unshuffle(x, 2))                 # (B, C, H, W) → (B, 4C, H/2, W/2) → (B, c_out, …)


class Upsample(nn.Module):
    """Double the resolution: a 1 × 1 convolution, then depth to space (the inverse of `Downsample`'s rearranging)."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(c_in, 4 * c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.mix(x), 2)                   # (B, 4·c_out, H, W) → (B, c_out, 2H, 2W)


class UNet(nn.Module):
    """Predict one value per pixel from x_t (B, C, H, W), t (B,) in 1 … T and a condition c (None is ∅).

    `embedder` maps conditions to vectors and knows ∅ (see `conditioning`); `None` makes an unconditional network.
    `channels` per resolution, full size first; `n_down` and `n_up` residual blocks per resolution on the two sides.
    H and W must be divisible by 2^(len(channels) - 1), else ValueError.
    """

    def __init__(self, embedder: nn.Module | None = None, *, channels: tuple[int, ...] = (32, 64, 128),
                 n_down: tuple[int, ...] = (1, 1, 1), n_up: tuple[int, ...] = (1, 1, 1), image_channels: int = 1,
                 d_emb: int = 128) -> None:
        super().__init__()
        self.embedder, self.channels, self.d_emb = embedder, tuple(channels), d_emb
        self.n_down, self.n_up = tuple(n_down), tuple(n_up)
        self.time_mlp = nn.Sequential(nn.Linear(d_emb, d_emb), nn.GELU(), nn.Linear(d_emb, d_emb))
        self.class_mlp = None if embedder is None else nn.Sequential(nn.GELU(), nn.Linear(embedder.dim, d_emb))
        self.stem = nn.Conv2d(image_channels, channels[0], 3, padding=1)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for width, down, up in zip(channels, n_down, n_up, strict=True):
            self.down_blocks.append(nn.ModuleList(ResidualBlock(width, d_emb) for _ in range(down)))
            self.up_blocks.append(nn.ModuleList(ResidualBlock(width, d_emb) for _ in range(up)))
        self.downs, self.ups, self.skips = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for wide, deep in zip(channels[:-1], channels[1:]):
            self.downs.append(Downsample(wide, deep))
            self.ups.append(Upsample(deep, wide))
            self.skips.append(nn.Conv2d(wide, wide, 1))
        self.head = nn.Sequential(nn.GroupNorm(channels[0] // 8, channels[0]), nn.GELU(),
                                  nn.Conv2d(channels[0], image_channels, 3, padding=1))

    def encode(self, x_t: Tensor, t: Tensor) -> tuple[list[Tensor], Tensor]:
        """Run the class-free half: x_t (B, C, H, W), t (B,) → features per resolution, and a time vector (B, d_emb)."""
        factor = 2 ** (len(self.channels) - 1)
        if x_t.dim() != 4 or x_t.shape[2] % factor or x_t.shape[3] % factor:
            raise ValueError(f"x_t must be (B, C, H, W) with H and W divisible by {factor}; got {tuple(x_t.shape)}")
        time = self.time_mlp(sinusoidal_embedding(t, self.d_emb))                # (B, d_emb)
        h, features = self.stem(x_t), []
        for level, blocks in enumerate(self.down_blocks):
            for block in blocks:
                h = block(h, time)
            if level < len(self.downs):
                features.append(self.skips[level](h))
                h = self.downs[level](h)
        return [*features, h], time

    def decode(self, features: list[Tensor], time: Tensor, c: Tensor | None = None) -> Tensor:
        """Run the half that knows the class: what `encode` returned, and c (B, …) or None for ∅ → (B, C, H, W)."""
        emb = time
        if self.embedder is not None:
            null = self.embedder.null
            c = null.expand(len(time), *null.shape) if c is None else c
            if len(c) != len(time):
                raise ValueError(f"one condition per image is needed: got {len(c)} for {len(time)} images")
            emb = time + self.class_mlp(self.embedder(c))
        elif c is not None:
            raise ValueError("this U-Net was built without an embedder, so it takes no condition (c must be None)")
        h = features[-1]
        for level in reversed(range(len(self.channels))):
            if level < len(self.ups):
                h = self.ups[level](h) + features[level]
            for block in self.up_blocks[level]:
                h = block(h, emb)
        return self.head(h)

    def forward(self, x_t: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        return self.decode(*self.encode(x_t, t), c)

    def predict_pair(self, x_t: Tensor, t: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predictions for c and for ∅, each (B, C, H, W): one encoder pass, one decoder pass of 2B."""
        if self.embedder is None:
            raise ValueError("this U-Net was built without an embedder: it has one prediction, not a pair")
        features, time = self.encode(x_t, t)
        null = self.embedder.null
        both = torch.cat([c, null.expand(len(c), *null.shape).to(c)])            # (2B, …): c, then ∅
        doubled = [torch.cat([f, f]) for f in features]
        out = self.decode(doubled, torch.cat([time, time]), both)                # (2B, C, H, W)
        return tuple(out.chunk(2))
