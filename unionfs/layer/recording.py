"""In which attribute an upper keeps the owners, permissions and devices that its entries show.

Owns the choice when the upper is opened. fuse-overlayfs reads such attributes in a layer whose root has one, and only
of the name that the root has.
"""

import errno
from typing import NamedTuple

from unionfs.layer import private_xattrs
from unionfs.layer.directory import SELF, Directory
from unionfs.layer.ownership import OverrideForm, Ownership
from unionfs.linux import xattrs


class Recording(NamedTuple):
    """What is kept in an attribute (``form``), and the attribute's name."""

    form: OverrideForm = OverrideForm.AS_NEEDED
    attribute: bytes = private_xattrs.OVERRIDE_STAT


def settle(root: Directory, work: Directory, form: OverrideForm) -> Recording:
    """Settle where the upper *root* keeps owners, and record the root's own where all are recorded.

    Raises:
        OSError: they can't be kept in that form; it is tried on *work*.
    """
    recording = Recording(form, _attribute(root, form))
    if form.is_always:
        text = Ownership.of(root.examine()[0]).text()
        try:
            xattrs.set_(work.path(), recording.attribute, text)
            xattrs.remove(work.path(), recording.attribute)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EOPNOTSUPP):
                raise
            name = recording.attribute.decode()
            raise OSError(error.errno, f"owners can't be kept here in {name}: {error.strerror}") from None
        if root.xattr(SELF, recording.attribute) is None:
            xattrs.set_(root.path(), recording.attribute, text)
    return recording


def _attribute(root: Directory, form: OverrideForm) -> bytes:
    if form is OverrideForm.SECURITY:
        return private_xattrs.SECURITY_OVERRIDE_STAT
    if form is OverrideForm.USER:
        present = [name for name in private_xattrs.OVERRIDES if name in root.xattr_names()]
        if present == [private_xattrs.FUSE_OVERRIDE_STAT]:
            # An upper of fuse-overlayfs before 1.14, which would overlook what is under another name.
            return private_xattrs.FUSE_OVERRIDE_STAT
    return private_xattrs.OVERRIDE_STAT
