"""Lowers that are file systems in user space: they have no id of their own, and their handles don't outlive them."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mounts import is_mounted, unmount_or_detach
from tests.stacks import File, HardLink, Layer, Node, moved, write
from tests.unions import EVERYTHING, Stack

PATIENCE = 10.0
NAMES = [f"f{number}" for number in range(20)]


def linked(content: str) -> Layer:
    """Describe files with two names each."""
    layer: dict[str, Node] = {name: File(f"{content}-{name}".encode()) for name in NAMES}
    layer.update({f"{name}-too": HardLink(name) for name in NAMES})
    return layer


@contextmanager
def served(layer: Path, empty: Path, place: Path) -> Iterator[None]:
    """Let fuse-overlayfs show *layer* at *place*."""
    options = f"lowerdir={layer}:{empty}"
    with subprocess.Popen(["fuse-overlayfs", "-f", "-o", options, str(place)]) as daemon:
        deadline = time.monotonic() + PATIENCE
        while not is_mounted(place):
            assert daemon.poll() is None, "fuse-overlayfs has ended"
            assert time.monotonic() < deadline, "fuse-overlayfs isn't ready"
            time.sleep(0.01)
        try:
            yield
        finally:
            unmount_or_detach(place)
            daemon.wait(PATIENCE)


@contextmanager
def both_served(stack: Stack) -> Iterator[None]:
    source = stack.directory / "source"
    with (
        served(source / "0", source / "empty", stack.lower(0)),
        served(source / "1", source / "empty", stack.lower(1)),
    ):
        yield


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    if os.geteuid() != 0 or shutil.which("fuse-overlayfs") is None:
        pytest.skip("needs root and fuse-overlayfs, which shows the lowers")
    stack = Stack(Path(os.path.realpath(tmp_path)) / "stack", [{}, {}], EVERYTHING)
    write(stack.directory / "source/empty", {})
    write(stack.directory / "source/0", moved(linked("one"), "a"))
    write(stack.directory / "source/1", moved(linked("other"), "b"))
    return stack


def test_links_of_two_of_them_are_never_taken_for_one_another(stack: Stack) -> None:
    with both_served(stack), stack.opened() as kernel:
        for name in NAMES:
            kernel.write(f"a/{name}", b"ONE")
        kernel.forget_everything()
        for name in NAMES:
            assert kernel.read(f"b/{name}") == f"other-{name}".encode()
            assert kernel.read(f"b/{name}-too") == f"other-{name}".encode()


def test_links_are_kept_when_their_daemon_starts_anew(stack: Stack) -> None:
    with both_served(stack), stack.opened() as kernel:
        for name in NAMES[::2]:
            kernel.write(f"a/{name}", b"ONE")
    with both_served(stack), stack.opened() as kernel:
        for name in reversed(NAMES):
            expected = (f"ONE-{name}" if name in NAMES[::2] else f"one-{name}").encode()
            assert kernel.read(f"a/{name}-too") == expected
            assert kernel.read(f"a/{name}") == expected
            assert kernel.stat(f"a/{name}").nlink == 2
