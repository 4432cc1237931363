"""Types and attributes: the later entry's hold, exactly; what a layer doesn't name looks as it does beneath."""

import os
import stat
from pathlib import Path

import pytest

from tests.layer.unpacking import Unpacker, tree
from tests.posix.processes import umask
from tests.tarball import archive, char, directory, fifo, file, gnu_sparse, hardlink, opaque, symlink, whiteout

KINDS = {
    "file": (file(b"x", b"content"), "content"),
    "dir": (directory(b"x/"), "dir"),
    "symlink": (symlink(b"x", b"keep"), "-> keep"),
    "fifo": (fifo(b"x"), "fifo"),
}


def looks(path: Path) -> tuple[int, int, int, int]:
    """Return mode, owner, group and modification time in nanoseconds."""
    found = os.lstat(path)
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns


@pytest.mark.parametrize("over", KINDS)
@pytest.mark.parametrize("new", KINDS)
@pytest.mark.parametrize("layers", [1, 2], ids=["same layer", "next layer"])
def test_later_entry_replaces_an_earlier_one_of_any_type(root: Unpacker, over: str, new: str, layers: int) -> None:
    first = [directory(b"keep/"), file(b"keep/f", b"F"), KINDS[over][0]]
    if over == "dir":
        first.append(file(b"x/inside", b"I"))
    archives = [archive(*first, KINDS[new][0])] if layers == 1 else [archive(*first), archive(KINDS[new][0])]
    shown = root.shown(*archives)
    merges = over == new == "dir"
    assert shown == {"keep": "dir", "keep/f": "F", "x": KINDS[new][1]} | ({"x/inside": "I"} if merges else {})


def test_last_of_three_entries_for_one_path_wins(anyone: Unpacker) -> None:
    stack = anyone.unpack(archive(file(b"x", b"1"), directory(b"x/"), file(b"x/y"), file(b"x", b"3")))
    assert tree(stack.top) == {"x": "3"}
    assert stack.warnings == ("x: the archive holds it more than once, and the last one counts (and 1 more like it)",)


def test_second_entry_of_a_directory_sets_its_attributes_anew(root: Unpacker) -> None:
    first = directory(b"d/", mode=0o700, uid=1, gid=2, mtime=3, xattrs={b"user.old": b"1"})
    second = directory(b"d/", mode=0o750, uid=4, gid=5, mtime=6, xattrs={b"user.new": b"2"})
    for archives in ([archive(first, file(b"d/x"), second)], [archive(first, file(b"d/x")), archive(second)]):
        with root.merged(root.unpack(*archives)) as merged:
            assert looks(merged / "d") == (0o750, 4, 5, 6 * 10**9)
            assert os.listxattr(merged / "d") == ["user.new"]
            assert (merged / "d/x").exists()


def test_entry_over_a_hard_linked_file_leaves_the_other_names_alone(anyone: Unpacker) -> None:
    stack = anyone.unpack(archive(file(b"a", b"old"), hardlink(b"b", b"a"), file(b"a", b"new")))
    assert tree(stack.top) == {"a": "new", "b": "old"}


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_modes_are_exact_under_any_umask(root: Unpacker, mask: int) -> None:
    layer = archive(
        directory(b"d/", mode=0o3777, uid=5, gid=6),
        file(b"d/f", mode=0o6777, uid=5, gid=6),
        fifo(b"d/p", mode=0o606),
        char(b"d/c", 1, 3, mode=0o1620),
        file(b"implied/f", mode=0o000),
    )
    with umask(mask):
        top = root.unpack(layer).top
    modes = {path: stat.S_IMODE(os.lstat(top / path).st_mode) for path in tree(top)}
    assert modes == {
        "d": 0o3777,
        "d/f": 0o6777,
        "d/p": 0o606,
        "d/c": 0o1620,
        "implied": 0o755,
        "implied/f": 0o000,
    }
    assert stat.S_IMODE(os.lstat(top).st_mode) == 0o755


@pytest.mark.parametrize(
    "capability",
    [bytes.fromhex("0100000200200000" + "00" * 12), bytes.fromhex("0100000300200000" + "00" * 12 + "a0860100")],
    ids=["version 2", "version 3, of a user namespace"],
)
def test_set_id_bits_and_capabilities_survive_the_change_of_owner(root: Unpacker, capability: bytes) -> None:
    layer = archive(file(b"ping", b"#!", mode=0o6755, uid=5, gid=6, xattrs={b"security.capability": capability}))
    path = root.unpack(layer).top / "ping"
    assert looks(path)[:3] == (0o6755, 5, 6)
    assert os.getxattr(path, "security.capability") == capability


def test_copy_without_a_capability_has_none(root: Unpacker) -> None:
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    layers = (archive(file(b"f", xattrs={b"security.capability": capability})), archive(file(b"f", mode=0o755)))
    with root.merged(root.unpack(*layers)) as merged:
        assert os.listxattr(merged / "f") == []


