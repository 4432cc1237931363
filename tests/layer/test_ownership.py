"""``override_stat``: its text (containers-storage, pkg/idtools; fuse-overlayfs) and what it makes an entry show."""

import os
import stat
from pathlib import Path

import pytest

from tests.layer.opened import opened_lower
from unionfs.layer.ownership import Ownership

OVERRIDE = "user.containers.override_stat"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1:2:0644", Ownership(1, 2, 0o644)),
        (b"0:0:4755:file", Ownership(0, 0, 0o4755, stat.S_IFREG)),
        (b"0:0:0755:dir", Ownership(0, 0, 0o755, stat.S_IFDIR)),
        (b"0:0:0777:symlink", Ownership(0, 0, 0o777, stat.S_IFLNK)),
        (b"0:0:0600:pipe", Ownership(0, 0, 0o600, stat.S_IFIFO)),
        (b"0:0:0600:socket", Ownership(0, 0, 0o600, stat.S_IFSOCK)),
        (b"0:6:0660:block-8-1", Ownership(0, 6, 0o660, stat.S_IFBLK, os.makedev(8, 1))),
        (b"0:5:0620:char-4095-1048575", Ownership(0, 5, 0o620, stat.S_IFCHR, os.makedev(4095, 1048575))),
        (b"4294967294:4294967294:7777", Ownership(0xFFFFFFFE, 0xFFFFFFFE, 0o7777)),
        (b"1:2:100644", Ownership(1, 2, 0o644)),
        (b"1:2:0100644", Ownership(1, 2, 0o644)),
        (b"0:6:660:block8:1", Ownership(0, 6, 0o660, stat.S_IFBLK, os.makedev(8, 1))),
        (b"0:6:666:char1:3", Ownership(0, 6, 0o666, stat.S_IFCHR, os.makedev(1, 3))),
        (b"0:6:0666:char-1-3-later", Ownership(0, 6, 0o666, stat.S_IFCHR, os.makedev(1, 3))),
        (b"1:2:0644:file:later", Ownership(1, 2, 0o644, stat.S_IFREG)),
        (b"-1:2:644", Ownership(0xFFFFFFFF, 2, 0o644)),
        (b"-1294967296:-2147483648:644", Ownership(3000000000, 1 << 31, 0o644)),
    ],
)
def test_the_attributes_text_is_read(text: bytes, expected: Ownership) -> None:
    assert Ownership.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"", b"1:2", b"1:2:", b"1:2:0648", b"1:2:0644:", b"1:2:0644:door", b"1:2:0644:filename", b" 1:2:0644",
        b"1:2:0644\n", b"-0:2:0644", b"-2147483649:2:0644", b"+1:2:0644", b"4294967295:0:0644", b"0:4294967296:0644",
        b"1:2:0644:block", b"1:2:0644:char-1", b"1:2:0644:char13", b"0:0:0644:char-4096-0",
        b"0:0:0644:block-0-1048576", b"0:0:0644:char-9999999999-1", "\u0661:2:0644".encode(), b"1:2:0644\0",
    ],
)  # fmt: skip
def test_what_does_not_follow_the_grammar_has_no_effect(text: bytes) -> None:
    assert Ownership.parse(text) is None


@pytest.mark.parametrize(
    "ownership",
    [
        Ownership(1, 2, 0o644),
        Ownership(0, 0, 0, stat.S_IFREG),
        Ownership(7, 8, 0o7777, stat.S_IFDIR),
        Ownership(0, 0, 0o600, stat.S_IFBLK, os.makedev(300, 70000)),
    ],
)
def test_what_is_written_reads_back(ownership: Ownership) -> None:
    assert Ownership.parse(ownership.text()) == ownership


def test_a_file_shows_the_device_that_it_stands_for(tmp_path: Path) -> None:
    (tmp_path / "null").touch()
    os.setxattr(tmp_path / "null", OVERRIDE, b"5:6:0620:char-1-3")
    with opened_lower(tmp_path) as root:
        shown, _ = root.examine(b"null")
    assert (shown.uid, shown.gid, shown.mode, shown.rdev) == (5, 6, stat.S_IFCHR | 0o620, os.makedev(1, 3))


def test_a_text_without_type_keeps_the_entrys_own(tmp_path: Path) -> None:
    os.setxattr(tmp_path, OVERRIDE, b"5:6:0711")
    with opened_lower(tmp_path) as root:
        shown, _ = root.examine()
    assert (shown.uid, shown.gid, shown.mode) == (5, 6, stat.S_IFDIR | 0o711)


def test_an_id_that_was_left_as_it_is_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    os.chown(tmp_path / "f", 7, 8)
    os.setxattr(tmp_path / "f", OVERRIDE, b"-1:5:600")
    with opened_lower(tmp_path) as root:
        shown, _ = root.examine(b"f")
    assert (shown.uid, shown.gid, shown.mode) == (7, 5, stat.S_IFREG | 0o600)


def test_what_is_no_file_stands_for_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    os.setxattr(tmp_path / "d", OVERRIDE, b"5:6:0711:char-1-3")
    os.mknod(tmp_path / "f")
    os.setxattr(tmp_path / "f", OVERRIDE, b"5:6:0711:dir")
    with opened_lower(tmp_path) as root:
        directory, file = root.examine(b"d")[0], root.examine(b"f")[0]
    assert (directory.uid, directory.mode, directory.rdev) == (5, stat.S_IFDIR | 0o711, 0)
    assert (file.uid, file.mode) == (5, stat.S_IFREG | 0o711)


def test_a_device_number_that_no_device_has_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "f").chmod(0o604)
    os.setxattr(tmp_path / "f", OVERRIDE, b"0:0:0666:char-9999999999-1")
    with opened_lower(tmp_path) as root:
        shown, _ = root.examine(b"f")
    assert (shown.mode, shown.size) == (stat.S_IFREG | 0o604, 1)
