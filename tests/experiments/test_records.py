"""Records: figures come back exactly, with where and when they were measured."""

import json
import os
import platform
from datetime import date
from unittest.mock import Mock

import pytest
import torch

from ddpm_course.records import RECORDS, load_record, save_record


def test_figures_come_back_exactly(tmp_path):
    figures = {"accuracy": 0.1 + 0.2, "interval": [1e-300, 2.67e-5], "rows": [{"seed": 3, "name": "ᾱ_T"}],
               "none": None}
    path = save_record("study", figures, folder=tmp_path)
    assert path == tmp_path / "study.json"
    record = load_record("study", folder=tmp_path)
    assert {key: record[key] for key in figures} == figures and record["experiment"] == "study"


def test_a_record_says_where_when_and_with_what_it_was_made(tmp_path):
    save_record("study", {}, folder=tmp_path)
    made_with = load_record("study", folder=tmp_path)["made_with"]
    assert made_with["torch"] == torch.__version__ and made_with["python"] == platform.python_version()
    assert made_with["threads"] == torch.get_num_threads() and made_with["hardware"]
    assert 0 <= (date.today() - date.fromisoformat(made_with["date"])).days <= 1


def test_a_missing_record_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m ddpm_course.experiments nowhere"):
        load_record("nowhere", folder=tmp_path)


def test_the_folder_is_made_and_nothing_is_left_beside_the_record(tmp_path):
    save_record("study", {"a": 1}, folder=tmp_path / "new" / "folder")
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["study.json"]


def test_what_cannot_be_written_leaves_the_old_record_whole(tmp_path, monkeypatch):
    save_record("study", {"a": 1}, folder=tmp_path)
    with pytest.raises(TypeError):
        save_record("study", {"a": torch.zeros(2)}, folder=tmp_path)             # not JSON

    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError("no space left on device")))
    with pytest.raises(OSError, match="no space"):
        save_record("study", {"a": 2}, folder=tmp_path)
    assert load_record("study", folder=tmp_path)["a"] == 1


def test_every_record_that_ships_can_be_read():
    for file in RECORDS.glob("*.json"):
        text = file.read_text(encoding="utf-8")
        record = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
        assert record["experiment"] == file.stem and record["made_with"]["date"]
