"""Renaming, killed: what is renamed shows at one of the two names, and what it replaces is gone only after that.

Sources: rename(2): "If newpath already exists, it will be atomically replaced"; overlayfs, "Redirecting directories".
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.crash.cases import SOAK, every
from tests.crash.killing import Act, Case, check_every_kill
from tests.crash.stack import DEVICE, Form
from tests.crash.view import Tree, View
from tests.mounts import mount, unmount_or_detach
from tests.stacks import Directory, File, HardLink, Layer
from unionfs.linux.rename import RENAME_EXCHANGE
from unionfs.union.union import Change

LOWER: Layer = {
    "low": File(b"low" * 100, mode=0o640, uid=7, xattrs={"user.key": b"value"}),
    "changed": File(b"before"),
    "hidden": File(b"must never show again"),
    "other": File(b"other" * 50, gid=8),
    "one": File(b"linked", uid=3),
    "two": HardLink("one"),
    "lowdir/x": File(b"x"),
    "merged/below": File(b"below"),
    "merged/gone": File(b"must never show again"),
    "hiddendir/x": File(b"must never show again"),
    "empty": Directory(mode=0o700),
    "emptied/x": File(b"must never show again"),
    "into/y": File(b"y"),
}


def _earlier(view: View) -> None:
    view.write("changed", 0, b"after!")
    view.unlink("hidden")
    view.create("up", 0o100640, owner=(4, 5))
    view.create("merged/above", 0o100600)
    view.unlink("merged/gone")
    view.unlink("hiddendir/x")
    view.rmdir("hiddendir")
    view.create("updir", 0o40750)
    view.create("updir/in", 0o100600)
    view.create("upempty", 0o40700)
    view.unlink("emptied/x")


def _renamed(name: str, new: str, flags: int = 0) -> Act:
    return lambda view: view.rename(name, new, flags)


FILES = ("up", "low", "changed", "one")
REPLACED = ("hidden", "other", "changed", "up", "two", "new", "into/y", "into/new")
DIRECTORIES = ("updir", "lowdir", "merged")
COVERED = ("hidden", "hiddendir", "empty", "emptied", "upempty", "newdir", "into/newdir")
EXCHANGED = (
    ("up", "low"), ("changed", "into/y"), ("one", "other"), ("low", "lowdir"), ("updir", "merged"),
    ("merged", "lowdir"), ("lowdir", "up"), ("updir", "upempty"),
)  # fmt: skip


def _both(name: str) -> Callable[[Tree, Tree], Tree]:
    """Give the moment at which a file has its old name and, replacing what was there, its new one."""

    def between(old: Tree, new: Tree) -> Tree:
        tree = {**new, name: old[name]}
        linked = {path for path, shown in tree.items() if shown.inode == old[name].inode}
        return {path: shown._replace(links=shown.links + (path in linked)) for path, shown in tree.items()}

    return between


def _without(name: str) -> Callable[[Tree, Tree], Tree]:
    """Give the moment at which the empty directory that is replaced is gone."""
    return lambda old, _: {path: shown for path, shown in old.items() if path != name}


# The name of a lower that is replaced is counted as hidden after it is. A directory that holds whiteouts is replaced by
# an empty one before that is replaced.
SETTLES = {"two": ("links",), "emptied": ("inode",)}


def _pairs(names: Sequence[str], targets: Sequence[str]) -> list[tuple[str, str]]:
    """Give every name with every target, or with every other one, in turns."""
    return [
        (name, new)
        for row, name in enumerate(names)
        for column, new in enumerate(targets)
        if SOAK or (row + column) % 2 == 0
    ]


CASES = [
    *(
        Case(
            name=f"{name}-to-{new}",
            lowers=(LOWER,),
            before=(_earlier,),
            act=_renamed(name, new),
            settles=SETTLES.get(new, ()),
            between={"attribute": _both(name)},
        )
        for name, new in _pairs(FILES, REPLACED)
        # Two names of one file: rename does nothing.
        if name != new and (name, new) != ("one", "two")
    ),
    *(
        Case(
            name=f"{name}-to-{new}",
            lowers=(LOWER,),
            before=(_earlier,),
            act=_renamed(name, new),
            settles=SETTLES.get(new, ()),
            between={"attribute": _without(new)},
        )
        for name, new in _pairs(DIRECTORIES, COVERED)
    ),
    *(
        Case(name=f"{one}-for-{other}", lowers=(LOWER,), before=(_earlier,), act=_renamed(one, other, RENAME_EXCHANGE))
        for one, other in EXCHANGED
    ),
    Case(
        name="metacopy-to-new",
        lowers=(LOWER,),
        metacopy=True,
        before=(lambda view: view.change("low", Change(mode=0o600)),),
        act=_renamed("low", "into/new"),
    ),
    Case(
        name="becoming-a-metacopy",
        lowers=(LOWER,),
        metacopy=True,
        act=_renamed("low", "other"),
        between={"attribute": _both("low")},
    ),
    Case(
        name="a-renamed-directory-again",
        lowers=(LOWER,),
        before=(_earlier, _renamed("merged", "moved")),
        act=_renamed("moved", "lowdir/again"),
    ),
    Case(name="back", lowers=(LOWER,), before=(_earlier, _renamed("merged", "moved")), act=_renamed("moved", "merged")),
]


@every(CASES)
def test_a_rename_is_made_or_not_made(directory: Path, case: Case, form: Form, volatile: bool) -> None:
    assert check_every_kill(directory, case, form, volatile=volatile, every_call=SOAK) > 0


def test_a_directory_that_a_kill_left_opaque_is_renamed_after_all(directory: Path) -> None:
    """Where no attributes can be kept a marker file in it says so; ramfs keeps none."""
    bare = directory / "bare"
    bare.mkdir()
    mount("ramfs", bare, "ramfs")
    try:
        case = Case(
            name="opaque",
            lowers=({"hidden": File(b"must never show again")},),
            before=(lambda view: view.unlink("hidden"), lambda view: view.create("updir", 0o40750)),
            act=_renamed("updir", "hidden"),
        )
        assert check_every_kill(bare, case, DEVICE, volatile=False, every_call=SOAK) > 1
    finally:
        unmount_or_detach(bare)
