"""Unpacking as root and as an ordinary user."""

import os
from collections.abc import Iterator

import pytest

from tests.layer.unpacking import Unpacker, unpacker


@pytest.fixture(params=["root", "nobody"])
def anyone(request: pytest.FixtureRequest) -> Iterator[Unpacker]:
    """Unpack as root, and again as an ordinary user."""
    _need_root()
    with unpacker(request.param) as given:
        yield given


@pytest.fixture
def root() -> Iterator[Unpacker]:
    _need_root()
    with unpacker("root") as given:
        yield given


@pytest.fixture
def nobody() -> Iterator[Unpacker]:
    _need_root()
    with unpacker("nobody") as given:
        yield given


@pytest.fixture
def mapped() -> Iterator[Unpacker]:
    _need_root()
    with unpacker("mapped") as given:
        yield given


def _need_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("overlayfs, which shows what was unpacked, is mounted by root alone")
