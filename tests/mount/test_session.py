"""One mount from start to end, by real processes: an empty file system stands where the union will be."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mounts import is_mounted, unmount
from unionfs.mount import table

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, socket, subprocess, sys  # what is loaded later may be out of reach of another user
from tests.mount.connections import EmptyDirectory
from unionfs.cli.report import describe
from unionfs.mount.options import parse_settings, split_option_string
from unionfs.mount.session import ProcessOptions, run

mountpoint, options, log, foreground, before = sys.argv[1:]
os.setresuid(*[int(os.environ.get("MOUNT_UID", 0))] * 3)

class Stack(EmptyDirectory):
    def close(self):
        open(log + ".closed", "w").close()

def open_stack(options):
    exec(before)
    return Stack()

process = ProcessOptions(foreground=foreground == "-f", log_file=os.fsencode(log))
try:
    code = run(os.fsencode(mountpoint), parse_settings(split_option_string(options)), process, open_stack)
except Exception as error:
    sys.exit(f"unionfs: error: {describe(error)}")
sys.exit(code)
"""


def runs(pid: int) -> bool:
    """Tell whether the process, with all its threads, has not ended, whether or not its parent has noticed."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


class Session:
    """A mount at ``mountpoint`` whose daemon is known by what it wrote."""

    def __init__(self, mountpoint: Path) -> None:
        self.mountpoint = mountpoint
        self.log = mountpoint.parent / "log"
        self.closed = mountpoint.parent / "log.closed"
        self.pid_file = mountpoint.parent / "pid"

    def command(self, *, options: str = "lowerdir=/", foreground: bool = False, before: str = "") -> list[str]:
        note_pid = f"open({str(self.pid_file)!r}, 'w').write(str(os.getpid()))\n"
        style = "-f" if foreground else "-b"
        return [sys.executable, "-c", PROGRAM, str(self.mountpoint), options, str(self.log), style, note_pid + before]

    def start(self, *, options: str = "lowerdir=/", before: str = "", uid: int = 0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(options=options, before=before),
            cwd=ROOT,
            env={**os.environ, "MOUNT_UID": str(uid)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    @property
    def running(self) -> bool:
        return runs(self.pid)


@pytest.fixture
def session(mountpoint: Path) -> Iterator[Session]:
    session = Session(mountpoint)
    yield session
    if session.pid_file.exists() and session.running:
        os.kill(session.pid, signal.SIGKILL)
        wait_for(lambda: not session.running)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_mount_answers_when_the_command_has_ended_and_ends_with_its_unmount(session: Session) -> None:
    result = session.start()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert os.listdir(session.mountpoint) == []
    assert os.statvfs(session.mountpoint).f_flag & os.ST_RDONLY
    assert not session.closed.exists()
    unmount(session.mountpoint)
    wait_for(lambda: not session.running)
    assert session.closed.exists()


def test_the_mount_table_shows_the_type_the_source_and_the_flags(session: Session) -> None:
    options = r"upperdir=/u,workdir=/w,suid,noexec,fsname=my image\,rw"
    assert session.start(options=options).returncode == 0
    mount = table.mount_at(os.fsencode(session.mountpoint), table.read_table())
    assert mount is not None
    assert mount.ours
    assert mount.source == b"my image,rw"
    assert set(mount.options.split(",")) >= {"rw", "nodev", "noexec"}
    assert "nosuid" not in mount.options.split(",")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_mount_and_the_daemon(session: Session, number: signal.Signals) -> None:
    session.start()
    os.kill(session.pid, number)
    wait_for(lambda: not session.running)
    assert not is_mounted(session.mountpoint)
    assert session.closed.exists()
    assert list(session.mountpoint.iterdir()) == []


def test_after_a_first_signal_open_files_are_served_until_the_last_is_closed(session: Session) -> None:
    session.start()
    directory = os.open(session.mountpoint, os.O_RDONLY)
    try:
        os.kill(session.pid, signal.SIGTERM)
        wait_for(lambda: not is_mounted(session.mountpoint))
        assert session.running
        assert os.listdir(directory) == []
        assert os.fstatvfs(directory).f_namemax == 255
    finally:
        os.close(directory)
    wait_for(lambda: not session.running)
    assert session.closed.exists()


def test_a_second_signal_aborts(session: Session) -> None:
    session.start()
    directory = os.open(session.mountpoint, os.O_RDONLY)
    try:
        os.kill(session.pid, signal.SIGTERM)
        wait_for(lambda: not is_mounted(session.mountpoint))
        os.kill(session.pid, signal.SIGTERM)
        wait_for(lambda: not session.running)
        # Until the last thread of the daemon is gone, a request is still taken, and aborted.
        with pytest.raises(OSError, match=r"endpoint is not connected|connection abort"):
            os.fstatvfs(directory)
    finally:
        os.close(directory)


def test_a_signal_takes_away_its_own_mount_and_no_other(session: Session) -> None:
    session.start()
    first = session.pid
    other = Session(session.mountpoint)
    os.kill(first, signal.SIGSTOP)
    unmount(session.mountpoint, 2)
    try:
        assert other.start().returncode == 0
        os.kill(first, signal.SIGTERM)
    finally:
        os.kill(first, signal.SIGCONT)
    wait_for(lambda: not runs(first))
    assert is_mounted(session.mountpoint)


BUSY = """
import hashlib

