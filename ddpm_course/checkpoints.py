"""The trained weights that ship with the package, and the same format for a student's own.

One safetensors file holds the weights in float16, the schedule's β in float64, and the numbers that rebuild the
network, so that a file is enough to sample. Loading runs no code from the file. What a lesson adds keeps its weights in
the same way, by `write_weights` and `read_weights` (see `lessons/classifier`).
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from ddpm_course.conditioning import LabelEmbedding
from ddpm_course.evaluation import FeatureStatistics, Judge, frechet_distance
from ddpm_course.parameterization import VelocityModel
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.unet import UNet
from ddpm_course.whole_files import write_whole

WEIGHTS = Path(__file__).parent / "weights"
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class TrainedJudge:
    """The shipped judge, with the real test set's feature statistics and scores (a dict of figures)."""

    judge: Judge
    reference: FeatureStatistics
    real: dict

    def frechet(self, features: Tensor) -> float:
        """Return the Fréchet distance of features (N, 128) to the real test set's."""
        return frechet_distance(FeatureStatistics.of(features), self.reference)

    def frechet_percent(self, features: Tensor) -> float:
        """Return that distance in per cent of the total variance of the test set's features."""
        return 100 * self.frechet(features) / self.reference.total_variance


def save_checkpoint(model: VelocityModel, path: str | Path) -> None:
    """Write a class-conditional `VelocityModel(UNet)` to `path` in one move, weights as float16."""
    net = model.network
    if not isinstance(net, UNet) or not isinstance(net.embedder, LabelEmbedding):
        raise TypeError("save_checkpoint writes a VelocityModel around a UNet with a LabelEmbedding; got "
                        f"{type(net).__name__} with {type(getattr(net, 'embedder', None)).__name__}")
    config = {"channels": net.channels, "n_down": net.n_down, "n_up": net.n_up, "d_emb": net.d_emb,
              "image_channels": net.stem.in_channels,
              "n_classes": net.embedder.n_classes, "label_dim": net.embedder.dim}
    tensors = {f"network.{name}": value.half() for name, value in net.state_dict().items()}
    write_weights(path, tensors | {"betas": model.schedule.betas[1:]}, "denoiser", config)


def load_checkpoint(name: str | Path = "fashion") -> VelocityModel:
    """Load a denoiser by its shipped name ("fashion", "fashion_early") or by path: float32, eval mode, on the CPU.

    `model.schedule` is the schedule that it was trained on. Raises FileNotFoundError for an unknown name, ValueError
    for a damaged file or one of another kind.
    """
    tensors, config = read_weights(name, "denoiser")
    embedder = LabelEmbedding(config["n_classes"], config["label_dim"])
    net = UNet(embedder, channels=tuple(config["channels"]), n_down=tuple(config["n_down"]),
               n_up=tuple(config["n_up"]), d_emb=config["d_emb"],
               image_channels=config.get("image_channels", 1))
    net.load_state_dict(weights_under(tensors, "network."))
    model = VelocityModel(net, NoiseSchedule(tensors["betas"]))
    return model.eval().to(memory_format=torch.channels_last)


def save_judge(judge: Judge, reference: FeatureStatistics, real: dict, path: str | Path) -> None:
    """Write a judge with its reference statistics and the real test set's figures to `path` in one move."""
    tensors = {f"judge.{name}": value.half() if value.is_floating_point() else value
               for name, value in judge.state_dict().items()}
    tensors |= {"reference.mean": reference.mean, "reference.covariance": reference.covariance.contiguous()}
    write_weights(path, tensors, "judge", {"real": real, "n": reference.n})


def load_judge(name: str | Path = "judge") -> TrainedJudge:
    """Load the judge by its shipped name or by path; errors as for `load_checkpoint`."""
    tensors, config = read_weights(name, "judge")
    judge = Judge()
    judge.load_state_dict(weights_under(tensors, "judge."))
    reference = FeatureStatistics(tensors["reference.mean"], tensors["reference.covariance"], config["n"])
    return TrainedJudge(judge.eval(), reference, config["real"])


def checksums(folder: Path = WEIGHTS) -> str:
    """Return the checksums of the weights in a folder, a line each, in the form that `sha256sum --check` reads."""
    return "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
                   for file in sorted(folder.glob("*.safetensors")))


def damaged_weights(folder: Path = WEIGHTS) -> list[str]:
    """List the files that are missing or not as shipped, by the checksums that ship beside them."""
    file = folder / CHECKSUMS
    listed = set(file.read_text(encoding="utf-8").splitlines()) - {""} if file.is_file() else set()
    if not listed:
        return [CHECKSUMS]
    return sorted({line.split()[-1] for line in listed ^ set(checksums(folder).splitlines())})


def fingerprint(*models: nn.Module) -> str:
    """Return a short digest of the models' weights: what was measured on other weights is told apart by it."""
    digest = hashlib.sha256()
    for model in models:
        for value in model.state_dict().values():
            digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def weights_under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Take the tensors under a prefix, float16 widened to float32 (other types as they are)."""
    return {name.removeprefix(prefix): value.float() if value.dtype == torch.float16 else value
            for name, value in tensors.items() if name.startswith(prefix)}


def write_weights(path: str | Path, tensors: dict[str, Tensor], kind: str, config: dict) -> None:
    """Write tensors to a safetensors file, with what kind of model they are of and the numbers that rebuild it."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_whole(path, save(tensors, metadata={"kind": kind, "config": json.dumps(config)}))


def read_weights(name: str | Path, kind: str) -> tuple[dict[str, Tensor], dict]:
    """Read a file of `write_weights`, by its shipped name or by path: its tensors, and the numbers beside them.

    Raises FileNotFoundError for an unknown name, ValueError for a damaged file or one of another kind.
    """
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in WEIGHTS.glob("*.safetensors")))
        raise FileNotFoundError(f"no weights named {str(name)!r}: neither shipped ({shipped}) nor a file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file ({error}); fetch or install it again") from error
    if metadata.get("kind") != kind:
        raise ValueError(f"{path} holds {metadata.get('kind', 'something else')!r}; a {kind} was expected")
    return tensors, json.loads(metadata["config"])
