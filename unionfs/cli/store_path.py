"""Where the store is."""

import os
from pathlib import Path

from unionfs.cli import ROOT_VARIABLE


def store_path() -> Path:
    """Give the path of the store: as the environment says, or where each user's own is by custom."""
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/unionfs")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "unionfs"
