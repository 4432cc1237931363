"""Hard and symbolic links of a layer."""

import os
import stat

import pytest

from tests.layer.unpacking import Unpacker, tree
from tests.tarball import archive, char, directory, fifo, file, hardlink, opaque, pax_sparse, symlink, whiteout


def test_hard_link_is_another_name_of_one_file(anyone: Unpacker) -> None:
    top = anyone.unpack(archive(file(b"a", b"A"), directory(b"d/"), hardlink(b"d/b", b"a"))).top
    assert os.path.samefile(top / "a", top / "d/b")
    assert os.stat(top / "a").st_nlink == 2


def test_attributes_of_a_hard_links_entry_are_ignored(root: Unpacker) -> None:
    layer = archive(file(b"a", mode=0o640, uid=1, gid=2, mtime=5), hardlink(b"b", b"a", mode=0o777, uid=9, mtime=99))
    found = os.stat(root.unpack(layer).top / "b")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime) == (0o640, 1, 2, 5)


def test_hard_link_to_a_symlink_links_the_link(anyone: Unpacker) -> None:
    layer = archive(file(b"a", b"A"), symlink(b"s", b"a"), hardlink(b"h", b"s"))
    assert tree(anyone.unpack(layer).top)["h"] == "-> a"


@pytest.mark.parametrize("target", [b"/d/a", b"../../../d/a", b"./d//x/../a", b"/../d/a"])
def test_hard_links_target_is_meant_from_the_layers_root(anyone: Unpacker, target: bytes) -> None:
    assert tree(anyone.unpack(archive(file(b"d/a", b"A"), hardlink(b"h", target))).top)["h"] == "A"


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([hardlink(b"h", b"h")], "is the link itself"),
        ([file(b"h"), hardlink(b"h", b"./h")], "is the link itself"),
        ([hardlink(b"h", b"late"), file(b"late")], "isn't there"),
        ([hardlink(b"h", b"nope")], "isn't there"),
        ([hardlink(b"h", b"no/pe")], "isn't there"),
        ([hardlink(b"h", b"")], "is a directory"),
        ([directory(b"d/"), hardlink(b"h", b"d")], "is a directory"),
        ([hardlink(b"h", b"lower")], "is a directory"),
        ([symlink(b"s", b"lower"), hardlink(b"h", b"s/a")], "lies in something that isn't a directory"),
        ([file(b"f"), hardlink(b"h", b"f/a")], "lies in something that isn't a directory"),
        ([hardlink(b"h", b"link/a")], "isn't there"),
        ([whiteout(b"lower/a"), hardlink(b"h", b"lower/a")], "was removed by this layer"),
        ([whiteout(b"lower"), hardlink(b"h", b"lower/a")], "lies in something that isn't a directory"),
        ([opaque(b"lower"), hardlink(b"h", b"lower/a")], "was removed by this layer"),
        ([opaque(), hardlink(b"h", b"lower/a")], "was removed by this layer"),
        ([whiteout(b"lower"), directory(b"lower/"), hardlink(b"h", b"lower/a")], "was removed by this layer"),
        ([hardlink(b"h", b"lower/.wh.a")], "has the name of a whiteout"),
        ([hardlink(b"h", b".wh..wh.plnk/1.2")], "isn't there"),
    ],
)
def test_hard_link_whose_target_can_not_be_meant_is_refused(anyone: Unpacker, entries: list[bytes], why: str) -> None:
    base = archive(directory(b"lower/"), file(b"lower/a", b"A"), symlink(b"link", b"lower"))
    text = anyone.refusal(base, archive(*entries))
    assert text.startswith("h: the target ")
    assert why in text


@pytest.mark.parametrize("over", [file(b"h", b"old"), symlink(b"h", b"a"), directory(b"h/") + file(b"h/x")])
def test_hard_link_replaces_what_has_its_name(anyone: Unpacker, over: bytes) -> None:
    stack = anyone.unpack(archive(file(b"a", b"A"), over, hardlink(b"h", b"a")))
    assert tree(stack.top) == {"a": "A", "h": "A"}


def test_hard_link_may_replace_the_directory_that_held_its_target(anyone: Unpacker) -> None:
    assert tree(anyone.unpack(archive(file(b"d/a", b"A"), hardlink(b"d", b"d/a"))).top) == {"d": "A"}


def test_hard_link_written_twice_is_one_link(anyone: Unpacker) -> None:
    stack = anyone.unpack(archive(file(b"a", b"A"), hardlink(b"h", b"a"), hardlink(b"h", b"a")))
    assert tree(stack.top) == {"a": "A", "h": "A"}
    assert os.stat(stack.top / "a").st_nlink == 2


def test_thousand_hard_links_share_one_file(anyone: Unpacker) -> None:
    top = anyone.unpack(archive(file(b"a", b"A"), *(hardlink(b"h%d" % number, b"a") for number in range(999)))).top
    assert os.stat(top / "a").st_nlink == 1000


def test_hard_link_to_a_lower_file_is_a_copy_with_all_its_attributes(root: Unpacker) -> None:
    attributes = {b"user.k": b"v", b"security.capability": bytes.fromhex("0100000200200000" + "00" * 12)}
    base = archive(directory(b"d/"), file(b"d/a", b"A" * 5000, mode=0o4750, uid=7, gid=8, mtime=5, xattrs=attributes))
    stack = root.unpack(base, archive(file(b"unrelated")), archive(directory(b"n/", mtime=3), hardlink(b"n/h", b"d/a")))
    path = stack.top / "n/h"
    found = os.stat(path)
    assert path.read_bytes() == b"A" * 5000
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime) == (0o4750, 7, 8, 5)
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == {
        name.decode(): value for name, value in attributes.items()
    }
    assert os.stat(stack.top / "n").st_mtime == 3
    assert (found.st_nlink, tree(stack.top)) == (1, {"n": "dir", "n/h": "5000 bytes"})


