"""``unionfs why`` and ``unionfs waste``."""

from pathlib import Path

import pytest

from tests.cli.looking import HISTORY, LAYERS
from tests.cli.stored import Captured, as_json, fill, printed, run
from tests.image.documents import sha256
from tests.tarball import archive, file


@pytest.fixture(autouse=True)
def _image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    fill(tmp_path / "store", LAYERS, "app:1", history=HISTORY)


def test_the_layers_and_the_steps_that_made_them_are_named(capsys: Captured) -> None:
    assert printed(capsys, "why", "app:1", "/etc/passwd") == [
        "LAYER     ACTION    WHAT            SIZE      HIDDEN    CREATED BY",
        "1         adds                      11B                 ADD rootfs.tar /",
        "2         changes   content, time   20B       11B       RUN rm /etc/old",
    ]


def test_programs_get_every_field(capsys: Captured) -> None:
    added, changed = as_json(capsys, "why", "--format", "json", "app:1", "/etc/passwd")
    assert (added["Layer"], added["Action"], added["HiddenBytes"]) == (1, "adds", 0)
    assert changed == {
        "Layer": 2, "DiffID": sha256(LAYERS[1]), "Action": "changes", "What": "content, time", "Size": "20B",
        "Hidden": "11B", "CreatedBy": "RUN rm /etc/old", "Path": "/etc/passwd", "By": "/etc/passwd", "Bytes": 20,
        "HiddenBytes": 11,
    }  # fmt: skip


def test_a_path_that_is_gone_is_explained_too(capsys: Captured) -> None:
    form = "{{.Layer}} {{.Action}} {{.What}} {{.Hidden}} {{.CreatedBy}}"
    assert printed(capsys, "why", "--format", form, "app:1", "/etc/old") == [
        "1 adds   ADD rootfs.tar /",
        "2 deletes  1kB RUN rm /etc/old",
    ]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/bin/tool", "/usr/bin/tool"),
        ("bin/tool", "/usr/bin/tool"),
        ("/bin", "/bin"),
        ("/bin/up", "/usr/bin/up"),
        ("/bin/../../etc/old", "/etc/old"),
        ("/etc/nope/../old", "/etc/old"),
        ("/etc/", "/etc"),
        ("/", "/"),
    ],
)
def test_links_above_the_path_are_followed(capsys: Captured, path: str, place: str) -> None:
    assert set(printed(capsys, "why", "--format", "{{.Path}}", "app:1", path)) == {place}


def test_a_path_that_no_layer_has_is_an_error(capsys: Captured) -> None:
    assert run(capsys, "why", "app:1", "/nope/x") == (1, "", "unionfs: error: app:1:/nope/x: no layer has it\n")
    assert run(capsys, "why", "app:1", "")[0] == 2


def test_an_image_without_a_history_is_explained_too(tmp_path: Path, capsys: Captured) -> None:
    fill(tmp_path / "store", LAYERS, "bare:1")
    assert printed(capsys, "why", "--format", "{{.Layer}}{{.CreatedBy}}", "bare:1", "/etc/old") == ["1", "2"]


def test_wasted_files_are_listed_with_the_layers_and_a_sum(capsys: Captured) -> None:
    *rows, blank, total = printed(capsys, "waste", "app:1")
    assert [row.split() for row in rows] == [
        ["SIZE", "LAYER", "HIDDEN", "BY", "HOW", "PATH"],
        ["1kB", "1", "2", "deleted", "/etc/old"],
        ["11B", "1", "2", "overwritten", "/etc/passwd"],
    ]
    assert (blank, total) == ("", "1.01kB of 1.04kB (96.8%) are wasted, in 2 files")


def test_programs_get_one_object(capsys: Captured) -> None:
    found = as_json(capsys, "waste", "--format", "json", "app:1")
    shipped = 11 + 1 + 1000 + 6 + 20 + 3 + 3
    assert (found["shipped"], found["wasted"], found["efficiency"]) == (shipped, 1011, round(1 - 1011 / shipped, 6))
    assert found["layers"] == [sha256(layer) for layer in LAYERS]
    assert found["files"][0] == {
        "Size": "1kB", "Layer": 1, "HiddenBy": 2, "How": "deleted", "Path": "/etc/old", "Bytes": 1000, "By": "/etc/old",
        "Links": 1,
    }  # fmt: skip
    assert printed(capsys, "waste", "--format", "{{.Path}} {{.Bytes}}", "app:1") == ["/etc/old 1000", "/etc/passwd 11"]


def test_an_image_that_wastes_nothing_says_so(tmp_path: Path, capsys: Captured) -> None:
    fill(tmp_path / "store", [LAYERS[2]], "tidy:1")
    assert printed(capsys, "waste", "tidy:1") == ["0B of 6B (0.0%) are wasted, in 0 files"]
    assert printed(capsys, "waste", "--format", "{{.Path}}", "tidy:1") == []
    assert printed(capsys, "waste", "--threshold", "0", "tidy:1") == ["0B of 6B (0.0%) are wasted, in 0 files"]


@pytest.mark.parametrize(
    ("threshold", "code"),
    [
        *((text, 3) for text in ("1kB", "1010b", "96.8%", "0%")),
        *((text, 0) for text in ("1011", "1.1 kB", "1KiB", "97%", "1gb")),
    ],
)
def test_more_than_the_threshold_is_an_exit_code_of_its_own(capsys: Captured, threshold: str, code: int) -> None:
    found, output, errors = run(capsys, "waste", "--threshold", threshold, "app:1")
    assert found == code
    assert "/etc/old" in output
    said = f"unionfs: app:1 wastes 1.01kB of 1.04kB (96.8%), more than {threshold}\n"
    assert errors == (said if code else "")


@pytest.mark.parametrize("threshold", ["", "x", "-1", "5 %%", "1xb", "1e3"])
def test_a_threshold_that_is_none_is_refused(capsys: Captured, threshold: str) -> None:
    code, output, errors = run(capsys, "waste", "--threshold", threshold, "app:1")
    assert (code, output) == (2, "")
    assert "write a size as 500kB" in errors


def test_a_long_list_is_cut_in_a_table_alone(tmp_path: Path, capsys: Captured) -> None:
    names = [b"d/%02d" % number for number in range(25)]
    fill(tmp_path / "store", [archive(*(file(name, b"x") for name in names)), archive(file(b".wh.d"))], "many:1")
    lines = printed(capsys, "waste", "many:1")
    assert len(lines) == 1 + 20 + 2
    assert lines[-1] == "25B of 25B (100.0%) are wasted, in 25 files; 5 of them aren't listed (--all)"
    assert len(printed(capsys, "waste", "--all", "many:1")) == 1 + 25 + 2
    assert len(printed(capsys, "waste", "--format", "{{.Path}}", "many:1")) == 25
