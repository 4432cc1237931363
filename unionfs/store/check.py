"""Whether a store is whole: every blob is what its digest says, and every unpacked layer what its blob unpacks to.

Finds and mends; what is merely needed by nothing isn't damage, and is ``garbage``'s business.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from unionfs.archive import ArchiveError
from unionfs.archive.stream import CHUNK
from unionfs.image import Digest, ImageError, escaped
from unionfs.layer.descriptors import MINIMUM, Descriptors
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.walk import listing, path_of, walk
from unionfs.linux import xattrs
from unionfs.linux.files import descriptor_path
from unionfs.store.error import StoreError
from unionfs.store.images import StoredImage
from unionfs.store.layout import LAYERS
from unionfs.store.store import Store
from unionfs.store.unpack import unpack_image
from unionfs.store.unpacked import UnpackedLayers, layer_name, opened_layers


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in the store that isn't as it should be."""

    kind: str
    """``image``, ``blob`` or ``layer``."""
    name: str
    """The name of an image, the digest of a blob, or the directory of a layer."""
    reason: str
    image: Digest | None = None
    """The manifest of the image that can't be used for it."""


def check(store: Store) -> list[Damage]:
    """Verify all of a store. It can be used meanwhile.

    Raises:
        ImageError: the index itself can't be read.
        OSError: something can't be read, or there is no room to unpack a layer anew.
    """
    with store.using():
        catalogue = store.catalogue()
        wrong = {digest: reason for digest, _ in store.blobs if (reason := _blob_fault(store, digest))}
        found = [Damage("blob", str(digest), reason) for digest, reason in wrong.items()]
        for damaged in catalogue.damaged:
            called = ", ".join(name.familiar for name in damaged.names) or str(damaged.descriptor.digest)
            found.append(Damage("image", called, damaged.reason, damaged.descriptor.digest))
        whole = []
        for image in catalogue.images:
            lacking = _lacking(store, image, wrong)
            if lacking:
                found.append(Damage("image", image.shown, lacking, image.manifest_digest))
            else:
                whole.append(image)
        return found + list(_layer_faults(store, whole))


def repair(store: Store, found: list[Damage]) -> list[Damage]:
    """Mend what ``check`` found while nobody else could use the store, and give what couldn't be.

    Damaged blobs and layers are removed, and so are images that can't be used without them; a layer is unpacked again
    when it is needed. A layer that a mount uses stays as it is.
    """
    with store.alone():
        in_use = {name for mount in store.mounts.in_use() for name in mount.use.layers}
        left = [damage for damage in found if damage.kind == "layer" and Path(damage.name).name in in_use]
        store.forget({damage.image for damage in found if damage.image is not None})
        for damage in found:
            if damage.kind == "blob":
                store.blobs.remove(Digest.parse(damage.name))
            if damage.kind == "layer" and damage not in left:
                store.remove_layer(os.fsencode(Path(damage.name).name))
    return left


def _blob_fault(store: Store, digest: Digest) -> str:
    with store.blobs.open(digest) as blob:
        found = hashlib.file_digest(blob, digest.algorithm).hexdigest()
    return "" if found == digest.hex else "its content does not match its digest"


def _lacking(store: Store, image: StoredImage, wrong: Mapping[Digest, str]) -> str:
    for layer in image.manifest.layers:
        if layer.digest in wrong:
            return f"its layer {layer.digest} is damaged"
        if not store.blobs.has(layer):
            return f"its layer {layer.digest} is missing"
    return ""


def _layer_faults(store: Store, images: list[StoredImage]) -> Iterator[Damage]:
    """Unpack each image's layers anew, and compare."""
    seen: set[bytes] = set()
    with opened_layers(store.path / LAYERS) as kept, store.scratch() as scratch:
        for image in images:
            names = [layer_name(chain_id) for chain_id in image.config.chain_ids]
            if not any(kept.has(name) and name not in seen for name in names):
                continue
            try:
                unpack_image(store.open(image), scratch)
            except (StoreError, ArchiveError, ImageError) as error:
                yield Damage("image", image.shown, str(error), image.manifest_digest)
                continue
            with opened_layers(scratch) as anew:
                for name in names:
                    if name not in seen and kept.has(name):
                        seen.add(name)
                        yield from _difference(kept, anew, name)


def _difference(kept: UnpackedLayers, anew: UnpackedLayers, name: bytes) -> Iterator[Damage]:
    found, wanted = _content(kept, name), _content(anew, name)
    for path in sorted(found.keys() | wanted.keys()):
        if found.get(path) != wanted.get(path):
            shown = escaped(os.fsdecode(path)) or "/"
            if path not in found or path not in wanted:
                reason = f"{shown} is missing" if path in wanted else f"{shown} is not part of it"
            else:
                reason = f"{shown} was changed"
            yield Damage("layer", os.fspath(kept.path_of(name)), reason)
            return


def _content(layers: UnpackedLayers, name: bytes) -> dict[bytes, bytes]:
    """Give a digest of all there is to each file of a layer, by its path."""
    found: dict[bytes, bytes] = {}
    first_names: dict[int, bytes] = {}
    with closing(Descriptors(MINIMUM)) as descriptors:
        root = layers.root(name, descriptors)
        for directory in walk(root):
            found[path_of(directory)] = _entry(directory, SELF, first_names)
            for entry in sorted(listing(directory), key=lambda entry: entry.name):
                if not entry.is_dir(follow_symlinks=False):
                    found[path_of(directory, entry.name)] = _entry(directory, entry.name, first_names)
    return found


def _entry(directory: Directory, name: bytes, first_names: dict[int, bytes]) -> bytes:
    """Give the digest of an entry: attributes, extended attributes, content, and which other name is the same file."""
    status = os.stat(name, dir_fd=directory.fd(), follow_symlinks=False)
    path = os.path.join(descriptor_path(directory.fd()), name)
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    hasher = hashlib.sha256(
        repr((status.st_mode, status.st_uid, status.st_gid, size, status.st_mtime_ns, status.st_rdev)).encode()
    )
    for attribute in sorted(xattrs.list_names(path)):
        hasher.update(repr((attribute, xattrs.get(path, attribute))).encode())
    if stat.S_ISLNK(status.st_mode):
        hasher.update(os.readlink(name, dir_fd=directory.fd()))
    elif stat.S_ISREG(status.st_mode):
        if status.st_nlink > 1:
            hasher.update(first_names.setdefault(status.st_ino, path_of(directory, name)))
        with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd()), "rb") as file:
            while piece := file.read(CHUNK):
                hasher.update(piece)
    return hasher.digest()
