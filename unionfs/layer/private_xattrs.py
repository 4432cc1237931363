"""The extended attributes by which layers describe themselves, and how they are kept apart from users' own.

Owns the names. overlayfs keeps its marks under ``trusted.overlay.`` (``user.overlay.`` where ``userxattr``
is asked for), fuse-overlayfs under ``user.fuseoverlayfs.`` and ``security.fuseoverlayfs.``, containers' storage keeps
owners in ``user.containers.override_stat``, and fuse-overlayfs, beside that, ``security.*`` attributes, which nobody
may set without privilege, under ``user.containers.override_security.``. None of these names is shown by a mount. A
program inside the mount that uses such a name gets it escaped, as overlayfs does it: ``trusted.overlay.x`` is kept as
``trusted.overlay.overlay.x``.
"""

TRUSTED = b"trusted.overlay."
USER = b"user.overlay."
_FUSE = b"user.fuseoverlayfs."
_SECURITY = b"security.fuseoverlayfs."
_CONTAINERS = b"user.containers."
_ESCAPE = b"overlay."
_ALL_PRIVATE = (TRUSTED, USER, _FUSE, _SECURITY)
_ALL = (*_ALL_PRIVATE, _CONTAINERS)

OVERRIDE_STAT = b"user.containers.override_stat"
SECURITY_OVERRIDE_STAT = _SECURITY + b"override_stat"
FUSE_OVERRIDE_STAT = _FUSE + b"override_stat"
# Of several that an entry has the first counts, as it does to fuse-overlayfs since 1.14.
OVERRIDES = (SECURITY_OVERRIDE_STAT, OVERRIDE_STAT, FUSE_OVERRIDE_STAT)

SECURITY = b"security."
CAPABILITY = SECURITY + b"capability"
_ENCODED = _CONTAINERS + b"override_"
_ENCODED_SECURITY = _ENCODED + SECURITY
ENCODED_CAPABILITY = _ENCODED + CAPABILITY

OPAQUE = b"opaque"
WHITEOUT = b"whiteout"
REDIRECT = b"redirect"
METACOPY = b"metacopy"
# Our own, under a name that overlayfs and fuse-overlayfs hide without reading it.
ORIGIN = b"unionfs.origin"
KEPT = b"unionfs.kept"


def is_private(name: bytes) -> bool:
    """Tell whether the attribute *name*, as it is on disk, belongs to the layer and not to a user."""
    if name == OVERRIDE_STAT:
        return True
    return any(name.startswith(prefix) and not name.startswith(prefix + _ESCAPE) for prefix in _ALL_PRIVATE)


def escape(name: bytes) -> bytes:
    """Give the name on disk for the attribute that a program inside the mount calls *name*."""
    for prefix in _ALL:
        if name.startswith(prefix) and _needs_escape(prefix, name):
            return prefix + _ESCAPE + name[len(prefix) :]
    return name


def unescape(name: bytes) -> bytes | None:
    """Give the name that the mount shows for the attribute *name* on disk, or None where it is hidden."""
    if is_private(name):
        return None
    if name.startswith(_ENCODED_SECURITY):
        return unescape(name[len(_ENCODED) :])
    for prefix in _ALL:
        if name.startswith(prefix + _ESCAPE):
            escaped = prefix + name[len(prefix) + len(_ESCAPE) :]
            return escaped if _needs_escape(prefix, escaped) else name
    return name


def encoded(on_disk: bytes) -> bytes | None:
    """Give the name that keeps ``security.*`` attributes where those can't be set; None: *on_disk* isn't one."""
    return _ENCODED + on_disk if on_disk.startswith(SECURITY) else None


def _needs_escape(prefix: bytes, name: bytes) -> bool:
    """Tell whether *name* is kept escaped: all that has *prefix*, but of containers' storage its own names alone."""
    if prefix != _CONTAINERS:
        return True
    rest = name[len(prefix) :]
    while rest.startswith(_ESCAPE):
        rest = rest[len(_ESCAPE) :]
    return prefix + rest == OVERRIDE_STAT or (prefix + rest).startswith(_ENCODED_SECURITY)
