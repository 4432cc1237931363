"""Becoming a daemon, seen by the program that calls."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROLOGUE = """
import logging, os, sys, time
from unionfs.mount.daemon import run_detached

def serve(ready):
"""
EPILOGUE = """
sys.exit(run_detached(serve))
"""


def program(body: str) -> list[str]:
    """Give the command of a program whose ``serve`` has *body*."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    return [sys.executable, "-c", PROLOGUE + lines + EPILOGUE]


def run(body: str) -> subprocess.CompletedProcess[str]:
    """Run the program until nobody holds its output any more."""
    return subprocess.run(program(body), capture_output=True, text=True, timeout=60, check=False)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_parent_ends_with_0_only_once_the_child_is_ready(tmp_path: Path) -> None:
    body = f"""
time.sleep(0.3)
open({str(tmp_path / "ready")!r}, "w").close()
ready()
return 7
"""
    assert run(body).returncode == 0
    assert (tmp_path / "ready").exists()


def test_output_and_other_inherited_descriptors_are_released_while_the_daemon_goes_on(tmp_path: Path) -> None:
    go_on, done = tmp_path / "go-on", tmp_path / "done"
    body = f"""
ready()
while not os.path.exists({str(go_on)!r}):
    time.sleep(0.01)
print("lost")
print("lost", file=sys.stderr, flush=True)
open({str(done)!r}, "w").close()
return 0
"""
    read_end, write_end = os.pipe()
    result = subprocess.run(
        program(body), capture_output=True, text=True, timeout=60, check=False, pass_fds=[write_end]
    )
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        assert pipe.read() == b"", "the daemon still held the caller's pipe"
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert not done.exists()
    go_on.touch()
    wait_for(done.exists)


def test_the_daemon_leads_its_own_session_in_the_root_directory(tmp_path: Path) -> None:
    facts = tmp_path / "facts"
    body = f"""
before = os.getcwd(), os.getsid(0) == os.getpid()
ready()
streams = [os.readlink(f"/proc/self/fd/{{n}}") for n in (0, 1, 2)]
text = repr((before, os.getcwd(), os.getsid(0) == os.getpid(), streams))
with open({str(facts)!r} + ".part", "w") as file:
    file.write(text)
os.rename({str(facts)!r} + ".part", {str(facts)!r})
return 0
"""
    assert run(body).returncode == 0
    wait_for(facts.exists)
    assert facts.read_text() == repr(((os.getcwd(), False), "/", True, ["/dev/null"] * 3))


def test_relative_paths_hold_until_the_daemon_is_ready(tmp_path: Path) -> None:
    (tmp_path / "layer").mkdir()
    result = subprocess.run(
        program("assert os.path.isdir('layer')\nready()\nreturn 0"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        timeout=60,
        check=False,
    )
    assert result.returncode == 0


def test_a_failure_before_it_is_ready_reaches_the_caller_on_stderr() -> None:
    result = run('raise OSError(2, "No such file or directory", "/lower")')
    assert result.returncode == 1
    assert result.stderr.count("FileNotFoundError: [Errno 2] No such file or directory: '/lower'") == 1


def test_the_exit_code_of_a_child_that_gave_up_is_passed_on() -> None:
    result = run('print("unionfs: error: no", file=sys.stderr)\nreturn 3')
    assert (result.returncode, result.stdout, result.stderr) == (3, "", "unionfs: error: no\n")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os.kill(os.getpid(), 9)", "the daemon was killed by signal 9 before the mount was ready"),
        ("return 0", "the daemon ended before the mount was ready"),
    ],
)
def test_a_child_that_ends_without_a_word_is_a_failure(body: str, reason: str) -> None:
    result = run(body)
    assert result.returncode == 1
    assert f"MountError: {reason}" in result.stderr


def test_what_was_printed_before_is_printed_once() -> None:
    command = program("ready()\nreturn 0")
    command[2] = command[2].replace("sys.exit", 'print("before"); sys.exit')
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout == "before\n"


def test_an_exception_after_it_was_ready_is_logged_with_its_traceback(tmp_path: Path) -> None:
    log = tmp_path / "log"
    body = f"""
logging.basicConfig(filename={str(log)!r})
ready()
raise RuntimeError("broken")
"""
    assert run(body).returncode == 0
    wait_for(lambda: log.exists() and "RuntimeError: broken" in log.read_text())
    assert "Traceback" in log.read_text()


def test_a_caller_that_was_killed_while_waiting_gets_no_mount(tmp_path: Path) -> None:
    outcome = tmp_path / "outcome"
    body = f"""
while os.getppid() == {{parent}}:
    time.sleep(0.01)
try:
    ready()
except BrokenPipeError:
    os.mkdir({str(outcome)!r})
return 1
""".replace("{parent}", "parent")
    command = program(body)
    command[2] = "import os\nparent = os.getpid()\n" + command[2]
    with subprocess.Popen(command) as caller:
        time.sleep(0.3)
        caller.kill()
    wait_for(outcome.exists)
