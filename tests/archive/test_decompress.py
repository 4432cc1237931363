"""Decompression: whole, or an error."""

import bz2
import gzip
import io
import lzma
import random
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable

import pytest
import zstandard

from unionfs.archive import ArchiveError, decompress

TEXT = b"".join(b"line %d of what is compressed\n" % number for number in range(20_000))


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def zstd_stream(content: bytes) -> bytes:
    """Return what a program writes into a pipe: no content size, several blocks."""
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return compressor.compress(content) + compressor.flush()


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd,
    "zstd stream": zstd_stream,
}
every_format = pytest.mark.parametrize("compress", COMPRESSORS.values(), ids=COMPRESSORS.keys())


class Trickle:
    """A stream that gives a few bytes at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        self._rest = io.BytesIO(content)
        self._step = step

    def read(self, size: int, /) -> bytes:
        return self._rest.read(min(size, self._step))


def whole(content: bytes, step: int = 1 << 20) -> bytes:
    return decompress(Trickle(content, step)).read()


def refusal(content: bytes, step: int = 1 << 20) -> str:
    with pytest.raises(ArchiveError) as error:
        whole(content, step)
    return str(error.value)


@every_format
@pytest.mark.parametrize("content", [TEXT, b"", b"x"], ids=["long", "empty", "short"])
@pytest.mark.parametrize("step", [1, 7, 4096, 1 << 20])
def test_content_comes_back(compress: Callable[[bytes], bytes], content: bytes, step: int) -> None:
    assert whole(compress(content), step) == content


@every_format
@pytest.mark.parametrize("size", [1, 511, 4096, 1 << 20])
def test_a_read_never_gives_more_than_asked(compress: Callable[[bytes], bytes], size: int) -> None:
    stream = decompress(io.BytesIO(compress(TEXT[:20_000])))
    pieces = list(iter(lambda: stream.read(size), b""))
    assert max(map(len, pieces)) <= size
    assert b"".join(pieces) == TEXT[:20_000]
    assert stream.read(size) == b""


@every_format
def test_it_can_be_read_into_a_buffer_and_through_a_buffered_reader(compress: Callable[[bytes], bytes]) -> None:
    stream = decompress(io.BytesIO(compress(TEXT)))
    buffer = bytearray(100)
    count = stream.readinto(buffer)
    assert 0 < count <= 100
    assert bytes(buffer[:count]) + io.BufferedReader(stream).read() == TEXT


@every_format
@pytest.mark.parametrize("step", [3, 1 << 20])
def test_several_members_are_one_content(compress: Callable[[bytes], bytes], step: int) -> None:
    parts = [b"one", b"", TEXT, b"", b"", b"two"]
    assert whole(b"".join(map(compress, parts)), step) == b"".join(parts)


@every_format
@pytest.mark.parametrize("step", [5, 1 << 20])
def test_a_stream_cut_off_anywhere_is_an_error(compress: Callable[[bytes], bytes], step: int) -> None:
    content = compress(TEXT[:3000])
    for length in range(10, len(content)):
        assert "cut off" in refusal(content[:length], step)
    for length in (1, 20, len(content) - 1):
        assert refusal(content + content[:length], step)


@every_format
@pytest.mark.parametrize("junk", [b"\1", b"junk" * 10, b"\0" * 3])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_anything_after_the_last_member_is_an_error(compress: Callable[[bytes], bytes], junk: bytes, step: int) -> None:
    assert refusal(compress(b"content") + junk, step)


@pytest.mark.parametrize("name", ["gzip", "bzip2", "zstd"])
def test_zeros_after_the_last_member_are_an_error(name: str) -> None:
    assert refusal(COMPRESSORS[name](b"content") + bytes(512)).startswith(name)


def test_padding_of_an_xz_stream_comes_in_fours() -> None:
    """The .xz format, section 2.2: stream padding is a multiple of four zero bytes."""
    stream = lzma.compress(b"a")
    for step in (1, 3, 1 << 20):
        assert whole(stream + bytes(4) + lzma.compress(b"b") + bytes(400), step) == b"ab"
        assert "padding" in refusal(stream + bytes(5), step)
        assert "padding" in refusal(stream + bytes(6) + stream, step)


@every_format
def test_a_wrong_checksum_is_an_error(compress: Callable[[bytes], bytes]) -> None:
    content = bytearray(compress(TEXT))
    content[len(content) // 2] ^= 0x10
    assert refusal(bytes(content))


@pytest.mark.parametrize("field", [-8, -1], ids=["CRC-32", "size"])
def test_each_field_at_the_end_of_gzip_is_checked(field: int) -> None:
    content = bytearray(gzip.compress(TEXT))
    content[field] ^= 1
    assert refusal(bytes(content)).startswith("gzip: ")


def test_the_checksum_of_zstd_is_checked() -> None:
    content = bytearray(zstd(TEXT))
    content[-1] ^= 1
    assert "checksum" in refusal(bytes(content))


def gzip_header(flags: int, name: bytes = b"name") -> bytes:
    """Return a header with the optional fields that ``flags`` tell (RFC 1952, 2.3)."""
    header = struct.pack("<BBBBIBB", 0x1F, 0x8B, 8, flags, 0, 0, 255)
    header += (struct.pack("<H", 6) + b"SG\2\0xx") * (flags >> 2 & 1)
    header += (name + b"\0") * (flags >> 3 & 1) + b"comment\0" * (flags >> 4 & 1)
    return header + struct.pack("<H", zlib.crc32(header) & 0xFFFF) * (flags >> 1 & 1)


@pytest.mark.parametrize("flags", range(32))
@pytest.mark.parametrize("step", [1, 3, 13, 1 << 20])
def test_all_optional_fields_of_a_gzip_header_are_read(flags: int, step: int) -> None:
    member = gzip_header(flags) + gzip.compress(TEXT[:5000], mtime=0)[10:]
    assert whole(member, step) == TEXT[:5000]
    assert whole(member + member, step) == TEXT[:5000] * 2


@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_damaged_gzip_header_is_an_error(step: int) -> None:
    body = gzip.compress(b"content", mtime=0)[10:]
    header = bytearray(gzip_header(0x1E))
    header[-1] ^= 1
    assert "header's checksum is wrong" in refusal(bytes(header) + body, step)
    assert "reserved flags" in refusal(gzip_header(0x20) + body, step)
    assert "longer than" in refusal(gzip_header(0x08, b"n" * 300_000) + body, 1 << 20)
    assert "cut off" in refusal(gzip_header(0x08)[:-1], step)


def test_skippable_zstd_frames_are_skipped() -> None:
    def skippable(number: int, content: bytes) -> bytes:
        return struct.pack("<II", 0x184D2A50 + number, len(content)) + content

    stream = skippable(0, b"first") + zstd(b"a") + skippable(7, b"") + zstd(b"b") + skippable(15, b"x" * 300_000)
    for step in (1 << 20, 997):
        assert whole(stream, step) == b"ab"
    assert whole(skippable(3, b"only")) == b""
    assert "cut off" in refusal(stream[:-1])
    assert "cut off" in refusal(zstd(b"a") + skippable(0, b"")[:6])


@pytest.mark.parametrize("log", [10, 17, 27])
def test_a_zstd_window_up_to_128_mib_is_accepted(log: int) -> None:
    assert whole(zstd_with_window(log)) == b"content"


@pytest.mark.parametrize("log", [28, 31])
def test_a_larger_zstd_window_is_refused(log: int) -> None:
    assert "too much memory" in refusal(zstd_with_window(log))


def zstd_with_window(log: int) -> bytes:
    """Return a frame of one raw block that asks for a window of 2**log bytes (RFC 8878)."""
    magic, descriptor, window = b"\x28\xb5\x2f\xfd", b"\0", bytes([(log - 10) << 3])
    return magic + descriptor + window + (len(b"content") << 3 | 1).to_bytes(3, "little") + b"content"


@pytest.mark.parametrize("descriptor", [0x20, 0x60, 0xA0, 0xE0])
def test_every_form_of_a_single_segment_frame_header_is_followed(descriptor: int) -> None:
    size = {0x20: b"\7", 0x60: None, 0xA0: (7).to_bytes(4, "little"), 0xE0: (7).to_bytes(8, "little")}[descriptor]
    content = b"content" if size else b"c" * 263
    # A content size of two bytes counts from 256.
    size = size or (7).to_bytes(2, "little")
    frame = b"\x28\xb5\x2f\xfd" + bytes([descriptor]) + size
    frame += (len(content) << 3 | 1).to_bytes(3, "little") + content
    assert whole(frame * 2) == content * 2
    assert "cut off" in refusal(frame[:-1])


def test_a_zstd_block_of_the_reserved_type_is_an_error() -> None:
    frame = b"\x28\xb5\x2f\xfd\0\0" + (3 << 1 | 1).to_bytes(3, "little")
    assert "reserved" in refusal(frame)


def test_runs_of_zstd_are_followed() -> None:
    """A block of type RLE stands for up to 128 KiB with its one byte."""
    header = b"\x28\xb5\x2f\xfd\0\x38"
    frame = header + (1000 << 3 | 1 << 1).to_bytes(3, "little") + b"r" + (500 << 3 | 3).to_bytes(3, "little") + b"s"
    assert whole(frame) == b"r" * 1000 + b"s" * 500
    assert "cut off" in refusal(frame[:-1])


def test_a_large_xz_dictionary_is_refused() -> None:
    def with_dictionary(size: int) -> bytes:
        filters = [
            {"id": lzma.FILTER_LZMA2, "dict_size": size, "mode": lzma.MODE_FAST, "nice_len": 8, "mf": lzma.MF_HC3}
        ]
        stream = bytearray(lzma.compress(b"content", filters=filters))
        return bytes(stream)

    assert whole(with_dictionary(8 << 20)) == b"content"
    large = bytearray(with_dictionary(8 << 20))
    # The block header: size, flags, filter id, size of its properties, dictionary size; its CRC-32 follows.
    assert large[12:16] == bytes([2, 0, 0x21, 1])
    large[16] = 38
    large[20:24] = struct.pack("<I", zlib.crc32(large[12:20]))
    assert "Memory usage limit" in refusal(bytes(large))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        bytes(1024),
        b"BZhang the first member of a plain archive".ljust(512, b"\0"),
        b"BZh9",
        b"PK\3\4 a zip file, which is not known here",
        b"\x1f\x8b",
        b"\x28\xb5\x2f",
    ],
)
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_what_has_no_known_format_comes_as_it_is(content: bytes, step: int) -> None:
    assert whole(content, step) == content


@every_format
def test_content_that_looks_compressed_is_not_decompressed_again(compress: Callable[[bytes], bytes]) -> None:
    assert whole(compress(gzip.compress(b"inner"))) == gzip.compress(b"inner")


@every_format
def test_the_limit_counts_what_comes_out(compress: Callable[[bytes], bytes]) -> None:
    content = compress(bytes(1000))
    assert decompress(io.BytesIO(content), 1000).read() == bytes(1000)
    with pytest.raises(ArchiveError, match="over the limit of 999 bytes") as error:
        decompress(io.BytesIO(content), 999).read()
    assert error.value.limit == "expanded"


def test_the_limit_counts_plain_content_too() -> None:
    with pytest.raises(ArchiveError, match="over the limit of 9 bytes"):
        decompress(io.BytesIO(bytes(10)), 9).read()


BOMB = """
import io, re
from tests.archive.test_decompress import COMPRESSORS
from unionfs.archive import ArchiveError, decompress
stream = decompress(io.BytesIO(COMPRESSORS[{name!r}](bytes(8 << 20)) * 64), 400 << 20)
count = 0
try:
    while piece := stream.read(1 << 20):
        count += len(piece)
