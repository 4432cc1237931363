"""What an upper can keep is found by trying it, and the probes leave nothing behind."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.layer.opened import opened_lower
from tests.mounts import mount, unmount_or_detach
from unionfs.layer import private_xattrs
from unionfs.layer.abilities import WhiteoutForm, probe
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.linux import rename


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Directory]:
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    descriptors = Descriptors(MINIMUM)
    yield Directory(Tree(descriptors, os.fstat(fd).st_dev, position=-1, confined=False), None, b"", fd)
    descriptors.close()
    os.close(fd)


def test_root_on_an_ordinary_file_system_can_do_all(work: Directory) -> None:
    found = probe(work, user_namespace=False, prefix_whiteouts=False)
    assert found.namespace == private_xattrs.TRUSTED
    assert found.whiteouts is WhiteoutForm.DEVICE
    assert found.user_xattrs
    assert found.owners
    assert found.devices
    assert found.exchange
    assert found.noreplace
    assert os.listdir(work.path()) == []


def test_what_is_asked_for_is_used(work: Directory) -> None:
    found = probe(work, user_namespace=True, prefix_whiteouts=True)
    assert found.namespace == private_xattrs.USER
    assert found.whiteouts is WhiteoutForm.PREFIX
    assert os.listdir(work.path()) == []


def test_left_overs_of_a_probe_that_was_killed_do_no_harm(work: Directory, tmp_path: Path) -> None:
    for name in ("#probe", "#probe2", "#probe3", ".wh.#probe"):
        (tmp_path / name).touch()
    probe(work, user_namespace=False, prefix_whiteouts=True)
    assert os.listdir(work.path()) == []


def test_a_file_system_without_flags_of_rename_has_prefixed_whiteouts(
    work: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS answers, and a file system in user space that knows no renameat2."""
    plain = rename._renameat2

    def without_flags(source_fd: int, source: bytes, target_fd: int, target: bytes, flags: int) -> int:
        if flags:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return int(plain(source_fd, source, target_fd, target, flags))

    monkeypatch.setattr(rename, "_renameat2", without_flags)
    found = probe(work, user_namespace=False, prefix_whiteouts=False)
    assert not found.exchange
    assert not found.noreplace
    assert found.whiteouts is WhiteoutForm.PREFIX
    assert os.listdir(work.path()) == []


def test_fuse_overlayfs_takes_whiteouts_in_attribute_form_alone(tmp_path: Path) -> None:
    """It answers a device 0:0 with ENOENT, and a ``.wh.`` name with EINVAL."""
    place = Path(os.path.realpath(tmp_path)) / "merged"
    for name in ("lower", "upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    subprocess.run(["fuse-overlayfs", "-o", options, place], check=True, capture_output=True)
    try:
        fd = os.open(place, os.O_PATH | os.O_DIRECTORY)
        try:
            root = Directory(Tree(Descriptors(MINIMUM), 0, position=-1, confined=False), None, b"", fd)
            found = probe(root, user_namespace=False, prefix_whiteouts=False)
        finally:
            os.close(fd)
        assert found.whiteouts is WhiteoutForm.ATTRIBUTE
        assert found.devices
        assert os.listdir(place) == []
    finally:
        assert unmount_or_detach(place)


def test_a_full_file_system_is_an_error_and_no_ability(tmp_path: Path) -> None:
    place = Path(os.path.realpath(tmp_path)) / "memory"
    place.mkdir()
    mount("tmpfs", place, "tmpfs", options="nr_inodes=1")
    descriptors = Descriptors(MINIMUM)
    fd = os.open(place, os.O_PATH | os.O_DIRECTORY)
    try:
        work = Directory(Tree(descriptors, 0, position=-1, confined=False), None, b"", fd)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            probe(work, user_namespace=False, prefix_whiteouts=False)
    finally:
        os.close(fd)
        unmount_or_detach(place)


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with opened_lower(tmp_path) as root, pytest.raises(OSError, match=os.strerror(errno.EROFS)):
        probe(root, user_namespace=False, prefix_whiteouts=False)
