"""chmod, chown and utimensat: exact values, and what they do to set-id bits, capabilities and ctime.

Sources: POSIX chmod(), chown(), futimens(); chown(2), capabilities(7).
"""

import os
import stat
import struct
import time
from collections.abc import Callable
from errno import ENODATA, EPERM
from pathlib import Path

import pytest

from tests.posix.place import Place
from tests.posix.processes import as_user
from tests.posix.syscalls import STATX_BASIC_STATS, STATX_BTIME, statx
from tests.posix.table import errno_of, row
from tests.stacks import Directory, Fifo, File, Layer

KINDS: Layer = {"low": File(b"x"), "dir": Directory(), "fifo": Fifo()}
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
USER = 1234


@row(bottom=KINDS, upper={"up": File(b"x")})
def test_every_mode_bit_is_kept(place: Place) -> None:
    for name in place.names():
        for mode in (0, 0o111, 0o777, 0o1777, 0o2755, 0o4711, 0o7777, 0o640):
            (place / name).chmod(mode)
            assert stat.S_IMODE((place / name).stat().st_mode) == mode


@row(bottom=KINDS, upper={"up": File(b"x")})
def test_owner_and_group_are_changed_together_or_alone(place: Place) -> None:
    for name in place.names():
        os.chown(place / name, 4_000_000_000, 3_000_000_000)
        assert _owner(place / name) == (4_000_000_000, 3_000_000_000)
        os.chown(place / name, 5, -1)
        assert _owner(place / name) == (5, 3_000_000_000)
        os.chown(place / name, -1, 6)
        assert _owner(place / name) == (5, 6)


def _owner(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


TIMES = {
    "nanoseconds": 1_234_567_890_123_456_789,
    "epoch": 0,
    "before 1970": -1_500_000_000,
    "long before 1970": -1_000_000_000_123_456_789,
    "after 2038": 3_000_000_000_987_654_321,
    "after 2106": 5_000_000_000_000_000_001,
}


@pytest.mark.parametrize("moment", TIMES.values(), ids=TIMES.keys())
@row(bottom=KINDS, upper={"up": File(b"x")})
def test_times_are_kept_to_the_nanosecond(place: Place, moment: int) -> None:
    for name in place.names():
        os.utime(place / name, ns=(moment + 1, moment))
        found = (place / name).stat()
        assert (found.st_atime_ns, found.st_mtime_ns) == (moment + 1, moment)


@row(bottom={"old": File(b"x", mtime_ns=-1_500_000_000), "far": File(b"x", mtime_ns=8_000_000_000_000_000_001)})
def test_odd_times_of_a_lower_file_are_shown_and_copied_up(place: Place) -> None:
    assert (place / "old").stat().st_mtime_ns == -1_500_000_000
    assert (place / "far").stat().st_mtime_ns == 8_000_000_000_000_000_001
    for name in ("old", "far"):
        (place / name).chmod(0o600)
    assert (place / "old").stat().st_mtime_ns == -1_500_000_000
    assert (place / "far").stat().st_mtime_ns == 8_000_000_000_000_000_001


@row(bottom=KINDS)
def test_times_are_set_to_now_when_none_are_given(place: Place) -> None:
    for name in place.names():
        before = time.time_ns()
        os.utime(place / name)
        found = (place / name).stat()
        # File systems take the time of the last timer tick.
        assert before - 20_000_000 <= found.st_mtime_ns <= time.time_ns()
        assert found.st_atime_ns == found.st_mtime_ns


CHANGES: dict[str, Callable[[Path], object]] = {
    "chmod": lambda path: path.chmod(0o600),
    "chown": lambda path: os.chown(path, 5, 6),
    "utimes": lambda path: os.utime(path, ns=(1, 2)),
    "setxattr": lambda path: os.setxattr(path, "user.k", b"v"),
    "link": lambda path: os.link(path, path.with_name("linked")),
    "rename": lambda path: path.rename(path.with_name("moved")),
    "write": lambda path: path.write_bytes(b"new"),
    "truncate": lambda path: os.truncate(path, 0),
}


@pytest.mark.parametrize("change", CHANGES)
@row(bottom={"f": File(b"x")}, upper={"u": File(b"x")})
def test_each_change_of_a_file_changes_its_ctime(place: Place, change: str) -> None:
    for name in ("f", "u"):
        (place / name).chmod(0o644)
        before = (place / name).stat().st_ctime_ns
        time.sleep(0.02)
        CHANGES[change](place / name)
        moved = place / ("moved" if change == "rename" else name)
        assert moved.stat().st_ctime_ns > before
        for leftover in ("linked", "moved"):
            (place / leftover).unlink(missing_ok=True)


SET_ID: Layer = {
    "program": File(b"x", mode=0o6755, uid=USER, gid=USER),
    "no_exec": File(b"x", mode=0o2644, uid=USER, gid=USER),
}


@pytest.mark.parametrize("change", ["write", "truncate", "chown"])
@row(bottom=SET_ID)
def test_a_change_by_an_ordinary_user_clears_set_id_bits(place: Place, change: str) -> None:
    changes: dict[str, Callable[[], object]] = {
        "write": lambda: (place / "program").open("ab", buffering=0).write(b"y"),
        "truncate": lambda: os.truncate(place / "program", 0),
        "chown": lambda: os.chown(place / "program", -1, USER),
    }
    as_user(lambda: changes[change]() and None, uid=USER, gid=USER)
    assert stat.S_IMODE((place / "program").stat().st_mode) == 0o755


@row(bottom=SET_ID)
def test_a_write_by_root_keeps_set_id_bits(place: Place) -> None:
    with (place / "program").open("ab") as file:
        file.write(b"y")
    assert stat.S_IMODE((place / "program").stat().st_mode) == 0o6755


@row(
    bottom=SET_ID,
    expected={"pyfuse3": 0o755, "default": 0o6755},
    because="with pyfuse3 a write isn't told from whom it comes, and whoever opened the file counts",
)
def test_a_write_by_root_through_a_users_descriptor_keeps_set_id_bits(place: Place) -> None:
    descriptor = _opened_by(place / "program", USER)
    try:
        os.write(descriptor, b"y")
    finally:
        os.close(descriptor)
    assert stat.S_IMODE((place / "program").stat().st_mode) == place.expected


@row(bottom=SET_ID)
def test_a_write_by_a_user_through_roots_descriptor_clears_set_id_bits(place: Place) -> None:
    descriptor = os.open(place / "program", os.O_WRONLY)
    try:
        as_user(lambda: os.write(descriptor, b"y"), uid=USER, gid=USER)
    finally:
        os.close(descriptor)
    assert stat.S_IMODE((place / "program").stat().st_mode) == 0o755


def _opened_by(path: Path, user: int) -> int:
    """Open the file as that user, for this process."""
    os.seteuid(user)
    try:
        return os.open(path, os.O_WRONLY)
    finally:
        os.seteuid(0)


@row(bottom=SET_ID)
def test_a_chown_by_root_clears_them_on_programs_but_not_mandatory_locking(place: Place) -> None:
    for name in SET_ID:
        os.chown(place / name, 5, 6)
    assert stat.S_IMODE((place / "program").stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "no_exec").stat().st_mode) == 0o2644


