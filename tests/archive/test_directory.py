"""Files of a directory, none of which may lie outside it."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unionfs.archive import ArchiveError
from unionfs.archive.directory import Directory

SECRET = b"secret"


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    (tmp_path / "top" / "a" / "b").mkdir(parents=True)
    (tmp_path / "top" / "a" / "b" / "file").write_bytes(b"content")
    (tmp_path / "top" / "index.json").write_bytes(b"{}")
    return tmp_path / "top"


@pytest.fixture
def directory(top: Path) -> Iterator[Directory]:
    descriptor = os.open(top, os.O_RDONLY)
    found = Directory(descriptor)
    os.close(descriptor)
    before = sorted(os.listdir("/proc/self/fd"))
    yield found
    assert sorted(os.listdir("/proc/self/fd")) == before, "descriptors are left open"
    found.close()


def content(directory: Directory, path: str) -> bytes:
    with directory.open(path) as window:
        return window.read()


def refusal(directory: Directory, path: str) -> str:
    with pytest.raises(ArchiveError) as error:
        directory.open(path)
    return str(error.value)


@pytest.mark.parametrize("path", ["a/b/file", "./a//b/./file", "a/../a/b/file", "a/b/../b/file"])
def test_a_file_within_is_read(directory: Directory, path: str) -> None:
    assert content(directory, path) == b"content"


@pytest.mark.parametrize(
    ("link", "target", "path"),
    [
        ("link", "a/b/file", "link"),
        ("a/link", "../a/b/file", "a/link"),
        ("dir", "a", "dir/b/file"),
        ("a/up", "..", "a/up/a/up/a/b/file"),
    ],
)
def test_a_link_that_stays_within_is_followed(
    directory: Directory, top: Path, link: str, target: str, path: str
) -> None:
    (top / link).symlink_to(target)
    assert content(directory, path) == b"content"


def test_a_chain_of_links_is_followed(directory: Directory, top: Path) -> None:
    for number in range(30):
        (top / str(number)).symlink_to(str(number + 1) if number < 29 else "a/b/file")
    assert content(directory, "0") == b"content"


def test_a_hard_link_is_a_file(directory: Directory, top: Path) -> None:
    os.link(top / "a/b/file", top / "hard")
    assert content(directory, "hard") == b"content"


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "..", "/../secret"])
def test_a_path_that_leads_out_is_refused(directory: Directory, path: str) -> None:
    assert "leads out of the directory" in refusal(directory, path)


@pytest.mark.parametrize(
    "target", ["../secret", "a/../../secret", "{top}/../secret", "{top}/a/b/file", "/proc/self/root"]
)
def test_a_link_that_leads_out_is_refused(directory: Directory, top: Path, target: str) -> None:
    (top / "link").symlink_to(target.format(top=top))
    assert "leads out of the directory" in refusal(directory, "link")


def test_a_directory_link_that_leads_out_is_refused(directory: Directory, top: Path) -> None:
    (top / "out").symlink_to("..")
    assert "leads out of the directory" in refusal(directory, "out/secret")


def test_a_loop_of_links_is_refused(directory: Directory, top: Path) -> None:
    (top / "x").symlink_to("y")
    (top / "y").symlink_to("x")
    assert "more than 40 symbolic links" in refusal(directory, "x")


@pytest.mark.parametrize("path", ["missing", "a/missing/file", "index.json/x", "dangling"])
def test_what_is_not_there_is_missing(directory: Directory, top: Path, path: str) -> None:
    (top / "dangling").symlink_to("nowhere")
    assert "is missing in the directory" in refusal(directory, path)


@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_refused_without_waiting_for_it(directory: Directory, top: Path) -> None:
    os.mkfifo(top / "fifo")
    for path in ("fifo", "a", "."):
        assert "is no regular file" in refusal(directory, path)


def test_top_names_are_those_in_the_directory(directory: Directory) -> None:
    assert directory.top_names() == {"a", "index.json"}


Swap = Callable[[str, Callable[[str, int], None]], None]


@pytest.fixture
def swap(monkeypatch: pytest.MonkeyPatch) -> Swap:
    """Let another process, so to speak, replace a name between the look at it and its opening."""
    open_really = os.open

    def arrange(swapped: str, put: Callable[[str, int], None]) -> None:
        def open_after_swap(name: str, flags: int, *, dir_fd: int) -> int:
            if name == swapped:
                os.rename(name, "away", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
                put(name, dir_fd)
            return open_really(name, flags, dir_fd=dir_fd)

        monkeypatch.setattr(os, "open", open_after_swap)

    return arrange


@pytest.mark.parametrize("swapped", ["a", "b", "file"])
def test_a_link_swapped_in_meanwhile_never_leads_out(
    directory: Directory, tmp_path: Path, swapped: str, swap: Swap
) -> None:
    outside = tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    for path in (outside / "b" / "file", outside / "file"):
        path.write_bytes(SECRET)
    target = outside / "file" if swapped == "file" else outside
    swap(swapped, lambda name, dir_fd: os.symlink(target, name, dir_fd=dir_fd))
    with pytest.raises((ArchiveError, OSError), match=r"missing|Too many levels of symbolic links"):
        directory.open("a/b/file")


@pytest.mark.timeout(10)
def test_a_fifo_swapped_in_meanwhile_is_not_waited_for(directory: Directory, swap: Swap) -> None:
    swap("file", lambda name, dir_fd: os.mkfifo(name, dir_fd=dir_fd))
    assert "is no regular file" in refusal(directory, "a/b/file")


def test_a_closed_directory_opens_nothing_but_open_files_stay_readable(top: Path) -> None:
    descriptor = os.open(top, os.O_RDONLY)
    found = Directory(descriptor)
    os.close(descriptor)
    window = found.open("index.json")
    found.close()
    found.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        found.open("index.json")
    assert window.read() == b"{}"
    window.close()
