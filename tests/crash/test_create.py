"""Creating, killed: an entry shows with its owner, mode and content, or the name is free as before.

Sources: open(2), mkdir(2), link(2); overlayfs, "whiteouts and opaque directories".
"""

import stat
from pathlib import Path

from tests.crash.cases import SOAK, every
from tests.crash.killing import Act, Case, check_every_kill
from tests.crash.stack import Form
from tests.crash.view import View
from tests.stacks import Directory, File, HardLink, Layer
from unionfs.union.union import Change

LOWER: Layer = {
    "low": File(b"low" * 50, uid=7),
    "one": File(b"linked", uid=3),
    "two": HardLink("one"),
    "hidden": File(b"must never show again"),
    "hiddendir/x": File(b"must never show again"),
    "in/x": File(b"x"),
    "team": Directory(mode=0o2775, gid=20),
}


def _earlier(view: View) -> None:
    view.unlink("hidden")
    view.unlink("hiddendir/x")
    view.rmdir("hiddendir")
    view.create("up", 0o100640, owner=(4, 5))


def _created(name: str, mode: int, owner: tuple[int, int] = (0, 0), target: bytes = b"") -> Act:
    return lambda view: view.create(name, mode, owner=owner, target=target)


def _linked(name: str, new: str) -> Act:
    return lambda view: view.link(name, new)


CASES = [
    *(
        Case(name=f"{kind}-{name}", lowers=(LOWER,), before=(_earlier,), act=_created(name, mode, (4, 5), target))
        for kind, mode, target in (
            ("file", 0o100640, b""), ("mkdir", 0o40750, b""), ("symlink", 0o120777, b"target"), ("fifo", 0o10600, b""),
        )
        for name in ("new", "hidden", "hiddendir", "in/new", "team/new")
    ),
    Case(name="file-of-root", lowers=(LOWER,), act=_created("in/new", stat.S_IFREG | 0o600)),
    *(
        Case(name=f"link-{name}-{new}", lowers=(LOWER,), before=(_earlier,), act=_linked(name, new))
        for name in ("low", "up", "one")
        for new in ("new", "hidden", "in/new")
    ),
    Case(
        name="link-metacopy",
        lowers=(LOWER,),
        metacopy=True,
        before=(lambda view: view.change("low", Change(mode=0o600)),),
        act=_linked("low", "in/new"),
    ),
]  # fmt: skip


@every(CASES)
def test_an_entry_is_there_whole_or_not(directory: Path, case: Case, form: Form, volatile: bool) -> None:
    assert check_every_kill(directory, case, form, volatile=volatile, every_call=SOAK) > 0
