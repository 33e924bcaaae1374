"""Which device, precision, budget and folder: what wins over what, on machines that are only pretended."""

import sys
from pathlib import Path

import pytest
import torch

from ddpm_course.runtime import cache_folder, choose_runtime, processes, runs_folder, setting


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("PACE", "DEVICE", "DATA", "CACHE", "RUNS"):
        monkeypatch.delenv(f"DDPM_COURSE_{name}", raising=False)


def pretend(patch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False, bf16: bool = False) -> None:
    """Give this machine a CUDA card or an Apple chip, and bfloat16 in hardware."""
    def bf16_on_cuda(including_emulation: bool = True) -> bool:
        return bf16 or including_emulation

    def of_the_cpu() -> dict[str, bool]:
        return {"amx_bf16": bf16, "avx512_bf16": True}

    patch.setattr(torch.cuda, "is_available", lambda: cuda)
    patch.setattr(torch.cuda, "is_bf16_supported", bf16_on_cuda)
    patch.setattr(torch.backends.mps, "is_available", lambda: mps)
    patch.setattr(torch.cpu, "get_capabilities", of_the_cpu, raising=False)


@pytest.mark.parametrize("cuda, mps, device, pace", [
    (False, False, "cpu", "laptop"), (True, False, "cuda", "gpu"), (False, True, "mps", "gpu"),
    (True, True, "cuda", "gpu")])
def test_the_best_device_is_found_and_sets_the_pace(monkeypatch, cuda, mps, device, pace):
    pretend(monkeypatch, cuda=cuda, mps=mps)
    runtime = choose_runtime()
    assert (runtime.device.type, runtime.pace) == (device, pace)


def test_arguments_win_over_settings_which_win_over_looks(monkeypatch):
    pretend(monkeypatch, cuda=True)
    monkeypatch.setenv("DDPM_COURSE_DEVICE", "cpu")
    monkeypatch.setenv("DDPM_COURSE_PACE", "ci")
    assert (choose_runtime().device.type, choose_runtime().pace) == ("cpu", "ci")
    by_argument = choose_runtime("laptop", "cuda")
    assert (by_argument.device.type, by_argument.pace) == ("cuda", "laptop")
    monkeypatch.setenv("DDPM_COURSE_DEVICE", "")                 # empty counts as absent
    monkeypatch.setenv("DDPM_COURSE_PACE", "")
    assert setting("DEVICE") is None
    assert (choose_runtime().device.type, choose_runtime().pace) == ("cuda", "gpu")


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("bf16", [True, False])
def test_bfloat16_is_taken_only_where_the_chip_has_it(monkeypatch, device, bf16):
    pretend(monkeypatch, cuda=True, mps=True, bf16=bf16)
    expected = torch.bfloat16 if bf16 and device != "mps" else torch.float32
    runtime = choose_runtime(device=device)
    assert runtime.dtype == expected and ("bfloat16" in str(runtime)) == (expected == torch.bfloat16)


@pytest.mark.parametrize("bf16", [True, False])
def test_autocast_computes_in_the_chosen_precision(monkeypatch, bf16):
    pretend(monkeypatch, bf16=bf16)
    x = torch.ones(2, 2)
    with choose_runtime(device="cpu").autocast():
        assert (x @ x).dtype == (torch.bfloat16 if bf16 else torch.float32)
    assert (x @ x).dtype == torch.float32


def test_slower_paces_do_more():
    runtimes = [choose_runtime(pace, "cpu") for pace in ("ci", "laptop", "gpu")]
    steps, images = [r.train_steps for r in runtimes], [r.n_images for r in runtimes]
    assert steps == sorted(set(steps)) and images == sorted(set(images))
    assert steps[0] <= 20 and images[0] <= 20
    assert "laptop" in str(runtimes[1]) and str(steps[1]) in str(runtimes[1])


def test_an_unknown_pace_or_device_is_refused(monkeypatch):
    pretend(monkeypatch)
    for pace in ("fast", "CI"):
        with pytest.raises(ValueError, match="pace must be one of ci, laptop, gpu"):
            choose_runtime(pace)
    with pytest.raises(ValueError, match="device must be"):
        choose_runtime(device="tpu")
    for device in ("cuda", "mps"):
        with pytest.raises(ValueError, match=f"no {device} device"):
            choose_runtime(device=device)
    monkeypatch.setenv("DDPM_COURSE_PACE", "slow")
    with pytest.raises(ValueError, match="slow"):
        choose_runtime()


@pytest.mark.parametrize("platform, variable, without", [
    ("linux", "XDG_CACHE_HOME", Path(".cache")), ("win32", "LOCALAPPDATA", Path("AppData", "Local")),
    ("darwin", None, Path("Library", "Caches"))])
def test_the_cache_lies_where_the_system_keeps_caches(monkeypatch, tmp_path, platform, variable, without):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == tmp_path / without / "ddpm_course"
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
        assert cache_folder() == tmp_path / "elsewhere" / "ddpm_course"
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    assert not list(tmp_path.iterdir()), "naming a folder does not make it"


def test_trainings_go_to_a_folder_of_their_own_or_to_the_chosen_one(monkeypatch, tmp_path):
    assert runs_folder() == Path("ddpm_runs")
    monkeypatch.setenv("DDPM_COURSE_RUNS", "~/drive/runs")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert runs_folder() == tmp_path / "drive" / "runs"


def test_one_process_alone_is_rank_0_of_1_even_inside_another_launcher(monkeypatch):
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert processes() == (0, 1)
    monkeypatch.setenv("RANK", "3")
    assert processes() == (0, 1)
    assert not torch.distributed.is_initialized()
