"""Layers on a mount that maps ids, in a mount that is asked to map them too (containers-storage before 1.46)."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.fuse.presented import presented
from tests.mounts import unmount_or_detach
from tests.posix.idmap import COUNT, SHIFT, mapped_view
from tests.stacks import Directory, File, Layer
from tests.unions import Stack
from unionfs.fuse.id_mapping import IdMapping

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root maps the ids of a mount")

PROGRAM = Path(sys.executable).with_name("unionfs-overlay")
LAYERS: Sequence[Layer] = (
    {"d": Directory(uid=5, gid=6), "d/top": File(b"top", uid=7, gid=8)},
    {"d": Directory(uid=1, gid=2), "d/f": File(b"f", uid=5, gid=6), "d/root": File(b"root")},
)
IDS = [(0, SHIFT, COUNT)]
SHOWN = {"d": (5, 6), "d/top": (7, 8), "d/f": (5, 6), "d/root": (0, 0)}


@contextmanager
def on_mapping_mounts(stack: Stack, places: Sequence[int]) -> Iterator[None]:
    """Have the lowers at *places* reached through mounts that map their ids."""
    with ExitStack() as views:
        for place in places:
            lower = stack.lower(place)
            real = lower.rename(lower.with_name(f"{lower.name}.real"))
            try:
                lower.symlink_to(views.enter_context(mapped_view(real)))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                pytest.skip(f"no mount of the file system of {real} maps ids")
        yield


def owners(root: Path) -> dict[str, tuple[int, int]]:
    found = {name: (root / name).lstat() for name in SHOWN}
    return {name: (status.st_uid, status.st_gid) for name, status in found.items()}


@pytest.mark.parametrize("places", [(0,), (1,), (0, 1)], ids=str)
def test_ids_that_the_mount_of_a_layer_maps_are_mapped_once(tmp_path: Path, places: Sequence[int]) -> None:
    stack = Stack(tmp_path / "stack", LAYERS)
    ids = IdMapping.of(IDS, IDS)
    with on_mapping_mounts(stack, places), presented(stack, tmp_path / "mount", "kernel", ids=ids) as root:
        assert owners(root) == {name: (uid + SHIFT, gid + SHIFT) for name, (uid, gid) in SHOWN.items()}
        assert (root / "d/f").read_bytes() == b"f"
        (root / "d/f").write_bytes(b"changed")
        (root / "d/f").chmod(0o600)
        assert owners(root)["d/f"] == (SHIFT + 5, SHIFT + 6)
        found = (stack.upper / "d/f").stat()
        assert (found.st_uid, found.st_gid) == (5, 6)


def test_a_mount_that_maps_nothing_itself_shows_what_the_kernel_maps(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", LAYERS)
    with on_mapping_mounts(stack, (0,)), presented(stack, tmp_path / "mount", "kernel") as root:
        assert owners(root) == {
            name: (uid + SHIFT, gid + SHIFT) if name in ("d", "d/top") else (uid, gid)
            for name, (uid, gid) in SHOWN.items()
        }


def test_where_all_layers_are_on_mounts_that_map_both_mappings_hold(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", LAYERS)
    with on_mapping_mounts(stack, (0, 1)):
        lowers = f"lowerdir={stack.lower(0)}:{stack.lower(1)}"
        more = ",".join(f"{kind}mapping={SHIFT}:{2 * SHIFT}:{COUNT}" for kind in ("uid", "gid"))
        (tmp_path / "mount").mkdir()
        subprocess.run([PROGRAM, "-o", f"{lowers},{more}", tmp_path / "mount"], check=True)
        try:
            assert owners(tmp_path / "mount") == {
                name: (uid + 2 * SHIFT, gid + 2 * SHIFT) for name, (uid, gid) in SHOWN.items()
            }
        finally:
            assert unmount_or_detach(tmp_path / "mount")
