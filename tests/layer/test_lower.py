"""Opening a directory as a read-only layer, isolated from what else is mounted and from what others do to it."""

import os
import stat
from errno import EACCES, ELOOP, EROFS
from pathlib import Path

import pytest

from tests.layer.opened import opened_lower
from tests.mounts import mount, unmount_or_detach
from tests.stacks import Device, File, Symlink, write
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.lower import clone_or_same, open_directory, open_lower


@pytest.mark.parametrize("kind", ["missing", "file", "dangling"])
def test_what_is_no_directory_is_refused_and_nothing_left_open(tmp_path: Path, kind: str) -> None:
    write(tmp_path, {"file": File(), "dangling": Symlink("nowhere")})
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=kind):
        open_lower(os.fsencode(tmp_path / kind), 0, Descriptors(MINIMUM))
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_link_that_the_caller_wrote_is_followed(tmp_path: Path) -> None:
    write(tmp_path, {"layer/f": File(), "link": Symlink("layer")})
    with opened_lower(tmp_path / "link") as root:
        assert list(root.scan()) == [b"f"]
        (tmp_path / "link").unlink()
        assert root.has(b"f")


def test_the_clone_cannot_be_written(tmp_path: Path) -> None:
    write(tmp_path, {"f": File(b"x")})
    with opened_lower(tmp_path) as root:
        for attempt in (
            lambda: root.open(b"f", os.O_WRONLY),
            lambda: os.mkdir(b"d", dir_fd=root.fd()),
            lambda: os.unlink(b"f", dir_fd=root.fd()),
            lambda: os.utime(b"f", (0, 0), dir_fd=root.fd()),
        ):
            with pytest.raises(OSError, match=os.strerror(EROFS)):
                attempt()
    assert (tmp_path / "f").read_bytes() == b"x"


def test_reading_leaves_access_times_alone(tmp_path: Path) -> None:
    write(tmp_path, {"f": File(b"x"), "d/g": File()})
    for path in ("f", "d"):
        os.utime(tmp_path / path, ns=(1, 2))
    with opened_lower(tmp_path) as root:
        fd = root.open(b"f", os.O_RDONLY)
        os.read(fd, 1)
        os.close(fd)
        root.child(b"d").scan()
    assert [(tmp_path / path).stat().st_atime_ns for path in ("f", "d")] == [1, 1]


def test_what_is_mounted_in_it_does_not_show(tmp_path: Path) -> None:
    layer = Path(os.path.realpath(tmp_path))
    write(layer, {"covered/own": File()})
    mount("tmpfs", layer / "covered", "tmpfs")
    try:
        (layer / "covered/theirs").touch()
        with opened_lower(layer) as root:
            assert list(root.child(b"covered").scan()) == [b"own"]
            assert root.tree.confined
    finally:
        unmount_or_detach(layer / "covered")


def test_a_device_in_the_place_of_a_file_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, {"null": Device(stat.S_IFCHR, 1, 3)})
    with opened_lower(tmp_path) as root, pytest.raises(PermissionError) as failure:
        root.open(b"null", os.O_RDONLY)
    assert failure.value.errno == EACCES


def test_a_link_in_the_place_of_a_file_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path, {"link": Symlink("/etc/hostname")})
    with opened_lower(tmp_path) as root, pytest.raises(OSError, match=os.strerror(ELOOP)):
        root.open(b"link", os.O_RDONLY)


def test_a_clone_takes_the_place_of_the_descriptor(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    clone, confined = clone_or_same(open_directory(os.fsencode(tmp_path)), read_only=True)
    assert confined
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    assert os.path.samestat(os.fstat(clone), tmp_path.stat())
    os.close(clone)
