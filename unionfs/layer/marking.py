"""Writing the marks by which an upper says what shows of the layers beneath it.

Owns in which form its file system keeps them; ``marks`` owns how they are read.
"""

import errno

from unionfs.layer import private_xattrs
from unionfs.layer.abilities import Abilities, WhiteoutForm
from unionfs.layer.directory import Directory
from unionfs.layer.metadata import keep_times
from unionfs.layer.whiteout import OPAQUE_MARKER
from unionfs.layer.whiteouts import touch
from unionfs.linux import xattrs


class Marking:
    """Marks the entries of one upper.

    ``marker_files``: an opaque directory gets the marker file beside its attribute, but on a file system that takes no
    ``.wh.`` name, as another mount of this program.
    """

    def __init__(self, abilities: Abilities, *, marker_files: bool) -> None:
        self._namespace = abilities.namespace
        named = abilities.whiteouts is not WhiteoutForm.ATTRIBUTE
        self._marker_files = (marker_files and named) or self._namespace is None

    def make_opaque(self, directory: Directory) -> None:
        """Let nothing beneath *directory* show through; it keeps its times."""
        if self._marker_files and not directory.has(OPAQUE_MARKER):
            before = directory.status()
            touch(directory, OPAQUE_MARKER)
            keep_times(directory, before)
        if self._namespace is not None:
            xattrs.set_(directory.path(), self._namespace + private_xattrs.OPAQUE, b"y")

    def set(self, parent: Directory, name: bytes, mark: bytes, value: bytes) -> bool:
        """Set overlayfs's attribute *mark* of an entry; False where the upper can't keep it."""
        if self._namespace is None:
            return False
        try:
            xattrs.set_(parent.path(name), self._namespace + mark, value)
        except OSError as error:
            # user.* attributes exist on regular files and directories alone.
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
                raise
            return False
        return True

    @staticmethod
    def remove(parent: Directory, name: bytes, mark: bytes) -> None:
        """Remove overlayfs's attribute *mark* of an entry, in whichever namespace it is."""
        marks = [namespace + mark for namespace in (private_xattrs.TRUSTED, private_xattrs.USER)]
        # All are looked for before one is removed, so that a failure leaves the entry marked.
        for present in [attribute for attribute in marks if parent.xattr(name, attribute) is not None]:
            xattrs.remove(parent.path(name), present)
