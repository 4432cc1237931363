"""Image configs: the layers' diff_ids, how an image wants to be run, and its history.

The bytes are kept as they came, since an image's id is their digest. What to run is given as the image states
it; nothing here is resolved, defaulted or trusted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from unionfs.image.chain import chain_ids
from unionfs.image.digest import Digest
from unionfs.image.error import ImageError, shown
from unionfs.image.limits import DEFAULTS, Limits
from unionfs.image.platform import Platform
from unionfs.image.strict_json import Fields, parse


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """Docker's health check; times are in nanoseconds, 0 is 'not stated'."""

    test: tuple[str, ...]
    interval: int
    timeout: int
    start_period: int
    retries: int


@dataclass(frozen=True, slots=True)
class Execution:
    """The ``config`` object: what a container runs by default. An empty value is 'not stated'."""

    user: str
    env: tuple[str, ...]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    working_dir: str
    volumes: tuple[str, ...]
    exposed_ports: tuple[str, ...]
    labels: Mapping[str, str]
    stop_signal: str
    shell: tuple[str, ...]
    healthcheck: Healthcheck | None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Return the object's fields; raises ImageError where one has the wrong type."""
        health = fields.fields("Healthcheck")
        return cls(
            user=fields.text("User") or "",
            env=fields.texts("Env"),
            entrypoint=fields.texts("Entrypoint"),
            cmd=fields.texts("Cmd"),
            working_dir=fields.text("WorkingDir") or "",
            volumes=fields.keys("Volumes"),
            exposed_ports=fields.keys("ExposedPorts"),
            labels=fields.text_map("Labels"),
            stop_signal=fields.text("StopSignal") or "",
            shell=fields.texts("Shell"),
            healthcheck=None if health is None else _healthcheck(health),
        )


@dataclass(frozen=True, slots=True)
class History:
    """One step of the image's making; times are RFC 3339 texts."""

    created: str
    created_by: str
    author: str
    comment: str
    empty_layer: bool


@dataclass(frozen=True, slots=True)
class Config:
    """An image's config. ``raw`` is the document itself and ``digest`` its sha256, the image's id."""

    raw: bytes = field(repr=False)
    digest: Digest
    platform: Platform
    created: str
    author: str
    diff_ids: tuple[Digest, ...]
    execution: Execution
    history: tuple[History, ...]

    @classmethod
    def read(cls, data: bytes, limits: Limits = DEFAULTS) -> Self:
        """Return the config in ``data``; raises ImageError if the image-spec doesn't allow it.

        A missing ``rootfs`` is an image without layers, as docker has it.
        """
        what = "image config"
        limits.check_size(what, len(data), "config")
        fields = Fields(parse(data, what), what)
        return cls(
            raw=data,
            digest=Digest.of(data),
            platform=Platform.read(fields),
            created=fields.text("created") or "",
            author=fields.text("author") or "",
            diff_ids=_diff_ids(fields),
            execution=Execution.read(fields.fields("config") or Fields({}, what)),
            history=tuple(_history(entry) for entry in fields.list_of_fields("history")),
        )

    @property
    def chain_ids(self) -> tuple[Digest, ...]:
        """The chain id of each layer, lowest first."""
        return chain_ids(self.diff_ids)


def _diff_ids(fields: Fields) -> tuple[Digest, ...]:
    rootfs = fields.fields("rootfs")
    if rootfs is None:
        return ()
    kind = rootfs.text("type") or ""
    if kind != "layers":
        raise ImageError(f'{fields.where}: rootfs.type must be "layers", not {shown(kind)}')
    try:
        return tuple(Digest.parse(text) for text in rootfs.texts("diff_ids"))
    except ImageError as error:
        raise ImageError(f"{fields.where}: diff_ids: {error}") from None


def _history(entry: Fields) -> History:
    return History(
        created=entry.text("created") or "",
        created_by=entry.text("created_by") or "",
        author=entry.text("author") or "",
        comment=entry.text("comment") or "",
        empty_layer=entry.flag("empty_layer"),
    )


def _healthcheck(fields: Fields) -> Healthcheck:
    return Healthcheck(
        test=fields.texts("Test"),
        interval=fields.integer("Interval") or 0,
        timeout=fields.integer("Timeout") or 0,
        start_period=fields.integer("StartPeriod") or 0,
        retries=fields.integer("Retries") or 0,
    )
