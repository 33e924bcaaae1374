"""Real processes: a training killed without warning goes on to the same bits; two train as one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import RECIPE, train_stripes

import ddpm_course

HERE, ROOT = Path(__file__).parent, Path(ddpm_course.__file__).parents[1]

KILLED = """
import multiprocessing, random, signal, sys, time
from helpers import RECIPE, assert_same_bits, train_stripes
from ddpm_course.training import Recipe

def tell(run):
    reached.value = run.step

recipe = Recipe(**vars(RECIPE) | {"steps": 100})
uninterrupted, file = train_stripes(recipe), f"{sys.argv[1]}/run.pt"
fork, chance = multiprocessing.get_context("fork"), random.Random(0)
reached = fork.RawValue("i", 0)
for _ in range(3):
    step = reached.value + chance.randint(3, 12)
    child = fork.Process(target=train_stripes, args=(recipe,),
                         kwargs={"run_file": file, "save_every": 2, "on_step": tell})
    child.start()
    while child.is_alive() and reached.value < step:
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.03))
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL, "it was faster than the kill"
steps = []
resumed = train_stripes(recipe, run_file=file, on_step=lambda run: steps.append(run.step))
assert reached.value <= steps[0] <= reached.value + 2, "goes on from the last save"
assert_same_bits(resumed, uninterrupted)
"""

SHARED = """
import sys
import torch
from helpers import FLOAT32_CPU, RECIPE, Stripes, tiny_unet, train_stripes
from ddpm_course.parameterization import VelocityModel
from ddpm_course.runtime import processes
from ddpm_course.schedule import NoiseSchedule
from ddpm_course.training import train

run = train_stripes(RECIPE, run_file=f"{sys.argv[1]}/run.pt", save_every=7)
rank, world = processes()
assert world == 2
torch.save({"model": run.model.state_dict(), "ema": run.ema.model.state_dict(), "losses": run.losses},
           f"{sys.argv[1]}/{rank}.pt")
try:
    model = VelocityModel(tiny_unet(2), NoiseSchedule.cosine())
    train(model, model.schedule, Stripes(5), RECIPE, null=model.network.embedder.null, progress=False,
          runtime=FLOAT32_CPU)
except ValueError as error:
    print(error, flush=True)
torch.distributed.destroy_process_group()
"""


def run_script(text: str, folder: Path, *launcher: str) -> str:
    """Run a script in a process of its own, with `folder` as its argument; return what it printed."""
    (folder / "script.py").write_text(text, encoding="utf-8")
    path = os.pathsep.join([str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, *launcher, str(folder / "script.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                          env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the killed processes are forks")
def test_a_training_killed_three_times_ends_in_the_same_bits(tmp_path):
    run_script(KILLED, tmp_path)


def test_two_processes_train_as_one_and_refuse_a_batch_they_cannot_share(tmp_path):
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    printed = run_script(SHARED, tmp_path, *launcher)
    assert printed.count("a batch of 5 cannot be shared equally by 2 processes") == 2
    alone = train_stripes(RECIPE)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert first["losses"] == second["losses"] == pytest.approx(alone.losses, rel=1e-5)
    for name, model in (("model", alone.model), ("ema", alone.ema.model)):
        for key, value in model.state_dict().items():
            torch.testing.assert_close(first[name][key], value, rtol=0, atol=1e-5)
            assert torch.equal(first[name][key], second[name][key])
    assert not list(tmp_path.glob("*.part")) and (tmp_path / "run.pt").exists()
