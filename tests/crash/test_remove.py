"""Removing, killed: a name shows as before or not at all, and never what it had covered.

Sources: unlink(2), rmdir(2); overlayfs, "whiteouts and opaque directories".
"""

from pathlib import Path

from tests.crash.cases import SOAK, every
from tests.crash.killing import Act, Case, check_every_kill
from tests.crash.stack import Form
from tests.crash.view import View
from tests.stacks import Directory, File, HardLink, Layer
from unionfs.union.step import run

LOWER: Layer = {
    "low": File(b"low"),
    "changed": File(b"before"),
    "one": File(b"linked", uid=3),
    "two": HardLink("one"),
    "in/low": File(b"low"),
    "empty": Directory(mode=0o700),
    "emptied/x": File(b"must never show again"),
    "replaced/x": File(b"must never show again"),
}


def _earlier(view: View) -> None:
    view.write("changed", 0, b"after!")
    view.create("up", 0o100640, owner=(4, 5))
    view.link("up", "uplink")
    view.create("updir", 0o40700)
    view.unlink("emptied/x")
    view.unlink("replaced/x")
    view.rmdir("replaced")
    view.create("replaced", 0o40700)


def _unlinked(name: str) -> Act:
    return lambda view: view.unlink(name)


def _removed(name: str) -> Act:
    return lambda view: view.rmdir(name)


def _unlinked_unknown(name: str) -> Act:
    """Unlink a file that the kernel forgets before, as it may."""

    def act(view: View) -> None:
        parent, on_disk = view.place(name)
        view.forget(view.number(name))
        run(view.union.unlink(parent, on_disk))

    return act


CASES = [
    *(
        Case(name=f"unlink-{name}", lowers=(LOWER,), before=(_earlier,), act=_unlinked(name))
        for name in ("up", "low", "changed", "in/low", "uplink")
    ),
    *(
        Case(name=f"unlink-unknown-{name}", lowers=(LOWER,), before=(_earlier,), act=_unlinked_unknown(name))
        for name in ("up", "changed")
    ),
    # The name of a lower file is counted as hidden after it is.
    Case(name="unlink-one-of-two", lowers=(LOWER,), act=_unlinked("one"), settles=("links",)),
    Case(
        name="unlink-copied-one-of-two",
        lowers=(LOWER,),
        before=(lambda view: view.write("one", 0, b"LINKED"),),
        act=_unlinked("one"),
    ),
    Case(
        name="unlink-two-of-two",
        lowers=(LOWER,),
        before=(lambda view: view.write("one", 0, b"LINKED"), _unlinked("one")),
        act=_unlinked("two"),
    ),
    *(
        Case(name=f"rmdir-{name}", lowers=(LOWER,), before=(_earlier,), act=_removed(name))
        for name in ("updir", "empty", "replaced")
    ),
    # Beside its whiteout a directory shows nothing from beneath, and so has the number of its own inode.
    Case(name="rmdir-emptied", lowers=(LOWER,), before=(_earlier,), act=_removed("emptied"), settles=("inode",)),
]


@every(CASES)
def test_a_removal_is_made_or_not_made(directory: Path, case: Case, form: Form, volatile: bool) -> None:
    assert check_every_kill(directory, case, form, volatile=volatile, every_call=SOAK) > 0
