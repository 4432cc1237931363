"""The image that the operations begin with: three layers, with whiteouts and an opaque directory between them."""

from pathlib import Path
from typing import Unpack

from tests import tarball
from tests.archive import build
from tests.image import documents

MADE = 1_000_000_000
"""The time of everything in the image, in seconds."""
BUSYBOX = "/bin/busybox"
COMMANDS = (
    "cat", "chmod", "chown", "cp", "dd", "echo", "false", "find", "grep", "head", "id", "ln", "ls", "mkdir", "mkfifo",
    "mv", "ps", "rm", "rmdir", "sed", "sh", "sleep", "stat", "sync", "tail", "touch", "true", "truncate", "wc",
)  # fmt: skip
NAME = "localhost/base:latest"
LAYERS = 3


def archive() -> bytes:
    """Give the image as ``docker save`` writes one."""
    layers = [_bottom(), _middle(), _top()]
    # buildah wants as many steps in the history as there are layers.
    history = [{"created": "2001-09-09T01:46:40Z", "created_by": "a test"} for _ in layers]
    config = documents.config([documents.sha256(layer) for layer in layers], history=history)
    files = build.docker_image("base", layers, [NAME])
    return build.tar({**files, "base.json": documents.encoded(config)})


def _bottom() -> bytes:
    program = Path(BUSYBOX).read_bytes()
    directories = [
        *(_directory(name) for name in ("bin", "dev", "etc", "proc", "run", "sys", "var", "dir", "dir/sub", "gone")),
        _directory("tmp", mode=0o1777), _directory("dir/locked", mode=0o700), _directory("dir/theirs", uid=1000),
        *(_directory(name) for name in ("gone/b", "replaced", "opaque", "hidden", "hard", "odd", "untouched")),
    ]  # fmt: skip
    files = [
        tarball.file(b"bin/busybox", program, mode=0o755, mtime=MADE),
        *(tarball.symlink(f"bin/{name}".encode(), b"busybox", mtime=MADE) for name in COMMANDS),
        _file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n"),
        _file("etc/group", b"root:x:0:\nuser:x:1000:\n"),
        _file("etc/kept"), _file("etc/removed"),
        _file("gone/a"), _file("gone/b/c"), _file("replaced/old"), _file("opaque/old"), _file("hidden/old"),
        _file("dir/x"), _file("dir/sub/y"), _file("dir/sub/z"), _file("dir/locked/in"),
        _file("dir/owned", uid=1000, gid=1000, mode=0o640),
        _file("dir/set-id", uid=1000, gid=1000, mode=0o6755),
        _file("dir/attributes", xattrs={b"user.k": b"v", b"user.empty": b""}),
        _file("dir/capable", program[:4096], xattrs={b"security.capability": bytes.fromhex(
            "0100000202000000000000000000000000000000")}, mode=0o755),
        _file("hard/one"), tarball.hardlink(b"hard/two", b"hard/one", mtime=MADE),
        _file('odd/a name, with: "all" \u00e4'),
        _file("untouched/read"), _file("untouched/opened"), _file("untouched/same-mode"), _file("untouched/moved-back"),
        _file("big", bytes(range(256)) * 4096),
        tarball.symlink(b"dir/link", b"../etc/kept", mtime=MADE),
        tarball.fifo(b"dir/pipe", mode=0o600, mtime=MADE),
    ]  # fmt: skip
    return tarball.archive(*directories, *files)


def _middle() -> bytes:
    return tarball.archive(
        _directory("hidden"), tarball.whiteout(b"hidden/old", mtime=MADE),
        _directory("opaque"), tarball.opaque(b"opaque", mtime=MADE), _file("opaque/new"),
        _directory("dir"), _file("dir/middle"), _file("etc/middle"),
    )  # fmt: skip


def _top() -> bytes:
    return tarball.archive(_directory("dir", mode=0o775), _file("dir/top"), _directory("top"), _file("top/t"))


def _file(name: str, content: bytes | None = None, **attributes: Unpack[tarball.Attributes]) -> bytes:
    attributes["mtime"] = MADE
    return tarball.file(name.encode(), name.encode() if content is None else content, **attributes)


def _directory(name: str, **attributes: Unpack[tarball.Attributes]) -> bytes:
    attributes["mtime"] = MADE
    return tarball.directory(name.encode(), **attributes)
