"""A classifier of noisy images: what classifier guidance needs, and classifier-free guidance does without.

    ε̃ = ε_c - w σ_t ∇ log p(c | x_t),   σ_t = √(1 - ᾱ_t)

The gradient is wanted at every noise level, so the classifier has to be trained on x_t and told t; one that knows clean
images only is lost. Dhariwal & Nichol, arXiv 2105.05233, §4.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.checkpoints import read_weights, weights_under, write_weights
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.unet import Downsample, ResidualBlock, sinusoidal_embedding


class NoisyClassifier(nn.Module):
    """Classify x_t (B, 1, H, W), with t (B,) in 1 … T known, by the blocks of the U-Net's encoder: logits (B, n).

    H and W must be divisible by 4. `widths` at full, half and quarter resolution.
    """

    def __init__(self, n_classes: int = 10, *, widths: tuple[int, int, int] = (16, 32, 64), d_emb: int = 64) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.d_emb = d_emb
        self.time_mlp = nn.Sequential(nn.Linear(d_emb, d_emb), nn.GELU(), nn.Linear(d_emb, d_emb))
        self.stem = nn.Conv2d(1, fine, 3, padding=1)
        self.downs = nn.ModuleList([Downsample(fine, middle), Downsample(middle, coarse)])
        self.blocks = nn.ModuleList([ResidualBlock(middle, d_emb), ResidualBlock(coarse, d_emb)])
        self.last = ResidualBlock(coarse, d_emb)
        self.head = nn.Sequential(nn.GroupNorm(coarse // 8, coarse), nn.GELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                                  nn.Linear(coarse, n_classes))

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        time = self.time_mlp(sinusoidal_embedding(t, self.d_emb))                # (B, d_emb)
        h = self.stem(x_t)
        for down, block in zip(self.downs, self.blocks):
            h = block(down(h), time)                                             # (B, C, H/2, W/2), then (B, C, H/4, …)
        return self.head(self.last(h, time))                                     # (B, n)


def classifier_loss(model: NoisyClassifier, schedule: NoiseSchedule, x_0: Tensor, t: Tensor, eps: Tensor,
                    c: Tensor) -> Tensor:
    """Return the cross-entropy of the true class given x_t, a scalar: for `train`, in a noise loss's place."""
    return F.cross_entropy(model(schedule.q_sample(x_0, t, eps), t), c)


def class_gradient(classifier: nn.Module, x_t: Tensor, t: Tensor, c: Tensor) -> Tensor:
    """Return ∇ log p(c | x_t) with respect to x_t, of x_t's shape; `classifier(x_t, t)` gives logits (B, n).

    c (B,), one class per image, else ValueError.
    """
    if len(c) != len(x_t):
        raise ValueError(f"one class per image is needed: got {len(c)} for {len(x_t)} images")
    with torch.enable_grad():
        x = x_t.detach().requires_grad_(True)
        log_p = F.log_softmax(classifier(x, t), dim=1)[torch.arange(len(c), device=c.device), c]         # (B,)
        return torch.autograd.grad(log_p.sum(), x)[0]


def save_classifier(classifier: NoisyClassifier, path: str | Path) -> None:
    """Write a classifier of noisy images, of the default size (else ValueError), to `path`, weights as float16."""
    if {k: v.shape for k, v in classifier.state_dict().items()} != \
            {k: v.shape for k, v in NoisyClassifier().state_dict().items()}:
        raise ValueError("only a NoisyClassifier of the default size can be saved: its file holds no sizes")
    tensors = {f"classifier.{name}": value.half() for name, value in classifier.state_dict().items()}
    write_weights(path, tensors, "noisy classifier", {})


def load_classifier(name: str | Path = "classifier") -> NoisyClassifier:
    """Load the classifier of noisy images by its shipped name or by path; errors as for `load_checkpoint`."""
    tensors, _ = read_weights(name, "noisy classifier")
    classifier = NoisyClassifier()
    classifier.load_state_dict(weights_under(tensors, "classifier."))
    return classifier.eval()
