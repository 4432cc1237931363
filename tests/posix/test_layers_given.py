"""How layers are named to a mount: how many, in what spelling, and which are refused.

Sources: the kernel's overlayfs documentation, "Multiple lower layers" and "Sharing and copying layers"; mount(2).
"""

import os
from errno import EROFS
from pathlib import Path

import pytest

from tests.filesystems import FileSystem, mounted, refusal, scratch
from tests.mounts import MS_RDONLY, MS_REMOUNT, mount, unmount
from tests.posix.table import OURS, UNIONS, errno_of, row
from tests.stacks import EMPTY, WHITEOUT, Directory, File, write


@pytest.mark.parametrize("layers", [1, 2, 10, 128, 400])
@row(on=UNIONS)
def test_many_lower_layers_merge(filesystem: FileSystem, layers: int) -> None:
    lowers = [{f"d/{number:03}": File(b"%d" % number), "d/same": File(b"%d" % number)} for number in range(layers)]
    with mounted(filesystem, lowers, EMPTY) as stack:
        assert sorted(os.listdir(stack.root / "d")) == [*(f"{number:03}" for number in range(layers)), "same"]
        assert (stack.root / "d/same").read_bytes() == b"0"
        assert (stack.root / f"d/{layers - 1:03}").read_bytes() == b"%d" % (layers - 1)
        (stack.root / f"d/{layers - 1:03}").write_bytes(b"new")
        stack.remount()
        assert (stack.root / f"d/{layers - 1:03}").read_bytes() == b"new"


@pytest.mark.parametrize("empty", [0, 4])
@row(on=UNIONS)
def test_a_whiteout_acts_through_empty_layers(filesystem: FileSystem, empty: int) -> None:
    between = [EMPTY] * empty
    lowers = [*between, {"d/gone": WHITEOUT}, *between, {"d/gone": File(), "d/kept": File()}]
    with mounted(filesystem, lowers, EMPTY) as stack:
        assert os.listdir(stack.root / "d") == ["kept"]


@row(on=UNIONS)
def test_lowers_without_an_upper_are_read_only(filesystem: FileSystem) -> None:
    lowers = [{"d/high": File()}, {"d/low": File()}]
    with mounted(filesystem, lowers, None) as stack:
        assert sorted(os.listdir(stack.root / "d")) == ["high", "low"]
        assert os.statvfs(stack.root).f_flag & os.ST_RDONLY


LONE_LAYERS = {"a lower": "lowerdir={d}/low", "an upper": "upperdir={d}/up,workdir={d}/work"}


@pytest.mark.parametrize("options", LONE_LAYERS.values(), ids=LONE_LAYERS.keys())
@row(on=OURS)
def test_one_layer_alone_is_mounted(filesystem: FileSystem, options: str) -> None:
    """Overlayfs takes no single layer; whoever looks into an image of one layer needs it, as in fuse-overlayfs."""
    with scratch() as directory:
        write(directory, {"low/f": File(), "up/f": File(), "work": Directory(), "mount": Directory()})
        root = directory / "mount"
        attachment = filesystem.attach(options.format(d=directory).split(","), root, directory, {})
        try:
            assert os.listdir(root) == ["f"]
            assert errno_of((root / "new").touch) == (EROFS if "upperdir" not in options else 0)
        finally:
            attachment.detach()


@row(on=UNIONS)
def test_an_upper_that_is_not_empty_shows_its_content(filesystem: FileSystem) -> None:
    with mounted(filesystem, [EMPTY], {"d/f": File(b"upper"), "gone": WHITEOUT}) as stack:
        assert os.listdir(stack.root) == ["d"]
        assert (stack.root / "d/f").read_bytes() == b"upper"


ODD_NAMES = {"colon": "a:b", "comma": "a,b", "backslash": "a\\b", "space": "a b", "quote": 'a"b'}


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
@row(on=UNIONS)
def test_a_backslash_escapes_what_separates_layers_and_options(filesystem: FileSystem, name: str) -> None:
    with scratch() as directory:
        write(directory / name, {"f": File(b"odd")})
        write(directory / "low", {"g": File(b"low")})
        root = directory / "mount"
        root.mkdir()
        lowerdir = f"lowerdir={_escaped(directory / name)}:{directory / 'low'}"
        attachment = filesystem.attach([lowerdir], root, directory, {})
        try:
            assert sorted(os.listdir(root)) == ["f", "g"]
        finally:
            attachment.detach()


