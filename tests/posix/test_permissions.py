"""Who may do what: mode bits, sticky directories, groups, access(2).

Sources: POSIX, "File Access Permissions"; unlink(), rename() for sticky directories.
"""

import os
from errno import EACCES, EPERM

import pytest

from tests.posix.place import Place
from tests.posix.processes import NOBODY, as_user, in_child
from tests.posix.syscalls import AT_EACCESS, access
from tests.posix.table import errno_of, row
from tests.stacks import WHITEOUT, Directory, File, Layer, Symlink

OWNER, GROUP = 1000, 2000


@pytest.mark.parametrize("name", ["low", "up"])
@row(
    bottom={"low": File(b"x", mode=0o640, uid=OWNER, gid=GROUP)},
    upper={"up": File(b"x", mode=0o640, uid=OWNER, gid=GROUP)},
)
def test_owner_group_and_others_have_their_bits(place: Place, name: str) -> None:
    path = place / name

    def attempts() -> list[int]:
        opened = [errno_of(os.open, path, flags) for flags in (os.O_RDONLY, os.O_WRONLY | os.O_APPEND, os.O_RDWR)]
        return opened + [errno_of(access, path, mode) for mode in (os.R_OK, os.W_OK, os.X_OK)]

    assert as_user(attempts, uid=OWNER) == [0, 0, 0, 0, 0, EACCES]
    assert as_user(attempts, gid=GROUP) == [0, EACCES, EACCES, 0, EACCES, EACCES]
    assert as_user(attempts, groups=(GROUP,)) == [0, EACCES, EACCES, 0, EACCES, EACCES]
    assert as_user(attempts) == [EACCES] * 6


@row(bottom={"f": File(mode=0o077, uid=OWNER, gid=GROUP), "g": File(mode=0o707, uid=1, gid=GROUP)})
def test_the_first_class_that_matches_decides(place: Place) -> None:
    assert as_user(lambda: errno_of(os.open, place / "f", os.O_RDONLY), uid=OWNER) == EACCES
    assert as_user(lambda: errno_of(os.open, place / "g", os.O_RDONLY), gid=GROUP) == EACCES
    assert as_user(lambda: errno_of(os.open, place / "g", os.O_RDONLY)) == 0


@row(bottom={"d": Directory(mode=0o700, uid=OWNER), "d/f": File(mode=0o666), "x": Directory(mode=0o711), "x/f": File(),
             "r": Directory(mode=0o744), "r/f": File()})  # fmt: skip
def test_a_directory_is_searched_listed_and_written_by_its_bits(place: Place) -> None:
    assert as_user(lambda: errno_of(os.stat, place / "d/f")) == EACCES
    assert as_user(lambda: errno_of(os.listdir, place / "d")) == EACCES
    assert as_user(lambda: errno_of(os.stat, place / "x/f")) == 0
    assert as_user(lambda: errno_of(os.listdir, place / "x")) == EACCES
    assert as_user(lambda: errno_of(os.stat, place / "r/f")) == EACCES
    assert as_user(lambda: os.listdir(place / "r")) == ["f"]
    assert as_user(lambda: errno_of(os.unlink, place / "x/f")) == EACCES
    assert as_user(lambda: os.listdir(place / "d"), uid=OWNER) == ["f"]


@row(bottom={"d": Directory(mode=0o711, uid=OWNER)}, middle={"d": Directory(mode=0o700, uid=OWNER), "d/f": File()})
def test_a_merged_directory_is_guarded_by_the_topmost_alone(place: Place) -> None:
    assert as_user(lambda: errno_of(os.stat, place / "d/f")) == EACCES


STICKY: Layer = {
    "d": Directory(mode=0o1777),
    "d/others": File(uid=1),
    "d/mine": File(uid=OWNER),
    "d/dir": Directory(uid=1),
    "own": Directory(mode=0o1777, uid=OWNER),
    "own/others": File(uid=1),
}


