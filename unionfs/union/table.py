"""Inode numbers, and the inodes that the kernel knows by them.

Owns how a number is made. It is the number on disk, where that is unique in the stack: inodes of the first file system
keep theirs, those of another get its place in the high bits. A copied-up file keeps its lower's number, which the
upper records. What can't be numbered so, or whose number is another's, gets a number mixed from what it is on disk, so
that it has the same when the kernel asks again. Where numbers are to have 32 bits all of them go through
``narrow_numbers``.
"""

import gc
from collections.abc import Iterator

from unionfs.linux.memory import release_free_memory
from unionfs.union.inode import AnyInode, DirectoryInode, Identity
from unionfs.union.narrow_numbers import NarrowNumbers

ROOT = 1
_DEVICE_FACTOR = 1 << 56
_MAX_DEVICES = 32
_MIXED = 1 << 61
_SPARE = 1 << 62
# More can't be given: the highest bit of what names an inode is a transport's own.
_END = 1 << 63
# Fibonacci hashing: near values are spread over all bits.
_SPREAD = 0x9E3779B97F4A7C15
# Forgetting fewer inodes than this leaves too little memory behind to be worth giving back.
_WORTH_TIDYING = 4096


class InodeTable:
    """Inodes by number, and by what they are on disk where the number doesn't tell; with *ino32* it has 32 bits."""

    def __init__(self, *, ino32: bool = False) -> None:
        self._by_number: dict[int, AnyInode] = {}
        self._by_identity: dict[Identity, AnyInode] = {}
        self._devices: dict[int, int] = {}
        self._next_spare = _SPARE
        self._narrow = NarrowNumbers() if ino32 else None
        self._forgotten = 0

    def know_device(self, device: int) -> None:
        """Give *device* its place among the file systems of the stack, in the order of the calls."""
        self._devices.setdefault(device, len(self._devices))

    def natural_number(self, device: int, inode: int) -> int:
        """Give the number that the inode *inode* of *device* has by itself."""
        place = self._devices.get(device, _MAX_DEVICES)
        if place < _MAX_DEVICES and ROOT < inode < _DEVICE_FACTOR:
            number = place * _DEVICE_FACTOR + inode if place else inode
        else:
            number = self._mixed_number(device, inode)
        # Asked for each entry of a listing, so without a further call.
        return number if self._narrow is None else self._narrow.narrow(number)

    def _fitting(self, number: int) -> int:
        return number if self._narrow is None else self._narrow.narrow(number)

    def lasting_number(self, number: int) -> int:
        """Give what to record of *number*, which an inode shows, for mounts whose numbers may have more bits."""
        return number if self._narrow is None else self._narrow.wide(number)

    def _mixed_number(self, device: int, inode: int) -> int:
        # A file system inside a layer, such as a subvolume, isn't one of the stack's.
        place = self._devices.get(device, device + _MAX_DEVICES)
        return _MIXED | ((place + 1) * _SPREAD ^ inode) % _MIXED

    def free_number(self, identity: Identity, recorded: int | None = None) -> int:
        """Give a number for *identity* that no other inode has now: the *recorded* one, its own, or a further one."""
        if recorded is not None and ROOT < recorded < _END and self._fitting(recorded) not in self._by_number:
            return self._fitting(recorded)
        number = self.natural_number(*identity)
        if number in self._by_number:
            number = self._fitting(self._mixed_number(*identity))
        return number if number not in self._by_number else self.spare_number()

    def spare_number(self) -> int:
        """Give a number that stands for no inode."""
        while (number := self._fitting(self._next_spare)) in self._by_number:
            self._next_spare += 1
        self._next_spare += 1
        return number

    def find(self, identity: Identity) -> AnyInode | None:
        """Give the known inode that is *identity* on disk, or that was copied up from it."""
        known = self._by_identity.get(identity)
        if known is None:
            candidate = self._by_number.get(self.natural_number(*identity))
            if candidate is not None and identity in (candidate.real, getattr(candidate, "lower", None)):
                known = candidate
        return known

    def add(self, node: AnyInode) -> None:
        """Know *node* by its number."""
        self._by_number[node.number] = node
        self._index(node)

    def _index(self, node: AnyInode) -> None:
        if self.natural_number(*node.real) != node.number:
            self._by_identity[node.real] = node

    def move(self, node: AnyInode, real: Identity) -> None:
        """Note that *node* is *real* on disk from now on."""
        if self._by_identity.get(node.real) is node:
            del self._by_identity[node.real]
        node.real = real
        self._index(node)

    def remove(self, node: AnyInode) -> None:
        """Forget *node*."""
        if self._by_number.get(node.number) is node:
            del self._by_number[node.number]
        if self._by_identity.get(node.real) is node:
            del self._by_identity[node.real]
        self._forgotten += 1
        if isinstance(node, DirectoryInode) and node.contents is not None:
            self._forgotten += len(node.contents)

    @property
    def needs_tidying(self) -> bool:
        """Whether so much was forgotten that giving back its memory is worth the work."""
        return self._forgotten >= _WORTH_TIDYING

    def tidy(self) -> None:
        """Give back memory: a dictionary doesn't by itself, however few entries are left in it."""
        self._forgotten = 0
        self._by_number = dict(self._by_number)
        self._by_identity = dict(self._by_identity)
        if self._narrow is not None:
            # One that a listing told, and no inode has, is given again to the same file unless another took it.
            self._narrow.drop_all_but(self._by_number)
        gc.collect()
        release_free_memory()

    def get(self, number: int) -> AnyInode | None:
        """Give the inode *number*, or None."""
        return self._by_number.get(number)

    def __len__(self) -> int:
        return len(self._by_number)

    def __iter__(self) -> Iterator[AnyInode]:
        # A copy: the counts for the log are taken on another thread.
        return iter(list(self._by_number.values()))

    @property
    def directories(self) -> int:
        """How many of the inodes are directories."""
        return sum(isinstance(node, DirectoryInode) for node in self)