@row(on=UNIONS)
def test_relative_lowers_are_found_from_the_working_directory(filesystem: FileSystem) -> None:
    with scratch() as directory:
        write(directory / "store/one/diff", {"f": File(b"one")})
        write(directory / "store/two/diff", {"g": File(b"two")})
        (directory / "store/l").symlink_to("one")
        root = directory / "mount"
        root.mkdir()
        attachment = filesystem.attach(["lowerdir=l/../one/diff:two/diff"], root, directory / "store", {})
        try:
            assert sorted(os.listdir(root)) == ["f", "g"]
        finally:
            attachment.detach()


BAD_OPTIONS = {
    "a missing lower": "lowerdir={d}/none:{d}/low,upperdir={d}/up,workdir={d}/work",
    "a lower that is a file": "lowerdir={d}/file:{d}/low,upperdir={d}/up,workdir={d}/work",
    "an empty lower": "lowerdir={d}/low:,upperdir={d}/up,workdir={d}/work",
    "no workdir": "lowerdir={d}/low,upperdir={d}/up",
    "a missing upper": "lowerdir={d}/low,upperdir={d}/none,workdir={d}/work",
    "an upper that is a lower": "lowerdir={d}/low,upperdir={d}/low,workdir={d}/work",
    "a workdir in the upper": "lowerdir={d}/low,upperdir={d}/up,workdir={d}/up/work",
    "an upper in the workdir": "lowerdir={d}/low,upperdir={d}/work/up,workdir={d}/work",
    "a missing workdir": "lowerdir={d}/low,upperdir={d}/up,workdir={d}/none",
    "no layers": "upperdir=,workdir={d}/work",
}


@pytest.mark.parametrize("options", BAD_OPTIONS.values(), ids=BAD_OPTIONS.keys())
@row(on=UNIONS)
def test_a_stack_that_cannot_be_is_refused(filesystem: FileSystem, options: str) -> None:
    with scratch() as directory:
        write(
            directory,
            {"low/f": File(), "file": File(), "up/work/x": File(), "work/up/x": File(), "mount": Directory()},
        )
        refused = refusal(filesystem, options.format(d=directory).split(","), directory / "mount")
        assert refused, "it was mounted"


@row(on=UNIONS)
def test_a_layer_may_lie_on_another_file_system_read_only(filesystem: FileSystem) -> None:
    with scratch() as directory:
        write(
            directory,
            {"low/d/f": File(b"disk"), "tmpfs": Directory(), "up": Directory(), "work": Directory()},
        )
        root = directory / "mount"
        root.mkdir()
        mount("tmpfs", directory / "tmpfs", "tmpfs", options="size=1m")
        try:
            write(directory / "tmpfs", {"d/f": File(b"memory"), "d/only": File(b"only")})
            mount("", directory / "tmpfs", "", MS_REMOUNT | MS_RDONLY)
            options = [
                f"lowerdir={directory}/tmpfs:{directory}/low",
                f"upperdir={directory}/up",
                f"workdir={directory}/work",
            ]
            attachment = filesystem.attach(options, root, directory, {})
            try:
                assert (root / "d/f").read_bytes() == b"memory"
                (root / "d/only").write_bytes(b"copied up")
                assert (directory / "up/d/only").read_bytes() == b"copied up"
                assert len({(root / name).stat().st_dev for name in (".", "d")}) == 1
            finally:
                attachment.detach()
        finally:
            unmount(directory / "tmpfs")


@row(on=UNIONS)
def test_submounts_of_a_lower_do_not_show(filesystem: FileSystem) -> None:
    with scratch() as directory:
        write(directory, {"low/sub/hidden": File(), "empty": Directory(), "mount": Directory()})
        mount("tmpfs", directory / "low/sub", "tmpfs", options="size=1m")
        try:
            (directory / "low/sub/on_tmpfs").touch()
            options = [f"lowerdir={directory}/low:{directory}/empty"]
            attachment = filesystem.attach(options, directory / "mount", directory, {})
            try:
                assert os.listdir(directory / "mount/sub") == ["hidden"]
            finally:
                attachment.detach()
        finally:
            unmount(directory / "low/sub")


@pytest.mark.parametrize("where", ["low", "low/sub"])
@row(on=UNIONS)
def test_the_mountpoint_may_be_a_lower_or_lie_in_one(filesystem: FileSystem, where: str) -> None:
    with scratch() as directory:
        write(directory, {"low/sub/f": File(b"low"), "up": Directory(), "work": Directory()})
        options = [f"lowerdir={directory}/low", f"upperdir={directory}/up", f"workdir={directory}/work"]
        attachment = filesystem.attach(options, directory / where, directory, {})
        try:
            assert (directory / where / "sub/f").read_bytes() == b"low"
            (directory / where / "sub/f").write_bytes(b"new")
            assert (directory / where / "sub/f").read_bytes() == b"new"
        finally:
            attachment.detach()
        assert (directory / "low/sub/f").read_bytes() == b"low"
