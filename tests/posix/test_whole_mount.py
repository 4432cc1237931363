"""What a mount says of itself, and services that go past reading and writing.

Sources: statfs(2), name_to_handle_at(2), inotify(7).
"""

import os
from errno import EOPNOTSUPP

from tests.posix.inotify import watching
from tests.posix.place import Place
from tests.posix.syscalls import file_handle, statfs_type
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import Directory, File, HardLink

FUSE_MAGIC, OVERLAY_MAGIC = 0x65735546, 0x794C7630


@row(bottom={"f": File()}, on=UNIONS)
def test_statfs_gives_the_numbers_of_the_upper(place: Place) -> None:
    shown, upper = os.statvfs(place / "f"), os.statvfs(place.stack.directory)
    assert (shown.f_blocks, shown.f_bsize, shown.f_files) == (upper.f_blocks, upper.f_bsize, upper.f_files)
    assert shown.f_namemax == 255
    assert not shown.f_flag & os.ST_RDONLY


@row(
    bottom={"f": File()},
    on=UNIONS,
    expected={"kernel": OVERLAY_MAGIC, "default": FUSE_MAGIC},
    because="each file system has its own number, and callers tell a FUSE mount by it",
)
def test_statfs_gives_the_magic_number(place: Place) -> None:
    assert statfs_type(place.path) == place.expected


@row(bottom={"f": File(b"x"), "d": Directory(), "g": File()})
def test_a_file_handle_is_refused_or_stays_the_same(place: Place) -> None:
    outcome = errno_of(file_handle, place / "f")
    assert outcome in {0, EOPNOTSUPP}
    if outcome == 0:
        before = file_handle(place / "f")
        (place / "f").write_bytes(b"copied up")
        assert file_handle(place / "f") == before
        assert file_handle(place / "g") != before


@row(bottom={"d/old": File(b"x"), "d/gone": File()})
def test_changes_through_the_mount_are_notified(place: Place) -> None:
    with watching(place / "d") as events:
        (place / "d/new").touch()
        (place / "d/old").write_bytes(b"y")
        (place / "d/old").rename(place / "d/moved")
        (place / "d/gone").unlink()
        (place / "d/dir").mkdir()
        (place / "d/moved").chmod(0o600)
        seen = events()
    for event in [
        ("CREATE", "new"), ("MODIFY", "old"), ("CLOSE_WRITE", "old"), ("MOVED_FROM", "old"), ("MOVED_TO", "moved"),
        ("DELETE", "gone"), ("CREATE", "dir"), ("ATTRIB", "moved"),
    ]:  # fmt: skip
        assert event in seen


@row(bottom={"a": File(b"x"), "b": HardLink("a")})
def test_a_watched_lower_file_is_still_watched_after_copy_up(place: Place) -> None:
    (place / "a").stat()
    with watching(place / "a") as events:
        (place / "a").write_bytes(b"y")
        (place / "a").chmod(0o600)
        seen = {kind for kind, _ in events()}
    assert {"MODIFY", "CLOSE_WRITE", "ATTRIB"} <= seen
