"""The lecture pages: a cut of each lesson's notebook that runs by itself, and a command that serves it."""

import json
import os
import re
import socket
from pathlib import Path
from unittest.mock import Mock

import nbformat
import pytest
import servers
from nbclient import NotebookClient
from voila.app import Voila

from ddpm_course.__main__ import main
from ddpm_course.classroom import lecture
from ddpm_course.classroom.lecture import find_lesson, kept_runs, lecture_notebook, sections, write_page

ROOT = Path(__file__).parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
SLIDERS = "noise_explorer|trajectory_player|steps_explorer|guidance_explorer|mixture_explorer"
WIDGET = "application/vnd.jupyter.widget-view+json"
by_number = pytest.mark.parametrize("number", [path.name[:2] for path in LESSONS])


def read(lesson: Path) -> dict:
    return json.loads(lesson.read_text(encoding="utf-8"))


# The cut

def markdown(text: str) -> dict:
    return {"cell_type": "markdown", "metadata": {}, "source": text.splitlines(keepends=True)}


def code(text: str, *tags: str) -> dict:
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "metadata": metadata, "source": [text], "outputs": []}


def test_headings_keep_the_formulas_that_follow_them() -> None:
    text = ("before\n\n# Title\nwords $x$\n\n$$a\nb$$\n\n"
            "## Two\n### Exercise 1 · mix\n$$c$$ and $$d$$\n"
            "### Three")
    assert sections(text) == [[""], ["# Title", "$$a\nb$$"], ["## Two", "$$c$$", "$$d$$"], ["### Three"]]


def test_a_lecture_shows_what_is_tagged_under_its_heading_and_runs_the_setup_in_silence() -> None:
    lesson = {"metadata": {}, "cells": [
        markdown("# Lesson"),
        code("import a", "lecture-setup"),
        code("exercise()"),
        markdown("## One\nwords"),
        markdown("more words\n$$x$$"),
        code("one", "lecture"),
        code("two", "lecture"),
        markdown("## Skipped"),
        markdown("## Formula\n$$y$$\n## Last"),
        code("three", "lecture"),
        code("rest")]}
    cells = lecture_notebook(lesson)["cells"]
    assert [(cell["cell_type"], cell["source"]) for cell in cells] == [
        ("code", "%%capture\nimport a"),
        ("markdown", "## One\n\n$$x$$"),
        ("code", "one"),
        ("code", "two"),
        ("markdown", "## Formula\n\n$$y$$\n\n## Last"),
        ("code", "three")]


def test_a_lesson_without_tags_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to show"):
        lecture_notebook({"metadata": {}, "cells": [markdown("# A"), code("1", "lecture-setup"), code("2")]})


