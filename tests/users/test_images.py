"""Images that somebody makes who isn't root: layers hold the owners and devices that are shown, not those on disk."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.making import fill_demo, make_upper
from tests.ordinary_user import Somebody, ordinary_user, user_namespace
from tests.unions import Kernel
from unionfs.archive import decompress
from unionfs.cli import main
from unionfs.store.store import Store
from unionfs.tar import Entry, Reader

USERS: dict[str, Callable[[], AbstractContextManager[Somebody]]] = {
    "ordinary": ordinary_user,
    "alone": user_namespace,
    "mapped": partial(user_namespace, subordinate=1000),
}


@pytest.fixture(params=list(USERS))
def somebody(request: pytest.FixtureRequest) -> Iterator[Somebody]:
    with USERS[request.param]() as user:
        yield user


def change(kernel: Kernel) -> None:
    kernel.write("bin/tool", b"TOOL")
    kernel.change("bin/tool", mode=0o4711)
    kernel.change("etc/passwd", uid=4321, gid=0)
    kernel.create("null", stat.S_IFCHR | 0o666, rdev=os.makedev(1, 3))
    kernel.unlink("etc/second")
    kernel.rename("bin", "sbin")


class Held(NamedTuple):
    """What an entry of a layer says."""

    uid: int
    gid: int
    mode: int
    size: int
    device: tuple[int, int]
    link: str
    xattrs: dict[bytes, bytes]


def entries(root: Path, name: str) -> dict[str, Held]:
    """Return the entries of an image's topmost layer."""
    with Store(root) as store, store.using(), store.open(store.find(name)).layers[-1].open() as blob:
        return {os.fsdecode(entry.name): held(entry) for entry in Reader(decompress(blob, 1 << 20))}


def held(entry: Entry) -> Held:
    device = (entry.devmajor, entry.devminor)
    link = os.fsdecode(entry.linkname)
    return Held(entry.uid, entry.gid, entry.mode, entry.size, device, link, dict(entry.xattrs))


def make(command: str, directory: Path) -> dict[str, Held]:
    """Commit or squash in this user's own store, and return the entries of the new layer."""
    root = directory / "store"
    os.environ["UNIONFS_ROOT"] = str(root)
    fill_demo(root, "demo:1")
    make_upper(root, "web", "demo:1", change)
    assert main(["commit", "web", "web:2"]) == 0
    if command == "squash":
        assert main(["squash", "web:2", "web:2"]) == 0
    return entries(root, "web:2")


@pytest.mark.parametrize("command", ["commit", "squash"])
def test_layers_hold_what_is_shown(somebody: Somebody, command: str) -> None:
    found = somebody.do(lambda: make(command, somebody.directory))
    tool = found[found["sbin/tool"].link or "sbin/tool"]
    assert (tool.uid, tool.gid, tool.mode, tool.size) == (1, 0, 0o4711, 4)
    assert found["etc/passwd"][:3] == (4321, 0, 0o644)
    assert (found["null"].device, found["null"].mode) == ((1, 3), 0o666)
    assert not any(entry.xattrs for entry in found.values())
    assert (".wh.bin" in found) == (command == "commit")
