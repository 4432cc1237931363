"""The stack: read-only layers and an upper, merged.

Owns lookup order, inodes, copy-up, renames and what each operation does to the upper. Raises ``OSError`` and knows
nothing of FUSE. State changes on one thread; an operation that may block is a generator that yields the blocking step
(see ``step``).
"""

from unionfs.union.union import Union as Union
