"""Tests, notebooks and texts run at pace `ci`, in folders of their own, whatever this machine's settings are."""

import os
import sys
import tempfile
from pathlib import Path

from sybil import Sybil

sys.path.insert(0, str(Path(__file__).parent / "tests"))
from documents import Parser  # noqa: E402

_scratch = tempfile.mkdtemp(prefix="ddpm_course_tests_")
os.environ["DDPM_COURSE_PACE"] = "ci"
os.environ["DDPM_COURSE_DEVICE"] = "cpu"
os.environ["DDPM_COURSE_RUNS"] = os.path.join(_scratch, "runs")
os.environ.setdefault("DDPM_COURSE_CACHE", os.path.join(_scratch, "cache"))

pytest_collect_file = Sybil([Parser()], patterns=["answers/*.md", "walkthroughs/*.md"]).pytest()