@row(bottom={"f": File(mode=0o644, uid=USER, gid=99)})
def test_chmod_by_a_user_outside_the_group_drops_the_set_group_id_bit(place: Place) -> None:
    as_user(lambda: os.chmod(place / "f", 0o2755), uid=USER, gid=USER)
    assert stat.S_IMODE((place / "f").stat().st_mode) == 0o755
    as_user(lambda: os.chmod(place / "f", 0o2755), uid=USER, gid=USER, groups=(99,))
    assert stat.S_IMODE((place / "f").stat().st_mode) == 0o2755


@pytest.mark.parametrize("name", ["low", "up"])
@row(
    bottom={"low": File(b"x", mode=0o755, xattrs={"security.capability": CAPABILITY})},
    upper={"up": File(b"x", mode=0o755, xattrs={"security.capability": CAPABILITY})},
)
def test_file_capabilities_outlive_chmod_and_end_with_a_change_of_content_or_owner(place: Place, name: str) -> None:
    path = place / name
    removers: list[Callable[[], object]] = [
        lambda: path.open("ab", buffering=0).write(b"y"),
        lambda: os.truncate(path, 0),
        lambda: os.chown(path, 5, 6),
    ]
    for remove in removers:
        path.chmod(0o700)
        assert os.getxattr(path, "security.capability") == CAPABILITY
        remove()
        assert errno_of(os.getxattr, path, "security.capability") == ENODATA
        os.setxattr(path, "security.capability", CAPABILITY)


@row(bottom={"f": File(uid=USER, gid=USER), "other": File()})
def test_only_the_owner_or_root_changes_attributes(place: Place) -> None:
    assert as_user(lambda: errno_of(os.chmod, place / "other", 0o777)) == EPERM
    assert as_user(lambda: errno_of(os.utime, place / "other", ns=(1, 2))) == EPERM
    assert as_user(lambda: errno_of(os.chown, place / "other", -1, -1), uid=USER, gid=USER) == 0
    assert as_user(lambda: errno_of(os.chown, place / "f", 5, -1), uid=USER, gid=USER) == EPERM
    assert as_user(lambda: errno_of(os.chown, place / "f", -1, 5), uid=USER, gid=USER) == EPERM
    assert as_user(lambda: errno_of(os.chown, place / "f", -1, 5), uid=USER, gid=USER, groups=(5,)) == 0
    assert as_user(lambda: errno_of(os.utime, place / "f", ns=(1, 2)), uid=USER, gid=USER) == 0
    assert _owner(place / "f") == (USER, 5)


@row(
    bottom={"f": File()},
    upper={"u": File()},
    expected={"pyfuse3": False, "default": True},
    because="the FUSE protocol gives the time of birth to statx alone, which pyfuse3 doesn't handle",
)
def test_statx_tells_what_it_knows(place: Place) -> None:
    for name in ("f", "u", "."):
        found = statx(place / name, STATX_BASIC_STATS | STATX_BTIME)
        assert found.mask & STATX_BASIC_STATS == STATX_BASIC_STATS
        assert bool(found.mask & STATX_BTIME) == place.expected
        if place.expected:
            assert abs(time.time_ns() - found.btime_ns) < 3600 * 10**9
        if place.expected and place.is_on("union") and name != ".":
            beneath = place.lowers["bottom"] if name == "f" else place.upper
            assert found.btime_ns == statx(beneath / name, STATX_BTIME).btime_ns
