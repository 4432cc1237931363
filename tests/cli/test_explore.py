"""``unionfs explore``, as a user starts it: on a terminal, and without one."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.looking import HISTORY, LAYERS
from tests.cli.stored import fill

COMMAND = [sys.executable, "-c", "import sys; from unionfs.cli import main; sys.exit(main())"]
_PATIENCE = 30


class Session:
    """A program on a terminal of 80 columns and 24 lines."""

    def __init__(self, root: Path, image: str) -> None:
        self.master, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(terminal)
        self.process = subprocess.Popen(
            [*COMMAND, "--root", root, "explore", image],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        self.terminal = terminal
        self.seen = b""

    def wait_for(self, text: bytes) -> None:
        """Read what the program draws until *text* is in it."""
        until = time.monotonic() + _PATIENCE
        while text not in self.seen:
            assert time.monotonic() < until, self.seen
            self.read(0.5)

    def read(self, seconds: float) -> bool:
        """Read what is there, or comes in time; tell whether something did."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.seen += os.read(self.master, 1 << 16)
        return True

    def press(self, keys: bytes) -> None:
        """Type *keys*."""
        self.seen = b""
        os.write(self.master, keys)

    def end(self) -> int:
        """Wait for the end, reading what is still drawn, and give the exit code."""
        until = time.monotonic() + _PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < until, self.seen
            self.read(0.1)
        while self.read(0):
            pass
        return self.process.returncode


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    fill(tmp_path / "store", LAYERS, "app:1", history=HISTORY)
    started = Session(tmp_path / "store", "app:1")
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()
        for fd in (started.master, started.terminal):
            with contextlib.suppress(OSError):
                os.close(fd)


def test_an_image_is_explored_and_the_terminal_is_as_it_was_after_it(session: Session) -> None:
    session.wait_for(b"wasted (96.8%)")
    session.press(b"/")
    session.wait_for(b"a part of a name")
    session.press(b"page")
    session.wait_for(b"sub/")
    session.press(b"\r")
    session.wait_for(b"Quit")
    session.press(b"\x1b[B\x1b[B\r")
    session.wait_for(b"<p>")
    session.press(b"q")
    session.wait_for(b"Quit")
    session.press(b"q")
    assert session.end() == 0
    assert b"\x1b[?1049l" in session.seen, "the other screen of the terminal is left"
    assert termios.tcgetattr(session.terminal) == session.before


def test_a_signal_ends_it_and_the_terminal_is_as_it_was(session: Session) -> None:
    session.wait_for(b"wasted (96.8%)")
    session.process.send_signal(signal.SIGTERM)
    assert session.end() == 128 + signal.SIGTERM
    assert b"\x1b[?1049l" in session.seen
    assert termios.tcgetattr(session.terminal) == session.before


def test_it_ends_with_its_terminal(session: Session) -> None:
    session.wait_for(b"wasted (96.8%)")
    os.close(session.terminal)
    os.close(session.master)
    session.process.send_signal(signal.SIGHUP)  # as the kernel does where the terminal is the session's own
    session.process.wait(_PATIENCE)


def test_an_image_that_is_not_there_is_one_line_on_a_terminal_too(tmp_path: Path) -> None:
    fill(tmp_path / "store", LAYERS, "app:1")
    session = Session(tmp_path / "store", "absent")
    try:
        assert session.end() == 1
        assert session.seen.startswith(b'unionfs: error: no such image: "absent"')
        assert session.seen.count(b"\n") == 1
    finally:
        os.close(session.master)
        os.close(session.terminal)


@pytest.mark.parametrize("missing", ["input", "output", "error"])
def test_without_a_terminal_it_says_so_in_one_line(tmp_path: Path, missing: str) -> None:
    master, terminal = pty.openpty()
    try:
        streams = {"input": terminal, "output": terminal, "error": terminal, missing: subprocess.PIPE}
        process = subprocess.Popen(
            [*COMMAND, "--root", tmp_path, "explore", "app:1"],
            stdin=streams["input"],
            stdout=streams["output"],
            stderr=streams["error"],
        )
        _, errors = process.communicate()
        said = errors if missing == "error" else os.read(master, 1 << 16)
    finally:
        os.close(master)
        os.close(terminal)
    text = said.decode().replace("\r\n", "\n")
    assert process.returncode == 2
    assert text.startswith(f"unionfs: error: standard {missing} is no terminal; ")
    assert text.count("\n") == 1
    assert os.listdir(tmp_path) == []
