"""An inode that is known to have no attributes answers for them without its file system."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.posix.acl import DEFAULT, acl
from tests.stacks import Directory, File, Layer
from tests.unions import EVERYTHING, Stack
from unionfs.linux import xattrs

NAME = b"user.mine"
LOWER: Layer = {"bare": File(b"x"), "d": Directory(), "d/f": File(), "has": File(xattrs={"user.mine": b"1"})}


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [LOWER], EVERYTHING)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the calls that read attributes, as they are made."""
    calls: list[str] = []

    def noting(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*arguments: Any) -> Any:
            calls.append(name)
            return call(*arguments)

        return noted

    for name in ("get", "list_names"):
        monkeypatch.setattr(xattrs, name, noting(name, getattr(xattrs, name)))
    return calls


@pytest.mark.parametrize("path", ["bare", "d", "d/new"])
def test_what_has_none_is_asked_for_them_once_at_most(stack: Stack, asked: list[str], path: str) -> None:
    with stack.opened() as kernel:
        kernel.create("d/new")
        number = kernel.number(path)
        asked.clear()
        for _ in range(3):
            assert kernel.xattrs(path) == {}
            with pytest.raises(OSError, match="No data available"):
                kernel.union.getxattr(number, b"security.capability")
        assert asked == []


@pytest.mark.parametrize("path", ["bare", "d", "d/new", "has"])
def test_what_is_set_later_shows(stack: Stack, path: str) -> None:
    with stack.opened() as kernel:
        kernel.create("d/new")
        before = kernel.xattrs(path)
        kernel.set_xattr(path, NAME, b"2")
        assert kernel.xattrs(path) == before | {NAME: b"2"}
        kernel.change(path, mode=0o700)
        assert kernel.xattrs(path) == {NAME: b"2"}
    with stack.opened() as kernel:
        assert kernel.xattrs(path) == {NAME: b"2"}


def test_what_a_directory_hands_down_shows(stack: Stack) -> None:
    with stack.opened() as kernel:
        kernel.set_xattr("d", os.fsencode(DEFAULT), acl(owner=7, group=5, other=0, users={1000: 7}, mask=7))
        kernel.create("d/new")
        assert list(kernel.xattrs("d/new")) == [b"system.posix_acl_access"]


def test_what_a_copy_keeps_shows(stack: Stack) -> None:
    with stack.opened() as kernel:
        for path in ("has", "bare"):
            kernel.write(path, b"copied up")
        assert (kernel.xattrs("has"), kernel.xattrs("bare")) == ({NAME: b"1"}, {})
    assert os.getxattr(stack.upper / "has", NAME) == b"1"
