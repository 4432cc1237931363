"""Where the store is."""

import os
from pathlib import Path

from unionfs.cli import ROOT_VARIABLE

_OF_ROOT = Path("/var/lib/unionfs")


def store_path() -> Path:
    """Give the path of the store: as the environment says, or where each user's own is by custom."""
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(named)
    if os.geteuid() == 0 and _may_write(_OF_ROOT):
        return _OF_ROOT
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "unionfs"


def _may_write(path: Path) -> bool:
    """Tell whether there can be a store; root of a user namespace may be nobody to the machine's own directories."""
    return os.access(path if os.path.lexists(path) else path.parent, os.W_OK | os.X_OK)
