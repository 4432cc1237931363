"""What there is to know of an image, as the object that ``docker image inspect`` gives.

Fields that docker leaves out or has as null where an image states nothing are empty here, so that whoever asks for one
gets it. What docker's object tells of its own storage isn't in it; the manifest's digest and the history, which podman
has, are.
"""

from collections.abc import Iterable, Sequence

from unionfs.image.config import Config
from unionfs.image.digest import Digest
from unionfs.image.manifest import Manifest
from unionfs.image.reference import Reference
from unionfs.image.strict_json import Fields, parse

_UNSTATED: dict[str, object] = {
    "User": "",
    "ExposedPorts": {},
    "Env": [],
    "Entrypoint": [],
    "Cmd": [],
    "Healthcheck": None,
    "Volumes": {},
    "WorkingDir": "",
    "Labels": {},
    "OnBuild": [],
    "Shell": [],
    "StopSignal": "",
}


def inspected(
    names: Sequence[Reference], config: Config, manifest: Manifest, manifest_digest: Digest, size: int
) -> dict[str, object]:
    """Return the object, which JSON can hold, of an image that has ``names`` and takes ``size`` bytes."""
    platform = config.platform
    return {
        "Id": str(config.digest),
        "Digest": str(manifest_digest),
        "RepoTags": [name.familiar for name in names if name.tag],
        "RepoDigests": _by_digest(names, manifest_digest),
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created,
        "Author": config.author,
        "Config": _UNSTATED | _stated(config),
        "Architecture": platform.architecture,
        "Variant": platform.variant,
        "Os": platform.os,
        "OsVersion": platform.os_version,
        "Size": size,
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.diff_ids]},
        "ManifestType": manifest.media_type,
        "Annotations": dict(manifest.annotations),
        "History": [entry.as_dict() for entry in _fields(config).list_of_fields("history")],
    }


def _by_digest(names: Iterable[Reference], digest: Digest) -> list[str]:
    repositories = dict.fromkeys((name.domain, name.path) for name in names)
    return [Reference(domain, path, None, digest).familiar for domain, path in repositories]


def _stated(config: Config) -> dict[str, object]:
    """Return what the config states on how the image is run, fields that nobody here knows included."""
    execution = _fields(config).fields("config")
    fields = {} if execution is None else execution.as_dict()
    return {name: value for name, value in fields.items() if value is not None}


def _fields(config: Config) -> Fields:
    what = "image config"
    return Fields(parse(config.raw, what), what)
