"""The value of the mount option ``lowerdir``, as overlayfs and ``unionfs mount`` read it."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

_SPECIAL = re.compile(rb"([\\:,])")


def lowerdir_option(layers: Iterable[Path]) -> str:
    """Give the option's value for *layers*, the topmost first: a colon, comma or backslash in a path is escaped."""
    return os.fsdecode(b":".join(_SPECIAL.sub(rb"\\\1", os.fsencode(layer)) for layer in layers))
