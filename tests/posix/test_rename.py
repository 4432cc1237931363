"""rename(2) without flags, over everything and from everything.

Sources: POSIX rename(); the kernel's overlayfs documentation, "Redirect on rename of directories".
"""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from errno import EACCES, EBUSY, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EXDEV

import pytest

from tests.posix.place import Place
from tests.posix.processes import as_user
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import WHITEOUT, Directory, Fifo, File, HardLink, Layer, Symlink

KINDS: Layer = {"file": File(b"low"), "link": Symlink("nowhere"), "fifo": Fifo(), "empty": Directory()}


@row(bottom={"a/f": File(b"low", mode=0o640, uid=5, xattrs={"user.k": b"v"}), "b": Directory()})
def test_a_renamed_lower_file_keeps_everything_but_its_name(place: Place) -> None:
    before = (place / "a/f").stat()
    (place / "a/f").rename(place / "b/g")
    after = (place / "b/g").stat()
    assert (after.st_ino, after.st_mode, after.st_uid) == (before.st_ino, before.st_mode, 5)
    assert after.st_mtime_ns == before.st_mtime_ns
    assert os.getxattr(place / "b/g", "user.k") == b"v"
    assert (place / "b/g").read_bytes() == b"low"
    assert place.names("a") == []


@row(bottom={"d/f": File()}, on=UNIONS)
def test_a_whiteout_is_left_where_a_lower_file_was(place: Place) -> None:
    (place / "d/f").rename(place / "d/g")
    assert os.lstat(place.upper / "d/f").st_rdev == 0
    assert stat.S_ISCHR(os.lstat(place.upper / "d/f").st_mode)
    assert place.names("d") == ["g"]


@row(bottom={"d": Directory()}, upper={"d/mine": File(b"x")}, on=UNIONS)
def test_nothing_is_left_where_a_file_of_the_upper_alone_was(place: Place) -> None:
    (place / "d/mine").rename(place / "d/g")
    assert os.listdir(place.upper / "d") == ["g"]


@pytest.mark.parametrize("source", ["mine", "low", "link", "fifo"])
@row(
    bottom={
        **{f"t/{name}": File(b"t") for name in ("low", "both", "gone")},
        "t/link": Symlink("x"),
        "low": File(b"low"),
        "link": Symlink("target"),
        "fifo": Fifo(),
    },
    upper={"t/both": File(b"upper"), "t/mine": File(b"t"), "t/gone": WHITEOUT, "mine": File(b"mine")},
)
def test_what_is_not_a_directory_replaces_what_is_not_one(place: Place, source: str) -> None:
    for target in ("low", "both", "gone", "link", "mine", "fresh"):
        (place / "copy").unlink(missing_ok=True)
        os.link(place / source, place / "copy", follow_symlinks=False)
        before = os.lstat(place / "copy")
        (place / "copy").rename(place / "t" / target)
        after = os.lstat(place / "t" / target)
        assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)
    assert place.names("t") == ["both", "fresh", "gone", "link", "low", "mine"]
    assert "copy" not in place.names()


@row(bottom=KINDS, upper={"mine": File(b"x")})
def test_a_name_given_away_is_free_for_anything(place: Place) -> None:
    for name in ("file", "link", "fifo", "mine"):
        (place / name).rename(place / f"{name}.moved")
        (place / name).mkdir()
        assert place.names(name) == []
        assert os.listxattr(place / name) == []
    (place / "empty").rename(place / "empty.moved")
    (place / "empty").write_bytes(b"new")
    assert len(place.names()) == 10


@row(bottom={"f": File(b"old", xattrs={"user.old": b"1"}, mode=0o600, uid=5)})
def test_a_file_made_where_another_was_renamed_away_is_new(place: Place) -> None:
    (place / "f").rename(place / "g")
    (place / "f").touch(mode=0o644)
    found = (place / "f").stat()
    assert (found.st_size, found.st_uid, os.listxattr(place / "f")) == (0, 0, [])
    assert (place / "g").read_bytes() == b"old"


