"""link(2) and hard links that layers hold.

Sources: POSIX link(); the kernel's overlayfs documentation, "Index" (hard links stay one file with ``index=on``).
"""

import os
from errno import EEXIST, ENOENT, ENOTDIR, EOPNOTSUPP, EPERM, EXDEV

from tests.posix.place import Place
from tests.posix.syscalls import link_descriptor, link_following
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import WHITEOUT, Directory, Fifo, File, HardLink, Symlink


@row(bottom={"f": File(b"low"), "d": Directory()})
def test_a_link_to_a_lower_file_is_the_same_file(place: Place) -> None:
    before = (place / "f").stat()
    os.link(place / "f", place / "d/g")
    one, other = (place / "f").stat(), (place / "d/g").stat()
    assert one.st_ino == other.st_ino == before.st_ino
    assert one.st_nlink == other.st_nlink == 2
    (place / "d/g").write_bytes(b"written")
    assert (place / "f").read_bytes() == b"written"
    (place / "f").unlink()
    assert (place / "d/g").stat().st_nlink == 1
    assert (place / "d/g").read_bytes() == b"written"


@row(bottom={"a": File(b"old"), "b": HardLink("a"), "d/c": HardLink("a")})
def test_links_of_a_lower_file_stay_one_file_when_it_is_written(place: Place) -> None:
    inodes = {(place / name).stat().st_ino for name in ("a", "b", "d/c")}
    assert len(inodes) == 1
    (place / "b").write_bytes(b"new")
    for name in ("a", "b", "d/c"):
        found = (place / name).stat()
        assert (place / name).read_bytes() == b"new"
        assert ({found.st_ino}, found.st_nlink) == (inodes, 3)
    (place / "a").chmod(0o600)
    assert (place / "d/c").stat().st_mode & 0o777 == 0o600


@row(own=True, bottom={"a": File(b"old"), "b": HardLink("a"), "d/c": HardLink("a")})
def test_links_of_a_lower_file_stay_one_file_when_mounted_anew(place: Place) -> None:
    (place / "b").write_bytes(b"new")
    place.remount()
    for name in ("a", "b", "d/c"):
        assert (place / name).read_bytes() == b"new"
        assert (place / name).stat().st_nlink == 3
    (place / "a").unlink()
    with (place / "d/c").open("ab") as file:
        file.write(b"er")
    place.remount()
    assert place.names() == ["b", "d"]
    for name in ("b", "d/c"):
        assert (place / name).read_bytes() == b"newer"
        assert (place / name).stat().st_nlink == 2
    assert len({(place / name).stat().st_ino for name in ("b", "d/c")}) == 1


@row(own=True, bottom={"a": File(b"old"), "b": HardLink("a")})
def test_a_link_changed_before_the_mount_ends_is_found_by_its_other_name_after(place: Place) -> None:
    (place / "a").rename(place / "moved")
    os.link(place / "b", place / "third")
    place.remount()
    (place / "third").write_bytes(b"new")
    assert {name: (place / name).read_bytes() for name in place.names()} == dict.fromkeys(
        ("b", "moved", "third"), b"new"
    )
    assert (place / "b").stat().st_nlink == 3


@row(bottom={"a": File(b"x"), "b": HardLink("a"), "c": HardLink("a")}, middle={"c": WHITEOUT})
def test_the_link_count_falls_with_each_name_removed(place: Place) -> None:
    shown = (place / "a").stat().st_nlink
    assert shown in {2, 3}, "a name hidden by a layer may still be counted"
    (place / "a").unlink()
    assert (place / "b").stat().st_nlink == shown - 1
    os.link(place / "b", place / "a")
    assert (place / "b").stat().st_nlink == shown


@row(
    bottom={"d": Directory(), "f": File(b"f"), "g": File(), "link": Symlink("f"), "gone": File()},
    top={"gone": WHITEOUT},
)
def test_what_cannot_be_linked(place: Place) -> None:
    assert errno_of(os.link, place / "d", place / "new") == EPERM
    assert errno_of(os.link, place / "f", place / "g") == EEXIST
    assert errno_of(os.link, place / "f", place / "d") == EEXIST
    assert errno_of(os.link, place / "f", place / "link") == EEXIST
    assert errno_of(os.link, place / "gone", place / "new") == ENOENT
    assert errno_of(os.link, place / "f", place / "none/new") == ENOENT
    assert errno_of(os.link, place / "f", place / "g/new") == ENOTDIR
    assert errno_of(os.link, place / "f", "/proc/new") in {EXDEV, ENOENT}
    os.link(place / "f", place / "gone")
    assert (place / "gone").read_bytes() == b"f"


@row(bottom={"f": File(b"f"), "link": Symlink("f"), "fifo": Fifo()})
def test_symlinks_and_fifos_are_linked_themselves(place: Place) -> None:
    os.link(place / "link", place / "other", follow_symlinks=False)
    link_following(place / "link", place / "followed")
    os.link(place / "fifo", place / "fifo2")
    assert os.readlink(place / "other") == "f"
    assert os.lstat(place / "link").st_nlink == os.lstat(place / "other").st_nlink == 2
    assert os.lstat(place / "followed").st_ino == (place / "f").stat().st_ino
    assert os.lstat(place / "fifo").st_ino == os.lstat(place / "fifo2").st_ino


@row(bottom={"f": File(b"f")})
def test_an_open_file_is_linked_through_its_descriptor(place: Place) -> None:
    descriptor = os.open(place / "f", os.O_RDONLY)
    try:
        link_descriptor(descriptor, place / "g")
        assert (place / "g").stat().st_ino == os.fstat(descriptor).st_ino
        for name in ("f", "g"):
            (place / name).unlink()
        assert errno_of(link_descriptor, descriptor, place / "h") == ENOENT
        assert place.names() == []
    finally:
        os.close(descriptor)


@row(
    bottom={"d": Directory()},
    expected={"pyfuse3": EOPNOTSUPP, "default": 0},
    because="pyfuse3 has no handler for O_TMPFILE",
    kernel=(6, 1),
)
def test_a_file_made_without_a_name_is_given_one(place: Place) -> None:
    outcome = errno_of(_make_nameless_and_link, place)
    assert outcome == place.expected
    assert place.names("d") == ([] if outcome else ["named"])


def _make_nameless_and_link(place: Place) -> None:
    descriptor = os.open(place / "d", os.O_TMPFILE | os.O_RDWR, 0o640)
    try:
        os.write(descriptor, b"content")
        assert os.fstat(descriptor).st_nlink == 0
        assert place.names("d") == []
        link_descriptor(descriptor, place / "d/named")
    finally:
        os.close(descriptor)
    assert (place / "d/named").read_bytes() == b"content"
    assert (place / "d/named").stat().st_nlink == 1


@row(bottom={"d/a": File(b"x"), "d/b": HardLink("d/a")}, upper={"d/mine": File()}, on=UNIONS)
def test_linked_names_lie_in_the_upper_only_when_changed(place: Place) -> None:
    assert (place / "d/a").stat().st_nlink == 2
    assert os.listdir(place.upper / "d") == ["mine"]
