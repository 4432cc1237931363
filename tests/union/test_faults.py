"""A full disk, or a broken one, at every single call of an operation: it fails, nothing has changed, and it can be
tried again.

After each failure the tree that shows is compared with the one before, with what a fresh look at the disk shows, and
with what the next session shows.
"""

import errno
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.faults import failing
from tests.stacks import Directory, File, HardLink, Layer, Symlink
from tests.unions import EVERYTHING, Kernel, Shown, Stack
from unionfs.layer.abilities import WhiteoutForm
from unionfs.linux.rename import RENAME_EXCHANGE

LOWER: Layer = {
    "f": File(b"content", xattrs={"user.a": b"1"}),
    "other": File(b"other"),
    "deep/er/g": File(b"g"),
    "x": File(b"linked"),
    "y": HardLink("x"),
    "deep/z": HardLink("x"),
    "s": Symlink("f"),
    "d/one": File(b"1"),
    "d/two/three": File(b"3"),
    "gone": File(),
    "gone-directory/below": File(),
    "nothing": Directory(),
    "emptied/a": File(),
}
Act = Callable[[Kernel], object]
Case = tuple[Act, Act]


def nothing(_: Kernel) -> None:
    """Change nothing."""


def removals(kernel: Kernel) -> None:
    kernel.unlink("gone")
    kernel.unlink("gone-directory/below")
    kernel.rmdir("gone-directory")
    kernel.unlink("emptied/a")


def uppers(kernel: Kernel) -> None:
    kernel.create("mine")
    kernel.write("mine", b"mine")
    kernel.link("mine", "mine-too")
    kernel.create("single")
    kernel.mkdir("pure")
    kernel.create("pure/p")
    kernel.mkdir("void")


def uppers_and_removals(kernel: Kernel) -> None:
    uppers(kernel)
    removals(kernel)


def metadata(kernel: Kernel) -> None:
    for name in ("f", "x", "d", "deep/er/g"):
        kernel.change(name, mode=0o700)


def contents(kernel: Kernel) -> None:
    for name in ("f", "x"):
        kernel.write(name, b"!")


CASES: dict[str, Case] = {
    "write a lower file": (nothing, lambda k: k.write("deep/er/g", b"G")),
    "write a lower hard link": (nothing, lambda k: k.write("deep/z", b"L")),
    "write a metacopy": (metadata, lambda k: k.write("f", b"C")),
    "write a metacopied hard link": (metadata, lambda k: k.write("x", b"L")),
    "make a lower file longer": (nothing, lambda k: k.change("f", size=9)),
    "make a lower file shorter": (nothing, lambda k: k.change("deep/er/g", size=0)),
    "make a lower hard link shorter": (nothing, lambda k: k.change("x", size=3)),
    "make a metacopy shorter": (metadata, lambda k: k.change("f", size=3)),
    "make a metacopied hard link shorter": (metadata, lambda k: k.change("x", size=3)),
    "chmod a lower file": (nothing, lambda k: k.change("f", mode=0o600)),
    "chmod a lower hard link": (nothing, lambda k: k.change("x", mode=0o600)),
    "chmod a lower directory": (nothing, lambda k: k.change("deep/er", mode=0o700)),
    "chown a symlink": (nothing, lambda k: k.change("s", uid=5)),
    "set an attribute": (nothing, lambda k: k.set_xattr("deep/er/g", b"user.b", b"2")),
    "create": (nothing, lambda k: k.create("deep/er/new")),
    "create as another": (nothing, lambda k: k.create("new", caller=k.other_caller)),
    "create over a whiteout": (removals, lambda k: k.create("gone")),
    "make a directory over a whiteout": (removals, lambda k: k.mkdir("gone-directory")),
    "make a directory": (nothing, lambda k: k.mkdir("deep/er/new")),
    "make a directory as another": (nothing, lambda k: k.create("new", 0o040755, caller=k.other_caller)),
    "make a FIFO": (nothing, lambda k: k.create("new", 0o010644)),
    "make a symlink": (nothing, lambda k: k.create("new", 0o120777, target=b"f")),
    "unlink a lower file": (nothing, lambda k: k.unlink("deep/er/g")),
    "unlink a lower hard link": (nothing, lambda k: k.unlink("y")),
    "unlink a copied-up file": (contents, lambda k: k.unlink("f")),
    "unlink a copied-up hard link": (contents, lambda k: k.unlink("x")),
    "unlink the lower name of a copied-up hard link": (contents, lambda k: k.unlink("deep/z")),
    "unlink an upper file": (uppers, lambda k: k.unlink("single")),
    "unlink an upper hard link": (uppers, lambda k: k.unlink("mine")),
    "remove a lower directory": (nothing, lambda k: k.rmdir("nothing")),
    "remove an emptied directory": (removals, lambda k: k.rmdir("emptied")),
    "remove an upper directory": (uppers, lambda k: k.rmdir("void")),
    "link a lower file": (nothing, lambda k: k.link("f", "deep/new")),
    "link a lower hard link": (nothing, lambda k: k.link("x", "deep/new")),
    "link over a whiteout": (removals, lambda k: k.link("f", "gone")),
    "link an upper file": (uppers, lambda k: k.link("mine", "new")),
    "rename a lower file": (nothing, lambda k: k.rename("f", "deep/new")),
    "rename a lower hard link": (nothing, lambda k: k.rename("x", "deep/new")),
    "rename a metacopy": (metadata, lambda k: k.rename("f", "deep/new")),
    "rename a copied-up hard link": (contents, lambda k: k.rename("x", "deep/new")),
    "rename the lower name of a copied-up hard link": (contents, lambda k: k.rename("y", "deep/new")),
    "rename an upper file": (uppers, lambda k: k.rename("single", "deep/new")),
    "rename over a whiteout": (removals, lambda k: k.rename("f", "gone")),
    "rename over a lower file": (nothing, lambda k: k.rename("f", "other")),
    "rename over a lower hard link": (nothing, lambda k: k.rename("f", "y")),
    "rename over a copied-up file": (contents, lambda k: k.rename("other", "f")),
    "rename over a copied-up hard link": (contents, lambda k: k.rename("other", "x")),
    "rename over an upper file": (uppers, lambda k: k.rename("f", "single")),
    "rename over an upper hard link": (uppers, lambda k: k.rename("f", "mine")),
    "rename a lower directory": (nothing, lambda k: k.rename("d", "deep/new")),
    "rename an upper directory over a whiteout": (
        uppers_and_removals, lambda k: k.rename("pure", "gone-directory")),
    "rename an upper directory over an empty one": (uppers, lambda k: k.rename("pure", "nothing")),
    "rename a directory over an emptied one": (removals, lambda k: k.rename("d", "emptied")),
    "exchange lower files": (nothing, lambda k: k.rename("f", "deep/er/g", RENAME_EXCHANGE)),
    "exchange directories": (uppers, lambda k: k.rename("d", "pure", RENAME_EXCHANGE)),
    "exchange a hard link and a directory": (nothing, lambda k: k.rename("deep/z", "d", RENAME_EXCHANGE)),
}  # fmt: skip

