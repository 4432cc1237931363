"""Copying up, killed: a file shows its old content or the new, whole, and so do its owner, mode and attributes.

Source: overlayfs, "Upper and Lower" and "Metadata only copy up": content appears in the upper by one rename.
"""

import os
from pathlib import Path

from tests.crash.cases import SOAK, every
from tests.crash.killing import Case, check_every_kill
from tests.crash.stack import DEVICE, Form, Stack
from tests.stacks import Directory, Fifo, File, HardLink, Symlink
from unionfs.union.union import Change, Settings

PLAIN = File(b"lower" * 2000, mode=0o4750, uid=7, gid=8, xattrs={"user.key": b"value"})
CAPABLE = File(b"program", mode=0o755, xattrs={"security.capability": bytes.fromhex("0100000200040000") + bytes(12)})
SPARSE = File(b"x" * 4096, extents=(0, 1 << 20), size=3 << 19)
LINKED = {"one": File(b"linked" * 100, mode=0o600, uid=3), "two": HardLink("one"), "d/three": HardLink("one")}

# A metacopy's content comes into the file that is there, as in overlayfs, so its times and capabilities, which any
# write changes, are set again at the end. Only regular files and directories can have user.* attributes: with those
# the number of others isn't kept.
CASES = [
    Case(name="write", lowers=({"f": PLAIN},), act=lambda view: view.write("f", 3, b"NEW")),
    Case(name="write-sparse", lowers=({"f": SPARSE},), act=lambda view: view.write("f", 1 << 19, b"NEW")),
    Case(name="write-linked", lowers=(LINKED,), act=lambda view: view.write("one", 0, b"NEW")),
    Case(
        name="write-second-name",
        lowers=(LINKED,),
        before=(lambda view: view.write("one", 0, b"first"),),
        act=lambda view: view.write("two", 0, b"NEW"),
    ),
    Case(
        name="truncate", lowers=({"f": PLAIN},), settles=("mtime",), act=lambda view: view.change("f", Change(size=3))
    ),
    Case(name="empty", lowers=({"f": PLAIN},), settles=("mtime",), act=lambda view: view.change("f", Change(size=0))),
    Case(name="extend", lowers=({"f": PLAIN},), act=lambda view: view.change("f", Change(size=20000))),
    Case(name="chmod", lowers=({"f": PLAIN},), act=lambda view: view.change("f", Change(mode=0o604))),
    Case(
        name="chmod-metacopy", lowers=({"f": PLAIN},), metacopy=True, act=lambda view: view.change("f", Change(mode=0))
    ),
    Case(
        name="xattr-metacopy",
        but_for=("ordinary",),  # who can't set capabilities
        lowers=({"f": CAPABLE},),
        metacopy=True,
        act=lambda view: view.set_xattr("f", "user.new", b"1"),
    ),
    Case(
        name="chmod-metacopy-linked",
        lowers=(LINKED,),
        metacopy=True,
        act=lambda view: view.change("d/three", Change(mode=0o604)),
    ),
    Case(
        name="write-a-metacopy",
        settles=("mtime",),
        lowers=({"f": PLAIN},),
        metacopy=True,
        before=(lambda view: view.change("f", Change(mode=0o4711)),),
        act=lambda view: view.write("f", 9999, b"NEW"),
    ),
    Case(
        name="extend-a-metacopy-with-capabilities",
        settles=("mtime", "security.capability"),
        lowers=({"f": CAPABLE},),
        metacopy=True,
        before=(lambda view: view.change("f", Change(mode=0o711)),),
        act=lambda view: view.change("f", Change(size=100)),
    ),
    Case(
        name="truncate-a-metacopy",
        settles=("mtime",),
        lowers=({"f": PLAIN},),
        metacopy=True,
        before=(lambda view: view.change("f", Change(mode=0o4711)),),
        act=lambda view: view.change("f", Change(size=3)),
    ),
    Case(
        name="write-a-renamed-metacopy",
        settles=("mtime",),
        lowers=({"f": PLAIN},),
        metacopy=True,
        before=(lambda view: view.change("f", Change(mode=0o4711)), lambda view: view.rename("f", "moved")),
        act=lambda view: view.write("moved", 0, b"NEW"),
    ),
    Case(
        name="write-a-linked-metacopy",
        settles=("mtime",),
        lowers=(LINKED,),
        metacopy=True,
        before=(lambda view: view.change("one", Change(mode=0o604)),),
        act=lambda view: view.write("two", 0, b"NEW"),
    ),
    Case(
        name="parents-first",
        lowers=(
            {"a/b/f": PLAIN, "a": Directory(mode=0o710, uid=5), "a/b": Directory(mode=0o2755, gid=6)},
            {"a/g": PLAIN},
        ),
        act=lambda view: view.write("a/b/f", 0, b"NEW"),
    ),
    Case(
        name="directory-xattr",
        lowers=({"d/f": PLAIN}, {"d/g": PLAIN}),
        act=lambda view: view.set_xattr("d", "user.key", b"v"),
    ),
    Case(
        name="chown-symlink",
        but_for=("user", "ordinary"),
        lowers=({"s": Symlink("nowhere")},),
        act=lambda view: view.change("s", Change(uid=9)),
    ),
    Case(
        name="chmod-fifo",
        but_for=("user", "ordinary"),
        lowers=({"p": Fifo(mode=0o620)},),
        act=lambda view: view.change("p", Change(mode=0o600)),
    ),
]


@every(CASES)
def test_a_file_is_whole_old_or_new(directory: Path, case: Case, form: Form, volatile: bool) -> None:
    assert check_every_kill(directory, case, form, volatile=volatile, every_call=SOAK) > 0


def test_content_that_is_copied_but_not_written_keeps_its_capabilities(directory: Path) -> None:
    """Writing clears them (capabilities(7)); that the copy is written when the file is opened is our own affair."""
    stack = Stack.build(directory, DEVICE, Settings(metacopy=True), ({"f": CAPABLE},))
    stack.make_upper()
    stack.apply(lambda view: view.change("f", Change(mode=0o711)))
    stack.apply(lambda view: view.open("f", os.O_WRONLY))
    assert (stack.upper / "f").read_bytes() == b"program"
    assert os.getxattr(stack.upper / "f", "security.capability") == CAPABLE.xattrs["security.capability"]
