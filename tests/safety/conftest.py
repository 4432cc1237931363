"""Rooms to mount in."""

from collections.abc import Iterator

import pytest

from tests.filesystems import scratch
from tests.safety.daemons import Room, room_in


@pytest.fixture(params=["kernel", "pyfuse3"])
def room(request: pytest.FixtureRequest) -> Iterator[Room]:
    """Give a room that every user may walk to, for mounts by each transport."""
    with scratch() as directory, room_in(directory, transport=request.param) as room:
        yield room
