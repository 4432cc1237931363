"""What the tests of tools share that mount in a temporary directory of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import mounts_beneath


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """The directory that a tool takes for its temporary one, which it is to leave empty."""
    room = tmp_path / "room"
    room.mkdir()
    yield room
    assert list(room.iterdir()) == []
    assert mounts_beneath(room) == []
