"""Extended attributes, devices and the like, and what an ordinary user can keep of them."""

import os
import stat
import struct
from collections.abc import Callable
from functools import partial

import pytest

from tests.layer.unpacking import Unpacker, tree
from tests.tarball import (
    archive,
    block,
    char,
    directory,
    fifo,
    file,
    hardlink,
    opaque,
    pax_sparse,
    raw_header,
    symlink,
    whiteout,
)

ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acl(*entries: tuple[int, int, int]) -> bytes:
    """Return an access control list of (tag, permissions, id)."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NAMED_USER = acl((1, 7, 0xFFFFFFFF), (2, 6, 1234), (4, 5, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 5, 0xFFFFFFFF))


def override(path: "os.PathLike[str]") -> str:
    return os.getxattr(path, "user.containers.override_stat").decode()


@pytest.mark.parametrize("value", [b"", b"\x01\x02", b"a=b\nc", b"nul\0inside", b"\xff" * 1000])
def test_extended_attribute_is_kept_byte_for_byte(anyone: Unpacker, value: bytes) -> None:
    layer = archive(file(b"f", xattrs={b"user.k": value}), directory(b"d/", xattrs={b"user.k": value}))
    top = anyone.unpack(layer).top
    assert os.getxattr(top / "f", "user.k") == os.getxattr(top / "d", "user.k") == value


def test_libarchives_form_of_an_attribute_is_read_where_there_is_no_other(anyone: Unpacker) -> None:
    layer = archive(
        file(b"only", pax={"LIBARCHIVE.xattr.user.%6b": "dg"}),
        file(b"both", pax={"LIBARCHIVE.xattr.user.k": "bm8", "SCHILY.xattr.user.k": "yes"}),
    )
    top = anyone.unpack(layer).top
    assert [os.getxattr(top / name, "user.k") for name in ("only", "both")] == [b"v", b"yes"]


def test_trusted_attribute_is_left_out_with_one_warning(anyone: Unpacker) -> None:
    layer = archive(*(file(b"f%d" % number, xattrs={b"trusted.secret": b"1"}) for number in range(3)))
    stack = anyone.unpack(layer)
    assert "trusted.secret" not in os.listxattr(stack.top / "f0")
    assert stack.warnings == (
        "f0: trusted.secret: an attribute of the trusted namespace was left out (and 2 more like it)",
    )


def test_labels_of_the_building_host_are_left_out_silently(anyone: Unpacker) -> None:
    stack = anyone.unpack(archive(file(b"f", xattrs={b"security.selinux": b"x", b"system.nfs4_acl": b"y"})))
    assert not stack.warnings
    assert not {"security.selinux", "system.nfs4_acl"} & set(os.listxattr(stack.top / "f"))


@pytest.mark.parametrize(
    ("make", "attribute", "value"),
    [
        (partial(symlink, target=b"y"), b"user.k", b"v"),
        (file, b"unheard-of", b"v"),
        (file, b"user." + b"n" * 300, b"v"),
        (file, b"user.k", b"v" * 70000),
        (file, b"system.posix_acl_access", b"malformed"),
    ],
)
def test_attribute_that_can_not_be_set_is_one_warning(
    anyone: Unpacker, make: Callable[..., bytes], attribute: bytes, value: bytes
) -> None:
    entries = [make(name, xattrs={attribute: value}) for name in (b"x", b"z")]
    stack = anyone.unpack(archive(*entries, file(b"after", b"1")))
    (warning,) = stack.warnings
    assert warning.startswith(f"x: {attribute.decode()[:200]}")
    assert warning.endswith("an extended attribute could not be set (and 1 more like it)")
    assert tree(stack.top)["after"] == "1"


def test_attribute_of_a_fifo_that_can_not_be_set_is_a_warning(anyone: Unpacker) -> None:
    stack = anyone.unpack(archive(fifo(b"p", mode=0o640, xattrs={b"user.k": b"v"})))
    assert stack.warnings == ("p: user.k: Operation not permitted: an extended attribute could not be set",)
    assert "user.k" not in os.listxattr(stack.top / "p")


def test_access_control_list_is_kept(root: Unpacker) -> None:
    layer = archive(file(b"f", mode=0o775, xattrs={ACCESS.encode(): NAMED_USER}))
    top = root.unpack(layer).top
    assert os.getxattr(top / "f", ACCESS) == NAMED_USER
    assert stat.S_IMODE(os.stat(top / "f").st_mode) == 0o775


@pytest.mark.parametrize("again", [False, True], ids=["once", "after many others"])
def test_default_access_list_of_a_directory_does_not_pass_to_the_layers_entries(root: Unpacker, again: bool) -> None:
    others = [directory(b"o%d/" % number) for number in range(200)] if again else []
    layer = archive(
        directory(b"d/", xattrs={DEFAULT.encode(): NAMED_USER}),
        *others,
        file(b"d/f"),
        directory(b"d/e/"),
        file(b"d/i/x"),
        fifo(b"d/p"),
    )
    top = root.unpack(layer).top
    assert os.getxattr(top / "d", DEFAULT) == NAMED_USER
    assert {path: os.listxattr(top / path) for path in ("d/f", "d/e", "d/i", "d/i/x", "d/p")} == {
        "d/f": [],
        "d/e": [],
        "d/i": [],
        "d/i/x": [],
        "d/p": [],
    }


def test_default_access_list_of_where_layers_are_kept_does_not_pass_to_them(root: Unpacker) -> None:
    os.setxattr(root.directory, DEFAULT, NAMED_USER)
    top = root.unpack(archive(file(b"f"), directory(b"d/"), file(b"i/x"))).top
    assert [os.listxattr(top / path) for path in (".", "f", "d", "i", "i/x")] == [[], [], [], [], []]


def test_devices_and_fifos_are_made_with_owner_and_mode(root: Unpacker) -> None:
    layer = archive(
        char(b"tty", 5, 1, mode=0o620, uid=1, gid=5, mtime=7),
        block(b"big", 300, 70000, mode=0o660, gid=6),
        block(b"zero", 0, 0),
        fifo(b"pipe", mode=0o606, uid=3),
    )
    top = root.unpack(layer).top
    assert tree(top) == {"tty": "char 5:1", "big": "block 300:70000", "zero": "block 0:0", "pipe": "fifo"}
    found = os.stat(top / "tty")
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime) == (0o620, 1, 5, 7)


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0"])
def test_sparse_file_has_its_size_content_and_holes(anyone: Unpacker, version: str) -> None:
    top = anyone.unpack(archive(pax_sparse(b"s", [(0, b"a"), (1 << 20, b"b" * 5000)], 1 << 40, version))).top
    found = os.stat(top / "s")
    assert (found.st_size, found.st_blocks * 512 < 1 << 20) == (1 << 40, True)
    with open(top / "s", "rb") as opened:
        assert os.pread(opened.fileno(), 10, (1 << 20) - 5) == b"\0" * 5 + b"b" * 5


def test_file_of_more_than_eight_gibibytes_has_its_exact_size(anyone: Unpacker) -> None:
    size = (8 << 30) + 1
    assert os.stat(anyone.unpack(archive(pax_sparse(b"s", [], size))).top / "s").st_size == size


@pytest.mark.parametrize("value", [-1, 1 << 20])
def test_device_number_out_of_range_is_refused(anyone: Unpacker, value: int) -> None:
    for header in (raw_header(b"c", b"3", devmajor=value), raw_header(b"c", b"4", devminor=value)):
        assert "outside 0 to" in anyone.refusal(archive(header))


def test_ordinary_user_keeps_owner_and_mode_in_an_attribute(nobody: Unpacker) -> None:
    layer = archive(
        file(b"f", b"1", mode=0o6755, uid=5, gid=6),
        file(b"locked", mode=0o000),
        directory(b"d/", mode=0o1500, uid=7, gid=8),
        file(b"i/x"),
    )
    top = nobody.unpack(layer).top
    assert {path: override(top / path) for path in (".", "f", "locked", "d", "i")} == {
        ".": "0:0:0755:dir",
        "f": "5:6:6755:file",
        "locked": "0:0:0000:file",
        "d": "7:8:1500:dir",
        "i": "0:0:0755:dir",
    }


def test_ordinary_users_entries_are_his_own_and_usable(nobody: Unpacker) -> None:
    layer = archive(file(b"f", mode=0o6755, uid=5), file(b"l", mode=0o040), directory(b"d/", mode=0o3000))
    top = nobody.unpack(layer).top
    found = {name: os.stat(top / name) for name in ("f", "l", "d")}
    assert {name: stat.S_IMODE(status.st_mode) for name, status in found.items()} == {
        "f": 0o755,
        "l": 0o640,
        "d": 0o1700,
    }
    assert {status.st_uid for status in found.values()} == {65534}


def test_ordinary_user_keeps_devices_and_fifos_as_empty_files(nobody: Unpacker) -> None:
    layer = archive(char(b"tty", 5, 1, mode=0o620, gid=5, mtime=9), block(b"b", 8, 0), fifo(b"p", mode=0o600, uid=1))
    top = nobody.unpack(layer).top
    assert tree(top) == {"tty": "", "b": "", "p": ""}
    assert [override(top / name) for name in ("tty", "b", "p")] == [
        "0:5:0620:char-5-1",
        "0:0:0644:block-8-0",
        "1:0:0600:pipe",
    ]
    assert os.stat(top / "tty").st_mtime == 9


def test_ordinary_users_hard_link_to_a_lower_file_keeps_the_owner_shown(nobody: Unpacker) -> None:
    base = archive(file(b"a", b"A", mode=0o4711, uid=7, gid=8), char(b"c", 1, 3))
    top = nobody.unpack(base, archive(hardlink(b"h", b"a"), hardlink(b"k", b"c"))).top
    assert [override(top / name) for name in ("h", "k")] == ["7:8:4711:file", "0:0:0644:char-1-3"]


def test_ordinary_users_implied_directory_shows_the_owner_of_the_one_beneath(nobody: Unpacker) -> None:
    base = archive(directory(b"etc/", mode=0o711, uid=7, gid=8, mtime=5, xattrs={b"user.k": b"v"}))
    top = nobody.unpack(base, archive(file(b"etc/new"))).top
    assert (override(top / "etc"), os.getxattr(top / "etc", "user.k")) == ("7:8:0711:dir", b"v")
    assert os.stat(top / "etc").st_mtime == 5


def test_root_of_a_user_namespace_gives_away_what_its_ids_allow(mapped: Unpacker) -> None:
    layer = archive(
        file(b"mine", mode=0o6755, uid=5, gid=6),
        file(b"beyond", mode=0o4755, uid=4000, gid=6),
        directory(b"locked/", mode=0o000, uid=7),
        file(b"locked/f"),
        char(b"tty", 5, 1, mode=0o620, gid=5),
        fifo(b"p", mode=0o640, uid=9),
        fifo(b"q", uid=4000),
    )
    stack = mapped.unpack(layer, archive(hardlink(b"copied/tty", b"tty"), hardlink(b"copied/beyond", b"beyond")))
    bottom, top = stack.roots
    found = {name: os.lstat(bottom / name) for name in ("mine", "locked", "p")}
    assert {name: status.st_uid - 100000 for name, status in found.items()} == {"mine": 5, "locked": 7, "p": 9}
    assert stat.S_IMODE(found["mine"].st_mode) == 0o6755
    assert {name: override(bottom / name) for name in ("beyond", "tty", "q")} == {
        "beyond": "4000:6:4755:file",
        "tty": "0:5:0620:char-5-1",
        "q": "4000:0:0644:pipe",
    }
    assert stat.S_IMODE(os.stat(bottom / "beyond").st_mode) == 0o755
    assert override(top / "copied/tty") == "0:5:0620:char-5-1"
    assert override(top / "copied/beyond") == "4000:6:4755:file"
    assert not stack.warnings


def test_root_of_a_user_namespace_hides_names_as_an_ordinary_user_does(mapped: Unpacker) -> None:
    base = archive(file(b"a"), directory(b"d/"), file(b"d/x"))
    shown = mapped.shown(base, archive(whiteout(b"a"), opaque(b"d"), file(b"d/y")))
    assert shown == {"d": "dir", "d/y": ""}
