"""The layers of an image that was saved as an OCI layout, each as a list of what it holds."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clients.listing import digest, time_of

KINDS = {
    tarfile.REGTYPE: "file", tarfile.AREGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hard-link", tarfile.FIFOTYPE: "pipe", tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block",
}  # fmt: skip
XATTR = "SCHILY.xattr."


def of_layout(layout: Path, without: str | None = None) -> Sequence[Mapping[str, str]]:
    """Describe each layer of the only image of a layout, the lowest first, *without* attributes that begin so."""
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(_blob(layout, index["manifests"][0]["digest"]).read_bytes())
    return [_layer(_blob(layout, layer["digest"]), without) for layer in manifest["layers"]]


def _blob(layout: Path, name: str) -> Path:
    return layout / "blobs" / name.replace(":", "/")


def of_archive(content: bytes) -> Mapping[str, str]:
    """Describe the layer in an archive."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return _entries(archive, None)


def _layer(path: Path, without: str | None) -> Mapping[str, str]:
    with tarfile.open(path) as archive:
        return _entries(archive, without)


def _entries(archive: tarfile.TarFile, without: str | None) -> Mapping[str, str]:
    return {f"/{member.name.strip('/')}": _described(archive, member, without) for member in archive}


def _described(archive: tarfile.TarFile, member: tarfile.TarInfo, without: str | None) -> str:
    kind = KINDS[member.type]
    if member.name.rpartition("/")[2].startswith(".wh."):
        return "whiteout"  # nothing of it but its name counts
    words = [kind, f"{member.mode & 0o7777:04o}", f"{member.uid}:{member.gid}"]
    if member.linkname:
        words.append(member.linkname)
    if kind == "file":
        content = archive.extractfile(member)
        assert content is not None
        words.append(f"{member.size} {digest(content.read())}")
    words.append(f"mtime={time_of(member.mtime)}")
    for key, value in sorted(member.pax_headers.items()):
        name = key.removeprefix(XATTR)
        if name != key and not (without and name.startswith(without)):
            words.append(f"{name}={_hex(value)}")
    return " ".join(words)


def _hex(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").hex()
