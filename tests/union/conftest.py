"""Where the stacks of tests lie that make many of them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import mount, unmount_or_detach
from unionfs.layer import directory


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a directory in memory, on a file system of its own."""
    place = Path(os.path.realpath(tmp_path)) / "memory"
    place.mkdir()
    mount("tmpfs", place, "tmpfs")
    try:
        yield place
    finally:
        unmount_or_detach(place)


@pytest.fixture
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the content of every file be copied in a step of its own, as that of long files is."""
    monkeypatch.setattr(directory, "SHORT", -1)
