"""What every layer's directory does, in whichever way it was opened: as a lower or as the upper, on a private clone of
its mount or where no clone is allowed.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.layer.opened import opened_lower, opened_upper
from tests.posix.acl import ACCESS, acl
from tests.stacks import (
    DOT_OPAQUE,
    HOLDS_XATTR_WHITEOUTS,
    WHITEOUT,
    XATTR_WHITEOUT,
    Device,
    Fifo,
    File,
    HardLink,
    Layer,
    Node,
    Socket,
    Symlink,
    write,
)
from tests.stacks import Directory as DirectoryNode
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.layer.entry import Kind
from unionfs.layer.marks import NO_MARKS

OpenLayer = Callable[[Layer], Directory]


@contextmanager
def as_lower(path: Path) -> Iterator[Directory]:
    with opened_lower(path / "upper") as root:
        yield root


@contextmanager
def as_upper(path: Path) -> Iterator[Directory]:
    with opened_upper(path) as upper:
        yield upper.root


@contextmanager
def without_a_clone(path: Path) -> Iterator[Directory]:
    fd = os.open(path / "upper", os.O_PATH | os.O_DIRECTORY)
    descriptors = Descriptors(MINIMUM)
    try:
        yield Directory(Tree(descriptors, os.fstat(fd).st_dev, position=0, confined=False), None, b"", fd)
    finally:
        descriptors.close()
        os.close(fd)


@pytest.fixture(params=[as_lower, as_upper, without_a_clone], ids=lambda opener: opener.__name__)
def open_layer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLayer]:
    """Give a function that writes a layer and opens it."""
    opener: Callable[[Path], AbstractContextManager[Directory]] = request.param
    with ExitStack() as stack:

        def opened(layer: Layer) -> Directory:
            write(tmp_path / "upper", layer)
            return stack.enter_context(opener(tmp_path))

        yield opened


KINDS: Layer = {
    "dir": DirectoryNode(mode=0o1751, uid=3, gid=4), "file": File(b"content", mode=0o4755, uid=5, gid=6),
    "symlink": Symlink("file"), "fifo": Fifo(mode=0o640), "socket": Socket(), "char": Device(stat.S_IFCHR, 1, 3),
    "block": Device(stat.S_IFBLK, 300, 70000), "gone": WHITEOUT, "link": HardLink("file"),
}  # fmt: skip
EXPECTED = {
    b"dir": Kind.DIR, b"file": Kind.FILE, b"symlink": Kind.SYMLINK, b"fifo": Kind.FIFO, b"socket": Kind.SOCKET,
    b"char": Kind.CHAR, b"block": Kind.BLOCK, b"gone": Kind.WHITEOUT, b"link": Kind.FILE,
}  # fmt: skip


def test_a_scan_tells_what_each_name_is(open_layer: OpenLayer) -> None:
    root = open_layer(KINDS)
    entries = root.scan()
    assert {name: entry.kind for name, entry in entries.items()} == EXPECTED
    for name, entry in entries.items():
        assert entry.inode == root.status(name).st_ino
        assert entry.directory is root


ENCODINGS: list[Layer] = [
    KINDS,
    {".wh.a": File(), "b": File(), ".wh.b": File(), "c/x": File(), ".wh.c": File()},
    {".wh.a": DirectoryNode(), ".wh.b": Symlink("x"), ".wh.c": File(b"bytes")},
    {DOT_OPAQUE: File(), ".wh..wh.plnk": DirectoryNode(), ".wh..wh.aufs": File(), ".wh.": File(), "a": File()},
    {".": HOLDS_XATTR_WHITEOUTS, "a": XATTR_WHITEOUT, "b": File(b"bytes", xattrs=XATTR_WHITEOUT.xattrs), "c": File()},
    {"a": XATTR_WHITEOUT, "c": File()},
    {"n" * 255: WHITEOUT, "m" * 251: WHITEOUT, ".wh." + "o" * 251: File()},
    {".": HOLDS_XATTR_WHITEOUTS, ".wh.a": File(), "a": XATTR_WHITEOUT},
]


@pytest.mark.parametrize("layer", ENCODINGS, ids=range(len(ENCODINGS)))
def test_a_lookup_says_of_every_name_what_a_scan_says(open_layer: OpenLayer, layer: Layer) -> None:
    root = open_layer(layer)
    entries = root.scan()
    asked = {b"a", b"b", b"c", b"absent", b"n" * 255, b"m" * 251, b"o" * 251, *os.listdir(root.path()), *entries}
    for name in asked:
        found, expected = root.lookup(name), entries.get(name)
        assert (found and (found.kind, found.directory)) == (expected and (expected.kind, expected.directory)), name


def test_names_that_spell_whiteouts_are_never_shown(open_layer: OpenLayer) -> None:
    root = open_layer({**ENCODINGS[1], **ENCODINGS[3]})
    assert not [name for name in root.scan() if name.startswith(b".wh.")]
    assert root.lookup(b".wh.a") is None
    assert root.lookup(DOT_OPAQUE.encode()) is None


def test_attributes_are_those_on_disk(open_layer: OpenLayer) -> None:
    root = open_layer(KINDS)
    shown, marks = root.examine(b"file")
    on_disk = root.status(b"file")
    assert marks is NO_MARKS
    assert (shown.ino, shown.dev, shown.mode, shown.nlink, shown.uid, shown.gid, shown.size) == (
        on_disk.st_ino, on_disk.st_dev, stat.S_IFREG | 0o4755, 2, 5, 6, 7,
    )  # fmt: skip
    assert (shown.atime_ns, shown.mtime_ns, shown.ctime_ns) == (
        on_disk.st_atime_ns, on_disk.st_mtime_ns, on_disk.st_ctime_ns,
    )  # fmt: skip
    assert root.examine(b"block")[0].rdev == os.makedev(300, 70000)
    assert root.examine(b"symlink")[0].type_bits == stat.S_IFLNK
    inside, _ = root.child(b"dir").examine()
    assert (inside.mode, inside.uid, inside.gid) == (stat.S_IFDIR | 0o1751, 3, 4)
    assert inside.ino == root.examine(b"dir")[0].ino


def test_content_is_read_through_a_descriptor(open_layer: OpenLayer) -> None:
    root = open_layer(KINDS)
    fd = root.open(b"file", os.O_RDONLY)
    try:
        assert os.pread(fd, 100, 3) == b"tent"
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)
    assert root.readlink(b"symlink") == b"file"


@pytest.mark.parametrize("name", ["symlink", "fifo", "char", "block", "socket", "dir"])
def test_only_a_regular_file_is_opened(open_layer: OpenLayer, name: str) -> None:
    """Another process may have put something else there since it was looked at."""
    root = open_layer(KINDS)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match=r"^\[Errno") as failure:
        root.open(name.encode(), os.O_RDONLY)
    assert failure.value.errno in {errno.ESTALE, errno.ELOOP, errno.ENXIO, errno.EACCES}
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_extended_attributes_are_read_of_every_kind(open_layer: OpenLayer) -> None:
    listed = acl(owner=7, group=5, other=0, users={1000: 5}, mask=5)
    layer: Layer = {
        "file": File(xattrs={"user.a": b"1", "user.empty": b"", ACCESS: listed}), "none": File(),
        "symlink": Symlink("file", xattrs={"trusted.s": b"2"}), "dir": DirectoryNode(xattrs={"user.d": b"3"}),
    }  # fmt: skip
    root = open_layer(layer)
    assert sorted(root.xattr_names(b"file")) == [ACCESS.encode(), b"user.a", b"user.empty"]
    assert root.xattr(b"file", b"user.a") == b"1"
    assert root.xattr(b"file", b"user.empty") == b""
    assert root.xattr(b"file", ACCESS.encode()) == listed
    assert root.xattr(b"file", b"user.absent") is None
    assert root.xattr_names(b"none") == []
    assert root.xattr(b"symlink", b"trusted.s") == b"2"
    assert root.xattr_names(b"symlink") == [b"trusted.s"]
    assert root.child(b"dir").xattr_names() == [b"user.d"]


DEPTH, COMPONENT = 60, b"d" * 100


def test_any_depth_is_reached(open_layer: OpenLayer, tmp_path: Path) -> None:
    directory = open_layer({COMPONENT.decode(): DirectoryNode()})
    fd = os.open(tmp_path / "upper" / COMPONENT.decode(), os.O_RDONLY)
    for _ in range(DEPTH):
        os.mkdir(COMPONENT, dir_fd=fd)
        deeper = os.open(COMPONENT, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(os.open(b"bottom", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=fd))
    os.close(fd)
    for _ in range(DEPTH + 1):
        directory = directory.child(COMPONENT)
    assert list(directory.scan()) == [b"bottom"]
    assert directory.status(b"bottom").st_size == 0
    with pytest.raises(FileNotFoundError):
        directory.status(b"absent")


@pytest.mark.parametrize("target", ["outside", "/etc"])
def test_a_link_in_the_place_of_a_directory_is_not_followed(open_layer: OpenLayer, tmp_path: Path, target: str) -> None:
    (tmp_path / "outside/below").mkdir(parents=True)
    (tmp_path / "outside/below/x").touch()
    root = open_layer({"d/below/x": File()})
    directory = root.child(b"d").child(b"below")
    (tmp_path / "upper/d").rename(tmp_path / "upper/was")
    (tmp_path / "upper/d").symlink_to(tmp_path / target)
    for attempt in (directory.scan, directory.marks, lambda: directory.status(b"x"), directory.examine):
        with pytest.raises(OSError, match=r"^\[Errno") as failure:
            attempt()
        assert failure.value.errno in {errno.ELOOP, errno.ENOTDIR}


def test_what_is_gone_is_an_error_and_leaves_nothing_open(open_layer: OpenLayer) -> None:
    root = open_layer({"a/b/c/f": File()})
    before = os.listdir("/proc/self/fd")
    lost = root.child(b"a").child(b"b").child(b"lost").child(b"deeper")
    for _ in range(100):
        with pytest.raises(FileNotFoundError):
            lost.fd()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_an_opaque_directory_is_told_by_each_mark(open_layer: OpenLayer) -> None:
    opaque = {"trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque"}
    layer: dict[str, Node] = {name: DirectoryNode(xattrs={name: b"y"}) for name in opaque}
    layer |= {f"marker/{DOT_OPAQUE}": File(), "beside": DirectoryNode(), ".wh.beside": File()}
    layer |= {"no": DirectoryNode(xattrs={"user.overlay.opaque": b"n"}), "x": HOLDS_XATTR_WHITEOUTS}
    layer |= {"redirected": DirectoryNode(xattrs={"trusted.overlay.redirect": b"/e"}), ".wh.redirected": File()}
    root = open_layer(layer)
    found = {name.decode() for name in root.scan() if root.child(name).is_opaque(root.child(name).marks())}
    assert found == {*opaque, "marker", "beside"}


def test_a_directory_found_by_lookup_alone_is_opaque_beside_its_whiteout(open_layer: OpenLayer) -> None:
    root = open_layer({"d/f": File(), ".wh.d": File()})
    assert root.lookup(b"d") is not None
    directory = root.child(b"d")
    assert directory.is_opaque(directory.marks())


def test_more_directories_are_used_than_descriptors_are_kept(open_layer: OpenLayer) -> None:
    root = open_layer({f"d{number}/f": File(b"%d" % number) for number in range(3 * MINIMUM)})
    directories = [root.child(b"d%d" % number) for number in range(3 * MINIMUM)]
    for directory in directories * 2:
        assert list(directory.scan()) == [b"f"]
        assert len(root.tree.descriptors) <= MINIMUM
