"""Boxes to run commands in."""

import os
from collections.abc import Iterator

import pytest

from tests.ordinary_user import _device_for_everyone
from tests.shell.box import WHO, Box, box


@pytest.fixture
def _root_becomes_others() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user, and make the layers of others")


@pytest.fixture(params=WHO)
def anybody(request: pytest.FixtureRequest, _root_becomes_others: None) -> Iterator[Box]:
    """Give a box of root, of an ordinary user, and of one with more ids."""
    with _device_for_everyone(), box(request.param) as made:
        yield made


@pytest.fixture
def of_root(_root_becomes_others: None) -> Iterator[Box]:
    """Give a box of root."""
    with box("root") as made:
        yield made


@pytest.fixture
def of_user(_root_becomes_others: None) -> Iterator[Box]:
    """Give a box of an ordinary user, who has one id in it."""
    with _device_for_everyone(), box("user") as made:
        yield made


@pytest.fixture
def of_mapped_user(_root_becomes_others: None) -> Iterator[Box]:
    """Give a box of an ordinary user with more ids."""
    with _device_for_everyone(), box("user with more ids") as made:
        yield made
