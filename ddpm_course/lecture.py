"""A lesson's interactive pieces without its code, large enough for the last row: `python -m ddpm_course lecture 04`.

The lesson's notebook is the only source. Of its code cells, those tagged `lecture` are shown, those tagged
`lecture-setup` are run in silence, and each piece stands under the notebook's own heading, with the formulas between
heading and piece. Voilà serves that page; what it needs comes with the extra `lecture`.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ddpm_course.runtime import runs_folder, setting

TEMPLATE = Path(__file__).with_name("lecture.html.j2")
SHOWN, SILENT = "lecture", "lecture-setup"
PORT = 8866


def notebooks_folder() -> Path:
    """Find the folder of lessons: beside the package, or in the current folder. FileNotFoundError if there is none."""
    for folder in (Path(__file__).parent.parent / "notebooks", Path("notebooks"), Path()):
        if any(folder.glob("0*_*.ipynb")):
            return folder.resolve()
    raise FileNotFoundError("no lessons here: neither beside the package nor in the current folder is there a folder "
                            "notebooks; run this in a copy of the repository")


def find_lesson(number: str) -> Path:
    """Return the notebook whose number is given ("4" or "04"). FileNotFoundError, listing all, if there is none."""
    lessons = sorted(notebooks_folder().glob("0*_*.ipynb"))
    found = [path for path in lessons if path.name.split("_")[0] == number.rjust(2, "0")]
    if not found:
        listed = ", ".join(path.stem for path in lessons)
        raise FileNotFoundError(f"no lesson {number!r}; there are {listed}")
    return found[0]


def sections(markdown: str) -> list[list[str]]:
    """Return a Markdown text's headings (of the first three levels), each with the displayed formulas that follow it.

    What stands before the first heading is a section whose heading is empty. Headings of exercises do not count.
    """
    titles = re.split(r"^(#{1,3} (?!Exercise|Find the bug).+)$", markdown, flags=re.MULTILINE)
    return [[title, *re.findall(r"\$\$.+?\$\$", text, flags=re.DOTALL)]
            for title, text in zip(["", *titles[1::2]], titles[::2])]


def lecture_notebook(lesson: dict) -> dict:
    """Cut a lesson's notebook down to a lecture: the pieces tagged for it, and above each its heading and formulas.

    A section with formulas but no piece is shown as well. Raises ValueError when no cell is tagged.
    """
    cells, waiting = [], []                                      # waiting: the sections since the last piece
    for cell in lesson["cells"]:
        text, tags = "".join(cell["source"]), cell["metadata"].get("tags", [])
        if cell["cell_type"] == "markdown":
            first, *others = sections(text)
            waiting[-1:] = [waiting[-1] + first[1:]] if waiting else [first]
            waiting += others
        elif SHOWN in tags:
            told = [section for section in waiting[:-1] if section[1:]] + waiting[-1:]
            above = "\n\n".join(line for section in told for line in section if line)
            cells += [{"cell_type": "markdown", "metadata": {}, "source": above}] * bool(above) + [_code(text)]
            waiting = []
        elif SILENT in tags:
            cells.append(_code(f"%%capture\n{text}"))
    if not any(SHOWN in cell["metadata"].get("tags", []) for cell in lesson["cells"]):
        raise ValueError(f"this lesson has no cell with the tag {SHOWN!r}, so there is nothing to show")
    return {"cells": cells, "metadata": lesson["metadata"], "nbformat": 4, "nbformat_minor": 4}


def _code(source: str) -> dict:
    return {"cell_type": "code", "metadata": {}, "source": source, "execution_count": None, "outputs": []}


def kept_runs() -> Path:
    """Name the folder where JupyterLab keeps the lessons' trainings: the setting, or `ddpm_runs` beside the lessons."""
    if setting("RUNS"):
        return runs_folder().absolute()
    try:
        return notebooks_folder() / runs_folder()
    except FileNotFoundError:                                    # an installed package, without the notebooks
        return runs_folder().absolute()


def write_page(page: dict, folder: Path) -> Path:
    """Write a lecture's notebook and its template into `folder`, where Voilà finds both; return the notebook."""
    template = folder / "voila" / "templates" / "lecture"
    template.mkdir(parents=True)
    (template / "index.html.j2").write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
    (template / "conf.json").write_text('{"base_template": "lab"}', encoding="utf-8")
    notebook = folder / "lecture.ipynb"
    notebook.write_text(json.dumps(page), encoding="utf-8")
    return notebook


def main(arguments: list[str]) -> int:
    """Read the options, cut the lesson's notebook, and serve it until Ctrl-C; return the server's exit code."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course lecture", description="Open a lesson's interactive "
                                     "pieces without code in a browser, large, for a lecture. Ctrl-C ends it.")
    parser.add_argument("number", help="the lesson, for example 04")
    parser.add_argument("--port", type=int, default=PORT, help="where to serve it on this machine")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("voila") is None:
        parser.error('this needs Voilà: install the course with its extra, pip install "ddpm-course[lecture]" (in a '
                     'copy of the repository: pip install -e ".[lecture]")')
    try:
        lesson = find_lesson(options.number)
        page = lecture_notebook(json.loads(lesson.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    runs = kept_runs()
    trains = any("train(" in cell["source"] for cell in page["cells"])
    if trains and not [*runs.glob(f"lesson{lesson.name[:2]}_*")]:
        print(f"No training of this lesson is saved in {runs}: the page trains first and appears after that, some "
              "minutes later. Run the notebook once before the lecture, and it opens in seconds.", flush=True)
    print(f"Lesson {lesson.stem}: http://localhost:{options.port} (F11: full screen; Ctrl-C here ends it)", flush=True)
    return serve(page, runs, [f"--port={options.port}", *["--no-browser"] * options.no_browser])


def serve(page: dict, runs: Path, options: list[str]) -> int:
    """Let Voilà serve a lecture's notebook until Ctrl-C; return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "voila", str(write_page(page, Path(folder))), "--template=lecture",
                   "--VoilaConfiguration.show_tracebacks=True", *options]
        paths = os.pathsep.join(filter(None, [folder, os.environ.get("JUPYTER_PATH")]))
        settings = {"DDPM_COURSE_RUNS": str(runs), "JUPYTER_PATH": paths}
        try:
            return subprocess.run(command, env=os.environ | settings).returncode
        except KeyboardInterrupt:
            return 0
