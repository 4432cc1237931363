"""Which step of an image's history made which layer."""

import pytest

from tests.image.documents import Fields, config, encoded, sha256
from unionfs.image import Config
from unionfs.image.history import steps

LAYER: Fields = {"created_by": "ADD"}
NONE: Fields = {"created_by": "CMD", "empty_layer": True}


def layers_of(count: int, history: list[Fields] | None) -> list[tuple[str, int | None]]:
    diff_ids = [sha256(b"%d" % number) for number in range(count)]
    found = steps(Config.read(encoded(config(diff_ids, history=history))))
    return [(step.history.created_by, step.layer) for step in found]


def test_each_step_that_made_a_layer_has_the_next_one() -> None:
    assert layers_of(2, [LAYER, NONE, LAYER, NONE]) == [("ADD", 0), ("CMD", None), ("ADD", 1), ("CMD", None)]


@pytest.mark.parametrize(
    ("count", "history", "expected"),
    [
        (0, None, []),
        (0, [NONE], [("CMD", None)]),
        (2, None, [("", 0), ("", 1)]),
        (2, [NONE, LAYER], [("", 0), ("CMD", None), ("ADD", 1)]),
        (1, [LAYER, NONE, LAYER, LAYER], [("ADD", 0), ("CMD", None), ("ADD", None), ("ADD", None)]),
        (0, [LAYER], [("ADD", None)]),
    ],
)
def test_every_layer_has_a_step_also_where_the_history_does_not_fit(
    count: int, history: list[Fields] | None, expected: list[tuple[str, int | None]]
) -> None:
    assert layers_of(count, history) == expected
