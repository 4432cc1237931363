"""The tree that a stack of layers shows, read in this process: without a mount, and without writing anything.

Owns how a path is resolved within the root, and how much of a large tree is kept in memory at a time. What shows, the
core decides: it is the union that a mount serves too.
"""

from unionfs.view.opening import open_view
from unionfs.view.portable import is_portable
from unionfs.view.view import Entry, View

__all__ = ["Entry", "View", "is_portable", "open_view"]
