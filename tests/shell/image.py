"""An image of busybox as an OCI layout."""

import io
import subprocess
import tarfile
from pathlib import Path

from tests.archive import build
from tests.image import documents
from tests.image.documents import sha256
from tests.shell.box import BUSYBOX, GROUPS, USERS

NAME = "docker.io/library/busybox:test"


def busybox_layout(path: Path, *more: bytes, **execution: object) -> Path:
    """Write an image of busybox, with the layers *more* on top; *execution* is what its config says of running it."""
    layers = [_layer(), *more]
    config = documents.config([sha256(layer) for layer in layers], config=execution)
    image = build.OciImage(layers, config)
    return build.tree(build.layout([image.entry(NAME, containerd=NAME)], image.blobs), path)


def _layer() -> bytes:
    """Make the layer: no /proc, no /sys, no /dev, as an image made by hand may have none."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("home", 0o755)):
            _add(tar, name, tarfile.DIRTYPE, mode)
        _add(tar, "home/bob", tarfile.DIRTYPE, 0o750, owner=(5, 6))
        tar.add(BUSYBOX, "bin/busybox", filter=_of_root)
        for name in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
            if name != "busybox":
                _add(tar, f"bin/{name}", tarfile.SYMTYPE, 0o777, target="busybox")
        for name, text in (("etc/passwd", USERS), ("etc/group", GROUPS)):
            _add(tar, name, tarfile.REGTYPE, 0o644, text.encode())
    return content.getvalue()


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes, mode: int, content: bytes = b"", *, target: str = "",
    owner: tuple[int, int] = (0, 0),
) -> None:  # fmt: skip
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname = kind, mode, len(content), target
    member.uid, member.gid = owner
    tar.addfile(member, io.BytesIO(content))


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.mode = 0o755
    return member
