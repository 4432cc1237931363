"""What changed: an upper over its lowers, or one tree beside another, as changes and as the tar of an OCI layer.

Owns which paths count as added, changed and deleted, and how a layer or a whole tree is written as a tar. Reads through
``view`` alone, and so in the time that the change takes: of what both trees have from the same layers nothing is read.
"""

from unionfs.diff.change import Change, ChangeKind, shown_lines
from unionfs.diff.changed_error import ChangedError
from unionfs.diff.changes import changes, layer_changes
from unionfs.diff.layer_tar import write_changes, write_tree

__all__ = [
    "Change",
    "ChangeKind",
    "ChangedError",
    "changes",
    "layer_changes",
    "shown_lines",
    "write_changes",
    "write_tree",
]
