"""What tests of commands share: a directory to mount on, and a place to run shells at."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shelling import Place
from tests.mount.conftest import mountpoint

__all__ = ["mountpoint", "place"]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    if os.geteuid() != 0:
        pytest.skip("only root can have a user of the image that isn't root without ids granted to it")
    place = Place(tmp_path)
    yield place
    if place.store.exists():
        assert place.temporary() == []
    assert str(tmp_path) not in Path("/proc/self/mountinfo").read_text()
