"""Somebody who isn't root."""

import os
from collections.abc import Iterator

import pytest

from tests.ordinary_user import Somebody, ordinary_user, user_namespace


@pytest.fixture(autouse=True)
def _root_becomes_others() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user, and make the layers of others")


@pytest.fixture(params=["kernel", "pyfuse3"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def user(transport: str) -> Iterator[Somebody]:
    """Give a user without rights, who mounts through fusermount3."""
    with ordinary_user() as somebody:
        somebody.transport = transport
        yield somebody


@pytest.fixture
def user_with_guests() -> Iterator[Somebody]:
    """Give a user who may let others into a mount, as ``user_allow_other`` in /etc/fuse.conf says."""
    with ordinary_user(fuse_conf="user_allow_other\n") as somebody:
        yield somebody


@pytest.fixture
def alone(transport: str) -> Iterator[Somebody]:
    """Give root of a user namespace that has no other id, as ``unshare --map-root-user`` makes it."""
    with user_namespace() as somebody:
        somebody.transport = transport
        yield somebody


@pytest.fixture
def mapped(transport: str) -> Iterator[Somebody]:
    """Give root of a user namespace with 1000 ids more."""
    with user_namespace(subordinate=1000) as somebody:
        somebody.transport = transport
        yield somebody
