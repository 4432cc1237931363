"""Containers end, are removed, or lose their daemon."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.client import OURS, Client
from tests.clients.image import NAME
from tests.safety.daemons import wait_for

KILLED = """
echo kept > "$(buildah mount "$1")/made"
for process in /proc/[0-9]*; do
    if grep -qsa "volatil[e].*$PWD" "$process/cmdline"; then kill -KILL "${process#/proc/}"; fi
done
buildah umount "$1"
"""


@pytest.fixture
def alone(ours: Client, holder: tuple[Path, int]) -> Iterator[Client]:
    """Give a client whose storage nothing else uses."""
    directory, pid = holder
    client = Client(OURS, ours.uid, directory / f"{ours.directory.name}-{ours.new_name()}", pid)
    client.directory.mkdir()
    client.make_storage()
    yield client
    client.end()


def start(client: Client) -> str:
    """Have a container sleep, and give its name."""
    name = client.new_name()
    client.podman("run", "--detach", "--name", name, NAME, "/bin/sleep", "1000")
    client.is_mine(client.podman("exec", name, "/bin/grep", " / ", "/proc/mounts"))
    return name


def kill_daemon(client: Client) -> None:
    """Kill the only daemon."""
    [daemon] = client.daemons()
    os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not client.daemons(), "the end of the daemon")


def test_daemon_ends_with_its_container(alone: Client) -> None:
    alone.container("echo x > /dir/x")
    wait_for(lambda: not alone.daemons(), "the end of the daemon")


def test_nothing_is_left_when_everything_is_removed(alone: Client) -> None:
    start(alone)
    alone.container("echo x > /dir/x", "--volume", f"{alone.directory}/shared:/volume:O", name=alone.new_name())
    alone.buildah("from", "--pull-never", NAME)
    alone.run(*alone.unshared("podman"), "podman", "image", "mount", NAME)
    alone.remove_everything()
    wait_for(lambda: not alone.processes(), "the end of every process")
    assert alone.mounts() == []
    layers = alone.directory / "storage/overlay"
    assert [path.name for path in layers.iterdir() if not path.name.startswith(".")] == ["l"]
    assert list((layers / "l").iterdir()) == []


def test_container_whose_daemon_was_killed_can_be_removed_and_the_next_one_runs(alone: Client) -> None:
    name = start(alone)
    kill_daemon(alone)
    alone.podman("rm", "--force", "--time", "0", name)
    assert alone.container("cat /dir/x") == "dir/x"
    alone.remove_everything()
    wait_for(lambda: not alone.processes(), "the end of every process")
    assert alone.mounts() == []


def test_what_was_synced_is_there_when_a_container_starts_again_after_its_daemon_was_killed(alone: Client) -> None:
    name = start(alone)
    script = "for file in /made /dir/x /dir/locked/in; do echo synced | dd of=$file conv=fsync 2>/dev/null; done"
    alone.podman("exec", name, "/bin/sh", "-c", f"{script}; rm /dir/top; mkdir /dir/empty; sync")
    kill_daemon(alone)
    alone.podman("stop", "--time", "0", name)
    alone.podman("start", name)
    alone.is_mine(alone.podman("exec", name, "/bin/grep", " / ", "/proc/mounts"))
    look = "cat /made /dir/x /dir/locked/in; ls -d /dir/empty /dir/top 2>/dev/null; ls -ld /dir/locked | head -c 10"
    said = alone.podman("exec", name, "/bin/sh", "-c", look)
    assert said.split() == ["synced", "synced", "synced", "/dir/empty", "drwx------"]


def test_container_of_buildah_goes_on_after_its_daemon_was_killed(alone: Client) -> None:
    # buildah mounts as volatile, since nobody needs a half-built image after a crash of the machine.
    name = alone.buildah("from", "--pull-never", NAME)
    alone.run(*alone.unshared("buildah"), "sh", "-c", KILLED, "sh", name)
    assert alone.buildah("run", "--network=host", name, "/bin/cat", "/made") == "kept"


def test_container_that_was_left_mounted_in_a_namespace_can_be_committed_when_that_ended(alone: Client) -> None:
    name = alone.buildah("from", "--pull-never", NAME)
    namespace = alone.unshared("buildah") or ("unshare", "--mount")
    alone.run(*namespace, "sh", "-c", f'echo kept > "$(buildah mount {name})/made"')
    alone.buildah("commit", "--quiet", name, "localhost/left")
    assert alone.container("cat /made", image_name="localhost/left") == "kept"
