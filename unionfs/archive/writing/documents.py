"""The documents that list an archive's images: an OCI index, and the manifest.json of docker.

Each name is an index entry of its own, annotated as podman, skopeo and umoci look for it and as containerd and
docker do: both times with the full name, since a bare tag names no image where several are.
"""

from collections.abc import Sequence
from dataclasses import replace

from unionfs.archive.docker_archive import MANIFEST
from unionfs.archive.layout import listed_name
from unionfs.archive.writing.contents import Contents, SavedImage
from unionfs.image import Descriptor, Index, Reference
from unionfs.image import layout as names
from unionfs.image.build import index_bytes
from unionfs.image.canonical_json import encoded
from unionfs.image.strict_json import Fields, parse

_NAMING = (names.REF_NAME, names.CONTAINERD_NAME)


def marker() -> bytes:
    """Return the oci-layout file."""
    return encoded({"imageLayoutVersion": names.VERSION}, names.MARKER)


def index(contents: Contents) -> bytes:
    """Return the index.json that lists exactly these images."""
    return index_bytes([entry for image in contents.images for entry in _entries(image)])


def docker_list(contents: Contents) -> bytes:
    """Return the manifest.json, with names in docker's short form."""
    return encoded([_docker_item(image) for image in contents.images], MANIFEST)


def extended_index(present: bytes, contents: Contents) -> bytes:
    """Return the index.json ``present`` with these images added, all else in it kept as it is.

    An image that loses its name to an added one stays listed without it. Raises ImageError if it is no index.
    """
    listed = Index.read(present).manifests
    added = [entry for image in contents.images for entry in _entries(image)]
    taken = {name for image in contents.images for name in image.names}
    fields = Fields(parse(present, names.INDEX), names.INDEX)
    kept = [
        _without_name(entry.as_dict()) if listed_name(descriptor) in taken else entry.as_dict()
        for entry, descriptor in zip(fields.list_of_fields("manifests"), listed, strict=True)
    ]
    entries = _without_repeats([*kept, *(entry.as_json() for entry in added)])
    return encoded({**fields.as_dict(), "manifests": entries}, names.INDEX)


def _entries(image: SavedImage) -> list[Descriptor]:
    """Return an entry for each name of an image, one without a name if it has none."""
    named = [replace(image.manifest, annotations=dict.fromkeys(_NAMING, name)) for name in image.names]
    return named or [image.manifest]


def _docker_item(image: SavedImage) -> dict[str, object]:
    return {
        "Config": names.blob_path(image.config),
        "RepoTags": [Reference.parse(name).familiar for name in image.names] or None,
        "Layers": [names.blob_path(digest) for digest in image.layers],
    }


def _without_name(entry: dict[str, object]) -> dict[str, object]:
    annotations = Fields(entry, names.INDEX).text_map("annotations")
    left = {key: value for key, value in annotations.items() if key not in _NAMING}
    rest = {key: value for key, value in entry.items() if key != "annotations"}
    return {**rest, "annotations": left} if left else rest


def _without_repeats(entries: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Leave out an entry that says nothing but a digest which another one has too."""
    telling = {entry["digest"] for entry in entries if entry.get("annotations")}
    bare = {entry["digest"]: entry for entry in entries if not entry.get("annotations")}
    return [
        entry
        for entry in entries
        if entry.get("annotations") or (entry["digest"] not in telling and bare[entry["digest"]] is entry)
    ]
