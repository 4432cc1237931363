"""Opening an upper with its workdir: what is refused, by which sentence, and what is held while it is open."""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.layer.opened import opened
from tests.mounts import MS_BIND, MS_RDONLY, MS_REMOUNT, mount, unmount_or_detach
from tests.stacks import File, write
from tests.unions import open_descriptors
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.open_upper import UpperError, UpperOptions, open_upper

IMPATIENT = UpperOptions(patience=0)


@contextmanager
def mounted(source: str, place: Path, kind: str, flags: int = 0) -> Iterator[None]:
    mount(source, place, kind, flags)
    try:
        yield
    finally:
        unmount_or_detach(place)


def refusal(upper: Path, work: Path) -> str:
    """Give the sentence with which *upper* and *work* are refused, and nothing is left open."""
    before = open_descriptors()
    with pytest.raises(UpperError) as failure:
        open_upper(os.fsencode(upper), os.fsencode(work), Descriptors(MINIMUM), IMPATIENT)
    assert len(open_descriptors()) == len(before)
    assert failure.value.strerror
    return failure.value.strerror


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = Path(os.path.realpath(tmp_path))
    for name in ("upper", "work"):
        (path / name).mkdir()
    return path


def test_one_directory_cannot_be_both(place: Path) -> None:
    assert "the same directory" in refusal(place / "upper", place / "upper")


def test_neither_may_lie_in_the_other(place: Path) -> None:
    (place / "upper/in").mkdir()
    assert "workdir is in upperdir" in refusal(place / "upper", place / "upper/in")
    assert "upperdir is in workdir" in refusal(place / "upper/in", place / "upper")


def test_both_must_be_on_one_file_system(place: Path) -> None:
    with mounted("tmpfs", place / "work", "tmpfs"):
        assert "the same file system" in refusal(place / "upper", place / "work")


@pytest.mark.parametrize("bound", ["upper", "work"])
def test_both_must_be_on_one_mount(place: Path, bound: str) -> None:
    (place / "view").mkdir()
    with mounted(str(place / bound), place / "view", "none", MS_BIND):
        paths = {"upper": place / "upper", "work": place / "work"} | {bound: place / "view"}
        assert "the same mount" in refusal(paths["upper"], paths["work"])


def test_a_directory_with_both_that_is_a_mount_itself_is_fine(tmp_path: Path) -> None:
    place = Path(os.path.realpath(tmp_path)) / "mounted"
    place.mkdir()
    with mounted("tmpfs", place, "tmpfs"), opened(place) as upper:
        assert upper.upper.root.tree.confined


@pytest.mark.parametrize("missing", ["upper", "work"])
def test_what_is_missing_is_named(place: Path, missing: str) -> None:
    (place / missing).rmdir()
    before = open_descriptors()
    with pytest.raises(FileNotFoundError) as failure:
        open_upper(os.fsencode(place / "upper"), os.fsencode(place / "work"), Descriptors(MINIMUM), IMPATIENT)
    assert failure.value.filename == os.fsencode(place / missing)
    assert open_descriptors() == before


@pytest.mark.parametrize("shared", ["upper", "work"])
def test_what_another_mount_holds_is_refused_with_its_process(place: Path, shared: str) -> None:
    (place / "spare").mkdir()
    other = {"upper": place / "upper", "work": place / "work"}
    other["work" if shared == "upper" else "upper"] = place / "spare"
    with opened(place):
        sentence = refusal(other["upper"], other["work"])
    assert f"{place / shared} is in use by another mount (process {os.getpid()})" in sentence


def test_a_mount_that_is_about_to_let_go_is_waited_for(place: Path) -> None:
    held = os.open(place / "upper", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    release = threading.Timer(0.2, os.close, (held,))
    started = time.monotonic()
    release.start()
    with opened(place, UpperOptions(patience=20)):
        assert time.monotonic() - started > 0.15
    release.join()


def test_it_can_be_opened_again_when_it_was_given_up(place: Path) -> None:
    for _ in range(3):
        with opened(place, IMPATIENT):
            pass


def test_nothing_stays_open_when_it_was_given_up(place: Path) -> None:
    before = open_descriptors()
    descriptors = Descriptors(MINIMUM)
    open_upper(os.fsencode(place / "upper"), os.fsencode(place / "work"), descriptors, IMPATIENT).close()
    descriptors.close()
    assert open_descriptors() == before


def test_a_refusal_by_the_workdir_leaves_nothing_open(place: Path) -> None:
    (place / "work/index").mkdir()
    before = open_descriptors()
    with pytest.raises(OSError, match="index=on"):
        open_upper(os.fsencode(place / "upper"), os.fsencode(place / "work"), Descriptors(MINIMUM), IMPATIENT)
    assert open_descriptors() == before


def test_mounts_in_the_upper_do_not_show(place: Path) -> None:
    write(place / "upper", {"covered/own": File()})
    with mounted("tmpfs", place / "upper/covered", "tmpfs"):
        (place / "upper/covered/theirs").touch()
        with opened(place) as upper:
            assert list(upper.upper.root.child(b"covered").scan()) == [b"own"]


def test_the_upper_can_be_written_though_its_mount_is_private(place: Path) -> None:
    with opened(place) as upper:
        root = upper.upper.root
        assert root.tree.confined
        os.mkdir(b"made", dir_fd=root.fd())
    assert (place / "upper/made").is_dir()


def test_a_read_only_file_system_is_an_error(place: Path) -> None:
    with mounted("tmpfs", place, "tmpfs"):
        for name in ("upper", "work"):
            (place / name).mkdir()
        mount("tmpfs", place, "tmpfs", MS_RDONLY | MS_REMOUNT)
        before = open_descriptors()
        with pytest.raises(OSError, match=os.strerror(errno.EROFS)):
            open_upper(os.fsencode(place / "upper"), os.fsencode(place / "work"), Descriptors(MINIMUM), IMPATIENT)
        assert open_descriptors() == before
