"""Which transport a mount gets when nobody names one. The two are told apart by fallocate(2), which pyfuse3 lacks."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import is_mounted, unmount_or_detach
from tests.posix.syscalls import fallocate
from tests.posix.table import errno_of

UNIONFS = Path(sys.executable).with_name("unionfs")
# The kernel then says that it is Linux 2.6 (personality(2), UNAME26).
OLD_KERNEL = ("setarch", "--uname-2.6")
NEW_ENOUGH = pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (5, 4), reason="this kernel's own protocol is too old"
)


@pytest.fixture
def room(mountpoint: Path) -> Iterator[Path]:
    """Give a directory with a lower, an upper, a workdir and the mountpoint ``merged``."""
    for name in ("lower", "upper", "work"):
        (mountpoint.parent / name).mkdir()
    (mountpoint.parent / "lower/f").write_bytes(b"content")
    yield mountpoint.parent
    unmount_or_detach(mountpoint)


def mounted(room: Path, *words: str, within: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    options = "lowerdir=lower,upperdir=upper,workdir=work"
    command = [*within, str(UNIONFS), "mount", "--log", "log", *words, "-o", options, "merged"]
    return subprocess.run(command, cwd=room, capture_output=True, text=True, check=False, timeout=60)


def allocates(path: Path) -> bool:
    with path.open("r+b") as file:
        outcome = errno_of(fallocate, file.fileno(), 0, 0, 100)
    assert outcome in {0, errno.EOPNOTSUPP}
    return outcome == 0


@NEW_ENOUGH
@pytest.mark.parametrize(("words", "by_protocol"), [((), True), (("--transport", "auto"), True),
                                                   (("--transport", "kernel"), True),
                                                   (("--transport", "pyfuse3"), False)])  # fmt: skip
def test_the_kernels_protocol_is_spoken_unless_pyfuse3_is_named(
    room: Path, words: tuple[str, ...], *, by_protocol: bool
) -> None:
    assert mounted(room, *words).returncode == 0
    assert allocates(room / "merged/f") == by_protocol
    assert (room / "log").read_text() == ""


def test_an_old_kernel_is_served_through_pyfuse3_and_one_line_says_so(room: Path) -> None:
    assert mounted(room, within=OLD_KERNEL).returncode == 0
    assert not allocates(room / "merged/f")
    (line,) = (room / "log").read_text().splitlines()
    assert "the kernel transport needs Linux 5.4, and this is 2.6." in line
    assert line.endswith(": serving through pyfuse3")


def test_an_old_kernel_is_not_spoken_to_in_its_protocol_by_force(room: Path) -> None:
    result = mounted(room, "--transport", "kernel", within=OLD_KERNEL)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "the kernel transport needs Linux 5.4" in result.stderr
    assert not is_mounted(room / "merged")
    assert mounted(room).returncode == 0, "the upper is free again"