@row(bottom={"low/x": File(), "t": Directory()}, upper={"mine/y": File(), "low/u": File()})
def test_directories_of_every_layer_are_renamed(place: Place) -> None:
    inodes = {name: (place / name).stat().st_ino for name in ("low", "mine")}
    (place / "mine").rename(place / "t/mine")
    (place / "low").rename(place / "t/low")
    assert place.names() == ["t"]
    assert place.names("t/low") == ["u", "x"]
    assert place.names("t/mine") == ["y"]
    assert {name: (place / "t" / name).stat().st_ino for name in ("low", "mine")} == inodes
    (place / "t/low/x").write_bytes(b"written after")
    (place / "t/low").rename(place / "back")
    assert (place / "back/x").read_bytes() == b"written after"


@row(own=True, bottom={"a/sub/x": File(b"x"), "a/y": File(b"y"), "c/d": Directory()}, middle={"a/sub/m": File(b"m")})
def test_a_renamed_merged_directory_is_whole_when_mounted_anew(place: Place) -> None:
    (place / "a").rename(place / "c/a2")
    (place / "c/a2/sub").rename(place / "c/a2/sub2")
    place.remount()
    assert place.names() == ["c"]
    assert place.names("c/a2") == ["sub2", "y"]
    assert place.names("c/a2/sub2") == ["m", "x"]
    (place / "c").rename(place / "e")
    (place / "e/a2/sub2/x").unlink()
    (place / "a").mkdir()
    place.remount()
    assert place.names("e/a2/sub2") == ["m"]
    assert place.names("a") == []


@row(
    own=True,
    on=UNIONS,
    options=("redirect_dir=off",),
    bottom={"low/x": File()},
    upper={"mine/y": File(), "low/u": File()},
)
def test_without_redirects_only_a_directory_of_the_upper_alone_is_renamed(place: Place) -> None:
    assert errno_of(os.rename, place / "low", place / "new") == EXDEV
    assert place.names("low") == ["u", "x"]
    (place / "mine").rename(place / "new")
    assert place.names("new") == ["y"]
    (place / "low/x").rename(place / "new/x")
    assert place.names("new") == ["x", "y"]


@row(
    bottom={
        "low/x": File(),
        "full/y": File(),
        "e1": Directory(),
        "e2/a": File(),
        "e3": Directory(),
        "hidden/l": File(),
    },
    upper={"e2/a": WHITEOUT, "mine/z": File(), "hidden": WHITEOUT},
)
def test_a_directory_replaces_only_one_that_shows_nothing(place: Place) -> None:
    assert errno_of(os.rename, place / "low", place / "full") == ENOTEMPTY
    assert errno_of(os.rename, place / "mine", place / "full") == ENOTEMPTY
    (place / "low").rename(place / "e1")
    (place / "mine").rename(place / "e2")
    assert place.names("e1") == ["x"]
    assert place.names("e2") == ["z"]
    (place / "e2").rename(place / "e3")
    (place / "e3").rename(place / "hidden")
    assert place.names("hidden") == ["z"]
    assert place.names() == ["e1", "full", "hidden"]


@row(own=True, bottom={"t/old": File(), "t/sub/old": File(), "low/x": File()}, middle={"t": WHITEOUT})
def test_a_directory_renamed_to_a_hidden_name_does_not_show_what_was_there(place: Place) -> None:
    (place / "new").mkdir()
    (place / "new/sub").mkdir()
    (place / "new").rename(place / "t")
    (place / "t/child").touch()
    assert place.names("t") == ["child", "sub"]
    place.remount()
    assert place.names("t") == ["child", "sub"]
    assert place.names("t/sub") == []


