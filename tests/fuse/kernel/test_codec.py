"""The bytes of the FUSE protocol, written out by hand (include/uapi/linux/fuse.h) for little-endian machines."""

import errno
import os
import struct
import sys

import pytest

from unionfs.fuse.id_mapping import IdMapping
from unionfs.fuse.kernel import abi, codec
from unionfs.fuse.kernel.abi import Init, Opcode, SetAttr
from unionfs.fuse.kernel.codec import Validity
from unionfs.layer.attributes import Attributes

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the bytes are written for little-endian machines")

HEADER = bytes.fromhex(
    "2c000000"  # length: 44
    "01000000"  # opcode: LOOKUP
    "0807060504030201"  # unique
    "0100000000000000"  # nodeid: the root
    "e8030000"  # uid: 1000
    "e9030000"  # gid: 1001
    "d2040000"  # pid: 1234
    "0000"  # no extensions
    "0000"  # padding
)


def shown() -> Attributes:
    found = Attributes(os.stat_result(range(10)))
    found.ino, found.size, found.blocks = 0x1122334455, 5000, 16
    found.atime_ns, found.mtime_ns, found.ctime_ns = -1, 1_500_000_000, 2_000_000_007
    found.mode, found.nlink, found.uid, found.gid = 0o100640, 2, 1000, 4_000_000_000
    found.rdev, found.blksize = 0, 4096
    return found


ATTR = bytes.fromhex(
    "5544332211000000"  # ino
    "8813000000000000"  # size: 5000
    "1000000000000000"  # blocks
    "ffffffffffffffff"  # atime: -1 s
    "0100000000000000"  # mtime: 1 s
    "0200000000000000"  # ctime: 2 s
    "ffc99a3b"  # atime: + 999999999 ns
    "0065cd1d"  # mtime: + 500000000 ns
    "07000000"  # ctime: + 7 ns
    "a0810000"  # mode: 0100640
    "02000000"  # nlink
    "e8030000"  # uid
    "00286bee"  # gid: 4000000000
    "00000000"  # rdev
    "00100000"  # blksize
    "00000000"  # flags
)


def test_a_request_is_read() -> None:
    message = memoryview(HEADER + b"abc\0")
    found = codec.request(message)
    assert found[:6] == (Opcode.LOOKUP, 0x0102030405060708, 1, 1000, 1001, 1234)
    assert codec.name(found.body) == b"abc"


def test_extensions_behind_the_body_are_left_out() -> None:
    message = bytearray(HEADER + b"abc\0" + b"extended")
    message[0] = len(message)
    message[36] = 1  # in units of 8 bytes
    assert bytes(codec.request(memoryview(message)).body) == b"abc\0"


@pytest.mark.parametrize("message", [b"", HEADER[:39], HEADER, HEADER + b"abc\0more"])
def test_a_message_of_another_length_than_it_says_is_refused(message: bytes) -> None:
    with pytest.raises(codec.ProtocolError, match="a request of"):
        codec.request(memoryview(message))


def test_extensions_longer_than_the_message_are_refused() -> None:
    message = bytearray(HEADER + b"abc\0")
    message[36] = 9
    with pytest.raises(codec.ProtocolError, match="a request of"):
        codec.request(memoryview(message))


def test_names_are_read_as_bytes() -> None:
    assert codec.name(memoryview(b"\xff\n\x1b\0")) == b"\xff\n\x1b"
    assert codec.two_names(memoryview(b"12345678old\0new\0"), 8) == (b"old", b"new")
    with pytest.raises(codec.ProtocolError, match="no end"):
        codec.two_names(memoryview(b"endless"))


def test_the_kernels_offer_has_two_words_of_flags() -> None:
    body = bytes.fromhex("07000000 2d000000 00000200 20000040 20000000") + bytes(44)
    found = codec.offer(memoryview(body))
    assert (found.major, found.minor, found.max_readahead) == (7, 45, 0x20000)
    assert found.flags == Init.BIG_WRITES | Init.INIT_EXT | Init.PASSTHROUGH
    # An older kernel has one word, and no bit for a second.
    old = codec.offer(memoryview(bytes.fromhex("07000000 1f000000 00000200 20000000")))
    assert old.flags == Init.BIG_WRITES


