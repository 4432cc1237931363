"""The working directory: what is swept, what is left, which marks forbid a mount, and what it hands to nobody."""

import os
import stat
from pathlib import Path

import pytest

from tests.layer.opened import opened, opened_upper
from tests.posix.acl import ACCESS, DEFAULT, READ, WRITE, acl
from unionfs.layer.open_upper import UpperOptions
from unionfs.layer.ownership import Ownership
from unionfs.layer.upper import New
from unionfs.layer.workdir import WorkdirError

FOR_OTHERS = acl(owner=7, group=5, other=5, users={1234: 7}, mask=7)


def test_left_overs_of_an_earlier_mount_are_swept(tmp_path: Path) -> None:
    with opened_upper(tmp_path):
        pass
    work = tmp_path / "work/work"
    (work / "#1").write_bytes(b"half a copy")
    (work / "#2/deep/er").mkdir(parents=True)
    (work / "#2/deep/er/file").touch()
    (work / "dangling").symlink_to("nowhere")
    os.mknod(work / "#3", stat.S_IFCHR | 0o600, 0)
    with opened_upper(tmp_path):
        assert os.listdir(work) == ["unionfs-index"]


def test_what_others_keep_beside_work_is_left(tmp_path: Path) -> None:
    (tmp_path / "work/theirs").mkdir(parents=True)
    (tmp_path / "work/theirs/file").write_bytes(b"kept")
    with opened_upper(tmp_path):
        pass
    assert (tmp_path / "work/theirs/file").read_bytes() == b"kept"


def test_sweeping_follows_no_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").touch()
    (tmp_path / "work/work").mkdir(parents=True)
    (tmp_path / "work/work/link").symlink_to(tmp_path / "outside")
    with opened_upper(tmp_path):
        pass
    assert (tmp_path / "outside/file").exists()
    assert os.listdir(tmp_path / "work/work") == ["unionfs-index"]


def test_a_deep_left_over_is_swept_beyond_the_longest_path(tmp_path: Path) -> None:
    (tmp_path / "work/work").mkdir(parents=True)
    fd = os.open(tmp_path / "work/work", os.O_RDONLY)
    for _ in range(30):
        os.mkdir(b"x" * 200, dir_fd=fd)
        deeper = os.open(b"x" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    with opened_upper(tmp_path):
        assert os.listdir(tmp_path / "work/work") == ["unionfs-index"]


def test_a_volatile_mount_that_wasnt_ended_is_refused_by_name(tmp_path: Path) -> None:
    with opened(tmp_path, UpperOptions(volatile=True)):
        assert (tmp_path / "work/work/incompat/volatile").is_dir()
    with pytest.raises(WorkdirError, match="volatile and not unmounted cleanly"), opened(tmp_path):
        pass
    with opened(tmp_path, UpperOptions(take_over_volatile=True)):
        assert not (tmp_path / "work/work/incompat").exists()


def test_a_volatile_mount_that_ended_well_can_be_mounted_again(tmp_path: Path) -> None:
    with opened(tmp_path, UpperOptions(volatile=True)) as upper:
        upper.finish()
    with opened(tmp_path):
        assert not (tmp_path / "work/work/incompat").exists()


@pytest.mark.parametrize("take_over", [False, True])
def test_a_mark_that_isnt_known_forbids_the_mount(tmp_path: Path, *, take_over: bool) -> None:
    (tmp_path / "work/work/incompat/news").mkdir(parents=True)
    options = UpperOptions(take_over_volatile=take_over)
    with pytest.raises(WorkdirError, match="isn't known: incompat/news"), opened(tmp_path, options):
        pass


def test_the_index_of_overlayfs_forbids_the_mount(tmp_path: Path) -> None:
    (tmp_path / "work/index").mkdir(parents=True)
    with pytest.raises(WorkdirError, match="index=on"), opened(tmp_path):
        pass


def test_an_access_list_of_the_workdir_reaches_no_staged_entry(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    os.setxattr(tmp_path / "work", DEFAULT, FOR_OTHERS)
    with opened_upper(tmp_path) as upper:
        for type_bits in (stat.S_IFREG, stat.S_IFDIR):
            staged = upper.stage(New(Ownership(5, 5, 0o640, type_bits)))
            path = tmp_path / "work/work" / os.fsdecode(staged)
            assert {ACCESS, DEFAULT}.isdisjoint(os.listxattr(path))
            assert path.stat().st_mode & 0o7777 == 0o640


def test_an_access_list_of_the_parent_is_inherited(tmp_path: Path) -> None:
    with opened_upper(tmp_path) as upper:
        os.setxattr(tmp_path / "upper", DEFAULT, FOR_OTHERS)
        upper.make(upper.root, b"f", New(Ownership(5, 5, 0o660, stat.S_IFREG)), over_whiteout=False)
    expected = acl(owner=READ | WRITE, group=5, other=0, users={1234: 7}, mask=READ | WRITE)
    assert os.getxattr(tmp_path / "upper/f", ACCESS) == expected


def test_the_setgid_bit_of_the_workdir_reaches_no_staged_entry(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    os.chown(tmp_path / "work", 0, 77)
    (tmp_path / "work").chmod(0o2755)
    with opened_upper(tmp_path) as upper:
        for type_bits in (stat.S_IFREG, stat.S_IFDIR):
            staged = upper.stage(New(Ownership(0, 0, 0o750, type_bits)))
            found = (tmp_path / "work/work" / os.fsdecode(staged)).stat()
            assert (found.st_gid, found.st_mode & 0o7777) == (0, 0o750)