RENUMBERED = {"rename a directory over an emptied one"}
"""The directory that is to be replaced is emptied on disk first, by an opaque one of the upper alone."""

FORMS = {
    "device": (WhiteoutForm.DEVICE, EVERYTHING),
    "prefix": (WhiteoutForm.PREFIX, EVERYTHING),
    "attribute": (WhiteoutForm.ATTRIBUTE, EVERYTHING),
    "whole": (WhiteoutForm.DEVICE, EVERYTHING._replace(metacopy=False)),
}


def without_numbers(tree: dict[str, Shown], *, links: bool = True) -> dict[str, Shown]:
    """Blank the inode numbers, which a new entry has anew, and the link counts where they may differ."""
    return {path: shown._replace(ino=0, links=shown.links if links else 0) for path, shown in tree.items()}


def look_again(kernel: Kernel) -> dict[str, Shown]:
    """Read the tree from disk."""
    kernel.forget_everything()
    root = kernel.union.nodes.root
    assert not root.children
    root.contents = None
    return kernel.tree()


def fails_at(number: int, kernel: Kernel, act: Act, error: int, *, looking: bool) -> tuple[str | None, OSError | None]:
    """Do *act* with the call *number* failing; give which one that was, and how *act* ended."""
    with failing(number, error, looking=looking) as fault:
        try:
            act(kernel)
        except OSError as failure:
            return fault.failed, failure
    return fault.failed, None


def comparable(tree: dict[str, Shown], case: str) -> dict[str, Shown]:
    return without_numbers(tree) if case in RENUMBERED else tree


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_a_failure_anywhere_changes_nothing(memory: Path, case: str, form: str) -> None:
    whiteouts, settings = FORMS[form]
    stack = Stack(memory / "stack", [LOWER], settings, whiteouts=whiteouts)
    fail_everywhere(stack, case, errno.ENOSPC, looking=False)


NOT_TOLD_LATE = [case for case in CASES if case.startswith(("write", "make", "create"))]
"""What doesn't look at the outcome once it is settled; a change of attributes does, to answer with them."""


@pytest.mark.parametrize("owners", [True, False], ids=["owned", "recorded"])
@pytest.mark.parametrize("case", NOT_TOLD_LATE)
def test_a_failed_look_anywhere_changes_nothing(memory: Path, case: str, owners: bool) -> None:
    stack = Stack(memory / "stack", [LOWER], EVERYTHING, owners=owners)
    fail_everywhere(stack, case, errno.EIO, looking=True)


def fail_everywhere(stack: Stack, case: str, number_of_error: int, *, looking: bool) -> None:
    """Do *case* again and again, each time with the next call failing."""
    prepare, act = CASES[case]
    for number in count(1):
        for directory in (stack.upper, stack.work):
            shutil.rmtree(directory)
            directory.mkdir()
        with stack.opened() as kernel:
            prepare(kernel)
            before = kernel.tree()
            failed, error = fails_at(number, kernel, act, number_of_error, looking=looking)
            if failed is None:
                break
            problem = f"call {number}, {failed}: {error!r}"
            if error is not None:
                assert error.errno == number_of_error, problem
                assert kernel.tree() == before, problem
                assert comparable(look_again(kernel), case) == comparable(before, case), problem
                act(kernel)
            after = kernel.tree()
            assert without_numbers(look_again(kernel)) == without_numbers(after), problem
        # What only cleans up may fail, and then a count of the index can be one too high.
        links = error is not None
        with stack.opened() as kernel:
            assert without_numbers(kernel.tree(), links=links) == without_numbers(after, links=links), problem
    assert number > 1
