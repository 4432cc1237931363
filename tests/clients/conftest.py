"""A storage for each program, as root and as a user with subordinate ids."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.client import OURS, PROGRAMS, USER, Client, mounts_of_ones_own
from tests.clients.installation import INTERPRETER
from tests.filesystems import scratch
from tests.safety.daemons import fuse_for_every_user

USERS = {"root": 0, "user": USER}


@pytest.fixture(scope="package")
def holder() -> Iterator[tuple[Path, int]]:
    """Give a scratch directory, and a process among whose mounts the clients run."""
    if os.geteuid() != 0:
        pytest.skip("only root can be root and a user with subordinate ids")
    for program in ("podman", "buildah", "fuse-overlayfs", "newuidmap", "runc"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} isn't installed")
    with scratch() as directory, fuse_for_every_user(), mounts_of_ones_own(directory) as pid:
        yield directory, pid


@pytest.fixture(scope="package", params=list(USERS))
def clients(request: pytest.FixtureRequest, holder: tuple[Path, int]) -> Iterator[list[Client]]:
    """Give a client for each program, ours first."""
    directory, pid = holder
    uid = USERS[request.param]
    made = [Client(program, uid, directory / f"{request.param}-{program.name}", pid) for program in PROGRAMS]
    for client in made:
        client.directory.mkdir()
    _can_run_interpreter(made[0])
    try:
        for client in made:
            client.make_storage()
        yield made
    finally:
        for client in made:
            client.end()


@pytest.fixture
def ours(clients: list[Client]) -> Client:
    """Give the client of our program."""
    assert clients[0].program is OURS
    return clients[0]


def _can_run_interpreter(client: Client) -> None:
    """Skip where the Python that runs this lies where the user may not go."""
    done = client.start(INTERPRETER, "--version")
    if done.returncode != 0:
        pytest.skip(f"user {client.uid} can't run {INTERPRETER}: {done.stderr}")
