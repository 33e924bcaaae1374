"""Tests, notebooks and texts run at pace `ci`, in folders of their own, whatever this machine's settings are."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser as browsing
import pytest
from documents import Parser
from sybil import Sybil

_scratch = tempfile.mkdtemp(prefix="ddpm_course_tests_")
os.environ["DDPM_COURSE_PACE"] = "ci"
os.environ["DDPM_COURSE_DEVICE"] = "cpu"
os.environ["DDPM_COURSE_RUNS"] = os.path.join(_scratch, "runs")
os.environ.setdefault("DDPM_COURSE_CACHE", os.path.join(_scratch, "cache"))



def _into_scratch(namespace: dict[str, Any]) -> None:
    """Let the blocks of a README write their files where nobody keeps them."""
    namespace["_home"] = os.getcwd()
    os.chdir(_scratch)


def _back(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["_home"])


_texts = Sybil([Parser()], patterns=["answers/*.md", "walkthroughs/*.md"])
_readme = Sybil([Parser()], patterns=["README.md"], excludes=["*/README.md"], setup=_into_scratch, teardown=_back)
pytest_collect_file = (_texts + _readme).pytest()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chromium", metavar="PATH", help="the browser for the tests in a browser, which then must be "
                     "there; without this option they look for one and are skipped where there is none")
    parser.addoption("--shots", metavar="FOLDER", type=Path, help="keep pictures of what the browser showed")


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Chromium, steered by playwright."""
    with browsing.chromium(request.config.getoption("--chromium")) as started:
        yield started


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if browsing.REPORT:
        terminalreporter.section("measured in the browser")
        terminalreporter.write_line("\n".join(browsing.REPORT))
