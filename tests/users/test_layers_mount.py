"""``unionfs mount --layers`` as somebody who isn't root, with layers that only root could unpack as they are."""

import os
from pathlib import Path

from tests.cli.stored import fill
from tests.ordinary_user import Somebody
from tests.tarball import archive, char, directory, file, whiteout

BASE = archive(
    directory(b"closed", mode=0o700, uid=7, gid=8), file(b"tool", b"t", mode=0o4711, uid=5), char(b"dev/null", 1, 3)
)
TOP = archive(whiteout(b"dev"), file(b"tool", b"T", mode=0o755, uid=6))


def check(somebody: Somebody) -> None:
    """Mount an image with two layers, and look at what each shows."""
    # Somebody's own store isn't in a directory of root.
    home = somebody.directory / "upper"
    somebody.do(lambda: fill(home / "store", [BASE, TOP], "app:1"))
    in_store = ("--root", str(home / "store"))
    mounted = somebody.unionfs(*in_store, "mount", "--layers", "--transport", somebody.transport, "app:1", "merged")
    assert (mounted.returncode, mounted.stderr) == (0, "")

    def look() -> dict[str, tuple[int, int]]:
        merged = Path("merged")
        assert [name[:2] for name in sorted(os.listdir(merged / "layers"))] == ["1-", "2-"]
        assert os.listdir(merged / "steps/1/dev") == ["null"]
        assert sorted(os.listdir(merged / "steps/2")) == sorted(os.listdir(merged / "rootfs")) == ["closed", "tool"]
        assert (merged / "steps/1/dev/null").stat().st_rdev == os.makedev(1, 3)
        paths = ["steps/1/tool", "steps/2/tool", "rootfs/tool", "steps/2/closed"]
        return {path: ((merged / path).stat().st_uid, (merged / path).stat().st_mode & 0o7777) for path in paths}

    try:
        assert somebody.do(look) == {
            "steps/1/tool": (5, 0o4711),
            "steps/2/tool": (6, 0o755),
            "rootfs/tool": (6, 0o755),
            "steps/2/closed": (7, 0o700),
        }
    finally:
        assert somebody.unionfs(*in_store, "umount", "merged").returncode == 0


def test_an_ordinary_user_sees_owners_modes_and_devices_of_each_layer_and_step(user: Somebody) -> None:
    check(user)


def test_root_of_a_user_namespace_sees_owners_modes_and_devices_of_each_layer_and_step(mapped: Somebody) -> None:
    check(mapped)
