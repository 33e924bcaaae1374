"""Run every notebook from nothing, keep its outputs, and note its minutes.

Takes five minutes on two cores.

Each notebook is run to its end in a fresh kernel and an empty runs folder, as a student's first Run All does. It is
written back with what it showed, and the record `notebooks` holds how long that took. Leave the machine alone
meanwhile, and have the real data. At pace ci only the first notebook runs, and it is written into the runs folder.
"""

import os
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from tqdm.auto import tqdm

from ddpm_course.classroom.lecture import notebooks_folder
from ddpm_course.records import RECORDS, save_record
from ddpm_course.runtime import Runtime
from ddpm_course.whole_files import write_whole

LONGEST = 1800                                                   # seconds that one cell may take


def run(runtime: Runtime, out: Path | None = None) -> None:
    """Run the lessons and write the record `notebooks`."""
    trial = runtime.pace == "ci"
    lessons = sorted(notebooks_folder().glob("0*_*.ipynb"))
    folder, rows = out or notebooks_folder(), []
    for lesson in tqdm(lessons[:1] if trial else lessons, desc="lessons", unit="notebook"):
        with tempfile.TemporaryDirectory() as runs:
            settings = {"DDPM_COURSE_RUNS": runs} | ({"DDPM_COURSE_PACE": "ci"} if trial else {})
            book, seconds = executed(lesson, settings)
        write_whole(folder / lesson.name, (nbformat.writes(book).rstrip("\n") + "\n").encode("utf-8"))
        rows.append({"lesson": lesson.stem, "minutes": round(seconds / 60, 2), "cells": len(book.cells)})
    save_record("notebooks", {"device": str(runtime.device), "rows": rows}, folder=out or RECORDS)


def executed(lesson: Path, settings: dict[str, str]) -> tuple[nbformat.NotebookNode, float]:
    """Run a notebook in its own folder with these environment variables; return it, and the seconds it took.

    Widgets' states and the cells' times are not kept.
    """
    book = nbformat.read(lesson, as_version=4)
    client = NotebookClient(book, timeout=LONGEST, store_widget_state=False, record_timing=False,
                            resources={"metadata": {"path": str(lesson.parent)}})
    began = time.perf_counter()
    client.execute(env=os.environ | settings)
    return book, time.perf_counter() - began
