"""Figures that stand in a notebook's or the README's sentences are those of the records."""

import json
import re
from pathlib import Path

from ddpm_course.records import load_record

ROOT = Path(__file__).parents[2]


def sentences(notebook: str) -> str:
    cells = json.loads((ROOT / "notebooks" / notebook).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def test_notebook_04_quotes_the_tradeoff_record() -> None:
    text, record = sentences("04_Classifier_Free_Diffusion.ipynb"), load_record("tradeoff")
    point = {p["w"]: p for p in record["points"]}
    for quoted in (f"{point[0.0]['accuracy']:.1%} at w = 0", f"{point[2.0]['accuracy']:.1%} at w = 2",
                   f"it recognises {record['real_test_set']['accuracy']:.1%}"):
        assert quoted.replace("%", " %") in text
    for quoted in (f"smallest at w = 0.5 ({point[0.5]['frechet_percent']:.2f} %)",
                   f"({point[5.0]['frechet_percent']:.2f} % against {point[0.0]['frechet_percent']:.2f} %)",
                   f"{point[0.5]['diversity']:.2f} of the real images' at w = 0.5",
                   f"{point[5.0]['diversity']:.2f} at w = 5"):
        assert quoted in text
    assert min(point.values(), key=lambda p: p["frechet_percent"])["w"] == 0.5
    assert point[0.0]["accuracy"] < record["real_test_set"]["accuracy"] < point[0.5]["accuracy"]


def test_the_readme_quotes_the_tradeoff_record() -> None:
    text, record = (ROOT / "README.md").read_text(encoding="utf-8"), load_record("tradeoff")
    point = {p["w"]: p["accuracy"] for p in record["points"]}
    quoted = (f"{point[0.0]:.1%} at w = 0 and {point[2.0]:.1%} at w = 2; of real test images "
              f"{record['real_test_set']['accuracy']:.1%}")
    assert quoted.replace("%", " %") in text


def test_notebook_04_reads_the_p_uncond_record_rightly() -> None:
    rows = {row["p_uncond"]: row["w"] for row in load_record("p_uncond")["rows"]}
    assert min(rows, key=lambda p: rows[p]["2"]["accuracy"]) == 0.0
    assert max(rows, key=lambda p: rows[p]["2"]["frechet_percent"]) == 0.0
    assert min(rows, key=lambda p: rows[p]["0"]["accuracy"]) == 0.5
    assert "at w = 2 both figures are the worst of their columns" in sentences("04_Classifier_Free_Diffusion.ipynb")


def test_notebook_01_quotes_the_fixed_level_record() -> None:
    text, record = sentences("01_UNets.ipynb"), load_record("fixed_level")
    skips, none = ([r for r in record["rows"] if r["level"] == 0.5 and r["skips"] is kind] for kind in (True, False))
    first, mean = skips[0], record["alternatives"]["the mean image"]["mse"]
    for quoted in (f"test images is about {first['mse']:.3f} per pixel; always answering with the mean image gives "
                   f"{mean:.3f}", f"detail {100 * none[1]['detail']:.0f} to {100 * none[0]['detail']:.0f} % is left "
                   f"instead of {100 * first['detail']:.0f} %", f"{first['other_levels']['0.05']:.3f} at 0.05",
                   f"its error, {first['other_levels']['0.99']:.3f}, is far above"):
        assert quoted in text
    for with_skips, without in zip(skips, none):
        assert 1.1 < without["mse"] / with_skips["mse"] < 1.2                    # "about a seventh"
        assert without["mse"] - without["half_width"] > with_skips["mse"] + with_skips["half_width"]
    rounds = [way for row in skips for way in row["from_noise"].values()]
    last = sorted(f"{way['10']['frechet_percent']:.0f}" for way in rounds)
    assert f"still at {last[0]} to {last[-1]} %" in text
    assert f"have {record['references']['real']['frechet_percent']:.1f} %" in text
    assert " and ".join(f"{row['from_noise']['as they are']['1']['frechet_percent']:.0f}" for row in skips) in text
    assert all(way["1"]["frechet_percent"] < record["references"]["noise"]["frechet_percent"] for way in rounds)


def test_the_readme_quotes_the_lessons_minutes() -> None:
    text, record = (ROOT / "README.md").read_text(encoding="utf-8"), load_record("notebooks")
    assert [row["lesson"] for row in record["rows"]] == [f.stem for f in sorted((ROOT / "notebooks").glob("0*.ipynb"))]
    for row in record["rows"]:
        number = row["lesson"][:2]
        promised = re.search(rf"\[{number} [^|]+\|[^|]+\|[^|]+\| (\d+) \|", text)[1]
        assert f"| {number} | {row['minutes']:.1f} |" in text and row["minutes"] <= float(promised)
        said = re.search(r"\*\*Time\*\* about (\d+) minutes?", sentences(f"{row['lesson']}.ipynb"))[1]
        assert said == promised
    assert record["device"] == "cpu" and record["made_with"]["threads"] == 2


def test_the_readme_quotes_the_records_of_the_first_lessons() -> None:
    text, fixed = (ROOT / "README.md").read_text(encoding="utf-8"), load_record("fixed_level")
    errors = [row["mse"] for row in fixed["rows"] if row["level"] == 0.5 and row["skips"]]
    assert all(abs(error - 0.055) < 0.001 for error in errors) and "mean squared error 0.055 at noise level 0.5" in text
    assert f"(the mean image: {fixed['alternatives']['the mean image']['mse']:.3f})" in text
    few = {(arm["solver"], arm["steps"]): arm["frechet_percent"] for arm in load_record("few_steps")["arms"]}
    assert f"(Fréchet distance {few['dpm', 10]:.2f} %)" in text
    assert round(few["ddim", 20], 2) == round(few["dpm", 10], 2)
