"""Opening an upper, killed: what an earlier mount left is swept again by the next, and nothing that shows is lost.

Source: overlayfs, whose workdir is emptied at mount.
"""

from pathlib import Path

from tests.crash.cases import SOAK, every
from tests.crash.killing import Act, Case, check_every_kill
from tests.crash.stack import Form
from tests.crash.view import View
from tests.stacks import File, HardLink, Layer
from unionfs.union.step import run

LOWER: Layer = {
    "f": File(b"low"),
    "one": File(b"linked", uid=3),
    "two": HardLink("one"),
    "x": File(b"twice"),
    "y": HardLink("x"),
    "d/a": File(b"a"),
}


def _indexed(view: View) -> None:
    view.write("one", 0, b"LINKED")
    view.write("x", 0, b"TWICE")


def _gone(*names: str) -> Act:
    """Unlink files that are in use, and end without their being forgotten: they, or their place in the index, stay."""

    def act(view: View) -> None:
        for name in names:
            view.write(name, 0, b"!")
            run(view.union.unlink(*view.place(name)))

    return act


def _nothing(view: View) -> None:
    view.number("two")


CASES = [
    Case(name="new", lowers=(LOWER,), left=_nothing, act=_nothing),
    Case(name="left-over", lowers=(LOWER,), left=_gone("f", "d/a"), act=_nothing),
    Case(name="index", lowers=(LOWER,), before=(_indexed,), left=_gone("x", "y", "f"), act=_nothing),
]


@every(CASES)
def test_an_upper_shows_the_same_however_often_opening_it_is_cut_short(
    directory: Path, case: Case, form: Form, volatile: bool
) -> None:
    assert check_every_kill(directory, case, form, volatile=volatile, every_call=SOAK) > 10