except ArchiveError as error:
    # Not getrusage: its peak counts the process that this one was started from.
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())
    print(count >> 20, error.limit, int(peak[1]) >> 10)
"""


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd stream"])
def test_a_bomb_is_stopped_at_the_limit_in_little_memory(name: str) -> None:
    run = subprocess.run([sys.executable, "-c", BOMB.format(name=name)], capture_output=True, text=True, check=True)
    expanded, limit, resident = run.stdout.split()
    assert 398 <= int(expanded) <= 400
    assert limit == "expanded"
    assert int(resident) < 150, "MiB"


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
@pytest.mark.timeout(60)
def test_many_tiny_members_take_linear_time(name: str) -> None:
    assert whole(COMPRESSORS[name](b"") * 50_000 + COMPRESSORS[name](b"end")) == b"end"


@every_format
def test_damage_anywhere_is_an_error_or_does_no_harm(compress: Callable[[bytes], bytes]) -> None:
    """Whatever the damage, the outcome is content or one ArchiveError; the digest tells the rest."""
    random_source = random.Random(0)
    content = compress(TEXT[:2000]) + compress(b"second")
    errors: list[str] = []
    for _ in range(500):
        damaged = bytearray(content)
        for _ in range(random_source.choice((1, 1, 4))):
            damaged[random_source.randrange(len(damaged))] = random_source.randrange(256)
        try:
            whole(bytes(damaged))
        except ArchiveError as error:
            errors.append(str(error))
    assert len(errors) > 100
    assert all(map(str.isprintable, errors))


def test_an_error_of_the_source_passes_through() -> None:
    class Broken:
        def read(self, _size: int, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        decompress(Broken())


@every_format
def test_an_error_in_the_middle_of_the_source_passes_through(compress: Callable[[bytes], bytes]) -> None:
    content = io.BytesIO(compress(TEXT)[:400])

    class Broken:
        def read(self, size: int, /) -> bytes:
            piece = content.read(size)
            if not piece:
                raise OSError(5, "Input/output error")
            return piece

    with pytest.raises(OSError, match="Input/output error"):
        decompress(Broken()).read()


def test_streams_are_independent_in_threads() -> None:
    results: dict[str, bytes] = {}

    def run(name: str) -> None:
        results[name] = whole(COMPRESSORS[name](TEXT) * 3, 1000)

    threads = [threading.Thread(target=run, args=(name,)) for name in COMPRESSORS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == dict.fromkeys(COMPRESSORS, TEXT * 3)
