"""One little world for all tests of the experiments: several tests look at what one run has made."""

import pytest
from little_world import LittleWorld


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> LittleWorld:
    return LittleWorld(tmp_path_factory.mktemp("experiments"))
