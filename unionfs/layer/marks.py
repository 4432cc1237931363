"""What a layer says of one entry in private extended attributes, read with one list call.

Owns the meaning of each mark; ``private_xattrs`` owns the names. An entry of an ordinary image has none.
"""

import errno
from typing import NamedTuple

from unionfs.layer import private_xattrs as names
from unionfs.layer.ownership import Ownership
from unionfs.linux import xattrs

_OPAQUE_NAMES = (
    names.TRUSTED + names.OPAQUE,
    names.USER + names.OPAQUE,
    b"user.fuseoverlayfs.opaque",
)
# overlayfs, fs/overlayfs/namei.c: a redirect of more than this many bytes is not valid.
REDIRECT_MAX = 256


class Marks(NamedTuple):
    """The marks of an entry.

    ``opaque``: nothing beneath shows through this directory. ``xattr_whiteouts``: the directory holds whiteouts in
    attribute form (opaque value ``x``). ``redirect``: where to go on in the layers beneath, an absolute path or a
    name. ``metacopy``: only the metadata is here, the content is beneath. ``origin``: what this was copied up from.
    ``others``: there are attributes that aren't marks.
    """

    opaque: bool = False
    xattr_whiteouts: bool = False
    redirect: bytes | None = None
    metacopy: bool = False
    origin: bytes | None = None
    ownership: Ownership | None = None
    others: bool = False


NO_MARKS = Marks()
_ONLY_OTHERS = Marks(others=True)


def read_marks(file: xattrs.File) -> Marks:
    """Read the marks of *file*.

    Raises:
        OSError: EIO for a redirect that overlayfs would refuse, and what reaching the file gives.
    """
    present = xattrs.list_names(file)
    if not present:
        return NO_MARKS
    private = {name for name in present if names.is_private(name)}
    if not private:
        return _ONLY_OTHERS
    opaque = {xattrs.get(file, name) for name in _OPAQUE_NAMES if name in private}
    redirect = _overlay_value(file, private, names.REDIRECT)
    return Marks(
        opaque=b"y" in opaque,
        xattr_whiteouts=b"x" in opaque,
        redirect=None if redirect is None else _checked_redirect(redirect),
        metacopy=_overlay_value(file, private, names.METACOPY) is not None,
        origin=_overlay_value(file, private, names.ORIGIN),
        ownership=_ownership(file, private),
        others=len(private) < len(present),
    )


def is_xattr_whiteout(file: xattrs.File) -> bool:
    """Tell whether the empty regular *file* is a whiteout in attribute form (overlayfs, Linux 6.7)."""
    return any(xattrs.get(file, prefix + names.WHITEOUT) is not None for prefix in (names.TRUSTED, names.USER))


def _ownership(file: xattrs.File, present: set[bytes]) -> Ownership | None:
    for name in names.OVERRIDES:
        if name in present:
            text = xattrs.get(file, name)
            return None if text is None else Ownership.parse(text)
    return None


def _overlay_value(file: xattrs.File, present: set[bytes], name: bytes) -> bytes | None:
    for prefix in (names.TRUSTED, names.USER):
        if prefix + name in present:
            return xattrs.get(file, prefix + name)
    return None


def _checked_redirect(redirect: bytes) -> bytes:
    """Refuse what can't be a path from a layer's root or one name, as overlayfs does."""
    relative = redirect[1:] if redirect.startswith(b"/") else redirect
    parts = relative.split(b"/")
    if (
        len(redirect) > REDIRECT_MAX
        or (relative is redirect and len(parts) > 1)
        or any(part in (b"", b".", b"..") or b"\0" in part for part in parts)
    ):
        raise OSError(errno.EIO, "a redirect in a layer isn't valid")
    return redirect
