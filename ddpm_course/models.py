"""The course's two class-conditional networks, by size: the one that ships, and one that a lesson can train.

Both predict v inside and ε outside, on the cosine schedule with T = 150.
"""

from ddpm_course.conditioning import LabelEmbedding
from ddpm_course.parameterization import VelocityModel
from ddpm_course.randomness import weights_from
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.unet import UNet


def fashion_model(seed: int = 0) -> VelocityModel:
    """Return the untrained shipped-size network (0.60 M parameters), its weights drawn from `seed`."""
    return _build(seed, label_dim=64, channels=(16, 40, 80), n_down=(0, 2, 1), n_up=(0, 1, 2), d_emb=128)


def lesson_model(seed: int = 0) -> VelocityModel:
    """Return the untrained small network (0.24 M parameters) that a laptop trains in minutes."""
    return _build(seed, label_dim=32, channels=(16, 32, 64), n_down=(0, 1, 1), n_up=(0, 1, 1), d_emb=64)


def _build(seed: int, *, label_dim: int, channels: tuple[int, ...], n_down: tuple[int, ...],
           n_up: tuple[int, ...], d_emb: int) -> VelocityModel:
    with weights_from(seed):
        net = UNet(LabelEmbedding(10, label_dim), channels=channels, n_down=n_down, n_up=n_up, d_emb=d_emb)
    return VelocityModel(net, NoiseSchedule.cosine())
