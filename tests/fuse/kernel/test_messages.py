"""How many messages the kernel sends for what programs do: each is a way to the daemon and back.

The numbers are those of Linux 6.18; an older kernel sends no more of the kinds that are named here.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fuse.kernel.counted import CountedMount, counted
from tests.stacks import File, Layer, Symlink
from tests.unions import EVERYTHING, Stack

FILES = 20
LOWER: Layer = {
    **{f"d{n % 3}/sub/f{n}": File(b"content %d" % n) for n in range(FILES)},
    **{f"d{n}/with-attributes": File(b"content", xattrs={"user.a": b"1"}) for n in range(3)},
    **{f"d{n}/link": Symlink("sub/f1") for n in range(3)},
}
# Without the interpreter's own start, which reads nothing in the mount.
_CREATE = "for n in range({}): os.close(os.open('new%d' % n, os.O_CREAT | os.O_WRONLY))"
_REMOVE = "for n in range({}): os.unlink('new%d' % n)"
_WALK = "for path, _, names in os.walk('.'):\n    for name in names: os.lstat(os.path.join(path, name))"
_WRITE = "f = os.open('new0', os.O_WRONLY)\nfor n in range({}): os.pwrite(f, b'x' * 100, n * 100)"


@pytest.fixture
def writable(tmp_path: Path) -> Iterator[CountedMount]:
    with counted(Stack(tmp_path / "stack", [LOWER], EVERYTHING), tmp_path / "mount") as mount:
        # The first OPEN and OPENDIR are asked, and never again.
        mount.messages_of("cat", "d0/sub/f0")
        mount.messages_of("ls")
        yield mount


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[CountedMount]:
    with counted(Stack(tmp_path / "stack", [LOWER], EVERYTHING, writable=False), tmp_path / "mount") as mount:
        yield mount


def undisturbed(measure: Callable[[], Counter[str]], expected: Counter[str]) -> Counter[str]:
    """Measure until the count is the *expected* one, or give the third: somebody may drop the kernel's caches."""
    for _ in range(2):
        if (found := measure()) == expected:
            return found
    return measure()


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-S", "-c", f"import os\n{_WALK}"],
        ["find", ".", "-ls"],
        ["tar", "cf", "/dev/null", "--to-stdout", "."],
        ["grep", "-r", "ten", "."],
    ],
    ids=["walk", "find", "tar", "grep"],
)
def test_what_was_read_once_is_read_again_without_a_message(read_only: CountedMount, command: list[str]) -> None:
    assert read_only.messages_of(*command)

    def again() -> Counter[str]:
        messages = read_only.messages_of(*command)
        # find and grep ask once what kind of file system it is, which the kernel never remembers.
        assert messages.pop("STATFS", 0) <= 1
        return messages

    assert undisturbed(again, Counter()) == {}


def test_making_a_file_takes_three_messages(writable: CountedMount) -> None:
    """Is the directory still the caller's to write? Is the name free? Make it: opening and closing take none."""

    def making(files: int) -> Counter[str]:
        messages = writable.messages_of_python(_CREATE.format(files))
        writable.messages_of_python(_REMOVE.format(files))
        return messages

    making(1)
    expected = Counter(GETATTR=FILES, LOOKUP=FILES, MKNOD=FILES)
    assert undisturbed(lambda: making(2 * FILES) - making(FILES), expected) == expected


def test_removing_a_file_takes_two_messages(writable: CountedMount) -> None:
    def removing() -> Counter[str]:
        writable.messages_of_python(_CREATE.format(FILES))
        return writable.messages_of_python(_REMOVE.format(FILES))

    expected = Counter(GETATTR=FILES, UNLINK=FILES)
    assert undisturbed(removing, expected) == expected


def test_writing_on_takes_a_message_each(writable: CountedMount) -> None:
    writable.messages_of_python(_CREATE.format(1))
    few, many = (writable.messages_of_python(_WRITE.format(count)) for count in (1, FILES))
    assert many["WRITE"] == FILES
    assert sum(many.values()) - FILES <= sum(few.values())


def test_changing_attributes_takes_a_message_each(writable: CountedMount) -> None:
    writable.messages_of_python(_CREATE.format(1))
    change = "os.chmod('new0', 0o600)\nos.utime('new0')"
    assert writable.messages_of_python(change)["SETATTR"] == 2


def test_opening_and_closing_takes_none(writable: CountedMount) -> None:
    code = "for n in range(20): os.close(os.open('d0/sub/f0', os.O_RDONLY)); os.listdir('d0')"
    writable.messages_of_python(code)
    assert undisturbed(lambda: writable.messages_of_python(code), Counter()) == {}
