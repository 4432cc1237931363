"""Making image configs, from others and from nothing."""

import json
from typing import Any

import pytest

from tests.image.documents import Fields, config, encoded, sha256
from unionfs.image import Config, Digest, ImageError, Platform
from unionfs.image.new_config import Step, derived, from_nothing, squashed

ONE, TWO, THREE, NEW = (Digest.of(name) for name in (b"one", b"two", b"three", b"new"))
STEP = Step("2024-01-02T03:04:05Z", "sh", "me <me@example.com>", "a page")
ENTRY = {"created": STEP.created, "created_by": "sh", "author": STEP.author, "comment": "a page"}


def parent(diff_ids: list[Digest], **more: object) -> Config:
    return Config.read(encoded(config([str(diff_id) for diff_id in diff_ids], **more)))


def document(found: Config) -> Any:
    return json.loads(found.raw)


def history(**fields: object) -> Fields:
    return {"created": "2020-01-01T00:00:00Z", **fields}


def test_a_step_adds_its_layer_and_its_history_entry() -> None:
    found = derived(parent([ONE], history=[history(created_by="ADD x")]), STEP, NEW)
    assert found.diff_ids == (ONE, NEW)
    assert document(found)["history"] == [history(created_by="ADD x"), ENTRY]
    assert (found.created, found.author) == (STEP.created, STEP.author)
    assert str(found.digest) == sha256(found.raw)


def test_a_step_without_a_layer_is_an_empty_one() -> None:
    found = derived(parent([ONE], history=[history()]), STEP, None, ["CMD x"])
    assert found.diff_ids == (ONE,)
    assert document(found)["history"] == [history(), {**ENTRY, "empty_layer": True}]
    assert found.execution.cmd == ("/bin/sh", "-c", "x")


def test_fields_that_nobody_knows_stay() -> None:
    unknown = {"x.unknown": {"deep": [1.5, None, "ü"]}, "os.version": "1", "variant": "v8"}
    execution = {"Env": ["A=b"], "ArgsEscaped": True, "x": {"y": 1}}
    found = document(derived(parent([ONE], config=execution, **unknown), STEP, NEW, ["USER u"]))
    assert {name: found[name] for name in unknown} == unknown
    assert found["config"] == {**execution, "User": "u"}


def test_what_tells_how_the_parent_was_made_is_not_told_of_the_new_image() -> None:
    old = {"author": "old", "comment": "old", "container": "c", "container_config": {"Cmd": ["x"]}, "id": "i"}
    found = document(derived(parent([ONE], created="2020-01-01T00:00:00Z", **old), Step(STEP.created), NEW))
    assert set(found) == {"architecture", "os", "created", "config", "rootfs", "history"}
    assert found["created"] == STEP.created


def test_the_same_step_makes_the_same_image() -> None:
    base = parent([ONE], config={"Env": ["A=b"]})
    assert derived(base, STEP, NEW).raw == derived(base, STEP, NEW).raw
    assert derived(base, STEP, NEW).digest != derived(base, STEP, TWO).digest


@pytest.mark.parametrize(
    ("layers", "before", "empty"),
    [
        ([ONE, TWO], None, [False, False, False]),
        ([ONE, TWO], [history(comment="top")], [False, False, False]),
        ([ONE], [history(empty_layer=True)], [False, True, False]),
        ([ONE], [history(), history(), history(empty_layer=True), history()], [False, True, True, True, False]),
        ([], [history(), history(empty_layer=True)], [True, True, False]),
        ([], [], [False]),
        ([ONE], [history(empty_layer=None)], [False, False]),
    ],
)
def test_the_history_tells_as_many_layers_as_there_are(
    layers: list[Digest], before: list[Fields] | None, empty: list[bool]
) -> None:
    found = derived(parent(layers, history=before), STEP, NEW)
    assert [entry.empty_layer for entry in found.history] == empty
    assert empty.count(False) == len(found.diff_ids)


def test_layers_without_a_history_are_told_before_the_steps_that_are_known() -> None:
    found = derived(parent([ONE, TWO], created="2020-01-01T00:00:00Z", history=[history(comment="known")]), STEP, NEW)
    assert [entry.comment for entry in found.history] == ["", "known", "a page"]
    assert found.history[0].created == "2020-01-01T00:00:00Z"


def test_a_squashed_image_has_one_layer_and_the_steps_of_all() -> None:
    before = [history(created_by="ADD"), history(created_by="CMD", empty_layer=True), history(created_by="RUN")]
    found = squashed(parent([ONE, TWO], history=before, config={"User": "u"}), STEP, NEW)
    assert found.diff_ids == (NEW,)
    assert [(entry.created_by, entry.empty_layer) for entry in found.history] == [
        ("ADD", True),
        ("CMD", True),
        ("RUN", True),
        ("sh", False),
    ]
    assert found.execution.user == "u"


def test_a_squash_may_keep_the_lowest_layers() -> None:
    before = [history(created_by="ADD"), history(created_by="CMD", empty_layer=True), history(), history()]
    found = squashed(parent([ONE, TWO, THREE], history=before), STEP, NEW, kept=1)
    assert found.diff_ids == (ONE, NEW)
    assert [entry.empty_layer for entry in found.history] == [False, True, True, True, False]


def test_an_image_from_nothing_is_for_the_platform_it_is_asked_for() -> None:
    found = from_nothing(Platform.parse("linux/arm64/v9"), STEP, NEW, ['CMD ["/sh"]', "ENV A=b"])
    assert document(found) == {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v9",
        "created": STEP.created,
        "author": STEP.author,
        "config": {"Cmd": ["/sh"], "Env": ["A=b"]},
        "rootfs": {"type": "layers", "diff_ids": [str(NEW)]},
        "history": [ENTRY],
    }


def test_an_instruction_that_is_wrong_makes_no_image() -> None:
    with pytest.raises(ImageError, match='invalid change "FOO x"'):
        derived(parent([ONE]), STEP, NEW, ["FOO x"])


def test_an_author_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(ImageError, match="image config can't hold text that is not UTF-8"):
        from_nothing(Platform.host(), Step(STEP.created, author="\udcff"), NEW)


def test_the_parent_stays_as_it_is() -> None:
    base = parent([ONE], history=[history(), history()], config={"Env": ["A=b"]})
    raw = base.raw
    derived(base, STEP, NEW, ["ENV A=c"])
    assert (base.raw, base.execution.env) == (raw, ("A=b",))
