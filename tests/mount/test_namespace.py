"""A mount in a namespace that somebody made for himself ends with that, and the daemon with the mount."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("unionfs")
PATIENCE = 20.0
UNSHARE = {
    "root": ["unshare", "--mount"],
    "root of a user namespace": ["unshare", "--user", "--map-root-user", "--mount"],
}


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_free(upper: Path) -> bool:
    """Tell whether no daemon holds *upper*."""
    return subprocess.run(["flock", "-n", upper, "true"], check=False).returncode == 0


@pytest.fixture
def room(tmp_path: Path) -> Path:
    for stack in ("a", "b"):
        for name in ("lower", "upper", "work", "merged"):
            (tmp_path / stack / name).mkdir(parents=True)
        (tmp_path / stack / "lower/f").write_text(stack)
    return tmp_path


def mounting(stack: str) -> str:
    options = f"lowerdir={stack}/lower,upperdir={stack}/upper,workdir={stack}/work"
    return f"{PROGRAM} mount --log {stack}/log -o {options} {stack}/merged"


def run(who: str, script: str, room: Path) -> str:
    command = [*UNSHARE[who], "sh", "-ec", script]
    return subprocess.run(command, cwd=room, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("who", UNSHARE)
def test_a_mount_ends_with_the_last_user_of_its_namespace(room: Path, who: str) -> None:
    script = f"{mounting('a')}; cat a/merged/f; echo new >a/merged/f; ! flock -n a/upper true"
    assert run(who, script, room) == "a"
    wait_for(lambda: is_free(room / "a/upper"))
    assert (room / "a/upper/f").read_text() == "new\n"
    assert run(who, f"{mounting('a')}; cat a/merged/f", room) == "new\n"
    wait_for(lambda: is_free(room / "a/upper"))


@pytest.mark.parametrize("who", UNSHARE)
def test_a_daemon_keeps_no_other_mount_of_the_namespace(room: Path, who: str) -> None:
    wait = "for _ in $(seq 500); do flock -n a/upper true && break; sleep 0.02; done; flock -n a/upper echo free"
    script = f"{mounting('a')}; {mounting('b')}; umount a/merged; {wait}; cat b/merged/f; umount b/merged"
    assert run(who, script, room) == "free\nb"


def test_a_signal_says_where_the_mount_can_be_ended_and_a_second_one_ends_the_daemon(room: Path) -> None:
    holder = """$(awk -v inode=":$(stat -c %i a/upper)$" '$6 ~ inode {print $5; exit}' /proc/locks)"""
    script = f"""
        {mounting("a")}
        pid={holder}
        kill -TERM $pid; for _ in $(seq 500); do grep -q namespace a/log && break; sleep 0.02; done
        cat a/merged/f
        kill -TERM $pid; for _ in $(seq 500); do flock -n a/upper true && break; sleep 0.02; done
        flock -n a/upper echo free; umount a/merged
    """
    assert run("root", script, room) == "afree\n"
    assert "only in its own mount namespace" in (room / "a/log").read_text()


def test_in_the_namespace_of_process_1_a_mount_stays_until_it_is_unmounted(room: Path) -> None:
    subprocess.run(["sh", "-ec", mounting("a")], cwd=room, check=True)
    try:
        assert not is_free(room / "a/upper")
    finally:
        subprocess.run(["umount", room / "a/merged"], check=True)
    wait_for(lambda: is_free(room / "a/upper"))
