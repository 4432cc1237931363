"""An upper that a mount wrote, read together with its lowers without being changed."""

import os
from pathlib import Path

from tests.snapshots import snapshot
from tests.stacks import Directory, File, HardLink, Layer
from tests.unions import EVERYTHING, Stack
from unionfs.view import View, open_view

LOWER: Layer = {
    "dir/sub/file": File(content=b"deep", mode=0o600),
    "file": File(content=b"content", mode=0o644),
    "gone": File(content=b"gone"),
    "one": File(content=b"linked"),
    "two": HardLink("one"),
    "replaced": Directory(mode=0o700),
    "replaced/below": File(),
}


def changed(tmp_path: Path) -> Stack:
    """Let a union write an upper with each of its marks."""
    stack = Stack(tmp_path / "stack", [LOWER], settings=EVERYTHING)
    with stack.opened() as kernel:
        kernel.rename("dir", "moved")
        kernel.change("file", mode=0o4711)
        kernel.unlink("gone")
        kernel.write("one", b"LINKED")
        kernel.unlink("replaced/below")
        kernel.rmdir("replaced")
        kernel.mkdir("replaced")
        kernel.create("new")
        kernel.write("new", b"new")
    return stack


def contents(view: View) -> dict[str, bytes]:
    found = {}
    for entry in view.walk():
        if entry.attributes.is_regular:
            with view.open(entry.path) as file:
                found[os.fsdecode(entry.path)] = file.readall()
    return found


SHOWN = {"file": b"content", "moved/sub/file": b"deep", "new": b"new", "one": b"LINKED", "two": b"LINKED"}


def test_renamed_directories_and_metadata_only_files_show_what_is_beneath(tmp_path: Path) -> None:
    stack = changed(tmp_path)
    with open_view([stack.lower()], stack.upper, stack.work) as view:
        assert contents(view) == SHOWN
        assert view.names(b"") == [b"file", b"moved", b"new", b"one", b"replaced", b"two"]
        assert view.names(b"replaced") == []
        assert view.attributes(b"file").mode == 0o104711
        assert view.xattrs(b"file") == view.xattrs(b"moved") == {}


def test_with_the_workdir_numbers_and_links_are_those_that_a_mount_shows(tmp_path: Path) -> None:
    stack = changed(tmp_path)
    with stack.opened() as kernel:
        mounted = {path: (found.ino, found.links) for path, found in kernel.tree().items()}
    with open_view([stack.lower()], stack.upper, stack.work) as view:
        found = {
            os.fsdecode(path): (shown.ino, 0 if shown.is_directory else shown.nlink) for path, shown in view.walk()
        }
    found.pop("")
    assert found == mounted
    assert found["one"] == found["two"]


def test_without_the_workdir_the_upper_is_one_more_layer(tmp_path: Path) -> None:
    stack = changed(tmp_path)
    with open_view([stack.lower()], stack.upper) as view:
        assert contents(view) == {**SHOWN, "two": b"linked"}


def test_nothing_is_changed_by_looking(tmp_path: Path) -> None:
    stack = changed(tmp_path)
    (stack.work / "work/unionfs-index/not-a-key.counts").symlink_to("nonsense")
    before = snapshot(stack.directory)
    with open_view([stack.lower()], stack.upper, stack.work) as view:
        assert contents(view) == SHOWN
    assert snapshot(stack.directory) == before


def test_an_upper_alone_is_a_view_and_so_is_one_with_an_empty_workdir(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [])
    (stack.upper / "file").write_bytes(b"x")
    with open_view([], stack.upper) as view:
        assert contents(view) == {"file": b"x"}
    with open_view([], stack.upper, stack.work) as view:
        assert contents(view) == {"file": b"x"}
