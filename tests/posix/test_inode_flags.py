"""Flags that an inode has on disk: lsattr(1) and chattr(1), and the form that XFS brought.

Sources: ioctl_iflags(2); the kernel's overlayfs documentation: setting them is a change.
"""

import fcntl
import os
import struct
from errno import ENOTTY, EOPNOTSUPP, EPERM, EROFS
from pathlib import Path

import pytest

from tests.posix.place import Place
from tests.posix.processes import as_user
from tests.posix.table import OURS, errno_of, row
from tests.stacks import Directory, File, Layer

GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602
GET_FSXATTR, SET_FSXATTR = 0x801C581F, 0x401C5820
IMMUTABLE, APPEND_ONLY, NODUMP = 0x10, 0x20, 0x40
XFLAG_NODUMP = 0x80
BOTTOM: Layer = {"f": File(b"x"), "d": Directory()}
UPPER: Layer = {"u": File(b"y"), "v": Directory()}
NO_IOCTL = "pyfuse3 has no handler for ioctl"


def asked(path: Path, command: int, value: bytes) -> bytes:
    """Give what ioctl(2) answers on the file or directory. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return fcntl.ioctl(descriptor, command, value)
    finally:
        os.close(descriptor)


def flags(path: Path) -> int:
    """Give the flags of ioctl_iflags(2)."""
    return int(struct.unpack("=I", asked(path, GET_FLAGS, bytes(4)))[0])


def set_flags(path: Path, value: int) -> None:
    """Set the flags of ioctl_iflags(2)."""
    asked(path, SET_FLAGS, struct.pack("=I", value))


def extended_flags(path: Path) -> int:
    """Give the flags of struct fsxattr."""
    return int(struct.unpack_from("=I", asked(path, GET_FSXATTR, bytes(28)))[0])


@row(bottom=BOTTOM, upper=UPPER, expected={"pyfuse3": ENOTTY, "default": 0}, because=NO_IOCTL)
def test_flags_are_those_of_the_file_beneath(place: Place) -> None:
    for name in ("f", "d", "u", "v"):
        outcome = errno_of(flags, place / name), errno_of(extended_flags, place / name)
        assert outcome == (place.expected, place.expected)
        if place.is_on("union") and not place.expected:
            beneath = (place.lowers["bottom"] if name in BOTTOM else place.upper) / name
            assert flags(place / name) == flags(beneath)
            assert extended_flags(place / name) == extended_flags(beneath)


@pytest.mark.parametrize("name", ["f", "d", "u", "v"])
@row(bottom=BOTTOM, upper=UPPER, expected={"pyfuse3": ENOTTY, "default": 0}, because=NO_IOCTL)
def test_flags_are_set_on_what_is_copied_up(place: Place, name: str) -> None:
    if place.expected:
        assert errno_of(set_flags, place / name, NODUMP) == place.expected
        return
    set_flags(place / name, flags(place / name) | NODUMP)
    assert flags(place / name) & NODUMP
    assert extended_flags(place / name) & XFLAG_NODUMP
    value = bytearray(asked(place / name, GET_FSXATTR, bytes(28)))
    value[:4] = bytes(4)
    asked(place / name, SET_FSXATTR, bytes(value))
    assert not flags(place / name) & NODUMP
    set_flags(place / name, flags(place / name) | NODUMP)
    if place.is_on("union"):
        assert flags(place.upper / name) & NODUMP
        assert name in UPPER or not flags(place.lowers["bottom"] / name) & NODUMP


@row(bottom=BOTTOM, upper=UPPER)
def test_flags_are_set_by_the_owner_alone(place: Place) -> None:
    for name in ("f", "d", "u", "v"):
        path = place / name
        assert as_user(lambda path=path: errno_of(set_flags, path, NODUMP)) in {EPERM, ENOTTY}  # type: ignore[misc] # a default binds the loop's value
    assert not place.is_on("union") or not place.is_in_upper("f")


@row(bottom=BOTTOM, read_only=True)
def test_no_flags_are_set_on_a_read_only_mount(place: Place) -> None:
    for name in ("f", "d"):
        assert errno_of(set_flags, place / name, NODUMP) == EROFS


@row(bottom=BOTTOM, expected={"pyfuse3": ENOTTY, "default": EPERM}, because=NO_IOCTL, on=OURS)
def test_nothing_is_made_immutable_which_overlayfs_would_only_record(place: Place) -> None:
    for flag in (IMMUTABLE, APPEND_ONLY):
        for name in ("f", "d"):
            assert errno_of(set_flags, place / name, flag) == place.expected


@row(bottom=BOTTOM, upper=UPPER)
def test_other_requests_are_unknown(place: Place) -> None:
    for name in ("f", "d", "u", "v"):
        for command in (0x1234, 0x5401):
            assert errno_of(asked, place / name, command, bytes(64)) in {ENOTTY, EOPNOTSUPP}
