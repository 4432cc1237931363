"""An image of five layers with everything a layer may hold: the lowest by GNU tar, the others changed with buildah."""

import os
import shutil
import stat
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.stacks import Device, Directory, Fifo, File, HardLink, Layer, Symlink, write
from tests.system.containers import Containers

NAME = "localhost/odd:5"

# struct vfs_cap_data, version 2, effective (linux/capability.h): cap_net_raw permitted.
_CAP_NET_RAW = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
# Entries of tag, permissions and id (linux/posix_acl_xattr.h): u::rw, u:1:r, g::r, m::rw, o::r.
_NO_ID = 0xFFFFFFFF
_ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in ((1, 6, _NO_ID), (2, 4, 1), (4, 4, _NO_ID), (16, 6, _NO_ID), (32, 4, _NO_ID))
)
_BEFORE_1970 = -1_500_000_000
_AFTER_2038 = 4_000_000_000_123_456_789

BASE: Layer = {
    ".": Directory(mode=0o750, uid=3, gid=4),
    "modes": Directory(),
    **{f"modes/{mode:04o}": File(b"m", mode=mode) for mode in (0, 0o111, 0o600, 0o777, 0o1644, 0o2755, 0o4711, 0o6555)},
    "dirs/sticky": Directory(mode=0o1777),
    "dirs/setgid": Directory(mode=0o2770, uid=1000, gid=2000),
    "dirs/none": Directory(mode=0),
    "dirs/none/inside": File(b"i", mode=0),
    "owners/big": File(b"o", uid=4_000_000_000, gid=3_000_000),
    "owners/link": Symlink("big", uid=7, gid=8),
    "links/dangling": Symlink("nowhere"),
    "links/absolute": Symlink("/owners/big"),
    "links/climbing": Symlink("../../../../etc/passwd"),
    "links/long": Symlink("x" * 3000),
    "special/fifo": Fifo(mode=0o640, uid=5, gid=6),
    "special/fifo2": HardLink("special/fifo"),
    "special/null": Device(stat.S_IFCHR, 1, 3, mode=0o666),
    "special/disk": Device(stat.S_IFBLK, 300, 70000, mode=0o660, gid=6),
    "times/ns": File(b"t", mtime_ns=1_600_000_000_987_654_321),
    "times/before": File(b"t", mtime_ns=_BEFORE_1970),
    "times/after": File(b"t", mtime_ns=_AFTER_2038),
    "times/epoch": File(b"t", mtime_ns=0),
    "times/link": Symlink("ns", mtime_ns=1_600_000_000_000_000_001),
    "times/dir": Directory(mtime_ns=1_500_000_000_000_000_007),
    "xattrs/user": File(b"x", xattrs={"user.k": b"v", "user.bytes": bytes(range(1, 256))}),
    "xattrs/empty": File(b"x", xattrs={"user.empty": b""}),
    "xattrs/dir": Directory(xattrs={"user.d": b"1"}),
    "xattrs/capable": File(b"x", mode=0o755, xattrs={"security.capability": _CAP_NET_RAW}),
    "xattrs/acl": File(b"x", mode=0o664, xattrs={"system.posix_acl_access": _ACL}),
    "xattrs/acls": Directory(mode=0o775, xattrs={"system.posix_acl_default": _ACL}),
    "sparse/holes": File(b"data" * 1000, extents=(0, 5 << 20, 15 << 20), size=16 << 20),
    "sparse/nothing": File(size=8 << 20),
    "names/\udcff\udcfe latin \udce9": File(b"n"),
    "names/new\nline\ttab \\ back": File(b"n"),
    "names/-dash": File(b"n"),
    "names/composed \u00e9": File(b"c"),
    "names/decomposed e\u0301": File(b"d"),
    "names/" + "l" * 255: File(b"n"),
    "deep/" + "/".join("abcdefghijklmnopqrst"): File(b"deep"),
    "hard/one": File(b"hard", mode=0o640),
    "hard/two": HardLink("hard/one"),
    "elsewhere/three": HardLink("hard/one"),
    "hard/symlink": Symlink("one"),
    "hard/symlink2": HardLink("hard/symlink"),
    "pair/a": File(b"pair"),
    "pair/b": HardLink("pair/a"),
    "gone/file": File(b"g"),
    "gone/dir/sub/file": File(b"g"),
    "gone/link": Symlink("file"),
    "kept/beside": File(b"k"),
    "opaque/old": File(b"old"),
    "opaque/both": File(b"old"),
    "opaque/sub/old": File(b"old"),
    "turned/file-to-dir": File(b"f"),
    "turned/dir-to-file/inside": File(b"d"),
    "turned/dir-to-link/inside": File(b"d"),
    "turned/link-to-dir": Symlink("dir-to-link"),
    "turned/file-to-fifo": File(b"f"),
    "changed/content": File(b"before", mode=0o4755),
    "changed/mode": File(b"same"),
    "changed/owner": File(b"same", mode=0o6755),
    "changed/xattr": File(b"same", xattrs={"user.k": b"before", "user.gone": b"g"}),
    "changed/capable": File(b"same", xattrs={"security.capability": _CAP_NET_RAW}),
    "changed/dir": Directory(mode=0o700, uid=9, gid=9, xattrs={"user.d": b"1"}),
    "changed/dir/inside": File(b"i"),
    "moved/from": File(b"moved", xattrs={"user.k": b"moved"}),
    "untouched/file": File(b"u" * 100_000),
    "empty": Directory(mtime_ns=1_400_000_000_000_000_000),
}