def test_hard_links_to_one_lower_file_share_one_copy(anyone: Unpacker) -> None:
    layer = archive(hardlink(b"one", b"a"), hardlink(b"d/two", b"./a"), hardlink(b"three", b"one"))
    top = anyone.unpack(archive(file(b"a", b"A")), layer).top
    assert tree(top) == {"one": "A", "d": "dir", "d/two": "A", "three": "A"}
    assert len({os.stat(top / path).st_ino for path in ("one", "d/two", "three")}) == 1
    assert os.stat(top / "one").st_nlink == 3


def test_hard_link_to_a_lower_file_takes_the_topmost_one_that_shows(anyone: Unpacker) -> None:
    layers = (
        archive(file(b"d/a", b"lowest")),
        archive(file(b"d/a", b"middle")),
        archive(hardlink(b"h", b"d/a"), whiteout(b"d/a")),
    )
    assert anyone.shown(*layers) == {"d": "dir", "h": "middle"}


def test_hard_link_does_not_reach_what_a_layer_between_removed(anyone: Unpacker) -> None:
    base = archive(file(b"d/a", b"A"))
    for between in (whiteout(b"d/a"), whiteout(b"d"), opaque(b"d"), opaque(), symlink(b"d", b"x"), file(b"d")):
        assert "isn't there" in anyone.refusal(base, archive(between), archive(hardlink(b"h", b"d/a")))


def test_hard_link_reaches_as_deep_as_directories_may_lie(anyone: Unpacker) -> None:
    deep = b"d/" * 1024
    top = anyone.unpack(archive(file(deep + b"x", b"X")), archive(hardlink(b"h", deep + b"x"))).top
    assert tree(top) == {"h": "X"}


def test_hard_links_to_files_in_many_lower_directories_are_all_found(anyone: Unpacker) -> None:
    names = [b"%d/%d/x" % (number % 3, number) for number in range(200)]
    base = archive(*(file(name, name) for name in names))
    top = anyone.unpack(base, archive(*(hardlink(b"h%d" % n, name) for n, name in enumerate(names)))).top
    assert tree(top) == {f"h{number}": name.decode() for number, name in enumerate(names)}


def test_hard_link_that_was_replaced_leaves_nothing(anyone: Unpacker) -> None:
    stack = anyone.unpack(archive(file(b"a", b"A")), archive(hardlink(b"h", b"a"), file(b"h", b"new")))
    assert tree(stack.top) == {"h": "new"}


def test_hard_link_to_a_lower_symlink_or_fifo_makes_the_same(anyone: Unpacker) -> None:
    base = archive(symlink(b"s", b"dangling", mtime=5), fifo(b"p", mode=0o606, mtime=6))
    layer = archive(hardlink(b"d/s", b"s"), hardlink(b"d/p", b"p"), hardlink(b"again", b"s"), directory(b"d/", mtime=9))
    top = anyone.unpack(base, layer).top
    assert os.readlink(top / "d/s") == "dangling"
    assert os.lstat(top / "d/s").st_ino == os.lstat(top / "again").st_ino
    assert [os.lstat(top / path).st_mtime for path in ("d/s", "d/p", "d")] == [5, 6, 9]
    if anyone.name == "root":
        assert stat.S_ISFIFO(os.lstat(top / "d/p").st_mode)
    else:
        assert os.getxattr(top / "d/p", "user.containers.override_stat") == b"0:0:0606:pipe"


def test_hard_link_to_a_lower_device_makes_the_same(root: Unpacker) -> None:
    top = root.unpack(archive(char(b"c", 5, 1, mode=0o620)), archive(hardlink(b"h", b"c"))).top
    assert tree(top) == {"h": "char 5:1"}


def test_hard_link_to_a_lower_sparse_file_keeps_its_holes(anyone: Unpacker) -> None:
    base = archive(pax_sparse(b"s", [(1 << 30, b"end")], (1 << 30) + 3))
    found = os.stat(anyone.unpack(base, archive(hardlink(b"h", b"s"))).top / "h")
    assert found.st_size == (1 << 30) + 3
    assert found.st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("target", [b"/abs", b"../../..", b"dangling", b"a b\n\xff", b"t" * 4095])
def test_symlinks_target_is_kept_byte_for_byte(anyone: Unpacker, target: bytes) -> None:
    assert os.readlink(bytes(anyone.unpack(archive(symlink(b"s", target))).top) + b"/s") == target


@pytest.mark.parametrize(("target", "why"), [(b"", "No such file or directory"), (b"t" * 4096, "File name too long")])
def test_symlink_that_can_not_exist_is_refused(anyone: Unpacker, target: bytes, why: str) -> None:
    assert anyone.refusal(archive(symlink(b"s", target))) == f"s: {why}"


def test_hard_link_finds_its_own_directory_after_a_search_through_many(anyone: Unpacker) -> None:
    deep = b"/".join(b"d%d" % number for number in range(200))
    layer = archive(directory(deep), directory(b"here/", mtime=5), hardlink(b"here/h", deep + b"/lower"))
    top = anyone.unpack(archive(file(deep + b"/lower", b"L")), layer).top
    assert tree(top)["here/h"] == "L"
    assert os.stat(top / "here").st_mtime == 5
