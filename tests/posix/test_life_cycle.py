"""Mounting, unmounting and mounting again; mounts over mounts; what changes below a mount.

Sources: the kernel's overlayfs documentation, "Changes to underlying filesystems", "Volatile mount"; mount(2).
"""

import os
import threading
from errno import EBUSY, EIO, EISDIR, ENOENT, ENOSPC, EROFS, ESTALE
from pathlib import Path

import pytest

from tests.filesystems import KERNEL, FileSystem, mounted, refusal, scratch
from tests.mounts import MNT_DETACH, MS_RDONLY, MS_REMOUNT, is_mounted, mount, unmount
from tests.posix.place import Place
from tests.posix.table import OURS, UNIONS, errno_of, row
from tests.stacks import EMPTY, OPAQUE, WHITEOUT, Directory, File, write

SPARE = {name: Directory() for name in ("up", "work", "mount")}


def _layers(directory: Path, lower: str = "low") -> list[str]:
    return [f"lowerdir={directory}/{lower}", f"upperdir={directory}/up", f"workdir={directory}/work"]


@row(own=True, bottom={"f": File(b"x")}, on=UNIONS)
def test_a_mount_with_open_files_is_busy_and_can_be_detached(place: Place) -> None:
    root = place.stack.root
    descriptor = os.open(place / "f", os.O_RDWR)
    try:
        assert errno_of(unmount, root) == EBUSY
        unmount(root, MNT_DETACH)
        assert not is_mounted(root)
        assert os.listdir(root) == []
        os.pwrite(descriptor, b"still written", 0)
        assert os.pread(descriptor, 100, 0) == b"still written"
    finally:
        os.close(descriptor)
    place.stack.unmount()
    assert (place.upper / "f").read_bytes() == b"still written"
    place.stack.mount()
    assert (place / "f").read_bytes() == b"still written"


@row(own=True, bottom={"f": File(b"x"), "gone": File(), "d/x": File()}, on=UNIONS)
def test_changes_of_the_upper_between_two_mounts_show(place: Place) -> None:
    (place / "f").write_bytes(b"first")
    place.stack.unmount()
    (place.upper / "f").write_bytes(b"changed below")
    write(place.upper, {"new": File(b"new"), "gone": WHITEOUT, "d": OPAQUE, "d/y": File()})
    place.stack.mount()
    assert place.names() == ["d", "f", "new"]
    assert (place / "f").read_bytes() == b"changed below"
    assert place.names("d") == ["y"]
    (place / "gone").touch()
    place.stack.unmount()
    (place.upper / "f").unlink()
    place.stack.mount()
    assert (place / "f").read_bytes() == b"x"


@row(own=True, upper_size="1m", bottom={"low": File(b"x" * 5000)})
def test_a_full_upper_refuses_writes_and_recovers(place: Place) -> None:
    (place / "big").touch()
    assert errno_of(_fill, place / "big") == ENOSPC
    assert (place / "low").read_bytes() == b"x" * 5000
    assert len(place.names()) == 2
    (place / "big").unlink()
    (place / "low").write_bytes(b"written")
    place.remount()
    assert (place / "low").read_bytes() == b"written"
    assert place.names() == ["low"]


def _fill(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"y" * 65536)
        os.fsync(file.fileno())


@row(own=True, upper_size="1m", bottom={"low": File(b"x")}, upper={"up": File(b"u")})
def test_an_upper_made_read_only_refuses_writes_and_recovers(place: Place) -> None:
    file_system = place.stack.directory / "rw"
    mount("", file_system, "", MS_REMOUNT | MS_RDONLY)
    try:
        assert errno_of((place / "up").write_bytes, b"new") == EROFS
        assert errno_of((place / "low").chmod, 0o600) == EROFS
        assert errno_of((place / "new").mkdir) == EROFS
        assert errno_of((place / "low").unlink) == EROFS
        assert place.names() == ["low", "up"]
    finally:
        mount("", file_system, "", MS_REMOUNT)
    (place / "low").write_bytes(b"new")
    (place / "up").unlink()
    assert place.names() == ["low"]


