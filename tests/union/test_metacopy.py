"""Files whose metadata alone are in the upper, or in a layer of the middle (overlayfs, "Metadata only copy up")."""

import os
from collections.abc import Callable, Iterator
from errno import EIO, ENOSPC
from pathlib import Path

import pytest
from xattr import lib

from tests.stacks import File, HardLink, Layer
from tests.unions import EVERYTHING, Kernel, Stack, UnderWay
from unionfs.linux.rename import RENAME_EXCHANGE
from unionfs.union.step import run
from unionfs.union.union import Change, Settings

pytestmark = pytest.mark.usefixtures("nothing_at_hand")
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
"""``cap_net_raw=ep``, as security.capability holds it."""


def metacopy(size: int, redirect: str = "") -> File:
    """Describe metadata without content."""
    xattrs = {"trusted.overlay.metacopy": b""}
    if redirect:
        xattrs["trusted.overlay.redirect"] = redirect.encode()
    return File(size=size, xattrs=xattrs, mode=0o600)


def stacked(tmp_path: Path, *lowers: Layer, settings: Settings = EVERYTHING) -> Stack:
    return Stack(tmp_path / "stack", lowers, settings)


def is_metacopy(path: Path) -> bool:
    return "trusted.overlay.metacopy" in os.listxattr(path)


def test_a_change_of_metadata_leaves_the_content_beneath(tmp_path: Path) -> None:
    stack = stacked(tmp_path, {"d/f": File(b"content" * 10_000)})
    with stack.opened() as kernel:
        before = kernel.stat("d/f")
        shown = kernel.change("d/f", mode=0o4711, uid=1, gid=2)
        assert (shown.mode & 0o7777, shown.uid, shown.gid) == (0o4711, 1, 2)
        assert (shown.ino, shown.size, shown.blocks, shown.mtime_ns) == (
            before.ino, before.size, before.blocks, before.mtime_ns,
        )  # fmt: skip
        assert is_metacopy(stack.upper / "d/f")
        assert (stack.upper / "d/f").stat().st_blocks == 0
        assert kernel.read("d/f") == b"content" * 10_000
    with stack.opened() as kernel:
        assert kernel.read("d/f") == b"content" * 10_000
        assert kernel.stat("d/f").ino == before.ino


def test_an_empty_file_is_copied_whole(tmp_path: Path) -> None:
    stack = stacked(tmp_path, {"f": File()})
    with stack.opened() as kernel:
        kernel.change("f", mode=0o600)
        assert not is_metacopy(stack.upper / "f")


def test_without_the_setting_the_content_is_copied_too(tmp_path: Path) -> None:
    stack = stacked(tmp_path, {"f": File(b"content")}, settings=Settings(volatile=True))
    with stack.opened() as kernel:
        kernel.change("f", mode=0o600)
        assert not is_metacopy(stack.upper / "f")
        assert (stack.upper / "f").read_bytes() == b"content"


def write(kernel: Kernel, path: str) -> bytes:
    kernel.write(path, b"CON")
    return b"CONtent"


def shorten(kernel: Kernel, path: str) -> bytes:
    kernel.change(path, size=3)
    return b"con"


def lengthen(kernel: Kernel, path: str) -> bytes:
    kernel.change(path, size=9)
    return b"content\0\0"


def open_for_writing(kernel: Kernel, path: str) -> bytes:
    run(kernel.union.open(kernel.number(path), os.O_RDWR))
    return b"content"


@pytest.mark.parametrize("change", [write, shorten, lengthen, open_for_writing])
@pytest.mark.parametrize("named", ["f", "moved"])
def test_a_change_of_content_brings_the_content(
    tmp_path: Path, change: Callable[[Kernel, str], bytes], named: str
) -> None:
    stack = stacked(tmp_path, {"f": File(b"content")})
    with stack.opened() as kernel:
        kernel.change("f", mode=0o600)
        if named != "f":
            kernel.rename("f", named)
        expected = change(kernel, named)
        assert kernel.read(named) == expected
        assert not is_metacopy(stack.upper / named)
        assert (stack.upper / named).read_bytes() == expected
        assert kernel.stat(named).mode & 0o7777 == 0o600
    with stack.opened() as kernel:
        assert kernel.read(named) == expected


