"""The steps that change an upper: what stands on disk after each, in every form of whiteout.

The names of the lower that the steps are about don't exist here: the upper is told what it has to hide.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import failing
from tests.layer.opened import opened_upper
from tests.stacks import File, write
from unionfs.layer.directory import Directory
from unionfs.layer.entry import Kind
from unionfs.layer.open_upper import UpperOptions
from unionfs.layer.ownership import Ownership
from unionfs.layer.upper import Move, New, Upper

ROOTS = Ownership(0, 0, 0o644, stat.S_IFREG)
THEIRS = Ownership(1000, 1001, 0o640, stat.S_IFREG)
DIRECTORY = Ownership(0, 0, 0o755, stat.S_IFDIR)


FORMS: dict[str, tuple[UpperOptions, str]] = {
    "device": (UpperOptions(), "name"),
    "prefix": (UpperOptions(prefix_whiteouts=True), "name"),
    "attribute": (UpperOptions(prefix_whiteouts=True), "n" * 255),
}


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def upper(tmp_path: Path, form: str) -> Iterator[Upper]:
    with opened_upper(tmp_path, FORMS[form][0]) as found:
        write(tmp_path / "upper", {"d/other": File(), "e/other": File()})
        yield found


@pytest.fixture
def name(form: str) -> bytes:
    """Give a name of which the whiteout has the form."""
    return FORMS[form][1].encode()


def kinds(directory: Directory) -> dict[bytes, Kind]:
    return {name: entry.kind for name, entry in directory.scan().items() if name != b"other"}


def staged(upper: Upper) -> list[bytes]:
    return sorted(set(os.listdir(upper.work.path())) - {b"unionfs-index"})


def test_a_whiteout_is_read_as_one(upper: Upper, name: bytes) -> None:
    directory = upper.root.child(b"d")
    upper.white_out(directory, name)
    assert kinds(directory) == {name: Kind.WHITEOUT}
    assert staged(upper) == []


NEW = {
    "file": New(ROOTS),
    "file of another": New(THEIRS),
    "directory": New(DIRECTORY),
    "opaque directory": New(DIRECTORY, opaque=True),
    "symlink": New(Ownership(5, 5, 0o777, stat.S_IFLNK), b"target"),
    "fifo": New(Ownership(0, 0, 0o600, stat.S_IFIFO)),
    "device": New(Ownership(0, 0, 0o600, stat.S_IFBLK, os.makedev(7, 8))),
}


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("new", NEW.values(), ids=NEW)
def test_an_entry_is_made_where_nothing_or_a_whiteout_stands(
    upper: Upper, name: bytes, new: New, *, hidden: bool
) -> None:
    directory = upper.root.child(b"d")
    if hidden:
        upper.white_out(directory, name)
    fd = upper.make(directory, name, new, over_whiteout=hidden).fd
    if fd is not None:
        os.close(fd)
    shown, marks = directory.examine(name)
    assert Ownership.of(shown) == new.ownership
    assert marks.opaque == new.opaque
    if new.target:
        assert directory.readlink(name) == new.target
    assert list(kinds(directory)) == [name]
    assert not directory.has(b".wh." + name[:200])
    assert staged(upper) == []


def test_a_file_made_in_place_comes_open(upper: Upper, name: bytes) -> None:
    fd = upper.make(upper.root, name, New(ROOTS), over_whiteout=False).fd
    assert fd is not None
    os.write(fd, b"content")
    os.close(fd)


@pytest.mark.parametrize("new", NEW.values(), ids=NEW)
def test_nothing_is_made_over_what_stands_there(upper: Upper, name: bytes, new: New) -> None:
    directory = upper.root.child(b"d")
    os.close(os.open(directory.path(name), os.O_CREAT | os.O_WRONLY, 0o600))
    with pytest.raises(FileExistsError):
        upper.make(directory, name, new, over_whiteout=False)
    assert kinds(directory) == {name: Kind.FILE}
    assert staged(upper) == []


@pytest.mark.parametrize("hidden", [False, True])
def test_a_link_is_made_where_nothing_or_a_whiteout_stands(upper: Upper, name: bytes, *, hidden: bool) -> None:
    source, target = upper.root.child(b"d"), upper.root.child(b"e")
    if hidden:
        upper.white_out(target, name)
    upper.link(source, b"other", target, name, over_whiteout=hidden)
    assert target.status(name).st_ino == source.status(b"other").st_ino
    assert kinds(target) == {name: Kind.FILE}
    assert staged(upper) == []


@pytest.mark.parametrize("whiteout", [False, True])
def test_what_is_taken_away_is_in_the_workdir(upper: Upper, name: bytes, *, whiteout: bool) -> None:
    directory = upper.root.child(b"d")
    upper.make(directory, name, New(THEIRS), over_whiteout=False)
    taken = upper.take_away(directory, name, leave_whiteout=whiteout)
    assert kinds(directory) == ({name: Kind.WHITEOUT} if whiteout else {})
    assert Ownership.of(upper.work.examine(taken)[0]) == THEIRS
    assert staged(upper) == [taken]
    upper.discard(taken)
    assert staged(upper) == []


MOVED: dict[str, Callable[[Upper, Directory, bytes], object]] = {
    "file": lambda upper, directory, name: upper.make(directory, name, New(THEIRS), over_whiteout=False),
    "directory": lambda upper, directory, name: upper.make(directory, name, New(DIRECTORY), over_whiteout=False),
}


@pytest.mark.parametrize("same", [False, True], ids=["across", "within"])
@pytest.mark.parametrize("target", ["nothing", "whiteout", "file"])
@pytest.mark.parametrize("leaves", [False, True], ids=["", "leaves"])
@pytest.mark.parametrize("kind", MOVED)
def test_a_rename_leaves_what_it_should(
    upper: Upper, name: bytes, kind: str, target: str, *, leaves: bool, same: bool
) -> None:
    if target == "file" and kind == "directory":
        target = "nothing"
    source, other = upper.root.child(b"d"), upper.root.child(b"d" if same else b"e")
    new_name = name[:-1] + b"2"
    MOVED[kind](upper, source, name)
    if kind == "directory":
        # Only a directory with a redirect leaves something beneath.
        upper.marking.set(source, name, b"redirect", b"/elsewhere")
    number = source.status(name).st_ino
    if target == "whiteout":
        upper.white_out(other, new_name)
    elif target == "file":
        upper.make(other, new_name, New(THEIRS), over_whiteout=False)
    upper.rename(
        source, name, other, new_name,
        Move(
            directory=kind == "directory", leaves_whiteout=leaves, over_whiteout=target == "whiteout",
            replaces=target == "file",
        ),
    )  # fmt: skip
    assert other.status(new_name).st_ino == number
    expected = {new_name: Kind.DIR if kind == "directory" else Kind.FILE}
    left = {name: Kind.WHITEOUT} if leaves else {}
    if same:
        assert kinds(source) == expected | left
    else:
        assert kinds(source) == left
        assert kinds(other) == expected
    assert staged(upper) == []


def test_an_exchange_moves_both(upper: Upper, name: bytes) -> None:
    source, target = upper.root.child(b"d"), upper.root.child(b"e")
    upper.make(source, name, New(THEIRS), over_whiteout=False)
    upper.make(target, name, New(DIRECTORY), over_whiteout=False)
    upper.exchange(source, name, target, name)
    assert (kinds(source), kinds(target)) == ({name: Kind.DIR}, {name: Kind.FILE})


def test_a_directory_of_whiteouts_is_emptied_in_one_step(upper: Upper, name: bytes) -> None:
    directory = upper.root.child(b"d")
    os.unlink(b"other", dir_fd=directory.fd())
    upper.white_out(directory, name)
    os.setxattr(directory.path(), b"user.kept", b"1")
    os.chown(b"d", 5, 6, dir_fd=upper.root.fd())
    with upper.emptied(directory):
        assert os.listdir(directory.path()) == []
    shown, marks = directory.examine()
    assert (shown.uid, shown.gid, shown.mode & 0o7777) == (5, 6, 0o755)
    assert marks.opaque
    assert directory.xattr(b".", b"user.kept") == b"1"
    assert staged(upper) == []


def test_an_upper_without_attributes_marks_a_directory_by_a_file(tmp_path: Path) -> None:
    with opened_upper(tmp_path, UpperOptions(prefix_whiteouts=True)) as upper:
        upper.use(upper.abilities._replace(namespace=None))
        upper.make(upper.root, b"d", New(DIRECTORY, opaque=True), over_whiteout=False)
        directory = upper.root.child(b"d")
        assert directory.is_opaque(directory.marks())
        assert directory.scan() == {}
        assert not upper.marking.set(upper.root, b"d", b"redirect", b"/x")
        with pytest.raises(OSError, match="can't keep a whiteout"):
            upper.white_out(directory, b"n" * 255)


def test_a_mark_that_a_kind_of_file_cannot_have_is_not_kept(tmp_path: Path) -> None:
    with opened_upper(tmp_path, UpperOptions(user_namespace=True)) as upper:
        upper.make(upper.root, b"link", NEW["symlink"], over_whiteout=False)
        assert not upper.marking.set(upper.root, b"link", b"unionfs.origin", b"1")
        upper.make(upper.root, b"file", NEW["file"], over_whiteout=False)
        assert upper.marking.set(upper.root, b"file", b"unionfs.origin", b"1")
        assert upper.root.marks(b"file").origin == b"1"


def test_a_mark_is_removed_from_whichever_namespace_it_is_in(tmp_path: Path) -> None:
    with opened_upper(tmp_path) as upper:
        write(tmp_path / "upper", {"f": File(xattrs={"user.overlay.metacopy": b"", "trusted.overlay.metacopy": b""})})
        upper.marking.remove(upper.root, b"f", b"metacopy")
        upper.marking.remove(upper.root, b"f", b"metacopy")
        assert upper.root.xattr_names(b"f") == []


def test_what_cannot_be_discarded_is_logged_and_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened_upper(tmp_path) as upper:
        one = upper.stage(New(ROOTS))
        with failing(1, errno.EIO):
            upper.discard(one)
        assert staged(upper) == [one]
        assert "stays in the workdir" in caplog.text
        upper.discard(one)
        upper.discard(b"#never")
        assert staged(upper) == []


def test_a_new_opaque_directory_keeps_no_descriptor_of_its_place_in_the_workdir(tmp_path: Path) -> None:
    with opened_upper(tmp_path) as upper:
        upper.make(upper.root, b"first", New(DIRECTORY, opaque=True), over_whiteout=False)
        before = len(upper.root.tree.descriptors)
        for number in range(10):
            upper.make(upper.root, b"d%d" % number, New(DIRECTORY, opaque=True), over_whiteout=False)
        assert len(upper.root.tree.descriptors) == before
