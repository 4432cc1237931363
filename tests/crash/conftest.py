"""Where the uppers of killed operations lie: in memory, since each kill is followed by syncing a new one."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.filesystems import scratch
from tests.mounts import mount, unmount_or_detach


@pytest.fixture(scope="session")
def memory() -> Iterator[Path]:
    with scratch() as place:
        mount("tmpfs", place, "tmpfs")
        try:
            yield place
        finally:
            unmount_or_detach(place)


@pytest.fixture
def directory(memory: Path) -> Iterator[Path]:
    """Give a directory in memory that is empty, and removed again."""
    place = Path(tempfile.mkdtemp(dir=memory))
    yield place
    shutil.rmtree(place)
