"""What the tests of the checks share: a test that asks for `strict_warnings` fails at any warning."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def strict_warnings(recwarn: pytest.WarningsRecorder) -> Iterator[None]:
    torch.set_warn_always(True)                                  # not only at the first time in a process
    yield
    torch.set_warn_always(False)
    assert [str(warning.message) for warning in recwarn] == []
