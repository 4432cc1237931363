"""Mounting an image of the store: what the command line says of it becomes the options of a mount and its record.

The record is held by the daemon, and ends with it, and the temporary upper too.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from unionfs.cli.arguments import UsageError
from unionfs.cli.images import opened_image, opened_store
from unionfs.cli.layers_view import DIRECTORIES, grafts_of
from unionfs.cli.named_uppers import named_upper
from unionfs.mount import table
from unionfs.mount.options import MountOptions, check_together
from unionfs.mount.session import OpenStack, Stack
from unionfs.store.mounts import StoredMount
from unionfs.store.store import StackedImage
from unionfs.store.uppers import Upper


@dataclass(frozen=True, slots=True)
class ImageMount:
    """An image that is about to be mounted: with which options, and the record that keeps its layers."""

    options: MountOptions
    record: StoredMount

    def opening(self, open_stack: OpenStack) -> OpenStack:
        """Give what opens the stack and ends the record when the stack is closed."""
        return lambda options: _RecordedStack(open_stack(options), self.record)


@contextmanager
def prepared(
    argument: str, mountpoint: str, options: MountOptions, *, upper: str | None, by_layers: bool = False
) -> Iterator[ImageMount]:
    """Record a mount of the image *argument*; the record ends if mounting fails.

    *upper* is the name of the upper to mount it with, empty for a temporary one, None for none. *by_layers*: beside the
    whole image its layers show, which goes without an upper only.

    Raises:
        StoreError, ImageError, OSError: there is no such image, or its upper is another image's.
        UsageError: the options name layers themselves.
    """
    if options.lowers or options.upper or options.work:
        raise UsageError("an image brings its layers: lowerdir, upperdir and workdir can't be given with it")
    with opened_store() as store, opened_image(store, argument) as image:
        named = None if not upper else named_upper(store, upper, image)
        temporary_over = image.lowers[0] if upper == "" else None
        where = os.fsdecode(table.resolve(os.fsencode(mountpoint)))  # as umount and the mount table call it
        record = store.mounts.begin(image.use, where, upper=upper or "", temporary_over=temporary_over)
    try:
        options = _options(options, image, named or record.upper)
        mount = ImageMount(_by_layers(options, image, record) if by_layers else options, record)
        check_together(mount.options)
        yield mount
    except BaseException:
        record.end()
        raise


def _options(options: MountOptions, image: StackedImage, upper: Upper | None) -> MountOptions:
    options = options._replace(lowers=tuple(map(_path, image.lowers)), fsname=os.fsencode(image.use.image))
    if upper is None:
        return options
    # What goes with its mount needn't survive a crash.
    goes = not upper.name
    return options._replace(
        upper=_path(upper.upper), work=_path(upper.work), volatile=options.volatile or goes, discards=goes
    )


def _by_layers(options: MountOptions, image: StackedImage, record: StoredMount) -> MountOptions:
    grafts = grafts_of(image)
    skeleton = record.make_skeleton([*DIRECTORIES, *(os.fsdecode(graft.path) for graft in grafts)])
    return options._replace(lowers=(_path(skeleton),), grafts=grafts)


def _path(path: Path) -> bytes:
    return os.fsencode(path)


class _RecordedStack:
    """A stack whose record ends with it."""

    def __init__(self, stack: Stack, record: StoredMount) -> None:
        self._stack = stack
        self._record = record
        self.statistics = stack.statistics

    def serve(self, device_fd: int, ready: Callable[[], None]) -> None:
        """Answer until the mount has ended."""
        self._stack.serve(device_fd, ready)

    def close(self) -> None:
        """Let go of the layers, and then remove the record."""
        self._stack.close()
        self._record.end()
