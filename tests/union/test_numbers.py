"""Inode numbers: told apart, kept over copy-up, forgetting and sessions, and never one that can't be told.

Sources: POSIX <sys/stat.h> (device and number identify a file), overlayfs "Inode properties".
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import mount, unmount_or_detach
from tests.stacks import File, HardLink, Layer, write
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory, Tree
from unionfs.union.inode import Identity, Inode, Place
from unionfs.union.settings import Settings
from unionfs.union.table import ROOT, InodeTable

ORIGIN = "trusted.overlay.unionfs.origin"
MANY: Layer = {f"f{number}": File(b"%d" % number) for number in range(20)}


@pytest.fixture
def two_memories(tmp_path: Path) -> Iterator[list[Path]]:
    """Give two directories on file systems of their own, which number their files alike."""
    places = [Path(os.path.realpath(tmp_path)) / name for name in ("one", "other")]
    for place in places:
        place.mkdir()
        mount("tmpfs", place, "tmpfs")
    try:
        yield places
    finally:
        for place in places:
            unmount_or_detach(place)


def known(table: InodeTable, identity: Identity) -> Inode:
    nowhere = Directory(Tree(Descriptors(0), identity.device, position=0, confined=False), None, b"")
    node = Inode(table.free_number(identity), identity, Place(nowhere, b"f"), 0o100000, in_upper=False)
    table.add(node)
    return node


@pytest.mark.parametrize("inode", [0, 1, 2, 1 << 31, 1 << 32, 1 << 55, 1 << 56, (1 << 64) - 1])
@pytest.mark.parametrize("device", [7, 8, 99])
@pytest.mark.parametrize("ino32", [False, True])
def test_any_inode_has_a_number_that_can_be_told_and_is_found_by_it(inode: int, device: int, *, ino32: bool) -> None:
    table = InodeTable(ino32=ino32)
    for place in (7, 8):
        table.know_device(place)
    node = known(table, Identity(device, inode))
    assert ROOT < node.number < 1 << (32 if ino32 else 63)
    assert table.get(node.number) is node
    assert table.find(Identity(device, inode)) is node
    table.remove(node)
    assert table.find(Identity(device, inode)) is None
    assert len(table) == 0
    assert known(table, Identity(device, inode)).number == node.number


def test_numbers_of_the_first_file_system_are_those_on_disk() -> None:
    table = InodeTable()
    table.know_device(7)
    assert table.natural_number(7, 4711) == 4711


@pytest.mark.parametrize("ino32", [False, True])
def test_more_file_systems_than_have_a_place_are_told_apart(*, ino32: bool) -> None:
    table = InodeTable(ino32=ino32)
    for device in range(100):
        table.know_device(device)
    numbers = {known(table, Identity(device, inode)).number for device in range(100) for inode in range(2, 50)}
    assert len(numbers) == 100 * 48


def over(two_memories: list[Path], directory: Path, settings: Settings) -> Stack:
    """Give a stack whose two lowers are on file systems of their own."""
    stack = Stack(directory, [{}, {}], settings)
    for place, layer in enumerate(two_memories):
        stack.lower(place).rmdir()
        stack.lower(place).symlink_to(layer)
        write(layer, {f"{path}-{place}": node for path, node in MANY.items()})
    return stack


def test_files_of_two_file_systems_with_equal_numbers_are_two(tmp_path: Path, two_memories: list[Path]) -> None:
    stack = over(two_memories, tmp_path / "stack", EVERYTHING)
    assert (two_memories[0] / "f3-0").stat().st_ino == (two_memories[1] / "f3-1").stat().st_ino
    with stack.opened() as kernel:
        numbers = {path: found.ino for path, found in kernel.tree().items()}
        assert len(set(numbers.values())) == 40
        for path in numbers:
            kernel.write(path, b"x")
        assert {path: found.ino for path, found in kernel.tree().items()} == numbers
        kernel.forget_everything()
        assert {path: found.ino for path, found in kernel.tree().items()} == numbers
    with stack.opened() as kernel:
        assert {path: found.ino for path, found in kernel.tree().items()} == numbers


def test_numbers_of_32_bits_are_told_apart_and_stay_as_listed(tmp_path: Path, two_memories: list[Path]) -> None:
    stack = over(two_memories, tmp_path / "stack", EVERYTHING._replace(ino32=True))
    with stack.opened() as kernel:
        listed = {os.fsdecode(named.name): named.number for named in kernel.union.names(ROOT, 2)}
        assert len(set(listed.values())) == 40
        assert max(listed.values()) < 1 << 32
        assert {path: found.ino for path, found in kernel.tree().items()} == listed
        for path in listed:
            kernel.write(path, b"x")
        kernel.forget_everything()
        assert {path: found.ino for path, found in kernel.tree().items()} == listed
        assert {os.fsdecode(named.name): named.number for named in kernel.union.names(ROOT, 2)} == listed
    with stack.opened() as kernel:
        assert {path: found.ino for path, found in kernel.tree().items()} == listed


def test_numbers_of_32_bits_leave_no_trace_for_mounts_with_more(tmp_path: Path, two_memories: list[Path]) -> None:
    stack = over(two_memories, tmp_path / "stack", EVERYTHING)
    with stack.opened() as kernel:
        numbers = {path: found.ino for path, found in kernel.tree().items()}
    stack.settings = EVERYTHING._replace(ino32=True)
    with stack.opened() as kernel:
        for path in numbers:
            kernel.write(path, b"x")
    stack.settings = EVERYTHING
    with stack.opened() as kernel:
        assert {path: found.ino for path, found in kernel.tree().items()} == numbers


def test_hard_links_of_a_lower_have_one_number_of_32_bits(tmp_path: Path, two_memories: list[Path]) -> None:
    stack = over(two_memories, tmp_path / "stack", EVERYTHING._replace(ino32=True))
    write(two_memories[1], {"x": File(b"x"), "y": HardLink("x"), "other": File(), "another": HardLink("other")})
    with stack.opened() as kernel:
        number = kernel.number("x")
        kernel.write("other", b"o")
        kernel.write("y", b"Y")
        kernel.forget_everything()
        assert kernel.number("y") == kernel.number("x") == number < 1 << 32
    with stack.opened() as kernel:
        assert kernel.number("y") == kernel.number("x") == number


def test_memory_of_32_bit_numbers_goes_with_the_inodes() -> None:
    table = InodeTable(ino32=True)
    for device in (7, 8):
        table.know_device(device)
    kept = known(table, Identity(8, 4711))
    forgotten = [known(table, Identity(8, inode)) for inode in range(5000, 10000)]
    lasting = table.lasting_number(kept.number)
    assert lasting == (1 << 56) + 4711
    assert all(table.lasting_number(node.number) != node.number for node in forgotten)
    for node in forgotten:
        table.remove(node)
    assert table.needs_tidying
    table.tidy()
    assert all(table.lasting_number(node.number) == node.number for node in forgotten)
    assert table.lasting_number(kept.number) == lasting
    assert table.find(Identity(8, 4711)) is kept


@pytest.mark.parametrize("mark", [b"0", b"1", b"9223372036854775813", b"99999999999999999999", b"-5", b"x", b""])
def test_a_record_that_makes_no_sense_gives_no_number(tmp_path: Path, mark: bytes) -> None:
    stack = Stack(tmp_path / "stack", [{}], EVERYTHING)
    write(stack.upper, {"f": File(b"content", xattrs={ORIGIN: mark}), "g": File(b"other", xattrs={ORIGIN: mark})})
    with stack.opened() as kernel:
        numbers = [found.ino for found in kernel.tree().values()]
        assert len(set(numbers)) == 2
        assert all(ROOT < number < 1 << 63 for number in numbers)
        assert kernel.read("f") == b"content"


def test_two_files_with_one_record_are_two(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{"f": File(b"content"), "g": File(b"g")}], EVERYTHING)
    with stack.opened() as kernel:
        kernel.write("f", b"C")
        original = kernel.number("f")
    shutil.copy2(stack.upper / "f", stack.upper / "copy")  # attributes too
    (stack.upper / "copy").write_bytes(b"copy")
    with stack.opened() as kernel:
        assert kernel.read("copy") == b"copy"
        assert kernel.read("f") == b"Content"
        assert {original} < {kernel.number("copy"), kernel.number("f")}


def test_a_record_of_a_number_that_a_lower_file_has_takes_nothing_from_it(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [{"low": File(b"low")}], EVERYTHING)
    number = (stack.lower() / "low").stat().st_ino
    write(stack.upper, {"a": File(b"upper", xattrs={ORIGIN: b"%d" % number})})
    with stack.opened() as kernel:
        assert kernel.number("a") == number
        assert kernel.number("low") != number
        kernel.write("low", b"L")
        assert (kernel.read("a"), kernel.read("low")) == (b"upper", b"Low")
        kernel.forget_everything()
        assert kernel.number("low") != kernel.number("a")
        assert (kernel.read("a"), kernel.read("low")) == (b"upper", b"Low")


def test_the_root_is_the_root_whatever_the_layers_call_it(tmp_path: Path) -> None:
    with Stack(tmp_path / "stack", [MANY], EVERYTHING).opened() as kernel:
        assert kernel.union.getattr(ROOT).ino == ROOT
        shown = list(kernel.union.entries(ROOT, 0))[:2]
        assert [(listed.name, listed.cookie, listed.node and listed.node.number) for listed in shown] == [
            (b".", 1, ROOT), (b"..", 2, ROOT),
        ]  # fmt: skip


def reused(kernel: Kernel) -> tuple[int, int]:
    """Remove a file that stays known, and make another with its number on disk, as far as the file system does."""
    first = kernel.create("first").ino
    kernel.unlink("first")
    return first, kernel.create("second").ino


def test_a_number_is_not_given_again_while_the_kernel_knows_it(tmp_path: Path) -> None:
    with Stack(tmp_path / "stack", [{}], EVERYTHING).opened() as kernel:
        first, second = reused(kernel)
        assert first != second
        directory = kernel.mkdir("d").ino
        kernel.rmdir("d")
        numbers = [kernel.create(f"f{number}").ino for number in range(10)]
        assert directory not in numbers
        assert kernel.union.getattr(directory).is_directory
        for number in numbers:
            assert kernel.union.getattr(number).is_regular


def test_a_listing_of_names_gives_the_numbers_that_the_inodes_have(tmp_path: Path) -> None:
    lower: Layer = {"a/f": File(b"f"), "a/l": HardLink("a/f"), "a/d/x": File(), "a/m": File(b"m"), "a/other": File()}
    stack = Stack(tmp_path / "stack", [lower, {"a/d/y": File()}], EVERYTHING)
    taken = (stack.lower() / "a/other").stat().st_ino
    write(stack.upper, {"a/claims": File(b"upper", xattrs={ORIGIN: b"%d" % taken})})
    with stack.opened() as kernel:
        kernel.write("a/f", b"F")
        kernel.change("a/m", mode=0o600)
        kernel.mkdir("a/new")
        kernel.forget_everything()
        claimed = kernel.number("a/claims")
        assert claimed == taken
        names = list(kernel.union.names(kernel.number("a"), 0))
        assert [named.name for named in names[:2]] == [b".", b".."]
        for named in names[2:]:
            assert kernel.number(f"a/{named.name.decode()}") == named.number