@row(
    bottom={"f": File(), "d": Directory(), "p/q/r": Directory(), "g": File(b"g")},
    upper={"m": File(), "e/x": Directory()},
)
def test_what_cannot_replace_what(place: Place) -> None:
    for directory in ("d", "e"):
        for file in ("f", "m"):
            assert errno_of(os.rename, place / directory, place / file) == ENOTDIR
            assert errno_of(os.rename, place / file, place / directory) == EISDIR
    assert errno_of(os.rename, place / "p", place / "p/q/new") == EINVAL
    assert errno_of(os.rename, place / "p/q/r", place / "p/q") == ENOTEMPTY
    assert errno_of(os.rename, place / "p", place / "p") == 0
    assert errno_of(os.rename, place / "none", place / "f") == ENOENT
    assert errno_of(os.rename, place / "f", place / "none/x") == ENOENT
    assert errno_of(os.rename, place / "f", place / "g/x") == ENOTDIR
    assert errno_of(os.rename, place / "f", f"{place / 'new'}/") == ENOTDIR
    assert errno_of(os.rename, f"{place / 'p'}/.", place / "new") in {EBUSY, EINVAL}
    assert place.names() == ["d", "e", "f", "g", "m", "p"]


@row(bottom={"a": File(b"x"), "b": HardLink("a"), "d/c": HardLink("a")})
def test_a_rename_onto_another_link_of_the_same_file_does_nothing(place: Place) -> None:
    (place / "a").rename(place / "b")
    (place / "b").rename(place / "d/c")
    assert place.names() == ["a", "b", "d"]
    assert (place / "a").stat().st_nlink == 3


@row(bottom={"d": Directory(), "f": File()}, upper={"e": Directory()})
def test_a_rename_changes_the_times_of_both_directories(place: Place) -> None:
    before = {name: (place / name).stat().st_mtime_ns for name in (".", "d", "e")}
    (place / "f").rename(place / "d/f")
    (place / "d/f").rename(place / "e/f")
    for name, time in before.items():
        assert (place / name).stat().st_mtime_ns > time


@row(
    bottom={
        "d": Directory(mode=0o755),
        "mine": Directory(mode=0o777),
        "mine/sub": Directory(mode=0o755),
        "t": Directory(mode=0o777),
    }
)
def test_a_user_renames_only_what_permissions_allow(place: Place) -> None:
    assert as_user(lambda: errno_of(os.rename, place / "d", place / "t/d")) == EACCES
    assert as_user(lambda: errno_of(os.rename, place / "mine/sub", place / "t/sub")) in {EACCES, EPERM}
    assert as_user(lambda: errno_of(os.rename, place / "mine/sub", place / "mine/new")) == 0


@row(own=True, bottom={f"d{number}/f{number}": File(b"%d" % number) for number in range(8)})
def test_renames_across_pairs_of_directories_do_not_lock_each_other_up(place: Place) -> None:
    def swing(number: int) -> None:
        here, there = f"d{number}", f"d{(number + 1) % 8}"
        for _ in range(20):
            (place / here / f"f{number}").rename(place / there / f"f{number}")
            (place / there / f"f{number}").rename(place / here / f"f{number}")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(swing, range(8)))
    for number in range(8):
        assert place.names(f"d{number}") == [f"f{number}"]
        assert (place / f"d{number}/f{number}").read_bytes() == b"%d" % number


@row(bottom={"d/a": File(b"a"), "d/b": File(b"b"), "d/sub/x": File()})
def test_a_chain_of_renames_ends_where_it_should(place: Place) -> None:
    (place / "d/a").rename(place / "d/tmp")
    (place / "d/b").rename(place / "d/a")
    (place / "d/tmp").rename(place / "d/b")
    (place / "d/sub").rename(place / "d/s2")
    (place / "d").rename(place / "e")
    (place / "e/s2").rename(place / "e/sub")
    assert place.names("e") == ["a", "b", "sub"]
    assert ((place / "e/a").read_bytes(), (place / "e/b").read_bytes()) == (b"b", b"a")
    assert place.names("e/sub") == ["x"]
