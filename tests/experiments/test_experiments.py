"""The experiments at pace ci, without data and without a network: what they record, and what they keep."""

import importlib
import socket
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import scipy.stats
import torch

from ddpm_course import experiments, sampling, training
from ddpm_course.checkpoints import load_checkpoint, load_judge
from ddpm_course.data import files, images
from ddpm_course.experiments import (
    ablation,
    few_steps,
    fixed_level,
    guidance_lab,
    judge,
    mixture_lab,
    model_card,
    noisy_classifier,
)
from ddpm_course.experiments.__main__ import main as run_experiment
from ddpm_course.experiments.__main__ import names
from ddpm_course.experiments._judged_rows import jackknife, t_quantile
from ddpm_course.lessons.classifier import load_classifier
from ddpm_course.records import load_record


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Callable[[], int], dict[str, int]]]:
    """Run every experiment on a little drawn data, offline.

    Give the folder, a count of the work so far, and how many training steps each experiment took.
    """
    folder, draw_garments, sample = tmp_path_factory.mktemp("experiments"), images.drawn_garments, sampling.sample
    offline, plus = Mock(side_effect=OSError("no network in this test")), guidance_lab.cfg_plus_plus_process
    modules = [importlib.import_module(f"{experiments.__name__}.{name}") for name in names()]
    short = Mock(side_effect=lambda *given, **rest: sample(*given, **rest | {"steps": 2}))
    short_plus = Mock(side_effect=lambda *given, **rest: plus(*given, **rest | {"steps": 2}))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DDPM_COURSE_DATA", raising=False)
        for name in ("RUNS", "CACHE"):
            patch.setenv(f"DDPM_COURSE_{name}", str(folder / name))
        for owner, attribute, value in (
                *((module, "BATCH", 8) for module in modules if hasattr(module, "make_loader") or module is judge),
                *((module, "sample", short) for module in (sampling, *modules) if hasattr(module, "sample")),
                *((module, "cfg_plus_plus_process", short_plus) for module in (guidance_lab, mixture_lab)),
                (files, "urlopen", offline), (socket.socket, "connect", offline),
                (images, "drawn_garments", lambda split, n: draw_garments(split, n // 20)),
                (model_card, "load_record", lambda name: load_record(name, folder=folder)),
                (training, "draw", Mock(wraps=training.draw))):
            patch.setattr(owner, attribute, value)
        trained = {}
        for name in sorted(names(), key="model_card".__eq__):    # the card needs the others' records
            before = training.draw.call_count
            run_experiment([name, "--pace", "ci", "--out", str(folder)])
            trained[name] = training.draw.call_count - before
        yield folder, lambda: training.draw.call_count + short.call_count + short_plus.call_count, trained


def test_the_experiments_are_the_files_of_their_folder(capsys: pytest.CaptureFixture) -> None:
    files = {file.stem for file in Path(experiments.__file__).parent.glob("[!_]*.py")}
    assert set(names()) == files and names() == sorted(names())
    with pytest.raises(SystemExit) as stopped:
        run_experiment(["cold_fusion", "--pace", "ci"])
    assert stopped.value.code == 2 and "tradeoff" in capsys.readouterr().err


def test_each_experiment_writes_a_record_and_what_it_trained(made: tuple) -> None:
    records = {name: load_record(name, folder=made[0]) for name in names() if name != "model_card"}
    assert all(record["experiment"] == name and record["made_with"]["date"] for name, record in records.items())
    assert records["judge"]["recipe"]["data"] == records["p_uncond"]["data"] == "drawn"
    assert [point["w"] for point in records["tradeoff"]["points"]] == [0.0, 2.0]
    assert all(low <= point[figure] <= high for point in records["tradeoff"]["points"]
               for figure, (low, high) in point["intervals"].items())
    assert len(records["p_uncond"]["rows"]) == 2 and len(records["shipped_model"]["loss"]) == 10
    assert load_checkpoint(made[0] / "fashion.safetensors").schedule.T == 150
    assert load_checkpoint(made[0] / "fashion_early.safetensors") and load_judge(made[0] / "judge.safetensors").real
    card = (made[0] / "README.md").read_text(encoding="utf-8")
    assert f"{records['shipped_model']['parameters']:,} parameters" in card and "| Ankle boot |" in card


def test_an_experiment_called_again_makes_only_what_is_missing(made: tuple) -> None:
    folder, work, _ = made
    before = work()
    for name in ("shipped_model", "tradeoff", "p_uncond", "guidance_lab", "noisy_classifier"):
        run_experiment([name, "--pace", "ci", "--out", str(folder)])
    assert work() == before > 0
    for count, name in enumerate(("tradeoff", "guidance_lab"), start=1):
        next((folder / "RUNS" / name).rglob("*.pt")).unlink()
        run_experiment([name, "--pace", "ci", "--out", str(folder)])
        assert work() == before + count


def test_what_was_kept_of_drawn_garments_is_never_read_back_for_real_images(
        made: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _, trained = made
    monkeypatch.setattr(images, "_load", lambda name, class_names, split, root: images.ImageSet(
        *images.drawn_garments(split, 20_000), class_names, "folder"))                 # stands in for the real images
    that_train = {name: steps for name, steps in trained.items() if steps}
    for name, steps in that_train.items():
        before = training.draw.call_count
        run_experiment([name, "--pace", "ci", "--out", str(folder / "real")])
        assert (name, training.draw.call_count - before) == (name, steps)
        assert load_record(name, folder=folder / "real")["data"] == "Fashion-MNIST"
    assert that_train


def test_the_guidance_lab_sums_up_every_kind_of_arm(made: tuple) -> None:
    record, methods = load_record("guidance_lab", folder=made[0]), {"rescaled, φ = 0.7", "limited interval"}
    methods |= {"classifier-free", "autoguidance", "classifier", "classifier-free, DDIM", "CFG++, DDIM"}
    assert methods <= {arm["method"] for arm in record["arms"]}
    for arm in record["arms"]:
        assert arm["n"] == 40 and len(arm["class_accuracy"]) == 10           # two rows of 20
        assert arm["accuracy"] == pytest.approx(statistics.mean(arm["class_accuracy"]))
        assert set(arm["intervals"]) == {"accuracy", "frechet", "frechet_percent", "diversity", "saturation"}
        assert all(low <= arm[figure] <= high for figure, (low, high) in arm["intervals"].items())
    assert len({(arm["frechet"], arm["diversity"]) for arm in record["arms"]}) == len(record["arms"])
    rows = [torch.load(path) for path in (made[0] / "RUNS" / "guidance_lab").rglob("classifier-free_0_t*.pt")]
    hits = torch.cat([row["probabilities"].argmax(dim=1) == row["labels"] for row in rows]).reshape(4, 10)
    assert record["arms"][0]["class_accuracy"] == hits.double().mean(dim=0).tolist()
    assert record["real_test_set"] == load_judge().real and record["interval"] == list(guidance_lab.INTERVAL)


def test_the_guidance_lab_called_again_reads_its_rows_back(made: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, arms = made[0], guidance_lab.arms
    record, kept = load_record("guidance_lab", folder=folder), list((folder / "RUNS" / "guidance_lab").rglob("*.pt"))
    assert len(kept) == 2 * len(record["arms"])                  # a row a seed
    untouchable = Mock(side_effect=AssertionError("this row was drawn before"))
    monkeypatch.setattr(guidance_lab, "arms", lambda *parts: [replace(arm, draw=untouchable) for arm in arms(*parts)])
    run_experiment(["guidance_lab", "--pace", "ci", "--out", str(folder / "again")])
    assert load_record("guidance_lab", folder=folder / "again")["arms"] == record["arms"]
    monkeypatch.setenv("DDPM_COURSE_RUNS", str(folder / "empty"))
    with pytest.raises(AssertionError, match="drawn before"):
        run_experiment(["guidance_lab", "--pace", "ci", "--out", str(folder / "again")])


def test_no_two_arms_of_the_guidance_lab_share_a_row() -> None:
    model = load_checkpoint("fashion")
    found = [(arm.method, f"{arm.strength:g}") for arm in guidance_lab.arms(model, model, load_classifier())]
    assert len(found) == len(set(found)) > 25 and not any("/" in method for method, _ in found)


def test_the_mixture_lab_measures_every_method_at_two_blurs(made: tuple) -> None:
    record = load_record("mixture_lab", folder=made[0])
    assert (record["n"], record["seeds"], record["solver"]) == (100, 2, "DDIM")
    found = [(row["blur"], row["method"], row["strength"]) for row in record["rows"]]
    schedule = load_checkpoint("fashion").schedule
    assert found == [(blur, method, strength) for blur in (0.0, mixture_lab.BLUR)
                     for method, strengths in mixture_lab.methods(schedule, blur).items() for strength in strengths]
    for row in record["rows"]:
        for figure in ("energy_distance", "outliers", "class_probability"):
            assert set(row[figure]) == {"mean", "half_width"} and row[figure]["half_width"] >= 0
        assert 0 <= row["outliers"]["mean"] <= 1 and 0 <= row["class_probability"]["mean"] <= 1
    at_0 = [{**row, "method": ""} for row in record["rows"] if row["strength"] == 0 and row["blur"] == 0]
    assert len(at_0) == 4 and all(row == at_0[0] for row in at_0)            # w = 0 is the same model for all
    assert mixture_lab.interval([1.0, 3.0]) == pytest.approx({"mean": 2.0, "half_width": 12.706})    # t of one freedom


def test_the_fixed_level_is_measured_with_and_without_skips_and_from_noise(made: tuple) -> None:
    record = load_record("fixed_level", folder=made[0])
    assert (record["n"], record["data"]) == (40, "drawn")
    assert [(row["level"], row["skips"], row["seed"]) for row in record["rows"]] == list(fixed_level.ARMS)
    for row in record["rows"]:
        assert row["mse"] > 0 and row["half_width"] > 0 and ("other_levels" in row) == (row["level"] == 0.5)
        assert ("from_noise" in row) == (row["level"] == 0.5 and row["skips"])
    first, *_ = record["rows"]
    assert list(first["other_levels"]) == [f"{b:g}" for b in fixed_level.OTHER_LEVELS]
    plain, fresh = first["from_noise"]["as they are"], first["from_noise"]["with fresh noise"]
    assert plain["1"] == fresh["1"] and plain["2"] != fresh["2"] and sum(plain["1"]["classes"]) == 20
    alternatives = {name: figures["mse"] for name, figures in record["alternatives"].items()}
    square = record["pixels"]["square"]
    assert alternatives["doing nothing"] == pytest.approx((1 - 0.5**0.5)**2 * square + 0.5, rel=0.05)
    assert alternatives["dividing by √(1 - b)"] == pytest.approx(1, rel=0.05)


def test_the_noisy_classifier_is_scored_at_every_level_and_can_be_loaded(made: tuple) -> None:
    record = load_record("noisy_classifier", folder=made[0])
    assert (record["n"], record["data"], record["recipe"]["steps"]) == (20, "drawn", 5)
    assert [level["t"] for level in record["levels"]] == list(noisy_classifier.LEVELS)
    assert all(0 <= low <= level["accuracy"] <= high <= 1 for level in record["levels"]
               for low, high in [level["interval"]])
    classifier, x_t = load_classifier(made[0] / "classifier.safetensors"), torch.zeros(3, 1, 28, 28)
    assert record["parameters"] == sum(p.numel() for p in classifier.parameters())
    logits = classifier(x_t, torch.tensor([1, 75, 150]))
    assert logits.shape == (3, 10) and not torch.equal(logits, load_classifier()(x_t, torch.tensor([1, 75, 150])))


def test_the_jackknife_of_a_mean_is_its_usual_standard_error() -> None:
    x = [0.3, 1.7, -2.0, 4.4, 0.0]
    mean, error = statistics.mean(x), statistics.stdev(x) / 5**0.5
    interval = jackknife(mean, [statistics.mean(x[:k] + x[k + 1:]) for k in range(5)])
    assert interval == pytest.approx((mean - 2.776 * error, mean + 2.776 * error))


@pytest.mark.parametrize("freedom", [1, 4, 9, 11, 30])
def test_the_quantile_is_students(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(scipy.stats.t.ppf(0.975, freedom), rel=2e-3)


def test_the_ablation_judges_both_sets_of_weights_of_every_arm(made: tuple) -> None:
    record = load_record("ablation", folder=made[0])
    assert [row["arm"] for row in record["rows"]] == list(ablation.ARMS) and record["data"] == "drawn"
    for row in record["rows"]:
        assert row["with EMA"] != row["without EMA"]
        for weights in ("with EMA", "without EMA"):
            assert row[weights]["frechet_percent"] > 0 and row[weights]["variance"] >= 0
            assert 0 <= row[weights]["confidence"] <= 1
    different = {tuple(vars(arm).items()) for arm in ablation.ARMS.values()}
    assert len(different) == len(ablation.ARMS)


def test_few_steps_scores_every_solver_and_count_from_the_same_noise(made: tuple) -> None:
    record = load_record("few_steps", folder=made[0])
    assert [(arm["solver"], arm["steps"]) for arm in record["arms"]] == [
        (solver, steps) for solver in ("ddim", "dpm") for steps in few_steps.STEPS[:2]]
    assert all(arm["n"] == 40 and low <= arm["frechet_percent"] <= high for arm in record["arms"]
               for low, high in [arm["intervals"]["frechet_percent"]])
