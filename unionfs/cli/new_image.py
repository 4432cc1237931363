"""What the commands share that make images: how an upper becomes a layer, and when it was made."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from unionfs.cli.arguments import UsageError
from unionfs.cli.notices import warn
from unionfs.diff import ChangedError, layer_changes, write_changes
from unionfs.image import Digest, Reference
from unionfs.image.new_config import Step, derived
from unionfs.linux.files import sync_file_system
from unionfs.store.commit import NewLayer, add_image, writing_layer
from unionfs.store.store import Store
from unionfs.store.uppers import Upper
from unionfs.view import View, open_view

_EPOCH = "SOURCE_DATE_EPOCH"
_ATTEMPTS = 3
"""How often an upper is read that changes while it is."""


def made_now(created_by: str, author: str = "", comment: str = "") -> Step:
    """Give the step of an image's making that is being done."""
    made = _now().isoformat(timespec="microseconds").removesuffix("+00:00")
    return Step(f"{made}Z", created_by, author, comment)


def _now() -> datetime:
    """Give the time that images are to show: what SOURCE_DATE_EPOCH (reproducible-builds.org) says, where it is set."""
    stated = os.environ.get(_EPOCH)
    if stated is None:
        return datetime.now(UTC)
    try:
        return datetime.fromtimestamp(int(stated), UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(f"{_EPOCH} is no time in seconds since 1970: {stated}") from None


def commit(
    store: Store, upper: Upper, step: Step, names: Sequence[Reference] = (), instructions: Sequence[str] = ()
) -> Digest:
    """Make an image of *upper* and the one beneath it, under *names*, and give its id. The store is being used.

    An upper without changes adds no layer. One that is mounted is read as it is: what was written through the mount is
    in it, and files that change while they are read are read once more.

    Raises:
        ImageError: an instruction can't be understood; nothing was written.
        ChangedError: somebody keeps writing to the upper.
        StoreError, ArchiveError, OSError: the image beneath is damaged, or the new one can't be stored.
    """
    parent = store.open(store.image_of(upper.use))
    derived(parent.config, step, None, instructions)
    lowers = store.stack(store.image_of(upper.use)).lowers
    for mount in store.mounted():
        # A command in an image has its mount where nobody else gets.
        if upper.name and mount.upper == upper.name and os.path.isabs(mount.mountpoint):
            _sync(Path(mount.mountpoint))
    with _layer(store, lowers, upper) as layer:
        config = derived(parent.config, step, None if layer is None else layer.diff_id, instructions)
        warnings = add_image(store, config, parent.layers, layer, names)
    for text in warnings:
        warn(text)
    return config.digest


def _sync(mountpoint: Path) -> None:
    """Have the kernel send what it holds of files that programs have mapped; Linux doesn't wait for it since 6.17."""
    try:
        fd = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        warn(f"the upper is mounted at {mountpoint}, which can't be synced from here: {error.strerror}")
        return
    try:
        sync_file_system(fd)
    finally:
        os.close(fd)


@contextmanager
def _layer(store: Store, lowers: Sequence[Path], upper: Upper) -> Iterator[NewLayer | None]:
    """Give the upper's layer, written once more where somebody changed it meanwhile; None where it has no changes."""
    with ExitStack() as written:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with open_view(lowers) as before, open_view(lowers, upper.upper, upper.work) as now:
                    layer = _written(store, before, now, written)
                break
            except ChangedError as error:
                if attempt == _ATTEMPTS:
                    raise ChangedError(f"{error}; stop what is writing to it, and commit again") from error
        yield layer


def _written(store: Store, before: View, now: View, written: ExitStack) -> NewLayer | None:
    changes = layer_changes(before, now)
    if not changes:
        return None
    warnings: list[str] = []
    layer = written.enter_context(writing_layer(store, lambda sink: warnings.extend(write_changes(changes, now, sink))))
    for text in warnings:
        warn(text)
    return layer
