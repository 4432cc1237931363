"""Rooms to mount in."""

from collections.abc import Iterator

import pytest

from tests.filesystems import scratch
from tests.safety.daemons import Room, room_in


@pytest.fixture
def room() -> Iterator[Room]:
    """Give a room that every user may walk to."""
    with scratch() as directory, room_in(directory) as room:
        yield room