def test_owners_are_numbers_whatever_names_stand_beside_them(root: Unpacker) -> None:
    raw = bytearray(file(b"f", uid=5, gid=6))
    raw[265:269], raw[297:301] = b"root", b"root"
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    assert looks(root.unpack(archive(bytes(raw))).top / "f")[1:3] == (5, 6)


def test_owners_beyond_what_octal_holds_are_exact(root: Unpacker) -> None:
    layer = archive(
        file(b"base256", uid=4000000000, gid=3000000),
        file(b"pax", pax={"uid": "4000000000", "gid": "3000000"}),
        symlink(b"link", b"x", uid=4000000000, gid=3000000),
    )
    top = root.unpack(layer).top
    assert {looks(top / name)[1:3] for name in ("base256", "pax", "link")} == {(4000000000, 3000000)}


@pytest.mark.parametrize("uid", ["4294967295", "4294967296", "-1"])
def test_owner_that_would_wrap_around_is_refused(anyone: Unpacker, uid: str) -> None:
    assert "outside 0 to 4294967294" in anyone.refusal(archive(file(b"f", pax={"uid": uid})))


def test_times_are_exact_to_the_nanosecond(anyone: Unpacker) -> None:
    pax = {"mtime": "1234567890.123456789"}
    layer = archive(file(b"f", b"x", pax=pax), symlink(b"l", b"x", pax=pax), directory(b"d/", pax=pax), file(b"d/x"))
    top = anyone.unpack(layer).top
    assert {os.lstat(top / name).st_mtime_ns for name in "fld"} == {1234567890123456789}


def test_times_before_the_epoch_are_exact(anyone: Unpacker) -> None:
    top = anyone.unpack(archive(file(b"f", pax={"mtime": "-1.5"}), directory(b"d/", pax={"mtime": "-1.5"}))).top
    assert [os.stat(top / name).st_mtime_ns for name in "fd"] == [-1500000000, -1500000000]


def test_time_zero_is_the_epoch(anyone: Unpacker) -> None:
    assert os.stat(anyone.unpack(archive(file(b"f", mtime=0))).top / "f").st_mtime_ns == 0


def test_access_time_is_the_archives_or_else_the_modification_time(anyone: Unpacker) -> None:
    layer = archive(file(b"own", mtime=5, pax={"atime": "7.5", "ctime": "9"}), file(b"none", mtime=5))
    top = anyone.unpack(layer).top
    assert [os.stat(top / name).st_atime_ns for name in ("own", "none")] == [7500000000, 5000000000]


def test_directory_keeps_its_time_whatever_happens_in_it_later(anyone: Unpacker) -> None:
    base = archive(directory(b"d/"), file(b"d/lower"))
    layer = archive(
        directory(b"d/", mtime=42),
        file(b"d/child"),
        file(b"d/sub/deep"),
        symlink(b"d/l", b"x"),
        whiteout(b"d/lower"),
        file(b"else/where"),
        hardlink(b"d/late", b"else/where"),
        file(b"d/child", b"again"),
    )
    assert os.stat(anyone.unpack(base, layer).top / "d").st_mtime == 42


def test_directories_keep_their_times_when_more_are_used_than_stay_open(anyone: Unpacker) -> None:
    count = 300
    made = [directory(b"%d/" % number, mtime=1000 + number) for number in range(count)]
    filled = [file(b"%d/%d" % (number, turn)) for turn in range(2) for number in range(count)]
    top = anyone.unpack(archive(*made, *filled)).top
    assert [os.stat(top / str(number)).st_mtime for number in range(count)] == [1000 + n for n in range(count)]


def test_entry_of_a_directory_may_come_after_what_lies_in_it(root: Unpacker) -> None:
    layer = archive(file(b"d/e/x", b"1"), directory(b"d/e/", mode=0o700, uid=3, mtime=9), directory(b"d/", mtime=8))
    stack = root.unpack(layer)
    assert tree(stack.top) == {"d": "dir", "d/e": "dir", "d/e/x": "1"}
    assert looks(stack.top / "d/e") == (0o700, 3, 0, 9 * 10**9)
    assert looks(stack.top / "d") == (0o755, 0, 0, 8 * 10**9)
    assert not stack.warnings


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
def test_directory_that_may_not_be_entered_is_filled_all_the_same(anyone: Unpacker, mode: int) -> None:
    layer = archive(directory(b"d/", mode=mode), file(b"d/x", b"1"), directory(b"d/e/", mode=mode), file(b"d/e/y"))
    stack = anyone.unpack(layer)
    assert set(tree(stack.top)) == {"d", "d/x", "d/e", "d/e/y"}
    if anyone.name == "root":
        assert looks(stack.top / "d")[0] == looks(stack.top / "d/e")[0] == mode


