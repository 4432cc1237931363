"""Opening what the options name: the lowers, the upper with its workdir, and the union over them.

Owns the choices that depend on what the upper can hold. Imported, as what it imports, in the process that serves.
"""

import contextlib
import os
import resource
from collections.abc import Callable

from unionfs.fuse import Transport, serve
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.presentation import Presentation
from unionfs.layer import private_xattrs
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import OpenedUpper, UpperOptions, open_upper
from unionfs.layer.ownership import OverrideForm
from unionfs.mount.errors import MountError
from unionfs.mount.kernel_mapped import as_on_disk
from unionfs.mount.options import MountOptions, RedirectDir
from unionfs.union.grafts import Graft
from unionfs.union.union import Settings, Union

_RESERVED_DESCRIPTORS = 64
"""For the connection, logs, locks, and the steps of single operations."""
_MOST_DESCRIPTORS = 4096
"""More are never of use: what is used again soon is among the last used."""


class UnionStack:
    """The layers of one mount, opened, and the union that shows them."""

    def __init__(self, options: MountOptions, transport: Transport, data_path: DataPath) -> None:
        self._discards = options.discards
        self._transport = transport.settled(os.uname().release)
        self._data_path = data_path
        self._presentation = Presentation(options.ids, options.timeout)
        layers = dict.fromkeys(path for graft in options.grafts for path in graft.lowers)
        budget = _descriptor_budget(len(options.lowers) + len(layers))
        self._descriptors = Descriptors(budget // 2)
        self._opened: OpenedUpper | None = None
        try:
            if options.writable:
                self._opened = _open_upper(options, self._descriptors)
            lowers, grafts = _open_lowers(options, tuple(layers), self._descriptors)
            if self._opened is not None:
                _refuse_upper_among(lowers, self._opened.upper.root)
            upper = None if self._opened is None else self._opened.upper
            settings = settle(options, None if upper is None else upper.abilities.namespace)
            self._union = Union(upper, lowers, settings._replace(open_files=budget // 2), grafts)
        except BaseException:
            self._release()
            raise

    def serve(self, device_fd: int, ready: Callable[[], None]) -> None:
        """Answer on the connection until the mount has ended, then settle an upper that stays."""
        serve(self._union, device_fd, ready, self._transport, self._data_path, self._presentation)
        if self._opened is not None and not self._discards:
            self._opened.finish()

    def statistics(self) -> str:
        """Give the counts of the union as one line."""
        return ", ".join(f"{name}: {count}" for name, count in self._union.statistics().items())

    def close(self) -> None:
        """Let go of the layers, after which the upper can be mounted again."""
        self._union.close()
        self._release()

    def _release(self) -> None:
        self._descriptors.close()
        if self._opened is not None:
            self._opened.close()


def _open_lowers(
    options: MountOptions, grafted: tuple[bytes, ...], descriptors: Descriptors
) -> tuple[list[Directory], list[Graft]]:
    """Open the lowers, and the grafts of which *grafted* are all layers, each once."""
    lowers = _lower_paths(options)
    paths = lowers + grafted
    maps_ids = options.ids.users.ranges or options.ids.groups.ranges
    upper = options.upper if options.writable else None
    with as_on_disk(paths, upper) if maps_ids else contextlib.nullcontext(paths) as found:
        opened = [open_lower(path, place, descriptors) for place, path in enumerate(found)]
    layers = dict(zip(grafted, opened[len(lowers) :], strict=True))
    grafts = [Graft(graft.path, [layers[path] for path in graft.lowers]) for graft in options.grafts]
    return opened[: len(lowers)], grafts


def _lower_paths(options: MountOptions) -> tuple[bytes, ...]:
    """Give the directories to open as layers that aren't written; with ``ro`` the upper is the topmost of them."""
    if options.upper is not None and not options.writable:
        return (options.upper, *options.lowers)
    return options.lowers


def _descriptor_budget(lowers: int) -> int:
    """Give how many descriptors may be kept open, beside one for the root of each layer."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return _MOST_DESCRIPTORS
    return max(0, min(_MOST_DESCRIPTORS, limit - lowers - _RESERVED_DESCRIPTORS))


def _open_upper(options: MountOptions, descriptors: Descriptors) -> OpenedUpper | None:
    if options.upper is None or options.work is None:
        return None
    upper_options = UpperOptions(
        volatile=options.volatile,
        user_namespace=options.userxattr,
        prefix_whiteouts=options.prefix_whiteouts,
        marker_files=options.as_fuse_overlayfs,
        override=_override(options),
        take_over_volatile=options.as_fuse_overlayfs,
    )
    return open_upper(options.upper, options.work, descriptors, upper_options)


def _override(options: MountOptions) -> OverrideForm:
    """Give which owners are kept in an attribute; fuse-overlayfs keeps none unless it is asked to."""
    if options.xattr_permissions:
        return (OverrideForm.SECURITY, OverrideForm.USER)[options.xattr_permissions - 1]
    if not options.as_fuse_overlayfs:
        return OverrideForm.AS_NEEDED
    squashed = (options.ids.users.squashed_to, options.ids.groups.squashed_to)
    return OverrideForm.NEVER if squashed == (None, None) else OverrideForm.IGNORED


def _refuse_upper_among(lowers: list[Directory], upper: Directory) -> None:
    """An upper that is also a lower would change beneath the union, which overlayfs calls undefined."""
    if any(os.path.samestat(lower.status(), upper.status()) for lower in lowers):
        raise MountError("the upperdir is also one of the lower directories")


def settle(options: MountOptions, namespace: bytes | None) -> Settings:
    """Settle what the options leave open by the attributes that the upper can hold: *namespace*, or none at all.

    Redirects and metadata-only files in ``user.overlay.`` attributes are shown wrongly by the kernel's overlayfs
    with its own defaults, so without an option they are written only under ``trusted.overlay.``.
    """
    trusted = namespace == private_xattrs.TRUSTED
    redirect = trusted if options.redirect_dir is None else options.redirect_dir is RedirectDir.ON
    return Settings(
        redirect=redirect,
        follow_redirects=options.redirect_dir is not RedirectDir.NOFOLLOW,
        metacopy=(trusted and redirect) if options.metacopy is None else options.metacopy,
        volatile=options.volatile,
        acl=options.acl,
        prefetch=options.prefetch,
        ino32=options.ino32,
    )