@row(bottom=STICKY)
def test_in_a_sticky_directory_only_owners_remove_and_rename(place: Place) -> None:
    def attempts() -> dict[str, int]:
        return {
            "unlink": errno_of(os.unlink, place / "d/others"),
            "rmdir": errno_of(os.rmdir, place / "d/dir"),
            "rename": errno_of(os.rename, place / "d/others", place / "d/new"),
            "replace": errno_of(os.rename, place / "d/mine", place / "d/others"),
            "own rename": errno_of(os.rename, place / "d/mine", place / "d/renamed"),
            "own unlink": errno_of(os.unlink, place / "d/renamed"),
            "in own directory": errno_of(os.unlink, place / "own/others"),
        }

    refused = dict.fromkeys(("unlink", "rmdir", "rename", "replace"), EPERM)
    assert as_user(attempts, uid=OWNER) == {**refused, "own rename": 0, "own unlink": 0, "in own directory": 0}
    assert place.names("d") == ["dir", "others"]
    assert place.names("own") == []


@row(bottom=STICKY, on=("union",))
def test_a_whiteout_in_a_sticky_directory_belongs_to_root(place: Place) -> None:
    as_user(lambda: os.unlink(place / "d/mine"), uid=OWNER)
    assert os.lstat(place.upper / "d/mine").st_uid == 0


@row(bottom={"d": Directory(mode=0o1777), "d/f": File(uid=1)}, middle={"d": Directory(mode=0o1777), "d/f": WHITEOUT})
def test_a_whiteout_of_another_stops_no_one_from_taking_the_name(place: Place) -> None:
    as_user(lambda: (place / "d/f").write_bytes(b"mine"))
    assert (place / "d/f").stat().st_uid == NOBODY
    as_user((place / "d/f").unlink)
    assert place.names("d") == []


@row(bottom={"f": File(mode=0o644, uid=OWNER), "d": Directory(mode=0o755, uid=OWNER), "d/f": File(mode=0o644)})
def test_a_file_is_copied_up_for_whoever_may_write_it(place: Place) -> None:
    """The writer needs no right to create in the directory, nor to own what is copied."""
    (place / "d").chmod(0o555)

    def write() -> None:
        with (place / "d/f").open("ab") as file:
            file.write(b"written")

    (place / "d/f").chmod(0o666)
    as_user(write)
    assert (place / "d/f").read_bytes() == b"written"
    found = (place / "d/f").stat()
    assert (found.st_uid, found.st_mode & 0o7777) == (0, 0o666)


@row(bottom={"secret": File(b"x", mode=0o600), "d": Directory(mode=0o700), "d/f": File(mode=0o644)})
def test_what_root_looked_at_is_not_open_to_others(place: Place) -> None:
    assert (place / "secret").read_bytes() == b"x"
    assert (place / "d/f").read_bytes() == b""
    assert as_user(lambda: errno_of((place / "secret").read_bytes)) == EACCES
    assert as_user(lambda: errno_of((place / "d/f").read_bytes)) == EACCES
    (place / "d").chmod(0o755)
    assert as_user(lambda: errno_of((place / "d/f").read_bytes)) == 0


@row(bottom={"f": File(mode=0o755), "none": File(mode=0o644), "link": Symlink("f")})
def test_access_is_asked_for_real_or_effective_ids(place: Place) -> None:
    assert errno_of(access, place / "f", os.X_OK) == 0
    assert errno_of(access, place / "none", os.X_OK) == EACCES
    assert errno_of(access, place / "none", os.R_OK | os.W_OK) == 0

    def as_set_id_program() -> tuple[int, int]:
        os.setresuid(NOBODY, 0, 0)
        return errno_of(access, place / "f", os.W_OK), errno_of(access, place / "f", os.W_OK, AT_EACCESS)

    assert in_child(as_set_id_program) == (EACCES, 0)


@row(bottom={"f": File(mode=0o000), "d": Directory(mode=0o000), "d/f": File()})
def test_root_is_stopped_by_no_mode(place: Place) -> None:
    assert (place / "f").read_bytes() == b""
    (place / "f").write_bytes(b"x")
    assert place.names("d") == ["f"]
    (place / "d/g").touch()