def test_root_entry_describes_the_root(root: Unpacker) -> None:
    for name in (b"./", b"/", b"."):
        with root.merged(root.unpack(archive(directory(name, mode=0o700, uid=5, gid=6, mtime=7)))) as merged:
            assert looks(merged) == (0o700, 5, 6, 7 * 10**9)


def test_layer_without_a_root_entry_has_the_root_of_the_layer_below(root: Unpacker) -> None:
    base = archive(directory(b"./", mode=0o711, uid=5, gid=6, mtime=7, xattrs={b"user.k": b"v"}))
    top = root.unpack(base, archive(file(b"x"))).top
    assert looks(top) == (0o711, 5, 6, 7 * 10**9)
    assert os.getxattr(top, "user.k") == b"v"


def test_lowest_layer_without_a_root_entry_has_a_plain_root(root: Unpacker) -> None:
    assert looks(root.unpack(archive(file(b"x"))).top) == (0o755, 0, 0, 0)


def test_directory_without_an_entry_looks_as_it_does_in_the_topmost_layer_that_has_it(root: Unpacker) -> None:
    stack = root.unpack(
        archive(directory(b"etc/", mode=0o700, uid=1, mtime=1)),
        archive(directory(b"etc/", mode=0o3711, uid=7, gid=8, mtime=12345, xattrs={b"user.k": b"v"})),
        archive(file(b"unrelated")),
        archive(file(b"etc/new", b"N")),
    )
    with root.merged(stack) as merged:
        assert looks(merged / "etc") == (0o3711, 7, 8, 12345 * 10**9)
        assert os.getxattr(merged / "etc", "user.k") == b"v"
        assert looks(merged / "etc/new") == (0o644, 0, 0, 0)


def test_directory_without_an_entry_inherits_through_layers_that_imply_it_too(root: Unpacker) -> None:
    base = archive(directory(b"a/", mode=0o711, uid=7, mtime=5), directory(b"a/b/", mode=0o700, mtime=6))
    top = root.unpack(base, archive(file(b"a/b/1")), archive(file(b"a/b/2"))).top
    assert looks(top / "a") == (0o711, 7, 0, 5 * 10**9)
    assert looks(top / "a/b") == (0o700, 0, 0, 6 * 10**9)


def test_directory_without_an_entry_inherits_nothing_from_one_that_was_removed(root: Unpacker) -> None:
    stack = root.unpack(
        archive(directory(b"d/", mode=0o711, uid=7, mtime=5)),
        archive(whiteout(b"d")),
        archive(file(b"d/new")),
    )
    assert looks(stack.top / "d") == (0o755, 0, 0, 0)


def test_directory_without_an_entry_inherits_nothing_through_an_opaque_one(root: Unpacker) -> None:
    stack = root.unpack(
        archive(directory(b"d/"), directory(b"d/e/", mode=0o711, uid=7, mtime=5)),
        archive(opaque(b"d")),
        archive(file(b"d/e/new")),
    )
    assert looks(stack.top / "d/e") == (0o755, 0, 0, 0)


def test_directory_that_no_layer_has_an_entry_for_is_plain(root: Unpacker) -> None:
    with umask(0o077):
        top = root.unpack(archive(file(b"a/b/c"))).top
    assert looks(top / "a") == looks(top / "a/b") == (0o755, 0, 0, 0)


def test_group_and_bits_of_a_set_group_id_directory_are_not_inherited(root: Unpacker) -> None:
    layer = archive(directory(b"d/", mode=0o2775, gid=50), file(b"d/f", gid=3), directory(b"d/e/"), file(b"d/i/x"))
    top = root.unpack(layer).top
    assert looks(top / "d/f")[2] == 3
    assert looks(top / "d/e")[:3] == looks(top / "d/i")[:3] == (0o755, 0, 0)


def test_file_of_no_bytes_and_file_of_many(anyone: Unpacker) -> None:
    content = os.urandom(3 << 20)
    top = anyone.unpack(archive(file(b"empty"), file(b"large", content), file(b"after", b"1"))).top
    assert (top / "large").read_bytes() == content
    assert tree(top) == {"empty": "", "large": f"{3 << 20} bytes", "after": "1"}


def test_old_gnu_sparse_file_has_its_holes(anyone: Unpacker) -> None:
    top = anyone.unpack(archive(gnu_sparse(b"s", [(0, b"start"), (1 << 30, b"end")], 1 << 31))).top
    found = os.stat(top / "s")
    assert found.st_size == 1 << 31
    assert found.st_blocks * 512 < 1 << 20
    with open(top / "s", "rb") as opened:
        assert os.pread(opened.fileno(), 5, 0) == b"start"
        assert os.pread(opened.fileno(), 4, (1 << 30) - 1) == b"\0end"
