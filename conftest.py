"""Tests and notebooks run at pace `ci`, in folders of their own, whatever this machine's settings are."""

import os
import tempfile

_scratch = tempfile.mkdtemp(prefix="ddpm_course_tests_")
os.environ["DDPM_COURSE_PACE"] = "ci"
os.environ["DDPM_COURSE_DEVICE"] = "cpu"
os.environ["DDPM_COURSE_RUNS"] = os.path.join(_scratch, "runs")
os.environ.setdefault("DDPM_COURSE_CACHE", os.path.join(_scratch, "cache"))
