"""Layers described as values, written to disk, and merged on paper.

A layer is a mapping from paths to nodes. Whiteouts and opaque directories are described as they lie on disk,
in any of the forms of overlayfs, fuse-overlayfs and AUFS. ``merged`` is the reference: what the stack shows,
computed from the descriptions alone, so that a plain directory can hold the same tree. Mounting is done in
``tests.filesystems``.
"""

import os
import socket
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

LONG_AGO = 1_234_567_890_123_456_789
"""The modification time, in nanoseconds, of every node that names no other."""

WHITEOUT_XATTR = "trusted.overlay.whiteout"
OPAQUE_XATTRS = ("trusted.overlay.opaque", "user.overlay.opaque", "user.fuseoverlayfs.opaque")
DOT_WHITEOUT = ".wh."
DOT_OPAQUE = ".wh..wh..opq"


@dataclass(frozen=True, kw_only=True)
class Node:
    """What every kind of file has."""

    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = LONG_AGO
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class File(Node):
    """A regular file with ``content`` at each offset of ``extents``; ``size`` makes it longer."""

    content: bytes = b""
    extents: tuple[int, ...] = (0,)
    size: int = 0


@dataclass(frozen=True)
class Directory(Node):
    """A directory; one that is only the parent of others needs no description."""

    mode: int = field(default=0o755, kw_only=True)


@dataclass(frozen=True)
class Symlink(Node):
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Fifo(Node):
    """A named pipe."""


@dataclass(frozen=True)
class Socket(Node):
    """A bound UNIX socket."""


@dataclass(frozen=True)
class Device(Node):
    """A device node; ``kind`` is ``stat.S_IFCHR`` or ``stat.S_IFBLK``."""

    kind: int
    major: int
    minor: int


@dataclass(frozen=True)
class HardLink(Node):
    """Another name for the file that an earlier path of the same layer names."""

    to: str


Layer = Mapping[str, Node]
EMPTY: Layer = {}

WHITEOUT = Device(stat.S_IFCHR, 0, 0, mode=0)
XATTR_WHITEOUT = File(xattrs={WHITEOUT_XATTR: b"y"})
"""Hides its name only in a directory whose opaque value is ``x``."""
OPAQUE = Directory(xattrs={"trusted.overlay.opaque": b"y"})
HOLDS_XATTR_WHITEOUTS = Directory(xattrs={"trusted.overlay.opaque": b"x"})


def write(directory: Path, layer: Layer) -> None:
    """Create the layer beneath ``directory``; the path ``.`` is the directory itself."""
    directory.mkdir(parents=True, exist_ok=True)
    directories = []
    for path, node in _with_parents(layer).items():
        if isinstance(node, Directory):
            (directory / path).mkdir(exist_ok=True)
            directories.append((path, node))
        else:
            _create(directory, path, node)
    # Children first, since creating them changes their parent's times.
    for path, node in reversed(directories):
        _set_attributes(directory / path, node)


def _with_parents(layer: Layer) -> Layer:
    """Return the layer with the directories that it only implies, each before what lies in it."""
    whole: dict[str, Node] = {".": layer.get(".", Directory())}
    for path, node in layer.items():
        for parent in [str(parent) for parent in reversed(Path(path).parents)]:
            whole.setdefault(parent, layer.get(parent, Directory()))
        whole[path] = node
    return whole


def _create(directory: Path, path: str, node: Node) -> None:
    target = directory / path
    match node:
        case HardLink(to=to):
            os.link(directory / to, target, follow_symlinks=False)
            return
        case File(content=content, extents=extents, size=size):
            _write_file(target, content, extents, size)
        case Symlink(target=destination):
            target.symlink_to(destination)
        case Fifo():
            os.mkfifo(target)
        case Device(kind=kind, major=major, minor=minor):
            os.mknod(target, kind | 0o600, os.makedev(major, minor))
        case Socket():
            _bind_socket(target)
        case _:
            raise TypeError(f"cannot create {node!r}")
    _set_attributes(target, node)


def _write_file(target: Path, content: bytes, extents: tuple[int, ...], size: int) -> None:
    with target.open("xb", buffering=0) as file:
        for offset in extents:
            os.pwrite(file.fileno(), content, offset)
        if size:
            file.truncate(size)


