"""``unionfs inspect`` and ``unionfs history``: what there is to know of an image."""

import json
from pathlib import Path

import pytest

from tests.cli.stored import Captured, as_json, fill, printed, run, source
from tests.image.documents import sha256
from tests.store.images import BOTTOM, TOP

HISTORY = [
    {"created": "2020-01-02T03:04:05Z", "created_by": "ADD\tfiles " + "x" * 60, "comment": "first"},
    {"created": "2020-01-02T03:04:06Z", "created_by": "CMD /sh", "empty_layer": True},
    {"created": "2020-01-02T03:04:07Z", "created_by": "RUN \x1b[31m"},
]


@pytest.fixture(autouse=True)
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the id of an image that has a history."""
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    config = {"Env": ["A=b"], "Cmd": ["/sh"], "Labels": {"l": "m"}}
    return fill(tmp_path / "store", [BOTTOM, TOP], "app:1", "app:2", config=config, history=HISTORY)


def test_an_image_is_described_by_any_way_of_naming_it(image: str, capsys: Captured) -> None:
    whole = as_json(capsys, "inspect", "app:1")
    assert [found["Id"] for found in whole] == [image]
    assert whole[0]["RepoTags"] == ["app:1", "app:2"]
    assert whole[0]["RootFS"]["Layers"] == [sha256(BOTTOM), sha256(TOP)]
    assert whole[0]["Size"] == len(BOTTOM) + len(TOP)
    for argument in (image, image.removeprefix("sha256:")[:6], whole[0]["RepoDigests"][0], whole[0]["Digest"]):
        assert as_json(capsys, "inspect", argument) == whole


def test_a_template_is_filled_for_each_image(image: str, capsys: Captured) -> None:
    form = "{{.Id}} {{.Config.Env}} {{json .Config.Cmd}} {{.Config.Labels.l}} {{.Config.Entrypoint}}"
    assert printed(capsys, "inspect", "-f", form, "app:1", "app:2") == [f'{image} [A=b] ["/sh"] m []'] * 2


def test_an_image_in_a_file_is_described_too(tmp_path: Path, capsys: Captured) -> None:
    layout = source(tmp_path / "layout", [TOP], author="me")
    assert [found["Author"] for found in as_json(capsys, "inspect", f"oci:{layout}")] == ["me"]


def test_what_is_missing_is_named_and_the_rest_is_printed(image: str, capsys: Captured) -> None:
    code, output, errors = run(capsys, "inspect", "nope", "app:1", "Bad:1", "oci:/absent", "--format", "{{.Id}}")
    assert (code, output) == (1, image + "\n")
    assert errors.splitlines()[2] == "unionfs: error: /absent: No such file or directory"
    assert errors.splitlines()[0].startswith('unionfs: error: no such image: "nope"')
    assert errors.splitlines()[1].endswith("repository name (library/Bad) must be lowercase")


def test_nothing_found_is_an_empty_array(capsys: Captured) -> None:
    code, output, _ = run(capsys, "inspect", "nope")
    assert (code, json.loads(output)) == (1, [])


def test_a_field_that_is_not_there_is_named(capsys: Captured) -> None:
    code, output, errors = run(capsys, "inspect", "-f", "{{.Config.Nope}}", "app:1")
    assert (code, output) == (2, "")
    assert "there is no field Nope; there are User," in errors


def test_a_history_has_the_last_step_first_and_what_each_layer_takes(image: str, capsys: Captured) -> None:
    heading, *lines = printed(capsys, "history", "app:1")
    assert heading.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert [line.split()[0] for line in lines] == [image.removeprefix("sha256:")[:12], "<missing>", "<missing>"]
    assert [line[heading.index("CREATED BY") : heading.index("SIZE")].strip() for line in lines] == [
        r"RUN \x1b[31m",
        "CMD /sh",
        "ADD files " + "x" * 34 + "…",
    ]
    sizes = [line[heading.index("SIZE") :].split() for line in lines]
    assert sizes == [["2.05kB"], ["0B"], ["3.07kB", "first"]]


def test_nothing_is_shortened_when_asked_for(image: str, capsys: Captured) -> None:
    form = ["--format", "{{.ID}} {{.CreatedBy}}"]
    assert printed(capsys, "history", "--no-trunc", *form, "app:1")[::2] == [
        image + r" RUN \x1b[31m",
        "<missing> ADD files " + "x" * 60,
    ]


def test_a_history_for_programs_names_the_layers(image: str, capsys: Captured) -> None:
    found = as_json(capsys, "history", "--format", "json", "app:1")
    assert [row["Layer"] for row in found] == [sha256(TOP), "", sha256(BOTTOM)]
    assert [row["Bytes"] for row in found] == [len(TOP), 0, len(BOTTOM)]
    assert [row["ID"] for row in found] == [image, "<missing>", "<missing>"]
    assert found[1]["Created"] == "2020-01-02T03:04:06Z"
    assert found[0]["CreatedAt"] == "2020-01-02 03:04:07 +0000 UTC"


def test_quiet_prints_ids(image: str, capsys: Captured) -> None:
    assert printed(capsys, "history", "-q", "--no-trunc", "app:1") == [image, "<missing>", "<missing>"]


def test_the_history_of_an_image_that_is_not_there_is_an_error(capsys: Captured) -> None:
    code, output, errors = run(capsys, "history", "nope")
    assert (code, output) == (1, "")
    assert errors.startswith('unionfs: error: no such image: "nope"')
