"""The shape of the package: which room imports which, and what a command that must start at once imports."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "unionfs"
MAY_IMPORT: Mapping[str, set[str]] = {
    "linux": set(),
    "tar": set(),
    "image": set(),
    "layer": {"linux", "tar"},
    "union": {"layer", "linux"},
    "view": {"union", "layer", "linux"},
    "provenance": {"view", "layer"},
    "explore": {"provenance", "layer", "image"},
    "copyout": {"view", "layer", "linux"},
    "diff": {"view", "union", "layer", "linux", "tar"},
    "fuse": {"union", "layer", "linux"},
    "mount": {"fuse", "union", "layer", "linux"},
    "shell": {"mount", "fuse", "image", "linux"},
    "archive": {"image", "tar"},
    "store": {"archive", "image", "layer", "tar", "linux"},
    "cli": {
        "linux",
        "tar",
        "image",
        "layer",
        "union",
        "view",
        "provenance",
        "explore",
        "copyout",
        "diff",
        "fuse",
        "mount",
        "shell",
        "archive",
        "store",
    },
}
"""Each room may import those named, and itself."""
FUSE_LIBRARIES = {"pyfuse3", "trio"}
SLOW = {"click", "rich", "textual", "trio", "pyfuse3", "httpx"}
"""Packages that take longer to import than Python takes to start."""
MODULES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_is_known() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(MAY_IMPORT)


def test_a_room_imports_only_rooms_beneath_it() -> None:
    wrong = []
    for path in MODULES:
        room = room_of(path)
        others = {name.split(".")[1] for name in imports(path) if name.startswith("unionfs.")} - {room, "__version__"}
        wrong += [f"{path} imports {other}" for other in others - MAY_IMPORT.get(room, set())]
    assert wrong == []


def test_no_two_rooms_import_each_other() -> None:
    def beneath(room: str) -> set[str]:
        return MAY_IMPORT[room].union(*(beneath(other) for other in MAY_IMPORT[room]))

    assert [room for room in MAY_IMPORT if room in beneath(room)] == []


def test_only_the_room_of_fuse_imports_the_libraries_of_fuse() -> None:
    importing = {room_of(path) for path in MODULES if FUSE_LIBRARIES & {name.split(".")[0] for name in imports(path)}}
    assert importing == {"fuse"}


def test_only_the_room_of_the_terminal_interface_imports_its_library() -> None:
    importing = {room_of(path) for path in MODULES if "textual" in {name.split(".")[0] for name in imports(path)}}
    assert importing == {"explore"}


def test_only_the_commands_print_or_exit() -> None:
    """But for a daemon's end at a second signal, which is at once, and the ends of children that run code of ours."""
    ends = {"print", "exit", "quit", "sys.exit", "os._exit", "SystemExit"}
    found = {(str(path.relative_to(PACKAGE)), name) for path in MODULES for name in called(path) if name in ends}
    ending = {"mount/shutdown.py", "shell/children.py", "shell/init.py", "store/side_by_side.py"}
    assert {end for end in found if not end[0].startswith("cli/")} == {(path, "os._exit") for path in ending}


def room_of(path: Path) -> str:
    """Name the room of a module; a module of the package itself is a room of its own."""
    return path.relative_to(PACKAGE).parts[0]


def imports(path: Path) -> Iterator[str]:
    """Give the full name of everything that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(path: Path) -> Iterator[str]:
    """Give the name of everything that a module calls or raises by a plain or a dotted name."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)
        elif isinstance(node, ast.Raise) and node.exc is not None:
            yield ast.unparse(node.exc)


PROGRAM = """
import os, sys
from unionfs.cli import main

pid = os.getpid()
try:
    main(sys.argv[1:])
except SystemExit:
    pass
if os.getpid() == pid:
    print("imported:", *{name.split(".")[0] for name in sys.modules})
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["--help"],
        ["mount"],
        ["mount", "--help"],
        ["mount", "-o", "lowerdir=/absent", "/"],
        ["umount", "/absent"],
        ["flatten", "--help"],
    ],
    ids=" ".join,
)
def test_what_must_start_at_once_imports_nothing_slow(words: list[str]) -> None:
    """With a layer that is missing the daemon ends before it mounts; what is looked at is its parent."""
    result = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True)
    imported = set(result.stdout.rpartition("imported:")[2].split())
    assert "unionfs" in imported
    assert imported & SLOW == set()
