"""A part of a file as a stream."""

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from unionfs.archive.stream import Window

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def descriptor(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    number = os.open(path, os.O_RDONLY)
    yield number
    os.close(number)


def test_it_gives_its_part_and_no_more(descriptor: int) -> None:
    with Window(descriptor, 100, 1000) as window:
        assert window.read(10) == CONTENT[100:110]
        assert window.read() == CONTENT[110:1100]
        assert window.read(1) == b""


def test_it_can_be_positioned(descriptor: int) -> None:
    with Window(descriptor, 100, 1000) as window:
        assert window.seekable()
        assert window.seek(500) == 500
        assert window.read(5) == CONTENT[600:605]
        assert window.tell() == 505
        assert window.seek(-5, io.SEEK_CUR) == 500
        assert window.seek(-1, io.SEEK_END) == 999
        assert window.read(5) == CONTENT[1099:1100]
        window.seek(2000)
        assert window.read(5) == b""
        with pytest.raises(ValueError, match="before the start"):
            window.seek(-1)


def test_the_standard_library_can_use_it(descriptor: int, tmp_path: Path) -> None:
    assert io.BufferedReader(Window(descriptor, 3, 500)).read() == CONTENT[3:503]
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "file", "file")
    with open(archive, "rb") as file:
        window = io.BufferedReader(Window(file.fileno(), 0, archive.stat().st_size))
    with window, tarfile.open(fileobj=window) as tar:
        member = tar.extractfile("file")
        assert member is not None
        assert member.read() == CONTENT


def test_it_outlives_the_descriptor_it_was_made_from(descriptor: int) -> None:
    other = os.dup(descriptor)
    window = Window(other, 0, 10)
    os.close(other)
    assert window.read() == CONTENT[:10]
    window.close()
    with pytest.raises(ValueError, match="closed"):
        window.read(1)


def test_closing_releases_its_descriptor(descriptor: int) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    window = Window(descriptor, 0, 10)
    window.close()
    window.close()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_windows_do_not_disturb_each_other_in_threads(descriptor: int) -> None:
    wrong: list[int] = []

    def run(offset: int) -> None:
        with Window(descriptor, offset, 5000) as window:
            content = b"".join(iter(lambda: window.read(7), b""))
        if content != CONTENT[offset : offset + 5000]:
            wrong.append(offset)

    threads = [threading.Thread(target=run, args=(offset,)) for offset in range(0, 5000, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