def test_capabilities_survive_until_somebody_writes(tmp_path: Path) -> None:
    stack = stacked(tmp_path, {"f": File(b"content", xattrs={"security.capability": CAPABILITY})})
    with stack.opened() as kernel:
        kernel.change("f", mtime_ns=1)
        assert kernel.xattrs("f") == {b"security.capability": CAPABILITY}
        open_for_writing(kernel, "f")
        assert kernel.xattrs("f") == {b"security.capability": CAPABILITY}
        kernel.write("f", b"C")
        assert kernel.xattrs("f") == {}


def no_space(*_: object, **__: object) -> None:
    raise OSError(ENOSPC, "no space")


def no_space_in(operation: UnderWay) -> Callable[[], None]:
    return lambda: operation.fail(OSError(ENOSPC, "no space"))


@pytest.mark.parametrize("size", [3, 7])
@pytest.mark.parametrize("step", ["copying", "syncing", "marking"])
def test_a_failure_leaves_size_times_and_capabilities(
    tmp_path: Path, step: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    low = {"f": File(b"content", xattrs={"security.capability": CAPABILITY})}
    stack = stacked(tmp_path, low, settings=Settings(metacopy=True))
    with stack.opened() as kernel:
        before = kernel.change("f", mode=0o755)
        cutting = UnderWay(kernel.union.setattr(before.ino, Change(size=size), keep_set_id=True))
        if step != "copying":
            cutting.resume()
        monkeypatch.setattr(lib, "_removexattr", no_space)
        end = cutting.resume if step == "marking" else no_space_in(cutting)
        with pytest.raises(OSError, match="no space"):
            end()
        assert is_metacopy(stack.upper / "f")
        shown = kernel.stat("f")
        assert (shown.size, shown.mtime_ns) == (7, before.mtime_ns)
        assert kernel.xattrs("f") == {b"security.capability": CAPABILITY}
        assert kernel.read("f") == b"content"


@pytest.mark.parametrize("middle", ["/g", "g", ""], ids=["absolute", "relative", "none"])
def test_a_metacopy_of_a_middle_layer_is_read_from_beneath_it(tmp_path: Path, middle: str) -> None:
    low = {"g" if middle else "f": File(b"content")}
    with stacked(tmp_path, {"f": metacopy(7, middle)}, low).opened() as kernel:
        assert kernel.read("f") == b"content"
        assert kernel.stat("f").mode & 0o7777 == 0o600
        kernel.write("f", b"C")
        assert kernel.read("f") == b"Content"


def test_a_metacopy_over_a_metacopy_keeps_its_content_when_it_moves(tmp_path: Path) -> None:
    """The middle layer has a file at the very path to which its own metacopy is redirected."""
    stack = stacked(tmp_path, {"f": metacopy(7, "/g"), "g": File(b"another")}, {"g": File(b"content")})
    with stack.opened() as kernel:
        kernel.change("f", mode=0o640)
        kernel.rename("f", "h")
        assert kernel.read("h") == b"content"
    with stack.opened() as kernel:
        assert kernel.read("h") == b"content"
        assert kernel.read("g") == b"another"


def test_a_chain_of_metacopies_ends_at_the_content(tmp_path: Path) -> None:
    stack = stacked(
        tmp_path, {"a": metacopy(7, "/d/b")}, {"d/b": metacopy(7, "c")}, {"d/c": metacopy(7)}, {"d/c": File(b"content")}
    )
    with stack.opened() as kernel:
        assert kernel.read("a") == b"content"


@pytest.mark.parametrize("beneath", [{}, {"f/now": File()}, {"g": File(b"content")}], ids=["none", "dir", "other"])
def test_a_metacopy_without_content_beneath_cannot_be_read(tmp_path: Path, beneath: Layer) -> None:
    with stacked(tmp_path, {"f": metacopy(7), "ok": File(b"ok")}, beneath).opened() as kernel:
        number = kernel.number("f")
        for attempt in (lambda: kernel.read("f"), lambda: kernel.write("f", b"x"), lambda: kernel.change("f", size=0)):
            with pytest.raises(OSError, match="missing in the layers beneath") as failure:
                attempt()
            assert failure.value.errno == EIO
        assert kernel.number("f") == number
        assert kernel.read("ok") == b"ok"


def exchanged(kernel: Kernel) -> None:
    kernel.rename("d/f", "other", RENAME_EXCHANGE)
    kernel.rename("other", "new")


def renamed(kernel: Kernel) -> None:
    kernel.rename("d/f", "new")


def linked(kernel: Kernel) -> None:
    kernel.link("d/f", "new")
    kernel.unlink("d/f")


@pytest.mark.parametrize("move", [renamed, linked, exchanged])
def test_a_metacopy_with_a_new_name_has_its_content(tmp_path: Path, move: Callable[[Kernel], None]) -> None:
    stack = stacked(tmp_path, {"d/f": File(b"content"), "other": File(b"different")})
    with stack.opened() as kernel:
        move(kernel)
        assert kernel.read("new") == b"content"
        assert is_metacopy(stack.upper / "new")
        kernel.change("new", mode=0o600)
        kernel.create("again")
        kernel.rename("new", "again")
    with stack.opened() as kernel:
        assert kernel.read("again") == b"content"
        kernel.write("again", b"C")
    with stack.opened() as kernel:
        assert kernel.read("again") == b"Content"


def test_a_path_too_long_for_a_redirect_brings_the_content(tmp_path: Path) -> None:
    path = "/".join(["d" * 100] * 3)
    stack = stacked(tmp_path, {f"{path}/f": File(b"content")})
    with stack.opened() as kernel:
        kernel.change(f"{path}/f", mode=0o600)
        kernel.rename(f"{path}/f", "short")
        assert not is_metacopy(stack.upper / "short")
        assert (stack.upper / "short").read_bytes() == b"content"


def test_every_name_of_a_metacopied_hard_link_has_the_content(tmp_path: Path) -> None:
    stack = stacked(tmp_path, {"d/x": File(b"content"), "y": HardLink("d/x")})
    with stack.opened() as kernel:
        kernel.change("d/x", mode=0o600)
        kernel.link("d/x", "z")
        kernel.rename("d/x", "w")
    for _ in range(2):
        with stack.opened() as kernel:
            assert {kernel.read(name) for name in ("w", "y", "z")} == {b"content"}
            assert {kernel.stat(name).ino for name in ("w", "y", "z")} == {kernel.number("w")}
            assert kernel.stat("y").nlink == 3
            assert kernel.stat("z").mode & 0o7777 == 0o600
    with stack.opened() as kernel:
        kernel.write("z", b"C")
        assert kernel.read("y") == b"Content"


@pytest.mark.parametrize("named", ["", "/d/"], ids=["by name", "by redirect"])
def test_looking_for_content_lists_no_directory_however_many_files_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    listings: list[bytes] = []
    scandir = os.scandir

    def counted(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        listings.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    counts = []
    for number in (2, 100):
        names = [f"f{place}" for place in range(number)]
        top: Layer = {f"d/{name}": metacopy(1, named and named + name) for name in names}
        stack = Stack(tmp_path / f"stack{number}", [top, {f"d/{name}": File(b"x") for name in names}], EVERYTHING)
        with stack.opened() as kernel:
            listings.clear()
            assert {kernel.read(f"d/{name}") for name in names} == {b"x"}
            counts.append(len(listings))
    assert counts[0] == counts[1]
