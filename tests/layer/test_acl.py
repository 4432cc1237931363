"""Access lists of new entries that are staged elsewhere, as the kernel computes them for one made in place (acl(5))."""

import itertools
import os
from pathlib import Path

import pytest

from tests.posix.acl import ACCESS, DEFAULT, acl
from unionfs.layer.acl import inherit, parse, permissions, with_permissions

LISTS = [
    acl(owner=7, group=5, other=5),
    acl(owner=6, group=4, other=0),
    acl(owner=7, group=5, other=1, users={1000: 7, 1001: 0}, mask=5),
    acl(owner=7, group=7, other=7, groups={50: 2}, mask=7),
    acl(owner=0, group=0, other=0, users={1: 7}, groups={2: 7}, mask=0),
    acl(owner=5, group=5, other=5, mask=1),
]
MODES = [0, 0o644, 0o777, 0o600, 0o751, 0o4755, 0o1777, 0o2070]


@pytest.mark.parametrize(("default", "mode"), list(itertools.product(LISTS, MODES)))
@pytest.mark.parametrize("directory", [False, True])
def test_an_entry_has_what_the_kernel_would_give_it(
    tmp_path: Path, default: bytes, mode: int, *, directory: bool
) -> None:
    os.setxattr(tmp_path, DEFAULT, default)
    entry = tmp_path / "entry"
    if directory:
        entry.mkdir(mode & 0o1777)
    else:
        os.close(os.open(entry, os.O_CREAT | os.O_WRONLY, mode & 0o777))
    asked = mode & (0o1777 if directory else 0o777)
    access, kept = inherit(default, asked)
    assert kept == entry.stat().st_mode & 0o7777
    expected = os.getxattr(entry, ACCESS) if ACCESS in os.listxattr(entry) else None
    assert access == expected


@pytest.mark.parametrize("listed", LISTS)
def test_a_list_says_the_permission_bits_that_the_kernel_shows(tmp_path: Path, listed: bytes) -> None:
    (tmp_path / "f").touch()
    os.setxattr(tmp_path / "f", ACCESS, listed)
    assert permissions(listed) == (tmp_path / "f").stat().st_mode & 0o777


@pytest.mark.parametrize(("listed", "mode"), list(itertools.product(LISTS, MODES)))
def test_a_list_follows_a_change_of_permissions_as_in_the_kernel(tmp_path: Path, listed: bytes, mode: int) -> None:
    (tmp_path / "f").touch()
    os.setxattr(tmp_path / "f", ACCESS, listed)
    extended = ACCESS in os.listxattr(tmp_path / "f")
    (tmp_path / "f").chmod(mode)
    if extended:
        assert with_permissions(listed, mode) == os.getxattr(tmp_path / "f", ACCESS)
    assert permissions(with_permissions(listed, mode)) == mode & 0o777


def test_set_id_bits_are_left_alone() -> None:
    assert inherit(LISTS[0], 0o6755)[1] & 0o7000 == 0o6000


@pytest.mark.parametrize("value", [b"", b"\2\0\0", b"\1\0\0\0", b"\2\0\0\0x", LISTS[0] + b"\0"])
def test_what_is_no_list_is_an_error(value: bytes) -> None:
    with pytest.raises(ValueError, match="access control list"):
        parse(value)
