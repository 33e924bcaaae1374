"""Every test of the data starts without images: no named folder, no cache, and a network that is down."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from data_files import Server, no_network

from ddpm_course.data import files


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Name the test's own cache, which is not there yet."""
    monkeypatch.delenv("DDPM_COURSE_DATA", raising=False)
    monkeypatch.setenv("DDPM_COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "urlopen", no_network)
    return tmp_path / "cache"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """Let the network be up. Its images are all 50."""
    return Server(monkeypatch, value=50)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Draw in one thread. Several would wait for each other, on a busy machine for a minute."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
