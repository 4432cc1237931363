"""Archives that are open for one test."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.archive.build import Files, tar, tree
from tests.archive.programs import FILES, Programs
from tests.archive.reading import Opener, Opening
from unionfs.archive import Archive, Limits, open_archive


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    with ExitStack() as stack:

        def open_bytes(content: bytes, limits: Limits | None = None) -> Archive:
            # Each one a file of its own, so that several can be open at once.
            path = Path(mkdtemp(dir=tmp_path)) / "archive.tar"
            path.write_bytes(content)
            return stack.enter_context(open_archive(path, limits or Limits()))

        yield open_bytes


@pytest.fixture(params=["archive", "directory"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opening]:
    """Open the files of a layout in one form, then in the other."""
    with ExitStack() as stack:

        def open_files(files: Files) -> Archive:
            if request.param == "directory":
                path = tree(files, Path(mkdtemp(dir=tmp_path)))
            else:
                path = tmp_path / "layout.tar"
                path.write_bytes(tar(files))
            return stack.enter_context(open_archive(path))

        yield open_files


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    made = Programs(tmp_path_factory.mktemp("programs"))
    made.build("localhost/base:1", FILES[0])
    made.build("localhost/app:2", FILES[1], "localhost/base:1")
    made.podman("tag", "localhost/app:2", "localhost/other/app:latest")
    yield made
    made.podman("rmi", "--all", "--force")
