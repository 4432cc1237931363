"""``unionfs shell`` on a terminal: what the command has of it, and what the caller gets back."""

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest

from tests.cli.shelling import PATIENCE, Place


class Terminal:
    """The program on a terminal, as its session's leader."""

    def __init__(self, words: list[str], environment: Mapping[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(words[0], words, environment)  # noqa: S606 - a program with its arguments, without a shell
        self.shown = ""

    def expect(self, text: str) -> None:
        """Wait until *text* is shown, and forget what was shown up to it."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += self._read()
        self.shown = self.shown.partition(text)[2]

    def _read(self) -> str:
        try:
            return os.read(self.fd, 4096).decode()
        except OSError:
            return ""  # nobody has the other end any more

    def type(self, text: str) -> None:
        """Type *text*."""
        os.write(self.fd, text.encode())

    def end(self) -> int:
        """Wait for the program, and give its exit code."""
        deadline = time.monotonic() + PATIENCE
        while os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += self._read()
        return self.close()

    def close(self) -> int:
        """Hang up, if the program hasn't ended, and give its exit code."""
        os.close(self.fd)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def on_terminal(place: Place) -> Iterator[Callable[[Sequence[str]], Terminal]]:
    """Give what starts a program on a terminal, which is hung up at the end."""
    started = []

    def start(words: Sequence[str]) -> Terminal:
        started.append(Terminal(list(words), {**place.environment, "TERM": "dumb", "PS1": ""}))
        return started[-1]

    yield start
    for terminal in started:
        if terminal.pid:
            terminal.close()


OnTerminal = Callable[[Sequence[str]], Terminal]


def test_a_shell_on_a_terminal_has_job_control(place: Place, on_terminal: OnTerminal) -> None:
    shell = on_terminal(place.command("-e", "PS1=[ready]", "--"))
    shell.expect("[ready]")
    assert "job control" not in shell.shown
    shell.type("tty; echo $TERM; test -t 0 && echo terminal\n")
    shell.expect("/dev/pts/0")
    shell.expect("dumb")
    shell.expect("terminal")
    shell.type("sleep 1000\n")
    shell.expect("sleep 1000")
    time.sleep(0.2)
    shell.type("\x03")  # ends the sleep, and neither the shell nor the program
    shell.expect("[ready]")
    shell.type("sleep 1000\n")
    shell.expect("sleep 1000")
    time.sleep(0.2)
    shell.type("\x1a")
    shell.expect("Stopped")
    shell.type("exit 4\n")
    shell.expect("stopped jobs")
    shell.type("exit 4\n")
    assert shell.end() == 4


def test_an_interrupt_on_a_terminal_reaches_the_command_once(place: Place, on_terminal: OnTerminal) -> None:
    script = "trap 'n=${n}x' INT; echo ready; sleep 0.5; sleep 0.5; echo end $n."
    shell = on_terminal(place.command("--", "sh", "-c", script))
    shell.expect("ready")
    shell.type("\x03")
    shell.expect("end x.")
    assert shell.end() == 0


def test_the_terminal_is_given_back_to_who_had_it(place: Place, on_terminal: OnTerminal) -> None:
    """A shell of this machine runs the program and then reads from the terminal itself."""
    script = f"{' '.join(place.command('--'))}; echo code $?; read line; echo read $line"
    outer = on_terminal(["/bin/bash", "-ic", script])
    outer.type("echo inside; exit 3\n")
    outer.expect("code 3")
    outer.type("hello\n")
    outer.expect("read hello")
    assert outer.end() == 0


def test_the_command_has_a_terminal_of_its_own_and_no_session_with_the_caller(
    place: Place, on_terminal: OnTerminal
) -> None:
    script = "readlink /proc/self/fd/0; stty size; cut -d' ' -f6 /proc/self/stat; stat -c %U /dev/pts/0; : >/dev/tty"
    shell = on_terminal(place.command("--", "sh", "-c", script))
    fcntl.ioctl(shell.fd, termios.TIOCSWINSZ, struct.pack("4H", 33, 99, 0, 0))
    for line in ("/dev/pts/0", "33 99", "2", "bob"):
        shell.expect(f"{line}\r\n")
    assert shell.end() == 0


def test_a_change_of_the_terminals_size_reaches_the_command(place: Place, on_terminal: OnTerminal) -> None:
    script = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done"
    shell = on_terminal(place.command("--", "sh", "-c", script))
    shell.expect("ready")
    time.sleep(0.2)
    fcntl.ioctl(shell.fd, termios.TIOCSWINSZ, struct.pack("4H", 44, 111, 0, 0))
    shell.expect("44 111")
    assert shell.end() == 0


def test_all_that_a_command_writes_is_shown(place: Place, on_terminal: OnTerminal) -> None:
    shell = on_terminal(place.command("--", "seq", "1", "20000"))
    for number in range(1, 20001, 999):
        shell.expect(f"\n{number}\r" if number > 1 else "1\r")
    shell.expect("20000\r\n")
    assert shell.end() == 0


def test_output_that_is_no_terminal_is_left_as_it_is(place: Place, on_terminal: OnTerminal) -> None:
    command = " ".join(place.command("--", "seq", "1", "3"))
    shell = on_terminal(["/bin/bash", "-c", f"{command} | od -c | head -1"])
    shell.expect("1  \\n   2  \\n   3  \\n")
    assert shell.end() == 0
