"""Opening layers, and with them an upper, for reading alone.

Owns what of an upper can be had without changing it: nothing is probed, swept or mended, and no lock is taken. So the
upper must not be in use by a mount that changes it.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from unionfs.layer.abilities import Abilities, WhiteoutForm
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.index import HardLinks
from unionfs.layer.lower import open_lower
from unionfs.layer.upper import Form, Upper
from unionfs.layer.workdir import INDEX, WORK, Workdir
from unionfs.union.union import Settings, Union
from unionfs.view.view import View

_DESCRIPTORS = 128
"""Directories that are kept open, beside one for the root of each layer."""
_SETTINGS = Settings(prefetch=False, open_files=0)
_NOTHING = Abilities(
    namespace=None, user_xattrs=False, whiteouts=WhiteoutForm.PREFIX, owners=False, devices=False, exchange=False,
    noreplace=False,
)  # fmt: skip


@contextmanager
def open_view(lowers: Sequence[Path], upper: Path | None = None, work: Path | None = None) -> Iterator[View]:
    """Open the tree that *lowers*, topmost first, show together, with *upper*, if there is one, above them.

    Without *work*, the upper's workdir, the upper is one more layer on top, as to a mount with the option ``ro``: where
    a lower file with several names was changed, the names that the upper doesn't hold show what the lower has. With it
    the index of hard links is followed, as by a mount that writes, and inodes have the numbers that such a one shows.

    Raises:
        OSError: a directory can't be opened or read; the error names it.
        ValueError: there is no layer at all.
    """
    if not lowers and upper is None:
        raise ValueError("a view needs a layer")
    with ExitStack() as opened:
        descriptors = Descriptors(_DESCRIPTORS)
        opened.callback(descriptors.close)
        index = None if upper is None or work is None else _open_index(work, descriptors, opened)
        if index is None or upper is None:
            shown = lowers if upper is None else (upper, *lowers)
            union = Union(None, open_layers(shown, descriptors, opened), _SETTINGS)
        else:
            (root,) = open_layers([upper], descriptors, opened, first=-1)
            with_index = Upper(root, index[0], index[1], _NOTHING, Form())
            union = Union(with_index, open_layers(lowers, descriptors, opened), _SETTINGS)
        opened.callback(union.close)
        yield View(union)


def open_layers(
    paths: Sequence[Path], descriptors: Descriptors, opened: ExitStack, *, first: int = 0
) -> list[Directory]:
    """Open *paths* as the layers from the position *first* on; *opened* closes them.

    Raises:
        OSError: one can't be opened or read; the error names it.
    """
    layers = []
    for position, path in enumerate(paths, start=first):
        layers.append(open_lower(os.fsencode(path), position, descriptors))
        opened.callback(layers[-1].close)
    return layers


def _open_index(work: Path, descriptors: Descriptors, opened: ExitStack) -> tuple[Workdir, HardLinks] | None:
    """Open the index of hard links in the workdir; None where there is none."""
    try:
        (root,) = open_layers([work], descriptors, opened)
        if not root.has(WORK) or not root.child(WORK).has(INDEX):
            return None
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return None
    workdir = Workdir(root)
    links = _FoundLinks(workdir)
    links.load()
    return workdir, links


class _FoundLinks(HardLinks):
    """The index of hard links as it lies there."""

    def _remove(self, name: bytes) -> None:
        """Let what isn't valid lie; it has no effect, and the next mount mends the index."""