def _delete_and_replace(root: Path) -> None:
    (root / "gone/file").unlink()
    shutil.rmtree(root / "gone/dir")
    (root / "gone/link").unlink()
    (root / "elsewhere/three").unlink()
    shutil.rmtree(root / "pair")
    shutil.rmtree(root / "opaque")
    write(root, {"opaque/both": File(b"new"), "opaque/sub/new": File(b"new")})
    (root / "turned/file-to-dir").unlink()
    shutil.rmtree(root / "turned/dir-to-file")
    shutil.rmtree(root / "turned/dir-to-link")
    (root / "turned/link-to-dir").unlink()
    (root / "turned/file-to-fifo").unlink()
    write(root / "turned", {
        "file-to-dir/inside": File(b"new"),
        "dir-to-file": File(b"new"),
        "dir-to-link": Symlink("link-to-dir"),
        "link-to-dir/new": File(b"new"),
        "file-to-fifo": Fifo(),
    })  # fmt: skip


def _change(root: Path) -> None:
    changed = root / "changed"
    (changed / "content").write_bytes(b"after")
    (changed / "mode").chmod(0o4700)
    os.chown(changed / "owner", 11, 12)
    os.setxattr(changed / "xattr", "user.k", b"after")
    os.removexattr(changed / "xattr", "user.gone")
    os.removexattr(changed / "capable", "security.capability")
    (changed / "dir").chmod(0o1711)
    os.setxattr(changed / "dir", "user.d", b"2")
    os.chown(root / "links/dangling", 13, 14, follow_symlinks=False)
    os.utime(root / "times/epoch", ns=(10**18, 10**18))
    (root / "moved/from").rename(root / "moved/to")
    os.link(root / "untouched/file", root / "untouched/link")
    write(root / "made", {
        "one": File(b"made", uid=20, gid=21, xattrs={"user.k": b"made"}),
        "two": HardLink("one"),
        "capable": File(b"c", mode=0o755, xattrs={"security.capability": _CAP_NET_RAW}),
        "sparse": File(b"end", extents=(1 << 20,)),
        "null": Device(stat.S_IFCHR, 1, 3),
    })  # fmt: skip


def _bring_back(root: Path) -> None:
    write(root, {"gone/file": File(b"back", mode=0o600), "gone/dir/other": File(b"back"), "pair/a": File(b"alone")})
    (root / "opaque/both").unlink()
    (root / "opaque/sub/old").write_bytes(b"not the old one")
    shutil.rmtree(root / "turned/link-to-dir")
    (root / "made/two").unlink()
    (root / "names/-dash").unlink()


def _clear(root: Path) -> None:
    shutil.rmtree(root / "opaque")
    (root / "opaque").mkdir()
    (root / "gone/file").unlink()
    shutil.rmtree(root / "kept")


UPPER_LAYERS: tuple[Callable[[Path], None], ...] = (_delete_and_replace, _change, _bring_back, _clear)


def build(programs: Containers) -> None:
    """Build the image in the storage of ``programs``."""
    write(programs.directory / "base", BASE)
    (programs.directory / "base.tar").write_bytes(archived(programs.directory / "base"))
    programs.run("podman", "import", "--quiet", "base.tar", "localhost/odd:1")
    for number, change in enumerate(UPPER_LAYERS, start=1):
        with programs.changing(f"localhost/odd:{number}", f"localhost/odd:{number + 1}") as root:
            change(root)


def archived(directory: Path, *options: str) -> bytes:
    """Return what GNU tar makes of the directory, with times in nanoseconds and all attributes."""
    chosen = ("--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner", *options)
    return subprocess.run(["tar", *chosen, "-c", "-C", directory, "."], check=True, stdout=subprocess.PIPE).stdout
