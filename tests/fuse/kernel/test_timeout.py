"""How long the kernel keeps names and attributes: for ever, unless a mount is asked for something else."""

from pathlib import Path

import pytest

from tests.fuse.kernel.counted import counted
from tests.stacks import File
from tests.unions import Stack
from unionfs.fuse.presentation import Presentation

TWICE = """
for path in ("d/f", "d/f", "absent", "absent"):
    os.path.exists(path)
"""


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path / "stack", [{"d/f": File(b"content")}], writable=False)


def test_what_was_asked_once_is_never_asked_again(stack: Stack, tmp_path: Path) -> None:
    with counted(stack, tmp_path / "mount") as mount:
        assert mount.messages_of_python(f"{TWICE}\n{TWICE}")["LOOKUP"] == 3


def test_without_any_time_all_is_asked_each_time(stack: Stack, tmp_path: Path) -> None:
    with counted(stack, tmp_path / "mount", presentation=Presentation(timeout=0)) as mount:
        assert mount.messages_of_python(TWICE)["LOOKUP"] == 6
        assert mount.messages_of_python(TWICE)["LOOKUP"] == 6


def test_after_its_time_it_is_asked_again(stack: Stack, tmp_path: Path) -> None:
    wait = "import time; time.sleep(1.1)"
    with counted(stack, tmp_path / "mount", presentation=Presentation(timeout=1)) as mount:
        assert mount.messages_of_python(f"{TWICE}\n{TWICE}")["LOOKUP"] == 3
        assert mount.messages_of_python(f"{wait}\n{TWICE}")["LOOKUP"] == 3
