"""A request that finds no room is done once more when the kernel has said which removed files it forgets."""

import errno
import os
import threading
from pathlib import Path
from typing import cast

import pytest

from tests.fuse.kernel.asking import ROOT, attributes, lookup, write
from tests.fuse.kernel.connection import PATIENCE, connected
from tests.stacks import File
from tests.unions import EVERYTHING, Stack
from unionfs.fuse.kernel import abi, handlers
from unionfs.fuse.kernel.abi import Opcode


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [{"f": File(b"content")}], EVERYTHING)


MKDIR = abi.MKDIR_IN.pack(0o755, 0) + b"made\0"


def test_room_is_found_when_a_removed_file_is_forgotten(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    told, forgotten = threading.Event(), threading.Event()
    with stack.opened() as opened, connected(opened.union) as kernel:
        create, forget = opened.union.create, opened.union.forget

        def create_where_there_is_room(*args: object, **keywords: object) -> object:
            assert told.wait(PATIENCE)
            if not forgotten.is_set():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return create(*args, **keywords)  # type: ignore[arg-type] # they are the ones it was called with

        def forget_and_note(number: int, lookups: int) -> None:
            forget(number, lookups)
            forgotten.set()

        monkeypatch.setattr(opened.union, "create", create_where_there_is_room)
        monkeypatch.setattr(opened.union, "forget", forget_and_note)
        number = lookup(kernel, b"f")
        making = kernel.send(Opcode.MKDIR, ROOT, MKDIR, uid=5, gid=6)
        kernel.send(Opcode.FORGET, number, abi.FORGET_IN.pack(1))
        told.set()
        assert kernel.receive(making).error == 0
        made = attributes(kernel, lookup(kernel, b"made"))
        assert (made["uid"], made["gid"], made["mode"]) == (5, 6, 0o040755)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_where_there_is_none_still_it_is_said(stack: Stack, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    tried: list[bytes] = []
    with stack.opened() as opened, connected(opened.union) as kernel:

        def create(_parent: int, name: bytes, *_args: object, **_keywords: object) -> object:
            tried.append(name)
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(opened.union, "create", create)
        assert kernel.ask(Opcode.MKDIR, ROOT, MKDIR).error == number
        assert tried == [b"made", b"made"]
        assert write(kernel, lookup(kernel, b"f"), b"others go on") == 12


def test_a_file_is_opened_once_those_removed_before_are_forgotten(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What passes through can't be put off: it is the kernel that writes then."""
    order: list[str] = []
    with stack.opened() as opened, connected(opened.union) as kernel:
        number = lookup(kernel, b"f")
        held = threading.Event()
        forget, unlink = opened.union.forget, opened.union.unlink

        def created(*_: object) -> bytes:
            order.append("create")
            return b""

        def noted(name: str, call: object) -> object:
            def wrapped(*args: object, **keywords: object) -> object:
                assert held.wait(PATIENCE)
                order.append(name)
                return call(*args, **keywords)  # type: ignore[operator] # a method of the union

            return wrapped

        monkeypatch.setattr(opened.union, "forget", noted("forget", forget))
        monkeypatch.setattr(opened.union, "unlink", noted("unlink", unlink))
        monkeypatch.setitem(cast(dict[int, object], handlers.HANDLERS), Opcode.CREATE, created)
        removing = kernel.send(Opcode.UNLINK, ROOT, b"f\0")
        making = kernel.send(Opcode.CREATE, ROOT, abi.CREATE_IN.pack(0, 0o644, 0, 0) + b"g\0")
        kernel.send(Opcode.FORGET, number, abi.FORGET_IN.pack(1))
        held.set()
        assert kernel.receive(removing).error == 0
        assert kernel.receive(making).error == 0
    assert order == ["unlink", "forget", "create"]


def test_who_was_put_off_comes_on_even_where_others_never_stop_asking(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    with stack.opened() as opened, connected(opened.union) as kernel:
        held, served = threading.Event(), 0
        getattr_ = opened.union.getattr

        def create(*_args: object, **_keywords: object) -> object:
            assert held.wait(PATIENCE)
            tried.append(served)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def counted(number: int) -> object:
            nonlocal served
            served += 1
            return getattr_(number)

        monkeypatch.setattr(opened.union, "create", create)
        monkeypatch.setattr(opened.union, "getattr", counted)
        making = kernel.send(Opcode.MKDIR, ROOT, MKDIR)
        asked = [kernel.send(Opcode.GETATTR, ROOT, bytes(16)) for _ in range(100)]
        held.set()
        assert kernel.receive(making).error == errno.ENOSPC
        for unique in asked:
            assert kernel.receive(unique).error == 0
    assert tried == [0, 32]
