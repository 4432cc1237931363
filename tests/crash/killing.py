"""An operation killed after every system call that changes anything, and what must hold after each kill.

The rule, from overlayfs's way of working (a work directory and one rename): mounted again, the stack shows what it
showed before the operation or what it shows after it, whole; nothing of the attempt is left over, and trying again
succeeds.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.stack import Form, Stack
from tests.crash.tracing import Traced
from tests.crash.view import Shown, Tree, View, comparable, inodes
from tests.snapshots import snapshot
from tests.stacks import Layer
from unionfs.union.union import Settings

Act = Callable[[View], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """An operation on a stack. ``before`` are earlier sessions, each of them mounted and ended cleanly.

    ``settles``: what may differ from both the old and the new after a kill, since a later call sets it: ``mtime``,
    ``links``, ``inode`` or an extended attribute. ``between`` gives, by form, what else may show in the middle, made
    of the old and the new. ``but_for`` names forms that can't do it. ``left``: a last session, whose left-overs are
    there when the next one is opened; then it is that which may be killed, and *act* changes nothing that shows.
    """

    name: str
    lowers: tuple[Layer, ...]
    before: tuple[Act, ...] = ()
    act: Act
    metacopy: bool = False
    settles: tuple[str, ...] = ()
    between: Mapping[str, Callable[[Tree, Tree], Tree]] = field(default_factory=dict)
    but_for: tuple[str, ...] = ()
    left: Act | None = None


@dataclass(frozen=True)
class _Call:
    """The ``place``-th return, from 1, of a call whose number is in ``numbers`` (None: of any)."""

    numbers: frozenset[int] | None
    place: int

    def __str__(self) -> str:
        kinds = "all" if self.numbers is None else ", ".join(map(str, sorted(self.numbers)))
        return f"return {self.place} of the calls {kinds}"


def check_every_kill(directory: Path, case: Case, form: Form, *, volatile: bool, every_call: bool) -> int:
    """Kill *case* at each point, and check what is left; give the number of kills.

    Calls that change nothing are passed over unless *every_call*: a kill after them leaves what one before them does.
    """
    settings = Settings(redirect=True, metacopy=case.metacopy, volatile=volatile)
    stack = Stack.build(directory, form, settings, case.lowers)
    attempt = _Attempt(stack, case)
    lowers = [snapshot(directory / f"lower{place}") for place in range(len(case.lowers))]
    with stack.acting():
        old, new, calls = attempt.undisturbed(every_call=every_call)
        assert (old == new) == (case.left is not None), "the operation shows no effect, so the case tests nothing"
        for call in calls:
            attempt.killed(call, old, new)
    assert [snapshot(directory / f"lower{place}") for place in range(len(case.lowers))] == lowers
    return len(calls)


class _Attempt:
    def __init__(self, stack: Stack, case: Case) -> None:
        self._stack = stack
        self._case = case
        self._old_inodes: dict[int, str] = {}

    def _prepare(self) -> None:
        self._stack.make_upper()
        for earlier in self._case.before:
            self._stack.apply(earlier)
        with self._stack.opened() as view:
            self._old_inodes = inodes(view.tree(self._stack.form.unspell))
        if self._case.left is not None:
            self._stack.apply(self._case.left)

    def _shown(self) -> Tree:
        with self._stack.opened() as view:
            return comparable(view.tree(self._stack.form.unspell), self._old_inodes)

    def _act_in_child(self) -> Callable[[], None]:
        if self._case.left is not None:
            return lambda: self._stack.apply(self._case.act)
        session = self._stack.opened()
        view = session.__enter__()

        def act() -> None:
            self._case.act(view)
            # The session isn't left, which would close it: the end that a kill makes has no such step.
            assert session is not None

        return act

    def undisturbed(self, *, every_call: bool) -> tuple[Tree, Tree, list[_Call]]:
        """Give what shows before and after, and the calls to kill after."""
        self._prepare()
        old = self._shown()
        if self._case.left is not None:
            self._prepare()
        numbers: list[int] = []
        changing: list[int] = []
        with Traced(self._act_in_child) as child:
            before = fingerprint(self._stack.upper, self._stack.work)
            for number in child.returns():
                after = fingerprint(self._stack.upper, self._stack.work)
                if after != before:
                    changing.append(len(numbers))
                numbers.append(number)
                before = after
        new = self._shown()
        if every_call:
            return old, new, [_Call(None, place) for place in range(1, len(numbers) + 1)]
        kinds = frozenset(numbers[index] for index in changing)
        return old, new, [
            _Call(kinds, sum(number in kinds for number in numbers[: index + 1])) for index in changing
        ]  # fmt: skip

    def killed(self, call: _Call, old: Tree, new: Tree) -> None:
        """Kill after *call*, and check what is left."""
        self._prepare()
        with Traced(self._act_in_child) as child:
            matching = (number for number in child.returns() if call.numbers is None or number in call.numbers)
            reached = sum(1 for _ in _first(matching, call.place))
        assert reached == call.place, f"the operation has ended before {call}"
        where = f"{self._case.name}, killed after {call}"
        with self._stack.opened() as view:
            staged = self._stack.staged()
            got = comparable(view.tree(self._stack.form.unspell), self._old_inodes)
        assert staged == [], f"{where}: left over in the workdir: {staged}"
        between = self._case.between.get(self._stack.form.name, _old)(old, new)
        old, between, got, new = (self._settled(tree) for tree in (old, between, got, new))
        assert got in (old, between, new), f"{where}:\n" + "\n".join(_explain(got, old, new))
        if got != new:
            self._stack.apply(self._case.act)
        again = self._settled(self._shown())
        in_the_end = (new, between) if got == between else (new,)
        assert again in in_the_end, f"{where}, and tried again:\n" + "\n".join(_explain(again, new, new))

    def _settled(self, tree: Tree) -> Tree:
        return {path: _without(shown, self._case.settles) for path, shown in tree.items()}


def _old(old: Tree, _new: Tree) -> Tree:
    return old


def _without(shown: Shown, names: tuple[str, ...]) -> Shown:
    return shown._replace(
        xattrs={name: value for name, value in shown.xattrs.items() if name not in names},
        mtime=None if "mtime" in names else shown.mtime,
        links=0 if "links" in names else shown.links,
        inode="" if "inode" in names else shown.inode,
    )


def _first(numbers: Iterator[int], count: int) -> Iterator[int]:
    """Give the first *count* of *numbers*, and ask for no more, which would let the child go on."""
    for _ in range(count):
        try:
            yield next(numbers)
        except StopIteration:
            return


def fingerprint(*roots: Path) -> list[object]:
    """Give all that a system call may change beneath *roots*."""
    found: list[object] = []
    for root in roots:
        for above, directories, files in os.walk(root):
            for name in (".", *directories, *files):
                path = os.path.join(above, name)
                status = os.lstat(path)
                values = [os.getxattr(path, key, follow_symlinks=False) for key in _xattrs(path)]
                times = (status.st_mtime_ns, status.st_ctime_ns)
                found.append((path, status.st_ino, status.st_mode, status.st_uid, status.st_gid, *times, values))
                found.append((status.st_size, status.st_blocks, status.st_nlink))
    return found


def _xattrs(path: str) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def _explain(got: Tree, old: Tree, new: Tree) -> Iterator[str]:
    for path in sorted({*got, *old, *new}):
        shown = got.get(path)
        expected = [tree.get(path) for tree in (old, new)]
        if shown not in expected:
            yield f"  {path} shows {_short(shown)}, not {_short(expected[0])} or {_short(expected[1])}"
    if all(got.get(path) in (old.get(path), new.get(path)) for path in {*got, *old, *new}):
        yield from (f"  {path} is the old one" for path in sorted({*old, *new}) if _only(path, got, old, new))
        yield from (f"  {path} is the new one" for path in sorted({*old, *new}) if _only(path, got, new, old))


def _only(path: str, got: Tree, one: Tree, other: Tree) -> bool:
    return got.get(path) == one.get(path) != other.get(path)


def _short(shown: object) -> str:
    return re.sub(r"(b'.{20})[^']*(.{20}')", r"\1…\2", repr(shown))
