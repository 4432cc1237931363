"""Archives that are open for one test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.archive.reading import Opener
from unionfs.archive import Archive, Limits, open_archive


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    with ExitStack() as stack:

        def open_bytes(content: bytes, limits: Limits | None = None) -> Archive:
            path = tmp_path / "archive.tar"
            path.write_bytes(content)
            return stack.enter_context(open_archive(path, limits or Limits()))

        yield open_bytes