@by_number
def test_a_cut_runs_without_the_rest_and_shows_something_in_every_piece(
        number: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")                   # on a busy machine, threads wait
    book = nbformat.from_dict(lecture_notebook(read(find_lesson(number))))
    NotebookClient(book, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    code_cells = [cell for cell in book.cells if cell.cell_type == "code"]
    pieces = [cell for cell in code_cells if not cell.source.startswith("%%capture")]
    for piece in pieces:
        assert any(output.output_type in ("display_data", "execute_result") for output in piece.outputs)
    outputs = [output for piece in pieces for output in piece.outputs]
    assert any(WIDGET in output.get("data", {}) for output in outputs), "a lecture without a slider"
    assert not any(output.get("name") == "stderr" for output in outputs)


@by_number
def test_a_slider_that_needs_no_students_training_is_in_the_lecture(number: str) -> None:
    cells = [cell for cell in read(find_lesson(number))["cells"] if cell["cell_type"] == "code"]
    call = re.compile(rf"(^|= )({SLIDERS})\(", flags=re.MULTILINE)
    sliders = [cell for cell in cells if call.search("".join(cell["source"]))]
    left = [cell for cell in sliders if "lecture" not in cell["metadata"].get("tags", [])]
    assert sliders and all("run.ema.model" in "".join(cell["source"]) for cell in left)


# Where lessons and trainings are found

def test_a_lesson_is_found_by_its_number() -> None:
    assert find_lesson("4") == find_lesson("04") == LESSONS[3]
    with pytest.raises(FileNotFoundError, match="no lesson '9'; there are 01_UNets, 02_Diffusion_Models"):
        find_lesson("9")


def test_an_installed_package_finds_the_lessons_of_the_current_folder(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lecture, "__file__", str(tmp_path / "site-packages" / "ddpm_course" / "lecture.py"))
    monkeypatch.chdir(ROOT)
    assert find_lesson("04") == LESSONS[3]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="copy of the repository"):
        find_lesson("04")


def test_trainings_are_looked_for_where_jupyterlab_keeps_them(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DDPM_COURSE_RUNS", str(tmp_path))
    assert kept_runs() == tmp_path
    monkeypatch.delenv("DDPM_COURSE_RUNS")
    assert kept_runs() == ROOT / "notebooks" / "ddpm_runs"


# The command

@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mock:
    """Stand in for the server, and look at its folder while that is there."""
    def look(arguments: list[str]) -> None:
        page = Path(arguments[0])
        template = page.parent / "voila" / "templates" / "lecture" / "index.html.j2"
        served.page, served.template = read(page), template.read_text(encoding="utf-8")
        served.paths = os.environ["JUPYTER_PATH"].split(os.pathsep)
        assert page.parent.samefile(served.paths[0])

    served = Mock(side_effect=look)
    monkeypatch.setattr(Voila, "launch_instance", served)
    monkeypatch.setenv("DDPM_COURSE_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("JUPYTER_PATH", "somewhere")
    return served


def test_the_command_serves_the_cut_with_the_courses_template(
        served: Mock, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    port = servers.free_port()
    assert main(["lecture", "04", "--port", str(port), "--no-browser"]) == 0
    page, *options = served.call_args.args[0]
    assert {f"--port={port}", "--no-browser", "--template=lecture"} <= set(options)
    assert served.template == lecture.TEMPLATE.read_text(encoding="utf-8")
    assert f"http://localhost:{port}" in capsys.readouterr().out
    assert not Path(page).parent.exists(), "the folder is there only while the page is served"


def test_the_page_is_the_cut_and_runs_where_jupyterlab_would_run_it(served: Mock, tmp_path: Path) -> None:
    main(["lecture", "04"])
    move, *cells = served.page["cells"]
    assert move["source"].startswith("%%capture")
    assert f"os.chdir({str(LESSONS[3].parent)!r})" in move["source"]
    assert cells == lecture_notebook(read(LESSONS[3]))["cells"]
    assert os.environ["DDPM_COURSE_RUNS"] == str(tmp_path / "runs") and served.paths[1:] == ["somewhere"]


def test_a_taken_port_is_passed_over_and_the_address_says_so(
        served: Mock, capsys: pytest.CaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["lecture", "04", "--port", str(port)]) == 0
    (used,) = [int(option.removeprefix("--port=")) for option in served.call_args.args[0]
               if option.startswith("--port=")]
    assert port < used < port + 50 and f"http://localhost:{used}" in capsys.readouterr().out


def test_a_browser_is_opened_unless_told_otherwise(served: Mock) -> None:
    main(["lecture", "04"])
    assert "--no-browser" not in served.call_args.args[0]


def test_a_lesson_that_has_to_train_first_says_so_before(
        served: Mock, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["lecture", "02"]) == 0
    assert f"No training of this lesson is saved in {tmp_path / 'runs'}" in capsys.readouterr().out
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "lesson02_folder_1600.pt").touch()
    assert main(["lecture", "02"]) == 0 and "No training" not in capsys.readouterr().out


def test_a_lecture_that_needs_no_training_says_nothing_of_one(
        served: Mock, capsys: pytest.CaptureFixture) -> None:
    assert main(["lecture", "04"]) == 0 and "No training" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments, reason", [
    (["9"], "no lesson '9'"), ([], "which lesson? 01_UNets, 02_"), (["04", "--port", "x"], "port"),
    (["04", "--port", "0"], "1 … 65535"), (["04", "--port", "70000"], "1 … 65535")])
def test_a_wrong_option_ends_with_exit_code_2_and_serves_nothing(
        served: Mock, capsys: pytest.CaptureFixture, arguments: list[str], reason: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["lecture", *arguments])
    assert stopped.value.code == 2 and reason in capsys.readouterr().err and not served.called


def test_without_voila_the_command_says_what_to_install(
        served: Mock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(lecture.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        main(["lecture", "04"])
    assert "python -m ddpm_course.start lecture" in capsys.readouterr().err and not served.called


def test_the_page_asks_no_network() -> None:
    assert not re.search(r"https?:|//\w|@import|url\(", lecture.TEMPLATE.read_text(encoding="utf-8"))


def test_the_template_stands_on_that_of_jupyterlab(tmp_path: Path) -> None:
    write_page({"cells": []}, tmp_path)
    assert read(tmp_path / "voila" / "templates" / "lecture" / "conf.json") == {"base_template": "lab"}