@row(on=UNIONS)
def test_a_lower_that_changes_below_a_mount_breaks_nothing_else(filesystem: FileSystem) -> None:
    """What is seen of the change is undefined; that the rest goes on and no wrong kind of error comes is not."""
    allowed = {0, ENOENT, ESTALE, EIO}
    with scratch() as directory:
        write(directory, {**SPARE, "low/kept": File(b"kept")})
        write(directory / "low", {name: File(b"old") for name in ("cut", "gone", "replaced", "moved")})
        write(directory / "low", {"d/x": File()})
        root = directory / "mount"
        attachment = filesystem.attach(_layers(directory), root, directory, {})
        try:
            assert len(os.listdir(root)) == 6
            assert (root / "cut").read_bytes() == b"old"
            os.truncate(directory / "low/cut", 1)
            (directory / "low/gone").unlink()
            (directory / "low/replaced").unlink()
            (directory / "low/replaced").mkdir()
            (directory / "low/moved").rename(directory / "low/elsewhere")
            (directory / "low/added").write_bytes(b"added")
            (directory / "low/d/x").unlink()
            (directory / "low/d").rmdir()
            for name in ("cut", "gone", "replaced", "moved", "added", "elsewhere"):
                for call in (os.lstat, Path.read_bytes, os.listxattr):
                    assert errno_of(call, root / name) in allowed | {EISDIR}
                assert errno_of((root / name).chmod, 0o600) in allowed
            assert errno_of(os.lstat, root / "d") in allowed
            assert errno_of(os.listdir, root / "d") in allowed
            assert (root / "kept").read_bytes() == b"kept"
            (root / "kept").write_bytes(b"written")
            (root / "new").touch()
            assert "new" in os.listdir(root)
        finally:
            attachment.detach()


@row(on=UNIONS)
def test_two_mounts_share_their_lowers(filesystem: FileSystem) -> None:
    lowers = {"low/f": File(b"low"), **SPARE, **{f"second/{name}": Directory() for name in SPARE}}
    with scratch() as directory:
        write(directory, lowers)
        first = filesystem.attach(_layers(directory), directory / "mount", directory, {})
        try:
            options = _layers(directory / "second", "../low")
            second = filesystem.attach(options, directory / "second/mount", directory, {})
            try:
                (directory / "mount/f").write_bytes(b"first")
                (directory / "second/mount/f").write_bytes(b"second")
                assert (directory / "mount/f").read_bytes() == b"first"
            finally:
                second.detach()
        finally:
            first.detach()
        assert (directory / "low/f").read_bytes() == b"low"


@row(on=UNIONS)
def test_an_upper_has_one_mount_at_a_time(filesystem: FileSystem) -> None:
    """Overlayfs with an index refuses the second mount at once; here it waits for the first to end."""
    with scratch() as directory:
        write(directory, {"low/f": File(b"low"), "second": Directory(), **SPARE})
        first = filesystem.attach(_layers(directory), directory / "mount", directory, {})
        (directory / "mount/f").write_bytes(b"first")
        if filesystem is KERNEL:
            assert refusal(filesystem, _layers(directory), directory / "second")
            first.detach()
        else:
            ending = threading.Timer(0.5, first.detach)
            ending.start()
            second = filesystem.attach(_layers(directory), directory / "second", directory, {})
            ending.join()
            try:
                assert (directory / "second/f").read_bytes() == b"first"
            finally:
                second.detach()


@pytest.mark.parametrize("inner", ["the same", "overlayfs"])
@row(on=UNIONS)
def test_a_union_is_the_lower_of_another(filesystem: FileSystem, inner: str) -> None:
    lower = KERNEL if inner == "overlayfs" else filesystem
    with (
        mounted(lower, [{"d/a": File(b"a"), "d/gone": File(), "tree/x": File()}], {"d/gone": WHITEOUT}) as below,
        scratch() as directory,
    ):
        write(directory, SPARE)
        (below.root / "d/b").write_bytes(b"b")
        options = [f"lowerdir={below.root}", *_layers(directory)[1:]]
        for expected in (["a", "b"], ["b", "c"]):
            attachment = filesystem.attach(options, directory / "mount", directory, {})
            try:
                merged = directory / "mount/d"
                assert sorted(os.listdir(merged)) == expected
                assert (merged / "b").read_bytes() == b"b"
                (merged / "a").unlink(missing_ok=True)
                (merged / "c").write_bytes(b"c")
            finally:
                attachment.detach()
        assert sorted(os.listdir(below.root / "d")) == ["a", "b"]


