"""Where a copy goes: docker cp's rules."""

import os
from pathlib import Path

import pytest

from unionfs.copyout import Destination, TargetError, destination


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "to-dir").symlink_to("dir")
    (tmp_path / "to-file").symlink_to("dir/real")
    (tmp_path / "dir/real").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def settled(place: Path, path: str, *, is_directory: bool, name: bytes = b"src") -> tuple[str, bytes | None]:
    found = destination(os.fsencode(place / path) + b"/" * path.endswith("/"), name=name, is_directory=is_directory)
    return os.path.relpath(os.fsdecode(found.directory), place), found.name


@pytest.mark.parametrize(
    ("path", "directory", "name"),
    [
        ("dir", "dir", b"src"),
        ("dir/", "dir", b"src"),
        ("to-dir", "to-dir", b"src"),
        ("new", ".", b"new"),
        ("dir/new", "dir", b"new"),
        ("file", ".", b"file"),
        ("to-file", "dir", b"real"),
    ],
)
def test_a_file_goes_into_a_directory_or_gets_a_name(place: Path, path: str, directory: str, name: bytes) -> None:
    assert settled(place, path, is_directory=False) == (directory, name)


@pytest.mark.parametrize(
    ("path", "directory", "name"),
    [("dir", "dir", b"src"), ("dir/", "dir", b"src"), ("new", ".", b"new"), ("new/", ".", b"new")],
)
def test_a_directory_goes_into_a_directory_or_gets_a_name(place: Path, path: str, directory: str, name: bytes) -> None:
    assert settled(place, path, is_directory=True) == (directory, name)


def test_what_has_no_name_is_merged_with_a_directory_that_is_there(place: Path) -> None:
    assert settled(place, "dir", is_directory=True, name=b"") == ("dir", None)
    assert settled(place, "new", is_directory=True, name=b"") == (".", b"new")


@pytest.mark.parametrize(
    ("path", "is_directory", "reason"),
    [
        ("absent/new", False, "no such directory"),
        ("new/", False, "no such directory"),
        ("file/new", False, "Not a directory"),
        ("file/", False, "Not a directory"),
        ("file", True, "a directory can't be copied over"),
        ("pipe", False, "neither a regular file nor a directory"),
        ("dangling", False, "symbolic link to something that isn't there"),
        ("absent/..", True, "no such directory"),
    ],
)
def test_where_it_cannot_go_is_an_error_that_names_it(place: Path, path: str, is_directory: bool, reason: str) -> None:
    with pytest.raises(TargetError, match=reason) as caught:
        settled(place, path, is_directory=is_directory)
    assert os.fsencode(place) in caught.value.filename


def test_a_relative_path_is_one_of_the_working_directory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert destination(b"new", name=b"src", is_directory=False) == Destination(b".", b"new")
