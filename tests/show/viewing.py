"""What the tests of pictures and pages share: the smallest network, a judge, how to read a picture back."""

import base64
import io
import json
import re
from typing import Any

import torch
from helpers import seeded
from PIL import Image
from torch import Tensor

from ddpm_course.checkpoints import TrainedJudge
from ddpm_course.conditioning import LabelEmbedding
from ddpm_course.evaluation import FeatureStatistics, Judge
from ddpm_course.parameterization import VelocityModel
from ddpm_course.records import load_record
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.show.guidance_view import ONE_OF_EACH, GuidanceView
from ddpm_course.show.page import Setting, build
from ddpm_course.unet import UNet

WEIGHTS, TIMES = (-1.0, 0.0, 2.0), (120, 60)
SETTINGS = (Setting(ONE_OF_EACH, seed=0, steps=4), Setting(7, seed=0, steps=4),
            Setting(ONE_OF_EACH, seed=1, steps=4), Setting(ONE_OF_EACH, seed=0, steps=2))


def smallest_model() -> VelocityModel:
    """Build a network of one block a side. Its weights are shaken: no layer is zero, and the class counts."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        net = UNet(LabelEmbedding(10, 8), channels=(8, 8), n_down=(0, 1), n_up=(0, 1), d_emb=16)
        for weight in net.parameters():
            weight.add_(0.2 * torch.randn(weight.shape))
    return VelocityModel(net, NoiseSchedule.cosine()).eval()


MODEL = smallest_model()


def biased_judge(favourite: int) -> TrainedJudge:
    """Build an untrained judge that sees one class almost everywhere."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        judge = Judge().eval()
        judge.classify.bias[favourite] += 8
    return TrainedJudge(judge, FeatureStatistics.of(torch.randn(5, 128, generator=seeded())), {})


def decoded(picture: bytes) -> Tensor:
    """Return a PNG's pixels (H, W, 3), uint8."""
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return torch.tensor(list(image.tobytes()), dtype=torch.uint8).reshape(image.height, image.width, 3)


def size_of(picture: bytes) -> tuple[int, int]:
    """Decode the whole PNG; return its width and height."""
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG"
        image.load()
        return image.size


def worded(text: str) -> str:
    """Return a caption as the widget shows it."""
    return f'<div style="line-height: 1.4">{text}</div>'


def tiny(**options: Any) -> str:
    """Build a page of few settings with a network that was never trained."""
    options = {"settings": SETTINGS, "weights": WEIGHTS, "times": TIMES} | options
    return build(GuidanceView(MODEL, biased_judge(7)), load_record("tradeoff"), **options)


def data_of(page: str) -> dict:
    """Read back what the page's script reads."""
    script = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
    return json.loads(script.search(page)[1])


def pixels(png: str, mode: str) -> Tensor:
    """Decode a sprite: (W, 10, 28, 28) for gray, (W, 10, 28, 28, 3) for colours."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert(mode)
    sheet = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return sheet.reshape(image.height // 28, 28, 10, 28, -1).transpose(1, 2).squeeze(-1)
