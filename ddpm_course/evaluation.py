"""Images → numbers: does a judge recognise the class, how far is the set from real images, how varied is it?

    Fréchet distance:  ‖μ - μ_r‖² + tr(Σ + Σ_r - 2 (Σ Σ_r)^½)  of the judge's features (Heusel et al., arXiv 1706.08500)

The judge is a small classifier that saw neither the test set nor a generated image. Its features are not those of the
usual Inception network, so its Fréchet distances compare with each other and with no published FID. They depend on the
number of images: compare at equal n, beside the real images' own value. No plots here.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ddpm_course.sampling import evaluating


class Judge(nn.Module):
    """Classify 28 × 28 images: (B, 1, 28, 28) in [-1, 1] → logits (B, 10); `features` gives the (B, 128) before them.

    Raises ValueError for another shape.
    """

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        widths = (1, 32, 48, 64, 96, 128)
        layers: list[nn.Module] = []
        for level, (c_in, c_out) in enumerate(zip(widths[:-1], widths[1:])):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
            if level in (0, 2):
                layers.append(nn.MaxPool2d(2))                   # 28 → 14 → 7
        self.convolutions = nn.Sequential(*layers)
        self.classify = nn.Linear(widths[-1], n_classes)

    def features(self, x: Tensor) -> Tensor:
        """Return the mean over positions of the last feature maps: (B, 128)."""
        if x.dim() != 4 or x.shape[1:] != (1, 28, 28):
            raise ValueError(f"the judge looks at images (B, 1, 28, 28) in [-1, 1]; got {tuple(x.shape)}")
        return self.convolutions(x).mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))


@dataclass(frozen=True)
class Verdict:
    """What the judge saw in N images: `features` (N, 128) float64 and `probabilities` (N, 10), on the CPU."""

    features: Tensor
    probabilities: Tensor


@torch.no_grad()
def judge_images(judge: Judge, x: Tensor, *, batch_size: int = 500) -> Verdict:
    """Show images (N, 1, 28, 28) in [-1, 1] to the judge, in eval mode and in batches."""
    device = judge.classify.weight.device
    with evaluating(judge):
        features = [judge.features(part.to(device)) for part in x.split(batch_size)]
        probabilities = [F.softmax(judge.classify(part), dim=1) for part in features]
    return Verdict(torch.cat(features).double().cpu(), torch.cat(probabilities).cpu())


def class_accuracy(verdict: Verdict, labels: Tensor) -> float:
    """Return the share of images that the judge assigns to the class they were asked to be; labels (N,)."""
    if labels.shape != verdict.probabilities.shape[:1]:
        raise ValueError(f"one label per image is needed, ({len(verdict.probabilities)},); got {tuple(labels.shape)}")
    return (verdict.probabilities.argmax(dim=1) == labels.cpu()).double().mean().item()


def wilson_interval(share: float, n: int, *, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share measured on n images (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(centre - half, 0.0), min(centre + half, 1.0)


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean (D,) and covariance (D, D), float64, of n feature vectors."""

    mean: Tensor
    covariance: Tensor
    n: int

    @classmethod
    def of(cls, features: Tensor) -> "FeatureStatistics":
        """Measure features (N, D); N ≥ 2, else ValueError."""
        if features.dim() != 2 or len(features) < 2:
            raise ValueError(f"statistics need features (N, D) with N ≥ 2; got {tuple(features.shape)}")
        return cls(features.double().mean(dim=0), torch.cov(features.double().T), len(features))

    @property
    def total_variance(self) -> float:
        """The trace of the covariance: the scale on which a Fréchet distance is large or small."""
        return self.covariance.trace().item()


def frechet_distance(a: FeatureStatistics, b: FeatureStatistics) -> float:
    """Return the squared 2-Wasserstein distance of the Gaussians with these statistics; 0 for equal ones.

    tr (Σ_a Σ_b)^½ is the sum of the square roots of the eigenvalues of the symmetric Σ_a^½ Σ_b Σ_a^½.
    """
    values, vectors = torch.linalg.eigh(a.covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T                      # Σ_a^½
    cross = torch.linalg.eigvalsh(root @ b.covariance @ root).clamp(min=0).sqrt().sum()
    return ((a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() - 2 * cross).item()


def diversity(features: Tensor, labels: Tensor) -> float:
    """Return the variance within a class: the trace of its features' covariance, averaged over the classes present.

    features (N, D), labels (N,); at least two images of each class present, else ValueError.
    """
    traces = []
    for label in labels.unique():
        members = features[labels == label].double()
        if len(members) < 2:
            raise ValueError(f"diversity needs at least two images of class {int(label)}; got {len(members)}")
        traces.append(members.var(dim=0).sum())
    return torch.stack(traces).mean().item()


def energy_distance(a: Tensor, b: Tensor) -> float:
    """Return 2 E‖A - B‖ - E‖A - A'‖ - E‖B - B'‖ of two clouds of points (N, D) and (M, D): 0 for equal distributions.

    An unbiased estimate, so that it may fall below 0 by chance. Székely & Rizzo, J. Stat. Plan. Inference 143, 2013.
    """
    within = [torch.cdist(x, x).sum() / (len(x) * (len(x) - 1)) for x in (a.double(), b.double())]
    return (2 * torch.cdist(a.double(), b.double()).mean() - within[0] - within[1]).item()


def saturation(x: Tensor, *, threshold: float = 0.98) -> float:
    """Return the share of pixels at the white end, x > threshold: over-exposure pushes it up. x in [-1, 1]."""
    return (x > threshold).double().mean().item()
