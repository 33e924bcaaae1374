"""Weight files: what comes back, and what is refused."""

import os
from unittest.mock import Mock

import pytest
import torch
from helpers import FLOAT16_ROUNDING, seeded, tiny_unet
from safetensors import safe_open
from safetensors.torch import save_file

from ddpm_course import checkpoints
from ddpm_course.checkpoints import load_checkpoint, load_judge, save_checkpoint, save_judge
from ddpm_course.conditioning import VectorEmbedding
from ddpm_course.evaluation import FeatureStatistics, Judge
from ddpm_course.parameterization import VelocityModel
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.unet import UNet


def denoiser(schedule: NoiseSchedule | None = None) -> VelocityModel:
    return VelocityModel(tiny_unet(7), schedule or NoiseSchedule.cosine(40)).eval()


def trained_judge() -> tuple[Judge, FeatureStatistics, dict]:
    judge = Judge().train()
    with torch.no_grad():                                        # the running statistics leave 0 and 1
        judge(torch.randn(8, 1, 28, 28, generator=seeded()) * 0.7 + 0.2)
    reference = FeatureStatistics.of(torch.randn(50, 128, generator=seeded(), dtype=torch.float64))
    return judge.eval(), reference, {"accuracy": 0.93, "frechet": [1.5, 2]}


@pytest.mark.parametrize("schedule", [
    NoiseSchedule.cosine(40), NoiseSchedule.linear(), NoiseSchedule.cosine(1000)])
def test_a_denoiser_comes_back_as_it_was_to_half_precision_with_its_exact_schedule(tmp_path, schedule):
    model = denoiser(schedule)
    save_checkpoint(model, tmp_path / "new" / "folder" / "net.safetensors")
    back = load_checkpoint(tmp_path / "new" / "folder" / "net.safetensors")
    assert torch.equal(back.schedule.betas, schedule.betas) and back.schedule.T == schedule.T
    assert not back.training and not back.network.training
    assert back.state_dict().keys() == model.state_dict().keys()
    for name, value in model.state_dict().items():
        assert back.state_dict()[name].dtype == torch.float32
        torch.testing.assert_close(back.state_dict()[name], value, **FLOAT16_ROUNDING)
    x_t = torch.randn(3, 1, 8, 8, generator=seeded())
    t, c = torch.tensor([1, 20, 40]), torch.tensor([0, 6, 7])
    with torch.no_grad():
        torch.testing.assert_close(back(x_t, t, c), model(x_t, t, c), rtol=0.02, atol=0.02)
        again = load_checkpoint(str(tmp_path / "new" / "folder" / "net.safetensors"))
        assert torch.equal(again(x_t, t, c), back(x_t, t, c))


def test_weights_are_stored_in_float16_and_the_schedule_in_float64(tmp_path):
    save_checkpoint(denoiser(), tmp_path / "net.safetensors")
    with safe_open(tmp_path / "net.safetensors", framework="pt") as file:
        kinds = {name: file.get_tensor(name).dtype for name in file.keys()}
    assert kinds.pop("betas") == torch.float64 and set(kinds.values()) == {torch.float16}


def test_a_judge_comes_back_with_its_reference_and_the_real_images_figures(tmp_path):
    judge, reference, real = trained_judge()
    save_judge(judge, reference, real, tmp_path / "judge.safetensors")
    back = load_judge(tmp_path / "judge.safetensors")
    assert back.real == real and back.reference.n == 50 and not back.judge.training
    assert torch.equal(back.reference.mean, reference.mean)
    assert torch.equal(back.reference.covariance, reference.covariance)
    for name, value in judge.state_dict().items():
        torch.testing.assert_close(back.judge.state_dict()[name], value, **FLOAT16_ROUNDING)
    x = torch.rand(5, 1, 28, 28, generator=seeded()) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(back.judge(x), judge(x), rtol=0.01, atol=0.01)


def test_a_shipped_name_is_looked_up_in_the_weights_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "WEIGHTS", tmp_path)
    save_checkpoint(denoiser(), tmp_path / "tiny.safetensors")
    assert load_checkpoint("tiny").schedule.T == 40
    with pytest.raises(FileNotFoundError, match=r"'huge'.*tiny"):
        load_checkpoint("huge")


def test_a_damaged_file_is_refused(tmp_path):
    file = tmp_path / "net.safetensors"
    save_checkpoint(denoiser(), file)
    whole = file.read_bytes()
    for damaged in (whole[:-1], whole[:len(whole) // 2], whole[:5], b"", b"<html>404</html>" * 100):
        file.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            load_checkpoint(file)


def test_a_file_of_another_kind_is_refused(tmp_path):
    save_checkpoint(denoiser(), tmp_path / "net")
    save_judge(*trained_judge(), tmp_path / "judge")
    save_file({"x": torch.zeros(2)}, tmp_path / "other")
    with pytest.raises(ValueError, match="holds 'denoiser'; a judge"):
        load_judge(tmp_path / "net")
    with pytest.raises(ValueError, match="holds 'judge'; a denoiser"):
        load_checkpoint(tmp_path / "judge")
    with pytest.raises(ValueError, match="something else"):
        load_checkpoint(tmp_path / "other")


def test_only_class_conditional_velocity_models_are_written(tmp_path):
    small = {"channels": (8, 16), "n_down": (0, 1), "n_up": (0, 1), "d_emb": 16}
    for network in (tiny_unet(None), UNet(VectorEmbedding(5, 4), **small), torch.nn.Conv2d(1, 1, 1)):
        with pytest.raises(TypeError, match="LabelEmbedding"):
            save_checkpoint(VelocityModel(network, NoiseSchedule.cosine()), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_failing_disk_leaves_the_old_weights_whole(tmp_path, monkeypatch):
    file = tmp_path / "net.safetensors"
    save_checkpoint(denoiser(), file)
    whole = file.read_bytes()

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(os, "fsync", Mock(side_effect=OSError("no space left on device")))
        save_checkpoint(denoiser(NoiseSchedule.linear()), file)
    assert file.read_bytes() == whole and load_checkpoint(file).schedule.T == 40
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_network_for_colour_images_comes_back(tmp_path):
    net = tiny_unet(7)
    colour = UNet(net.embedder, channels=(8, 16), n_down=(0, 1), n_up=(0, 1), image_channels=3, d_emb=16)
    save_checkpoint(VelocityModel(colour, NoiseSchedule.cosine()), tmp_path / "net")
    assert load_checkpoint(tmp_path / "net").network.stem.weight.shape[1] == 3