def test_an_offer_is_taken() -> None:
    offered = codec.Offer(7, 39, 0x20000, Init(0))
    answer = codec.init_reply(offered, Init.BIG_WRITES | Init.PASSTHROUGH, max_write=1 << 20, page_size=4096)
    assert answer.hex(" ", 4).split() == [
        "07000000", "27000000",  # 7.39: the lower of the two
        "00000200",  # max_readahead
        "20000000",  # flags
        "40003000",  # max_background 64, congestion_threshold 48
        "00001000",  # max_write: 1 MiB
        "01000000",  # time_gran: 1 ns
        "00010000",  # max_pages 256, map_alignment 0
        "20000000",  # flags2
        "00000000",  # max_stack_depth
        *["00000000"] * 6,
    ]  # fmt: skip


def test_an_entry_is_answered_with_its_attributes_and_for_how_long_they_hold() -> None:
    assert codec.entry_reply(shown(), Validity(10, 1), Validity(11, 2)) == (
        bytes.fromhex(
            "5544332211000000"  # nodeid
            "0000000000000000"  # generation
            "0a00000000000000"  # entry_valid
            "0b00000000000000"  # attr_valid
            "0100000002000000"  # their nanoseconds
        )
        + ATTR
    )
    assert codec.attr_reply(shown(), Validity(10, 1)) == bytes.fromhex("0a000000000000000100000000000000") + ATTR


def test_an_absent_name_has_no_number_and_holds_too() -> None:
    assert codec.absent_reply(Validity(10, 0)) == bytes(16) + b"\x0a" + bytes(111)
    assert codec.absent_reply(Validity(0, 10)) == bytes(32) + b"\x0a" + bytes(95)


@pytest.mark.parametrize(("seconds", "valid"), [(0, (0, 0)), (2.5, (2, 500_000_000)), (3.1e8, (310_000_000, 0))])
def test_how_long_an_answer_holds_is_told_in_seconds_and_nanoseconds(seconds: float, valid: tuple[int, int]) -> None:
    assert Validity.of(seconds) == valid


def test_owners_are_told_with_the_ids_of_the_mount() -> None:
    ids = IdMapping.of([(1000, 5, 1)], squash_to_gid=7)
    valid = Validity(10, 0)
    mapped = shown()
    assert mapped.uid == 1000
    mapped.uid, mapped.gid = 5, 7
    assert codec.entry_reply(shown(), valid, valid, ids) == codec.entry_reply(mapped, valid, valid)
    assert codec.attr_reply(shown(), valid, ids) == codec.attr_reply(mapped, valid)
    assert codec.statx_reply(shown(), 1, valid, ids) == codec.statx_reply(mapped, 1, valid)


def test_the_time_of_birth_is_told_in_statx() -> None:
    found = shown()
    found.rdev = os.makedev(8, 17)
    answer = codec.statx_reply(found, 3_000_000_001, Validity(10, 0))
    assert answer == bytes.fromhex(
        "0a00000000000000"  # attr_valid
        "0000000000000000"  # its nanoseconds, flags
        "00000000000000000000000000000000"
        "ff0f0000"  # mask: the basic ones and btime
        "00100000"  # blksize
        "0000000000000000"  # attributes
        "02000000 e8030000 00286bee"  # nlink, uid, gid
        "a081 0000"  # mode
        "5544332211000000"  # ino
        "8813000000000000"  # size
        "1000000000000000"  # blocks
        "0000000000000000"  # attributes_mask
        "ffffffffffffffff ffc99a3b 00000000"  # atime: -1 s + 999999999 ns
        "0300000000000000 01000000 00000000"  # btime
        "0200000000000000 07000000 00000000"  # ctime
        "0100000000000000 0065cd1d 00000000"  # mtime
        "08000000 11000000"  # rdev
        "00000000 00000000"  # dev, which the kernel fills in
    ) + bytes(112)
    unknown = codec.statx_reply(found, None, Validity(10, 0))
    assert unknown[32:36] == bytes.fromhex("ff070000")


def test_an_ioctl_answers_no_more_than_there_is_room_for() -> None:
    assert codec.ioctl_reply(b"abcd", 8) == bytes(16) + b"abcd"
    assert codec.ioctl_reply(b"abcd", 2) == bytes(16) + b"ab"


@pytest.mark.parametrize(
    ("major", "minor", "encoded"),
    [(0, 0, 0), (1, 3, 0x103), (8, 17, 0x811), (300, 70000, 0x11112C70), (4095, 1048575, 0xFFFFFFFF)],
)
def test_device_numbers_have_the_kernels_own_encoding(major: int, minor: int, encoded: int) -> None:
    assert codec.device(encoded) == os.makedev(major, minor)
    found = shown()
    found.rdev = os.makedev(major, minor)
    assert struct.unpack_from("<I", codec.attr_reply(found, codec.NOT_AT_ALL), 16 + 76)[0] == encoded


