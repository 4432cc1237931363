"""``make demo``'s program, which tells the main job from end to end, and what it leaves behind: nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.filesystems import PATIENCE, scratch
from tests.mounts import mounts_beneath, unmount_or_detach

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture
def room() -> Iterator[Path]:
    """The directory in which the demo finds room, empty and free of mounts."""
    with scratch() as directory:
        (directory / "temporary").mkdir()
        yield directory / "temporary"
        for mountpoint in mounts_beneath(directory):
            unmount_or_detach(mountpoint)


def show(room: Path, path: str = "") -> "subprocess.CompletedProcess[str]":
    """Run the demo with ``path`` before the others in which programs are looked for."""
    environment = {**os.environ, "TMPDIR": str(room), "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [sys.executable, "-m", "tools.demo"],
        cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def users_of(directory: Path) -> list[str]:
    """Return the command lines that name the directory."""
    commands = [read_command(process) for process in Path("/proc").glob("[0-9]*")]
    return [command for command in commands if str(directory) in command]


def read_command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="backslashreplace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def check_nothing_is_left(room: Path) -> None:
    assert mounts_beneath(room) == []
    assert os.listdir(room) == []
    deadline = time.monotonic() + PATIENCE
    # A daemon learns of its unmount from the kernel, a moment after the demo.
    while users_of(room) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert users_of(room) == []


def test_the_demo_shows_the_image_changed_and_unchanged(room: Path) -> None:
    shown = show(room)
    assert shown.returncode == 0, shown.stderr
    outputs = [line for line in shown.stdout.splitlines() if not line.startswith(("$", " "))]
    as_built = ["hello from the image", "greeting", "signed"]
    first, last = outputs.index(as_built[0]), len(outputs) - outputs[::-1].index(as_built[0]) - 1
    assert first < last
    assert outputs[first : first + 3] == outputs[last : last + 3] == as_built
    assert outputs.index("new") in range(first, last)
    check_nothing_is_left(room)


@pytest.mark.parametrize("program", ["buildah", "chroot"])
def test_a_demo_that_fails_says_so_and_leaves_nothing(room: Path, program: str) -> None:
    failing = room.parent / "failing"
    failing.mkdir()
    (failing / program).symlink_to("/bin/false")
    shown = show(room, str(failing))
    assert shown.returncode == 1
    assert shown.stderr.startswith(f"demo: {program} ")
    assert shown.stderr.endswith(" failed\n")
    check_nothing_is_left(room)
