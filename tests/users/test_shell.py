"""``unionfs shell`` for who isn't root: with one id, and as root of a user namespace that somebody made."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.ordinary_user import Somebody, ordinary_user, user_namespace
from tests.posix.processes import NOBODY
from tests.shell.image import busybox_layout

ONE_ID = "unionfs: this user namespace has one id only: everything is shown as owned by it\n"


@pytest.fixture
def user() -> Iterator[Somebody]:
    with ordinary_user() as somebody:
        prepare(somebody)
        yield somebody


@pytest.fixture(params=[0, 1000])
def root_of_a_namespace(request: pytest.FixtureRequest) -> Iterator[Somebody]:
    with user_namespace(subordinate=request.param) as somebody:
        prepare(somebody)
        yield somebody


def prepare(somebody: Somebody) -> None:
    busybox_layout(somebody.directory / "image", Env=["COLOUR=blue"])
    subprocess.run(["chown", "-R", f"{NOBODY}:{NOBODY}", somebody.directory], check=True)


def shell(somebody: Somebody, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a shell in the image with the store in the user's directory."""
    return somebody.unionfs("--root", "store", "shell", *words)


def test_a_user_runs_commands_and_throws_away_what_they_changed(user: Somebody) -> None:
    script = "id -u; echo $COLOUR; rm -r /home; echo x >/etc/x; stat -c %u:%g /etc/x"
    result = shell(user, "oci:image", "sh", "-c", script)
    assert (result.returncode, result.stdout, result.stderr) == (0, "0\nblue\n0:0\n", ONE_ID)
    assert os.listdir(user.directory / "store/mounts") == []
    result = shell(user, "oci:image", "ls", "-d", "/home", "/etc/x")
    assert result.stdout == "/home\n"
    assert result.returncode == 1


def test_what_a_user_keeps_is_committed_and_removed_without_a_namespace(user: Somebody) -> None:
    script = "mkdir -m 700 /private; echo x >/private/x; chmod 000 /private/x; mkfifo /pipe; chmod 4755 /bin/busybox"
    assert shell(user, "--keep", "mine", "oci:image", "sh", "-c", script).returncode == 0
    result = user.unionfs("--root", "store", "diff", "mine")
    assert (result.returncode, result.stderr) == (0, "")
    assert {"A /private", "A /private/x", "A /pipe", "C /bin/busybox"} <= set(result.stdout.splitlines())
    assert user.unionfs("--root", "store", "commit", "mine", "web:1").returncode == 0
    result = shell(user, "web:1", "stat", "-c", "%a %F", "/private/x", "/pipe", "/bin/busybox")
    assert result.stdout == "0 regular file\n644 fifo\n4755 regular file\n"
    result = shell(user, "--commit", "web:2", "web:1", "sh", "-c", "rm -r /private")
    assert result.returncode == 0, result.stderr
    assert shell(user, "web:2", "ls", "/private").returncode == 1


def test_errors_are_one_line_for_a_user_too(user: Somebody) -> None:
    result = shell(user, "oci:image", "absent")
    assert (result.returncode, result.stderr) == (127, ONE_ID + "unionfs: error: absent: not found in PATH\n")
    result = shell(user, "-u", "bob", "oci:image", "true")
    assert result.returncode == 125
    assert "doesn't exist in this user namespace" in result.stderr


def test_the_root_of_a_namespace_needs_no_other(root_of_a_namespace: Somebody) -> None:
    somebody = root_of_a_namespace
    result = shell(
        somebody, "oci:image", "sh", "-c", "readlink /proc/self/ns/user; touch /etc/x; hostname; ls /proc | head -1"
    )
    assert result.returncode == 0, result.stderr
    first, *rest = result.stdout.splitlines()
    assert first == os.readlink(f"/proc/{somebody.holder}/ns/user")
    assert rest[1] == "1"