def serve(self, device_fd, ready, answer=Stack.serve, work=hashlib.pbkdf2_hmac):
    ready()
    work("sha256", b"", b"", 10_000_000)
    open(log + ".worked", "w").close()
    answer(self, device_fd, lambda: None)

Stack.serve = serve
"""


def test_a_signal_is_obeyed_while_the_thread_that_serves_is_where_no_signal_reaches_it(session: Session) -> None:
    """As it is for a moment before each wait: there it is in one for some seconds."""
    session.start(before=BUSY)
    os.kill(session.pid, signal.SIGTERM)
    wait_for(lambda: not is_mounted(session.mountpoint))
    assert not session.log.with_suffix(".worked").exists()
    wait_for(lambda: not session.running)


def test_usr1_logs_the_statistics(session: Session) -> None:
    session.start()
    os.kill(session.pid, signal.SIGUSR1)
    wait_for(lambda: "INFO nothing was asked" in session.log.read_text())
    assert session.running


def test_a_failure_to_open_a_layer_reaches_the_caller_and_leaves_nothing(session: Session) -> None:
    result = session.start(before='raise FileNotFoundError(2, "No such file or directory", "/no/layer")')
    assert result.returncode == 1
    assert result.stderr == "unionfs: error: /no/layer: No such file or directory\n"
    assert not is_mounted(session.mountpoint)
    assert not session.running


def test_a_mountpoint_that_is_missing_is_refused_before_any_layer_is_opened(session: Session) -> None:
    session.mountpoint.rmdir()
    result = session.start()
    assert result.returncode == 1
    assert result.stderr == f"unionfs: error: the mountpoint {session.mountpoint} does not exist\n"
    assert not session.pid_file.exists()
    session.mountpoint.mkdir()


@pytest.mark.parametrize("name", ["upperdir", "workdir"])
def test_the_upper_and_its_workdir_are_no_mountpoint(session: Session, name: str) -> None:
    other = {"upperdir": "workdir", "workdir": "upperdir"}[name]
    result = session.start(options=f"lowerdir=/,{name}={session.mountpoint},{other}=/elsewhere")
    assert result.returncode == 1
    assert result.stderr == f"unionfs: error: the mountpoint {session.mountpoint} is the {name} itself\n"


def test_a_dead_mount_is_cleared_by_the_next(session: Session) -> None:
    session.start()
    os.kill(session.pid, signal.SIGKILL)
    wait_for(lambda: not session.running)
    with pytest.raises(OSError, match="not connected"):
        os.listdir(session.mountpoint)
    assert session.start().returncode == 0
    assert os.listdir(session.mountpoint) == []
    assert sum(mount.mountpoint == os.fsencode(session.mountpoint) for mount in table.our_mounts()) == 1


def test_a_live_mount_is_not_covered(session: Session) -> None:
    session.start()
    result = session.start()
    assert result.returncode == 1
    assert result.stderr == f"unionfs: error: the mountpoint {session.mountpoint} is busy: a unionfs is mounted there\n"
    assert os.listdir(session.mountpoint) == []


def test_in_the_foreground_the_command_serves_by_itself_until_interrupted(session: Session) -> None:
    with subprocess.Popen(session.command(foreground=True), cwd=ROOT) as command:
        wait_for(lambda: is_mounted(session.mountpoint))
        assert os.listdir(session.mountpoint) == []
        assert session.pid == command.pid
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=30) == 0
    assert not is_mounted(session.mountpoint)


def test_the_mount_covers_the_directory_that_was_checked_even_if_its_name_now_leads_elsewhere(
    session: Session,
) -> None:
    victim = session.mountpoint.parent / "victim"
    victim.mkdir()
    checked = session.mountpoint.parent / "checked"
    swap = f"os.rename({str(session.mountpoint)!r}, {str(checked)!r})\n"
    swap += f"os.symlink({str(victim)!r}, {str(session.mountpoint)!r})"
    session.start(before=swap)
    try:
        assert not is_mounted(victim)
        assert is_mounted(checked)
    finally:
        if is_mounted(checked):
            unmount(checked, 2)
        session.mountpoint.unlink()
        session.mountpoint.mkdir()


@pytest.fixture
def _fuse_for_every_user() -> Iterator[None]:
    """Give ``/dev/fuse`` the mode that udev gives it, where there is no udev."""
    mode = stat.S_IMODE(os.stat("/dev/fuse").st_mode)
    os.chmod("/dev/fuse", 0o666)
    yield
    os.chmod("/dev/fuse", mode)


@pytest.mark.usefixtures("_fuse_for_every_user")
def test_a_user_without_rights_mounts_and_unmounts_through_fusermount(session: Session) -> None:
    nobody = 65534
    for directory in session.mountpoint.parents[:-2]:
        directory.chmod(0o755)
    for directory in (session.mountpoint, session.mountpoint.parent):
        os.chown(directory, nobody, nobody)
    result = session.start(uid=nobody)
    assert (result.returncode, result.stderr) == (0, "")
    mount = table.mount_at(os.fsencode(session.mountpoint), table.read_table())
    assert mount is not None
    assert mount.ours
    assert re.search(r"nosuid.*nodev", mount.options)
    os.kill(session.pid, signal.SIGTERM)
    wait_for(lambda: not session.running)
    assert not is_mounted(session.mountpoint)
