"""Figures that stand in a notebook's or the README's sentences are those of the records."""

import json
import re
from pathlib import Path

from ddpm_course.records import load_record

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("0*.ipynb"))


def sentences(notebook: str) -> str:
    cells = json.loads((ROOT / "notebooks" / notebook).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_notebook_04_quotes_the_tradeoff_record() -> None:
    text, record = sentences("04_Classifier_Free_Diffusion.ipynb"), load_record("tradeoff")
    point = {p["w"]: p for p in record["points"]}
    for quoted in (f"{point[0.0]['accuracy']:.1%} at w = 0", f"{point[2.0]['accuracy']:.1%} at w = 2",
                   f"it recognises {record['real_test_set']['accuracy']:.1%}"):
        assert quoted.replace("%", " %") in text
    frechet = {w: f"{p['frechet_percent']:.2f} %" for w, p in point.items()}
    for quoted in (f"smallest at w = 0.5 ({frechet[0.5]})", f"({frechet[5.0]} against {frechet[0.0]})",
                   f"{point[0.5]['diversity']:.2f} of the real images' at w = 0.5",
                   f"{point[5.0]['diversity']:.2f} at w = 5"):
        assert quoted in text
    assert min(point.values(), key=lambda p: p["frechet_percent"])["w"] == 0.5
    assert point[0.0]["accuracy"] < record["real_test_set"]["accuracy"] < point[0.5]["accuracy"]


def test_the_readme_quotes_the_tradeoff_record() -> None:
    record = load_record("tradeoff")
    point = {p["w"]: p["accuracy"] for p in record["points"]}
    quoted = (f"{point[0.0]:.1%} at w = 0 and {point[2.0]:.1%} at w = 2; of real test images "
              f"{record['real_test_set']['accuracy']:.1%}")
    assert quoted.replace("%", " %") in readme()


def test_notebook_04_reads_the_p_uncond_record_rightly() -> None:
    rows = {row["p_uncond"]: row["w"] for row in load_record("p_uncond")["rows"]}
    assert min(rows, key=lambda p: rows[p]["2"]["accuracy"]) == 0.0
    assert max(rows, key=lambda p: rows[p]["2"]["frechet_percent"]) == 0.0
    assert min(rows, key=lambda p: rows[p]["0"]["accuracy"]) == 0.5
    text = sentences("04_Classifier_Free_Diffusion.ipynb")
    assert "at w = 2 both figures are the worst of their columns" in text


def test_notebook_01_quotes_the_fixed_level_record() -> None:
    text, record = sentences("01_UNets.ipynb"), load_record("fixed_level")
    at_half = [row for row in record["rows"] if row["level"] == 0.5]
    skips, none = ([row for row in at_half if row["skips"] is kind] for kind in (True, False))
    mse, mean = skips[0]["mse"], record["alternatives"]["the mean image"]["mse"]
    detail = {name: f"{100 * row['detail']:.0f}" for name, row in zip("abc", (none[1], none[0], skips[0]))}
    other = skips[0]["other_levels"]
    for quoted in (f"test images is about {mse:.3f} per pixel; "
                   f"always answering with the mean image gives {mean:.3f}",
                   f"detail {detail['a']} to {detail['b']} % is left instead of {detail['c']} %",
                   f"{other['0.05']:.3f} at 0.05", f"its error, {other['0.99']:.3f}, is far above"):
        assert quoted in text
    for with_skips, without in zip(skips, none):
        assert 1.1 < without["mse"] / with_skips["mse"] < 1.2                    # "about a seventh"
        assert without["mse"] - without["half_width"] > with_skips["mse"] + with_skips["half_width"]


def test_notebook_01_quotes_what_pure_noise_becomes() -> None:
    text, record = sentences("01_UNets.ipynb"), load_record("fixed_level")
    from_noise = [row["from_noise"] for row in record["rows"] if "from_noise" in row]
    rounds = [way for kinds in from_noise for way in kinds.values()]
    last = sorted(f"{way['10']['frechet_percent']:.0f}" for way in rounds)
    assert f"still at {last[0]} to {last[-1]} %" in text
    assert f"have {record['references']['real']['frechet_percent']:.1f} %" in text
    first = [kinds["as they are"]["1"]["frechet_percent"] for kinds in from_noise]
    assert " and ".join(f"{distance:.0f}" for distance in first) in text
    noise = record["references"]["noise"]["frechet_percent"]
    assert all(way["1"]["frechet_percent"] < noise for way in rounds)


def test_the_readme_promises_the_minutes_that_the_notebooks_promise_and_keep() -> None:
    record = load_record("notebooks")
    assert [row["lesson"] for row in record["rows"]] == [lesson.stem for lesson in LESSONS]
    for row in record["rows"]:
        promised = re.search(rf"\[{row['lesson'][:2]} [^|]+\|[^|]+\| (\d+) \|", readme())[1]
        said = re.search(r"\*\*Time\*\* about (\d+) minutes?", sentences(f"{row['lesson']}.ipynb"))[1]
        assert said == promised and row["minutes"] <= float(promised)
    assert record["device"] == "cpu" and record["made_with"]["threads"] == 2


def test_the_readme_quotes_the_records_of_the_first_lessons() -> None:
    text, fixed = readme(), load_record("fixed_level")
    errors = [row["mse"] for row in fixed["rows"] if row["level"] == 0.5 and row["skips"]]
    assert all(abs(error - 0.055) < 0.001 for error in errors)
    assert "mean squared error 0.055 at noise level 0.5" in text
    assert f"(the mean image: {fixed['alternatives']['the mean image']['mse']:.3f})" in text
    few = {(arm["solver"], arm["steps"]): arm["frechet_percent"] for arm in load_record("few_steps")["arms"]}
    assert f"(Fréchet distance {few['dpm', 10]:.2f} %)" in text
    assert round(few["ddim", 20], 2) == round(few["dpm", 10], 2)


def test_the_readme_expects_of_lesson_02_what_the_notebook_expects() -> None:
    fall = re.search(r"the loss falls from 1 to ([\d.]+)", readme())[1]
    assert fall in sentences("02_Diffusion_Models.ipynb")        # which another test finds printed
