"""Who holds a lock, as the kernel's list of locks tells it."""

import fcntl
import os
from pathlib import Path

from tests.posix.processes import running
from unionfs.linux.locks import flock_holder


def test_holder_of_a_lock_is_found_while_it_holds_it(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as held, (tmp_path / "lock").open() as other:
        assert flock_holder(other.fileno()) is None
        fcntl.flock(held, fcntl.LOCK_EX)
        assert flock_holder(other.fileno()) == os.getpid()
        fcntl.flock(held, fcntl.LOCK_UN)
        assert flock_holder(other.fileno()) is None


def test_neither_a_lock_of_another_kind_nor_one_that_waits_is_a_holder(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file, (tmp_path / "other").open("w") as held:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert flock_holder(file.fileno()) is None
        fcntl.flock(held, fcntl.LOCK_EX)

        def wait() -> None:
            with (tmp_path / "other").open() as mine:
                fcntl.flock(mine, fcntl.LOCK_EX)

        with running(wait):
            while Path("/proc/locks").read_text().count("->") == 0:
                pass
            assert flock_holder(held.fileno()) == os.getpid()