SETATTR = (
    "{valid}00000000"  # which fields count
    "0000000000000000"  # handle
    "3930000000000000"  # size: 12345
    "0000000000000000"  # lock owner
    "feffffffffffffff"  # atime: -2 s
    "0500000000000000"  # mtime: 5 s
    "0000000000000000"  # ctime
    "01000000 02000000 00000000"  # their nanoseconds
    "ed890000"  # mode: 0104755
    "00000000"
    "e8030000 e9030000"  # uid, gid
    "00000000"
)


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        (SetAttr(0), {}),
        (SetAttr.SIZE | SetAttr.KILL_SUIDGID, {"size": 12345}),
        (SetAttr.MODE, {"mode": 0o104755}),
        (SetAttr.UID, {"uid": 1000}),
        (SetAttr.GID, {"gid": 1001}),
        (SetAttr.ATIME | SetAttr.MTIME, {"atime_ns": -1_999_999_999, "mtime_ns": 5_000_000_002}),
        (SetAttr.ATIME | SetAttr.ATIME_NOW | SetAttr.MTIME | SetAttr.MTIME_NOW, {"atime_ns": 77, "mtime_ns": 77}),
        (1 << 10, {}),  # the time of the change, which is the layer's own
    ],
)
def test_only_the_fields_that_count_are_read(valid: SetAttr, expected: dict[str, int]) -> None:
    body = bytes.fromhex(SETATTR.format(valid=struct.pack("<I", valid).hex()))
    assert len(body) == 88
    assert codec.set_attr(memoryview(body), 77) == (valid, expected)


def test_forgotten_inodes_come_in_batches() -> None:
    body = bytes.fromhex("02000000 000000000500000000000000 01000000000000000600000000000000 0300000000000000")
    assert list(codec.forgets(memoryview(body))) == [(5, 1), (6, 3)]


def test_an_entry_of_a_listing_is_padded_to_eight_bytes() -> None:
    for name in (b"a", b"12345678", b"n" * 255):
        record = codec.dirent(9, 7, 8, name)
        assert record[: 24 + len(name)] == struct.pack("<QQII", 9, 7, len(name), 8) + name
        assert len(record) % 8 == 0
        assert len(record) - 24 - len(name) < 8


def test_a_value_is_asked_for_by_size_first() -> None:
    assert codec.sized_reply(b"value", 0) == bytes.fromhex("0500000000000000")
    assert codec.sized_reply(b"value", 5) == b"value"
    with pytest.raises(OSError, match=os.strerror(errno.ERANGE)):
        codec.sized_reply(b"value", 4)


def test_an_answer_says_its_length_and_a_negative_errno() -> None:
    assert codec.answer_header(3, 8) == bytes.fromhex("18000000 00000000 0300000000000000")
    assert codec.answer_header(3, 0, errno.ENOENT) == bytes.fromhex("10000000 feffffff 0300000000000000")


SIZES = {
    "IN_HEADER": 40, "FORGET_IN": 8, "FORGET_ONE": 16, "BATCH_FORGET_IN": 8, "SETATTR_IN": 88, "MKNOD_IN": 16,
    "MKDIR_IN": 8, "RENAME_IN": 8, "RENAME2_IN": 16, "LINK_IN": 8, "OPEN_IN": 8, "CREATE_IN": 16, "READ_IN": 40,
    "WRITE_IN": 40, "FSYNC_IN": 16, "GETXATTR_IN": 8, "FALLOCATE_IN": 32, "LSEEK_IN": 24, "COPY_FILE_RANGE_IN": 56,
    "OUT_HEADER": 16, "INIT_OUT": 64, "ENTRY_OUT": 128, "ATTR_OUT": 104, "OPEN_OUT": 16, "WRITE_OUT": 8,
    "STATFS_OUT": 80, "GETXATTR_OUT": 8, "LSEEK_OUT": 8, "DIRENT": 24, "IOCTL_IN": 32, "IOCTL_OUT": 16,
    "STATX_OUT": 288,
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_structures_have_the_kernels_sizes(name: str) -> None:
    assert getattr(abi, name).size == SIZES[name]
