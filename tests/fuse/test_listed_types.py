"""The type that a listing tells of a file that stands for a device, FIFO or socket, over each transport.

A listing that goes on where nobody looks at what it gives is one of names alone (FUSE, READDIR).
"""

import os
import stat
from pathlib import Path

import pytest

from tests.fuse.presented import presented
from tests.stacks import Directory, File, Layer
from tests.unions import Stack

ATTRIBUTE = "user.containers.override_stat"
TYPES = {
    "pipe": (b"0:0:0644:pipe", stat.S_IFIFO),
    "socket": (b"0:0:0644:socket", stat.S_IFSOCK),
    "char": (b"0:0:0644:char-1-3", stat.S_IFCHR),
    "block": (b"0:0:0644:block-8-1", stat.S_IFBLK),
    "file": (b"5:6:0644:file", stat.S_IFREG),
}
ROOTS = {"recorded": Directory(xattrs={ATTRIBUTE: b"0:0:0755:dir"}), "plain": Directory()}
MANY = 400
STANDING: Layer = {
    f"d/{name}{number}": File(xattrs={ATTRIBUTE: text}) for name, (text, _) in TYPES.items() for number in range(MANY)
}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounted without fusermount3")
@pytest.mark.parametrize("transport", ["kernel", "pyfuse3"])
@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS)
def test_a_listing_tells_the_type_that_is_shown(tmp_path: Path, transport: str, root: Directory) -> None:
    stack = Stack(tmp_path / "stack", [{".": root, **STANDING}])
    with presented(stack, tmp_path / "mount", transport) as path:
        with os.scandir(path / "d") as entries:
            listed = {entry.name: (entry.is_file(follow_symlinks=False), entry.inode()) for entry in entries}
        assert len(listed) == MANY * len(TYPES)
        shown = {name: (path / "d" / name).lstat() for name in listed}
    assert listed == {name: (stat.S_ISREG(found.st_mode), found.st_ino) for name, found in shown.items()}
