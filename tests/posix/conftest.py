"""Runs each row on the file systems it names.

Rows share one mount per module and file system, each in a directory of its own that the layers hold in
advance; a row declared ``own`` has a mount to itself. When the rows of a shared mount are done it is mounted
anew and must show the same tree, and its lower layers must be as they were.

``POSIX_EMPTY_LOWERS=N`` puts N empty layers between each two lowers of the shared mounts. ``POSIX_DROP_CACHES=1`` makes
the kernel forget what it knows every 100 ms, which must change nothing. ``POSIX_VARIANTS=1`` runs the variants on every
row instead of those of the modules about content.
"""

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.filesystems import FILESYSTEMS, VARIANTS, FileSystem, Mounted, mounted
from tests.posix.place import Place
from tests.posix.table import Row
from tests.snapshots import differences, snapshot
from tests.stacks import Directory, Node, moved

_KERNEL = tuple(int(part) for part in os.uname().release.split(".")[:2])
_EMPTY_LOWERS = int(os.environ.get("POSIX_EMPTY_LOWERS", "0"))
_EVERY_VARIANT = os.environ.get("POSIX_VARIANTS") == "1"
_ABOUT_CONTENT = frozenset({
    "test_copy_up_open_files", "test_copy_up_triggers", "test_create", "test_exec", "test_holes_and_copies",
    "test_link", "test_mmap", "test_mode_owner_times", "test_open_unlinked", "test_permissions", "test_read_only",
    "test_read_write",
})  # fmt: skip
_not_on_this_kernel: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(declaration): a row of the table of behaviours")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    declared = _row_of(metafunc.definition)
    if declared is None:
        return
    left_out = _left_out(metafunc.module.__name__.rpartition(".")[2], declared)
    systems = [system for system in FILESYSTEMS.values() if system not in left_out]
    names = [system.name for system in systems if set(system.families) & set(declared.on)]
    if "kernel" in names and declared.kernel > _KERNEL:
        names.remove("kernel")
        _not_on_this_kernel.append(metafunc.definition.nodeid)
    metafunc.parametrize("filesystem", names, indirect=True, scope="module")


def _left_out(module: str, declared: Row) -> Sequence[FileSystem]:
    """Give the variants that a row of *module* isn't run on."""
    if _EVERY_VARIANT:
        return ()
    if module not in _ABOUT_CONTENT:
        return VARIANTS
    # A mount that takes changes passes through without being asked to.
    return [system for system in VARIANTS if system.name == "passthrough" and not declared.read_only]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _not_on_this_kernel:
        terminalreporter.write_line(
            f"{len(_not_on_this_kernel)} rows were checked against their written expectation alone: "
            f"overlayfs of Linux {'.'.join(map(str, _KERNEL))} doesn't show them yet"
        )


@pytest.fixture(scope="session", autouse=True)
def dropped_caches() -> Iterator[None]:
    """Drop dentries, inodes and pages again and again, where that is asked for."""
    if os.environ.get("POSIX_DROP_CACHES") != "1":
        yield
        return
    ended = threading.Event()

    def drop() -> None:
        while not ended.wait(0.1):
            Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")

    dropping = threading.Thread(target=drop)
    dropping.start()
    yield
    ended.set()
    dropping.join()


@pytest.fixture(scope="module")
def filesystem(request: pytest.FixtureRequest) -> FileSystem:
    name: str = request.param
    if name == "kernel" and os.geteuid() != 0:
        pytest.skip("kernel overlayfs is mounted by root only")
    return FILESYSTEMS[name]


@pytest.fixture
def place(request: pytest.FixtureRequest, filesystem: FileSystem) -> Iterator[Place]:
    """Give the row its directory."""
    assert isinstance(request.node, pytest.Function)
    declared = _row_of(request.node)
    assert declared is not None, "a test that uses a place declares a row"
    if declared.own:
        with _own(filesystem, declared) as stack:
            yield Place(declared, stack, ".")
        return
    stack = request.getfixturevalue("read_only_mount" if declared.read_only else "writable_mount")
    yield Place(declared, stack, _part_of(request.node))


def _own(filesystem: FileSystem, declared: Row) -> AbstractContextManager[Mounted]:
    return mounted(
        filesystem, declared.lowers(), None if declared.read_only else declared.upper,
        options=declared.options, environment=declared.environment, upper_size=declared.upper_size,
    )  # fmt: skip


@pytest.fixture(scope="module")
def writable_mount(request: pytest.FixtureRequest, filesystem: FileSystem) -> Iterator[Mounted]:
    combined = _combined(request, filesystem, read_only=False)
    with mounted(filesystem, combined.lowers(), combined.upper) as stack:
        yield stack
        _check_view_survives_remount(stack)


@pytest.fixture(scope="module")
def read_only_mount(request: pytest.FixtureRequest, filesystem: FileSystem) -> Iterator[Mounted]:
    combined = _combined(request, filesystem, read_only=True)
    with mounted(filesystem, combined.lowers(), None) as stack:
        yield stack


def _combined(request: pytest.FixtureRequest, filesystem: FileSystem, *, read_only: bool) -> Row:
    """Return one stack with the layers of every row of this module that shares a mount."""
    bottom: dict[str, Node] = {}
    middle: dict[str, Node] = {}
    top: dict[str, Node] = {}
    upper: dict[str, Node] = {}
    for item in request.session.items:
        if not isinstance(item, pytest.Function) or item.module is not request.module:
            continue
        declared = _row_of(item)
        if declared is None or declared.own or declared.read_only != read_only:
            continue
        if item.callspec.params["filesystem"] == filesystem.name:
            part = _part_of(item)
            # Every row has a directory, even one whose layers are empty.
            bottom[part] = Directory()
            bottom |= moved(declared.bottom, part)
            middle |= moved(declared.middle, part)
            top |= moved(declared.top, part)
            upper |= moved(declared.upper, part)
    return Row(own=True, bottom=bottom, middle=middle, top=top, upper=upper, empty_lowers=_EMPTY_LOWERS)


def _part_of(item: pytest.Function) -> str:
    """Return the directory of a row in a shared stack."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", item.name.removeprefix("test_").strip("]"))


def _row_of(item: pytest.Item) -> Row | None:
    marker = item.get_closest_marker("row")
    if marker is None:
        return None
    declared = marker.args[0]
    assert isinstance(declared, Row)
    return declared


def _check_view_survives_remount(stack: Mounted) -> None:
    if not stack.lowers:
        return
    before = snapshot(stack.root)
    stack.remount()
    # Overlayfs shows the ctime of its own inode until that is dropped, without what a rename did below. So does a
    # kernel that gathers writes, since it knows first when a file was changed.
    ignoring = frozenset({"ctime_ns"} if stack.filesystem.name in {"kernel", "writeback"} else ())
    changes = differences(before, snapshot(stack.root), ignoring)
    # To mount is to leave marks on the root of the upper.
    changes = [change for change in changes if not change.startswith(".: ctime_ns")]
    assert not changes, "mounted anew, the stack shows something else: " + "; ".join(changes)
