"""A store whose first command was killed while it made the store."""

from collections.abc import Callable
from pathlib import Path

from tests.crash.tracing import Traced
from unionfs.store.store import Store


def test_a_store_that_was_half_made_is_made_by_the_next_command(tmp_path: Path) -> None:
    top = tmp_path / "tops"
    top.mkdir()

    def prepare(path: Path) -> Callable[[], Callable[[], None]]:
        return lambda: lambda: Store(path).close()

    calls = 0
    with Traced(prepare(top / "whole")) as child:
        calls = sum(1 for _ in child.returns())
    for number in range(1, calls + 1):
        path = top / str(number)
        with Traced(prepare(path)) as child:
            for place, _ in enumerate(child.returns(), start=1):
                if place == number:
                    break
        with Store(path) as store:
            assert store.catalogue().images == ()
            store.collect()
