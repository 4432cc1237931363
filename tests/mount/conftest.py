"""A directory to mount on, free again at the end whatever the test did."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import MNT_DETACH, is_mounted, unmount


@pytest.fixture
def mountpoint(tmp_path: Path) -> Iterator[Path]:
    place = Path(os.path.realpath(tmp_path)) / "merged"
    place.mkdir()
    yield place
    while is_mounted(place):
        unmount(place, MNT_DETACH)
