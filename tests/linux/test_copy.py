"""Copying content: every byte, every hole, whatever the file system lets the kernel do by itself."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mounts import mount, unmount_or_detach
from unionfs.linux import copy
from unionfs.linux.copy import copy_content

MEBIBYTE = 1 << 20


@pytest.fixture(params=["disk", "memory", "between"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Give a directory to copy from and one to copy to, on one file system or on two."""
    base = Path(os.path.realpath(tmp_path))
    memory = base / "memory"
    memory.mkdir()
    mount("tmpfs", memory, "tmpfs")
    try:
        yield {"disk": (base, base), "memory": (memory, memory), "between": (base, memory)}[request.param]
    finally:
        unmount_or_detach(memory)


def copied(places: tuple[Path, Path], fill: Callable[[int], object], size: int | None = None) -> tuple[bytes, int]:
    """Fill a file, copy it, and give the copy's content and the bytes allocated for it."""
    source = os.open(places[0] / "source", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    target = os.open(places[1] / "target", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        fill(source)
        copy_content(source, target, os.fstat(source).st_size if size is None else size)
        os.fsync(target)
        found = os.fstat(target)
        return os.pread(target, found.st_size + 1, 0), found.st_blocks * 512
    finally:
        os.close(source)
        os.close(target)


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 3 * MEBIBYTE + 17])
def test_all_bytes_are_copied(places: tuple[Path, Path], size: int) -> None:
    content = os.urandom(size)
    assert copied(places, lambda fd: os.pwrite(fd, content, 0))[0] == content


def test_holes_stay_holes(places: tuple[Path, Path]) -> None:
    def fill(fd: int) -> None:
        os.ftruncate(fd, 64 * MEBIBYTE)
        os.pwrite(fd, b"a" * 4096, 0)
        os.pwrite(fd, b"b" * 4096, 33 * MEBIBYTE)

    content, allocated = copied(places, fill)
    assert len(content) == 64 * MEBIBYTE
    assert content[:4096] == b"a" * 4096
    assert content[33 * MEBIBYTE : 33 * MEBIBYTE + 4096] == b"b" * 4096
    assert content.count(0) == len(content) - 8192
    assert allocated <= 64 * 1024


@pytest.mark.parametrize("size", [0, 1, 5000, 2 * MEBIBYTE])
def test_no_more_is_copied_than_asked_for(places: tuple[Path, Path], size: int) -> None:
    content = os.urandom(3 * MEBIBYTE)
    assert copied(places, lambda fd: os.pwrite(fd, content, 0), size)[0] == content[:size]


def test_a_source_that_is_shorter_leaves_zeros(places: tuple[Path, Path]) -> None:
    assert copied(places, lambda fd: os.pwrite(fd, b"short", 0), 10_000)[0] == b"short".ljust(10_000, b"\0")


def test_a_longer_target_keeps_its_size(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"content")
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    source = os.open(tmp_path / "source", os.O_RDONLY)
    os.ftruncate(target, 100)
    copy_content(source, target, 3)
    assert os.pread(target, 200, 0) == b"con".ljust(100, b"\0")
    os.close(source)
    os.close(target)


@pytest.mark.parametrize("error", [errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM])
def test_what_the_kernel_cannot_copy_goes_through_memory(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    content = os.urandom(2 * MEBIBYTE + 5)
    assert copied(places, lambda fd: os.pwrite(fd, content, 0))[0] == content


def test_a_file_system_that_says_it_copied_nothing_is_read(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As copy_file_range(2) did on some file systems that make their content up, until Linux 5.19."""
    monkeypatch.setattr(os, "copy_file_range", lambda *_: 0)
    content = os.urandom(MEBIBYTE + 5)
    assert copied(places, lambda fd: os.pwrite(fd, content, 0))[0] == content


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_an_error_of_copying_is_told(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    def fail(*_: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "copy_file_range", fail)
    with pytest.raises(OSError, match=os.strerror(error)):
        copied(places, lambda fd: os.pwrite(fd, b"x", 0))


def test_an_error_of_cloning_is_told(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(copy, "clone_content", fail)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        copied(places, lambda fd: os.pwrite(fd, b"x", 0))
