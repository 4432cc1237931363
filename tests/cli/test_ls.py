"""``unionfs ls`` and ``unionfs cat``."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.looking import LAYERS
from tests.cli.stored import Captured, as_json, fill, printed, run, source


@pytest.fixture(autouse=True)
def _image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    fill(tmp_path / "store", LAYERS, "app:1")
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_root_is_listed_where_no_path_is_named(capsys: Captured) -> None:
    assert printed(capsys, "ls", "app:1") == ["bin", "etc", "srv", "usr"]
    assert printed(capsys, "ls", "app:1:/") == ["bin", "etc", "srv", "usr"]


def test_a_link_to_a_directory_is_followed(capsys: Captured) -> None:
    assert printed(capsys, "ls", "app:1:/bin") == ["same", "tool", "up"]
    assert printed(capsys, "ls", "-l", "app:1:/bin")[0].endswith(" /bin -> usr/bin")
    assert len(printed(capsys, "ls", "-l", "app:1:/bin/")) == 3


def test_names_with_a_dot_are_shown_when_asked_for(capsys: Captured) -> None:
    assert printed(capsys, "ls", "app:1:/etc") == ["passwd"]
    assert printed(capsys, "ls", "-a", "app:1:/etc") == [".hidden", "passwd"]


def test_control_bytes_of_a_name_are_escaped(capsys: Captured) -> None:
    assert printed(capsys, "ls", "app:1:/srv") == [r"a\x1b[31m", "sub"]


def test_directories_beneath_are_listed_with_their_paths(capsys: Captured) -> None:
    assert printed(capsys, "ls", "-R", "app:1:/srv") == ["/srv:", r"a\x1b[31m", "sub", "", "/srv/sub:", "page"]


def test_a_long_listing_has_columns(capsys: Captured) -> None:
    assert printed(capsys, "ls", "-l", "app:1:/usr/bin") == [
        "-rwsr-xr-x 2 0 0  6 2001-09-09 01:46 same",
        "-rwsr-xr-x 2 0 0  6 2001-09-09 01:46 tool",
        "lrwxrwxrwx 1 0 0 22 1970-01-01 00:00 up -> ../../../../etc/passwd",
    ]
    assert printed(capsys, "ls", "-l", "app:1:/etc/passwd") == ["-rw-r----- 1 1 2 20 1970-01-01 00:00 /etc/passwd"]


def test_programs_get_objects_with_the_layer_that_shows(capsys: Captured) -> None:
    passwd = {
        "path": "/etc/passwd", "type": "file", "mode": "0640", "uid": 1, "gid": 2, "size": 20, "nlink": 1,
        "mtime": "1970-01-01T00:00:00Z", "mtime_ns": 0, "target": None, "device": None, "layer": 2,
    }  # fmt: skip
    assert as_json(capsys, "ls", "--format", "json", "app:1:/etc") == [passwd]
    assert as_json(capsys, "ls", "--format", "json", "app:1:/etc/passwd") == [passwd]
    found = as_json(capsys, "ls", "--format", "json", "-R", "-a", "app:1")
    assert {entry["path"]: entry["layer"] for entry in found if entry["type"] == "file"} == {
        "/etc/.hidden": 1, "/etc/passwd": 2, "/usr/bin/tool": 1, "/usr/bin/same": 1, "/srv/a\x1b[31m": 3,
        "/srv/sub/page": 3,
    }  # fmt: skip
    assert [entry["target"] for entry in found if entry["type"] == "symlink"] == ["usr/bin", "../../../../etc/passwd"]


def test_an_image_in_a_file_is_listed_too(tmp_path: Path, capsys: Captured) -> None:
    layout = source(tmp_path / "layout", LAYERS)
    assert printed(capsys, "ls", f"oci:{layout}:/usr") == ["bin"]


def test_what_is_not_there_is_one_line(capsys: Captured) -> None:
    for words, said in (
        (["ls", "app:1:/nope"], "app:1:/nope: No such file or directory"),
        (["cat", "app:1:/etc"], "app:1:/etc: Is a directory"),
        (["cat", "app:1:/etc/old"], "app:1:/etc/old: No such file or directory"),
        (["ls", "app:1:/etc/passwd/x"], "app:1:/etc/passwd/x: Not a directory"),
    ):
        assert run(capsys, *words) == (1, "", f"unionfs: error: {said}\n")


def test_the_content_of_files_is_printed_as_it_is(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from unionfs.cli import main  # noqa: PLC0415 - beside the other way of capturing

    assert main(["cat", "app:1:/srv/sub/page", "app:1:/bin/up"]) == 0
    out, err = capfdbinary.readouterr()
    assert (out, err) == (b"<p>root:x:0:0\nme:x:1:1\n", b"")


def test_nothing_of_an_argument_list_with_a_mistake_is_printed(capsys: Captured) -> None:
    code, output, errors = run(capsys, "cat", "app:1:/etc/passwd", "app:1")
    assert (code, output) == (2, "")
    assert "app:1 names no path" in errors


def test_listing_makes_no_mount_and_leaves_nothing_open(capsys: Captured) -> None:
    mounts, before = Path("/proc/self/mountinfo").read_text(), sorted(os.listdir("/proc/self/fd"))
    printed(capsys, "ls", "-R", "app:1")
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert sorted(os.listdir("/proc/self/fd")) == before
