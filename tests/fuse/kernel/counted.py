"""A real mount, served on a thread of this process, that counts the messages of the kernel by what they ask.

Programs that use it are run as other processes. A message that nobody waits for (FORGET) may come later; it isn't
counted.
"""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mounts import unmount_or_detach
from tests.unions import Stack
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.kernel.abi import Opcode
from unionfs.fuse.kernel.codec import request
from unionfs.fuse.kernel.session import Session
from unionfs.fuse.presentation import AS_ON_DISK, Presentation
from unionfs.mount.attach import attach
from unionfs.mount.options import MountOptions

_UNCOUNTED = (Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT, Opcode.DESTROY)


class CountingSession(Session):
    """Counts before it serves."""

    def __init__(self, *arguments: object, **more: object) -> None:
        super().__init__(*arguments, **more)  # type: ignore[arg-type]  # as Session, whatever that takes
        self.messages: Counter[str] = Counter()

    def _serve(self, message: memoryview) -> None:
        opcode = request(message).opcode
        if opcode not in _UNCOUNTED:
            self.messages[Opcode(opcode).name] += 1
        super()._serve(message)


class CountedMount:
    """A mount at ``path``."""

    def __init__(self, path: Path, session: CountingSession) -> None:
        self.path = path
        self._session = session

    def messages_of(self, *command: str | Path) -> Counter[str]:
        """Run *command* in the mount, and give the messages that it made the kernel send."""
        before = self._session.messages.copy()
        # Not by cwd=, by which the child would wait for this process, that waits for its exec(2) with the lock held.
        subprocess.run(["env", "--chdir", self.path, *command], stdout=subprocess.DEVNULL, check=True)
        return self._session.messages - before

    def messages_of_python(self, code: str) -> Counter[str]:
        """Run *code* in the mount, with ``os`` imported."""
        return self.messages_of(sys.executable, "-S", "-c", f"import os\n{code}")


@contextmanager
def counted(
    stack: Stack, mountpoint: Path, data_path: DataPath | None = None, presentation: Presentation = AS_ON_DISK
) -> Iterator[CountedMount]:
    """Mount *stack*, by mount(2) or fusermount3, and take it away again."""
    mountpoint.mkdir()
    upper = os.fsencode(stack.upper) if stack.writable else None
    options = MountOptions(lowers=(os.fsencode(stack.lower()),), upper=upper, work=upper)
    place = os.open(mountpoint, os.O_PATH | os.O_DIRECTORY)
    with stack.opened() as kernel:
        attachment = attach(os.fsencode(mountpoint), place, options)
        os.close(place)
        ready = threading.Event()
        session = CountingSession(kernel.union, attachment.device_fd, ready.set, data_path or DataPath(), presentation)
        thread = threading.Thread(target=session.run, name="session")
        thread.start()
        try:
            assert ready.wait(timeout=10)
            yield CountedMount(mountpoint, session)
        finally:
            unmount_or_detach(mountpoint)
            thread.join()
            os.close(attachment.device_fd)
