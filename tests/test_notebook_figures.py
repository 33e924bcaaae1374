"""Figures that stand in a notebook's or the README's sentences are those of the records."""

import json
from pathlib import Path

from ddpm_course.records import load_record

ROOT = Path(__file__).parent.parent


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
