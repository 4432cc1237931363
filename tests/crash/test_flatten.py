"""Flattening, killed: whenever that happens, a mount shows what it showed, and a further run completes it.

Data first, marks last; times that change on the way are recorded before, and set again when the upper is opened.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.cases import SOAK
from tests.crash.killing import fingerprint
from tests.crash.tracing import Traced
from tests.union.test_flatten import BOTTOM, FORMS, SESSIONS, TOP, marks, seen
from tests.unions import EVERYTHING, Stack
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.union.flatten import flatten

# What each of the others does is in one of these.
TOGETHER = {
    "device": ("a linked metacopy", "a metacopy of a capable program", "a hard link removed"),
    "prefix": ("a renamed directory with changes in it",),
    "user": ("a metacopy of a sparse file",),
}
CASES = [(form, session) for form in FORMS for session in (SESSIONS if SOAK else TOGETHER[form])]


def _prepare(directory: Path, session: str, form: str) -> Stack:
    """Give a stack whose upper an earlier session left."""
    stack = Stack(directory, (TOP, BOTTOM), EVERYTHING, FORMS[form])
    with stack.opened() as kernel:
        for change in SESSIONS[session]:
            change(kernel)
    return stack


def _flattening(stack: Stack) -> Callable[[], None]:
    os.umask(0)
    descriptors = Descriptors(64)
    opened = open_upper(os.fsencode(stack.upper), os.fsencode(stack.work), descriptors, UpperOptions())
    lowers = [open_lower(os.fsencode(stack.lower(place)), place, descriptors) for place in range(2)]

    def act() -> None:
        flatten(opened.upper, lowers, lambda _: None)

    return act


@pytest.mark.parametrize(("form", "session"), CASES)
def test_flattening_killed_shows_the_same_and_is_completed_by_the_next_run(
    directory: Path, form: str, session: str
) -> None:
    stack = _prepare(directory / "whole", session, form)
    changing = _changing(stack)
    assert changing
    assert marks(stack.upper) == []
    for place in changing:
        _check_kill(_prepare(directory / f"{place}", session, form), place)
        shutil.rmtree(directory / f"{place}")


def _check_kill(stack: Stack, last: int) -> None:
    before = seen(stack)
    with Traced(lambda: _flattening(stack)) as child:
        for place, _ in enumerate(child.returns()):
            if place == last:
                break
    stack.options = UpperOptions()
    assert seen(stack) == before, f"killed after its call {last}"
    with Traced(lambda: _flattening(stack)) as child:
        for _ in child.returns():
            pass
    assert marks(stack.upper) == [], f"killed after its call {last}, and completed"
    assert seen(stack) == before, f"killed after its call {last}, and completed"


def _changing(stack: Stack) -> list[int]:
    """Flatten, and give the places of the calls that change anything on disk."""
    changing, before = [], fingerprint(stack.upper, stack.work)
    with Traced(lambda: _flattening(stack)) as child:
        for place, _ in enumerate(child.returns()):
            after = fingerprint(stack.upper, stack.work)
            if after != before:
                changing.append(place)
            before = after
    return changing