@row(on=OURS)
def test_overlayfs_takes_this_union_as_a_lower(filesystem: FileSystem) -> None:
    with (
        mounted(filesystem, [{"d/a": File(b"a"), "d/gone": File()}], {"d/gone": WHITEOUT}) as below,
        scratch() as directory,
    ):
        write(directory, SPARE)
        options = [f"lowerdir={below.root}", *_layers(directory)[1:], "index=off"]
        attachment = KERNEL.attach(options, directory / "mount", directory, {})
        try:
            assert os.listdir(directory / "mount/d") == ["a"]
            (directory / "mount/d/a").write_bytes(b"up")
            assert (directory / "mount/d/a").read_bytes() == b"up"
            (directory / "mount/d/a").unlink()
            assert os.listdir(directory / "mount/d") == []
        finally:
            attachment.detach()
        assert (below.root / "d/a").read_bytes() == b"a"


@row(on=OURS)
def test_this_union_is_the_upper_of_another(filesystem: FileSystem) -> None:
    """Overlayfs takes no overlayfs as upper."""
    with (
        mounted(filesystem, [EMPTY], {"up": Directory(), "work": Directory()}) as below,
        scratch() as directory,
    ):
        write(directory, {"low/d/a": File(b"a"), "low/d/gone": File(), "low/tree/x": File(), "mount": Directory()})
        options = [f"lowerdir={directory}/low", f"upperdir={below.root}/up", f"workdir={below.root}/work"]
        attachment = filesystem.attach(options, directory / "mount", directory, {})
        try:
            root = directory / "mount"
            (root / "d/gone").unlink()
            (root / "d/a").write_bytes(b"changed")
            (root / "tree/x").unlink()
            (root / "tree").rmdir()
            (root / "tree").mkdir()
        finally:
            attachment.detach()
        below.remount()
        attachment = filesystem.attach(options, directory / "mount", directory, {})
        try:
            assert os.listdir(root / "d") == ["a"]
            assert (root / "d/a").read_bytes() == b"changed"
            assert os.listdir(root / "tree") == []
        finally:
            attachment.detach()


@row(own=True, bottom={"f": File()}, on=UNIONS)
def test_what_a_crash_left_in_the_workdir_is_removed_and_nothing_else(place: Place) -> None:
    work = place.stack.work
    assert work is not None
    (place / "f").write_bytes(b"x")
    place.stack.unmount()
    (work / "foreign").write_bytes(b"mine")
    (work / "work/left-over").write_bytes(b"half")
    (work / "work/left-over.d").mkdir()
    (work / "work/left-over.d/x").touch()
    place.stack.mount()
    assert (place / "f").read_bytes() == b"x"
    assert place.names() == ["f"]
    assert (work / "foreign").read_bytes() == b"mine"
    assert not (work / "work/left-over").exists()
    assert not (work / "work/left-over.d").exists()


@row(
    own=True,
    options=("volatile",),
    bottom={"f": File(b"x")},
    on=UNIONS,
    expected={"kernel": True, "default": False},
    because="overlayfs leaves the mark to be removed by hand; here a clean end syncs and removes it",
)
def test_a_volatile_mount_is_marked_while_it_lasts(place: Place) -> None:
    assert place.stack.work is not None
    mark = place.stack.work / "work/incompat/volatile"
    assert mark.exists()
    with (place / "f").open("r+b") as file:
        file.write(b"y")
        os.fsync(file.fileno())
    place.stack.unmount()
    assert mark.exists() == place.expected
    assert (place.upper / "f").read_bytes() == b"y"


@row(on=OURS)
def test_an_upper_is_not_covered_by_its_own_mount(filesystem: FileSystem) -> None:
    """Overlayfs allows it; here the directory would be reached through the mount that it serves."""
    with scratch() as directory:
        write(directory, {"low/f": File(), **SPARE})
        assert refusal(filesystem, _layers(directory), directory / "up")
        assert refusal(filesystem, _layers(directory), directory / "work")


@row(on=UNIONS)
def test_a_mountpoint_is_a_directory_that_is_there(filesystem: FileSystem) -> None:
    with scratch() as directory:
        write(
            directory,
            {"low/f": File(b"low"), "file": File(), "mount/covered": File(), "up": Directory(), "work": Directory()},
        )
        assert refusal(filesystem, _layers(directory), directory / "none")
        assert refusal(filesystem, _layers(directory), directory / "file")
        attachment = filesystem.attach(_layers(directory), directory / "mount", directory, {})
        try:
            assert os.listdir(directory / "mount") == ["f"]
        finally:
            attachment.detach()
        assert os.listdir(directory / "mount") == ["covered"]
