"""What a mountpoint must be."""

import os
from pathlib import Path

import pytest

from tests.mount.connections import mount_connection
from tests.mounts import is_mounted, mount
from unionfs.mount import table
from unionfs.mount.errors import MountError
from unionfs.mount.mountpoint import open_mountpoint


def test_a_mountpoint_is_opened_by_its_resolved_path(mountpoint: Path) -> None:
    link = mountpoint.parent / "link"
    link.symlink_to("merged")
    place = open_mountpoint(os.fsencode(link))
    try:
        assert place.path == os.fsencode(mountpoint)
        assert os.path.samestat(os.fstat(place.fd), mountpoint.stat())
    finally:
        os.close(place.fd)


def test_a_directory_with_content_may_be_covered(mountpoint: Path) -> None:
    (mountpoint / "file").touch()
    os.close(open_mountpoint(os.fsencode(mountpoint)).fd)


@pytest.mark.parametrize(
    ("name", "reason"), [("absent", "does not exist"), ("file", "is not a directory"), ("dangling", "does not exist")]
)
def test_what_is_no_directory_is_refused_by_name(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(MountError, match=f"the mountpoint {tmp_path}/{name} {reason}"):
        open_mountpoint(os.fsencode(tmp_path / name))


def test_an_empty_path_is_shown_as_one() -> None:
    with pytest.raises(MountError, match="the mountpoint '' does not exist"):
        open_mountpoint(b"")


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "PATIENCE", 0.1)


@pytest.mark.usefixtures("short_patience")
def test_a_mount_of_ours_keeps_its_mountpoint_even_while_it_answers_nothing(mountpoint: Path) -> None:
    device_fd = mount_connection(mountpoint)
    try:
        with pytest.raises(MountError, match=f"the mountpoint {mountpoint} is busy"):
            open_mountpoint(os.fsencode(mountpoint))
        assert is_mounted(mountpoint)
    finally:
        os.close(device_fd)


def test_every_dead_mount_of_ours_on_a_mountpoint_is_cleared(mountpoint: Path) -> None:
    below, above = mount_connection(mountpoint), mount_connection(mountpoint)
    os.close(above)
    os.close(below)
    os.close(open_mountpoint(os.fsencode(mountpoint)).fd)
    assert not is_mounted(mountpoint)


def test_a_mount_of_another_type_may_be_covered(mountpoint: Path) -> None:
    mount("tmpfs", mountpoint, "tmpfs")
    os.close(open_mountpoint(os.fsencode(mountpoint)).fd)
    assert is_mounted(mountpoint)
