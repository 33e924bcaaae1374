"""A lesson's interactive pieces without its code, large enough for the last row: `python -m ddpm_course lecture 04`.

The lesson's notebook is the only source. Of its code cells, those tagged `lecture` are shown, those tagged
`lecture-setup` are run in silence, and each piece stands under the notebook's own heading, with the formulas between
heading and piece. Voilà serves that page; what it needs comes with the extra `lecture`.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import re
import socket
import tempfile
from pathlib import Path

from ddpm_course.runtime import runs_folder

TEMPLATE = Path(__file__).with_name("lecture.html.j2")
SHOWN, SILENT = "lecture", "lecture-setup"
PORT = 8866


def notebooks_folder() -> Path:
    """Find the folder of lessons: beside the package, or in the current folder. FileNotFoundError if there is none."""
    for folder in (Path(__file__).parents[2] / "notebooks", Path("notebooks"), Path()):
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
        raise FileNotFoundError(f"no lesson {number!r}; there are {listed}" if number else f"which lesson? {listed}")
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
            if waiting:
                waiting[-1] = waiting[-1] + first[1:]            # what stands before a heading belongs to the last one
            else:
                waiting.append(first)
            waiting += others
        elif SHOWN in tags:
            told = [section for section in waiting[:-1] if section[1:]] + waiting[-1:]
            above = "\n\n".join(line for section in told for line in section if line)
            if above:
                cells.append({"cell_type": "markdown", "metadata": {}, "source": above})
            cells.append(_code(text))
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
    try:
        return notebooks_folder() / runs_folder()                # which it is itself if it begins at the root
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


def free_port(wanted: int) -> int:
    """Return the wanted port, or the next one that is free. ValueError outside 1 … 65535, OSError if none is free."""
    if not 1 <= wanted <= 65535:
        raise ValueError(f"a port must lie in 1 … 65535; got {wanted}")
    for port in range(wanted, min(wanted + 50, 65536)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"the ports from {wanted} on are taken; choose another with --port")


def main(arguments: list[str]) -> int:
    """Read the options, cut the lesson's notebook, and serve it until Ctrl-C; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ddpm_course lecture", description="Open a lesson's interactive "
                                     "pieces without code in a browser, large, for a lecture. Ctrl-C ends it.")
    parser.add_argument("number", nargs="?", default="", help="the lesson, for example 04")
    parser.add_argument("--port", type=int, default=PORT, help="where to serve it on this machine, if that is free")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("voila") is None:
        parser.error("Voilà is not installed, which serves the page; in a copy of the repository "
                     "python -m ddpm_course.start lecture installs it")
    try:
        lesson, port = find_lesson(options.number), free_port(options.port)
        page = lecture_notebook(json.loads(lesson.read_text(encoding="utf-8")))
        page["cells"].insert(0, _code(f"%%capture\nimport os\nos.chdir({str(lesson.parent)!r})"))  # as in JupyterLab
    except (OSError, ValueError) as error:
        parser.error(str(error))
    trains = any("train(" in cell["source"] for cell in page["cells"])
    if trains and not [*kept_runs().glob(f"lesson{lesson.name[:2]}_*")]:
        print(f"No training of this lesson is saved in {kept_runs()}: the page trains first and appears after that, "
              "some minutes later. Run the notebook once before the lecture, and it opens in seconds.", flush=True)
    print(f"Lesson {lesson.stem}: http://localhost:{port} (F11: full screen; Ctrl-C here ends it)", flush=True)
    serve(page, [f"--port={port}", "--no-browser"] if options.no_browser else [f"--port={port}"])
    return 0


def serve(page: dict, options: list[str]) -> None:
    """Let Voilà serve a lecture's notebook, in this process, until it is stopped."""
    from voila.app import Voila  # here, not above: it comes with an extra
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join(filter(None, [folder, os.environ.get("JUPYTER_PATH")]))
        os.environ |= {"DDPM_COURSE_RUNS": str(kept_runs()), "JUPYTER_PATH": paths}          # for the page's kernel
        Voila.launch_instance([str(write_page(page, Path(folder))), "--template=lecture", "--Voila.port_retries=0",
                               "--VoilaConfiguration.show_tracebacks=True", *options])
