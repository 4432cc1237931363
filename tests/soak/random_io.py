"""Random reads, writes, truncations and maps of one file, each byte of it checked against a model in memory.

Run as ``python -m tests.soak.random_io FILE SECONDS SEED MODEL [plain]``. The file may be there already. What it should
hold at the end is written to MODEL. With ``plain`` fallocate(2) isn't called. Ends at the first byte that is wrong.
"""

import mmap
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from unionfs.linux.files import allocate

FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2
MAX_SIZE = 1 << 19
MAX_PIECE = 1 << 16
_WHOLE_EVERY = 64


class WrongError(Exception):
    """The file isn't what it should be; the text says where."""


class RandomIO:
    """One file, and what it should hold."""

    def __init__(self, path: Path, seed: int, *, plain: bool) -> None:
        self.path = path
        self.random = random.Random(seed)
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.model = bytearray(os.pread(self.fd, MAX_SIZE, 0))
        self.done = 0
        self.operations: tuple[Callable[[], None], ...] = (
            self.read, self.read, self.read_mapped, self.write, self.write, self.write_mapped, self.append,
            self.truncate, self.copy, self.reopen, self.sync, self.evict,
        )  # fmt: skip
        if not plain:
            self.operations += (self.empty, self.allocate)

    def step(self) -> None:
        """Do one operation. Raises WrongError."""
        operation = self.random.choice(self.operations)
        try:
            operation()
            if self.done % _WHOLE_EVERY == 0:
                self.check_whole()
        except WrongError as error:
            raise WrongError(f"operation {self.done}, {operation.__name__}: {error}") from error
        self.done += 1

    def close(self) -> None:
        """Look at everything once more. Raises WrongError."""
        self.check_whole()
        os.close(self.fd)

    def check_whole(self) -> None:
        """Compare the size and every byte. Raises WrongError."""
        size = os.fstat(self.fd).st_size
        if size != len(self.model):
            raise WrongError(f"the size is {size}, not {len(self.model)}")
        self._check(os.pread(self.fd, MAX_SIZE + 1, 0), 0)

    def _check(self, found: bytes, start: int) -> None:
        wanted = self.model[start : start + len(found)]
        if found != wanted:
            at = next((at for at, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), len(wanted))
            raise WrongError(f"the first wrong byte of {len(found)} from {start} is the one at {start + at}")

    def _piece(self, end: int) -> tuple[int, int]:
        """Choose where something begins, and how long it is, within *end* bytes."""
        start = self.random.randrange(end + 1)
        return start, self.random.randrange(min(MAX_PIECE, end - start) + 1)

    def _bytes(self, length: int) -> bytes:
        return self.random.randbytes(min(length, 4096)) * (length // 4096 + 1)

    def _put(self, start: int, content: bytes) -> None:
        if content:
            self.model.extend(bytes(max(0, start + len(content) - len(self.model))))
            self.model[start : start + len(content)] = content

    # The operations.

    def read(self) -> None:
        start, length = self._piece(len(self.model))
        found = os.pread(self.fd, length, start)
        if len(found) != length:
            raise WrongError(f"{len(found)} bytes of {length} can be read from {start}")
        self._check(found, start)

    def read_mapped(self) -> None:
        if self.model:
            with mmap.mmap(self.fd, 0, prot=mmap.PROT_READ) as view:
                start, length = self._piece(len(self.model))
                self._check(view[start : start + length], start)

    def write(self) -> None:
        start, length = self._piece(MAX_SIZE)
        content = self._bytes(length)[:length]
        assert os.pwrite(self.fd, content, start) == length
        self._put(start, content)

    def write_mapped(self) -> None:
        if self.model:
            with mmap.mmap(self.fd, 0) as view:
                start, length = self._piece(len(self.model))
                content = self._bytes(length)[:length]
                view[start : start + length] = content
                if self.random.randrange(2):
                    view.flush()
            self._put(start, content)

    def append(self) -> None:
        length = self.random.randrange(min(MAX_PIECE, MAX_SIZE - len(self.model)) + 1)
        content = self._bytes(length)[:length]
        with self.path.open("ab", buffering=0) as file:
            assert file.write(content) == length
        self._put(len(self.model), content)

    def truncate(self) -> None:
        size = self.random.randrange(MAX_SIZE)
        if self.random.randrange(2):
            os.ftruncate(self.fd, size)
        else:
            os.truncate(self.path, size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def empty(self) -> None:
        start, length = self._piece(len(self.model))
        if length:
            allocate(self.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, length)
            self._put(start, bytes(length))

    def allocate(self) -> None:
        start, length = self._piece(MAX_SIZE)
        if length:
            allocate(self.fd, 0, start, length)
            self.model.extend(bytes(max(0, start + length - len(self.model))))

    def copy(self) -> None:
        half = len(self.model) // 2
        start, length = self._piece(half)
        target = half + self.random.randrange(half - length + 1)
        copied = os.copy_file_range(self.fd, self.fd, length, start, target) if length else 0
        self._put(target, bytes(self.model[start : start + copied]))

    def reopen(self) -> None:
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)

    def sync(self) -> None:
        self.random.choice((os.fsync, os.fdatasync))(self.fd)

    def evict(self) -> None:
        os.fsync(self.fd)
        os.posix_fadvise(self.fd, 0, 0, os.POSIX_FADV_DONTNEED)


def main(path: str, seconds: str, seed: str, model: str, *more: str) -> None:
    """Go on for that long. Raises WrongError."""
    end = time.monotonic() + float(seconds)
    file = RandomIO(Path(path), int(seed), plain="plain" in more)
    while time.monotonic() < end:
        file.step()
    file.close()
    Path(model).write_bytes(file.model)


if __name__ == "__main__":
    main(*sys.argv[1:])