def _bind_socket(target: Path) -> None:
    """Name the socket through its directory's descriptor: a socket's address holds 107 bytes at most."""
    parent = os.open(target.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{parent}/{target.name}")
    finally:
        os.close(parent)


def _set_attributes(target: Path, node: Node) -> None:
    os.chown(target, node.uid, node.gid, follow_symlinks=False)
    if not isinstance(node, Symlink):
        target.chmod(node.mode)
    for name, value in node.xattrs.items():
        os.setxattr(target, name, value, follow_symlinks=False)
    os.utime(target, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)


def moved(layer: Layer, directory: str) -> Layer:
    """Return the layer with everything in it beneath ``directory``."""

    def beneath(path: str) -> str:
        return directory if path == "." else f"{directory}/{path}"

    return {
        beneath(path): HardLink(beneath(node.to)) if isinstance(node, HardLink) else node
        for path, node in layer.items()
    }


def merged(layers: Sequence[Layer]) -> Layer:
    """Return the one layer that shows what ``layers``, lowest first, show together."""
    numbers = count()
    view: dict[str, tuple[int, Node]] = {}
    for layer in layers:
        _apply(view, _with_parents(layer), numbers)
    return dict(_named_links(view))


def _apply(view: dict[str, tuple[int, Node]], layer: Layer, numbers: "count[int]") -> None:
    for path in _hidden(layer):
        _remove(view, path)
    for path in _opaque(layer):
        _remove_children(view, path)
    inodes: dict[str, int] = {}
    for path, node in layer.items():
        if _is_marker(path, node, layer):
            continue
        if not isinstance(node, Directory):
            _remove(view, path)
        inodes[path] = inodes[node.to] if isinstance(node, HardLink) else next(numbers)
        shown = view[node.to][1] if isinstance(node, HardLink) else _without_marks(node)
        view[path] = (inodes[path], shown)


def _hidden(layer: Layer) -> Iterator[str]:
    for path, node in layer.items():
        name = Path(path).name
        if name.startswith(DOT_WHITEOUT) and name != DOT_OPAQUE:
            yield str(Path(path).parent / name.removeprefix(DOT_WHITEOUT))
        elif node == WHITEOUT or _is_xattr_whiteout(path, node, layer):
            yield path


def _opaque(layer: Layer) -> Iterator[str]:
    for path, node in layer.items():
        if Path(path).name == DOT_OPAQUE:
            yield str(Path(path).parent)
        elif isinstance(node, Directory) and any(node.xattrs.get(name) == b"y" for name in OPAQUE_XATTRS):
            yield path


def _is_marker(path: str, node: Node, layer: Layer) -> bool:
    is_dot_form = Path(path).name.startswith(DOT_WHITEOUT)
    return is_dot_form or node == WHITEOUT or _is_xattr_whiteout(path, node, layer)


def _is_xattr_whiteout(path: str, node: Node, layer: Layer) -> bool:
    parent = layer.get(str(Path(path).parent))
    return (
        isinstance(node, File)
        and not node.content
        and WHITEOUT_XATTR in node.xattrs
        and parent is not None
        and parent.xattrs.get("trusted.overlay.opaque") == b"x"
    )


def _without_marks(node: Node) -> Node:
    """Return the node as a user of the mount sees it."""
    internal = ("trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.")
    shown = {name: value for name, value in node.xattrs.items() if not name.startswith(internal)}
    return node if shown == node.xattrs else _replaced(node, shown)


def _replaced(node: Node, xattrs: Mapping[str, bytes]) -> Node:
    fields = {**node.__dict__, "xattrs": xattrs}
    return type(node)(**fields)


def _remove(view: dict[str, tuple[int, Node]], path: str) -> None:
    if path in view and not isinstance(view[path][1], Directory):
        del view[path]
        return
    view.pop(path, None)
    _remove_children(view, path)


def _remove_children(view: dict[str, tuple[int, Node]], path: str) -> None:
    inside = "" if path == "." else f"{path}/"
    for child in [name for name in view if name != "." and name.startswith(inside)]:
        del view[child]


def _named_links(view: Mapping[str, tuple[int, Node]]) -> Iterator[tuple[str, Node]]:
    first: dict[int, str] = {}
    for path, (inode, node) in view.items():
        if inode in first:
            yield path, HardLink(first[inode])
        else:
            first[inode] = path
            yield path, node
