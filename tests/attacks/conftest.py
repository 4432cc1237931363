"""A store for all tests of a module that load into it."""

from collections.abc import Iterator

import pytest

from tests.attacks.loading import Loader
from unionfs.store.check import check
from unionfs.store.store import Store


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    """One store for all: that a file is refused is seen by the store's being as it was."""
    given = Loader(tmp_path_factory.mktemp("loads"))
    yield given
    given.victim.check()
    with Store(given.root) as store:
        assert check(store) == []
