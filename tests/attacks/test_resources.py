"""Archives made to exhaust memory, disk or time: refused at a limit, or handled in bounded memory."""

import io
import os
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from tests.layer.unpacking import Unpacker, tree, unpack_stack, unpacker
from tests.tarball import (
    archive,
    base256,
    directory,
    extension,
    file,
    gnu_sparse,
    hardlink,
    pax_sparse,
    raw_header,
    record,
    symlink,
    whiteout,
)
from unionfs.layer.unpack import LayerError
from unionfs.tar import Limits

SMALL = Limits(bytes=1 << 20, entries=1000, pax_record=1 << 16)


class Dripping(io.BytesIO):
    """A stream that gives little at a time, so that buffers don't hide what else takes memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(4096 if size is None or size < 0 else min(size, 4096))


@pytest.fixture
def anyone() -> Iterator[Unpacker]:
    with unpacker("root") as given:
        yield given


def disk_used(unpacker: Unpacker) -> int:
    """Return the bytes of all files that were left by a refused archive."""
    found = [os.path.join(top, name) for top, _, names in os.walk(unpacker.directory) for name in names]
    return sum(os.lstat(path).st_blocks * 512 for path in found)


@pytest.mark.parametrize("size", [b"77777777777\0", base256(1 << 62, 12), base256((1 << 63) - 1, 12)])
def test_size_without_content_is_refused_before_anything_is_reserved(anyone: Unpacker, size: bytes) -> None:
    for limits in (SMALL, Limits()):
        text = anyone.refusal(raw_header(b"huge", size=size), limits=limits)
        assert text.startswith("huge: ")
    assert disk_used(anyone) == 0


def test_content_over_the_limit_is_refused(anyone: Unpacker) -> None:
    entries = [file(b"f%d" % number, bytes(300 << 10)) for number in range(4)]
    text = anyone.refusal(archive(*entries), limits=SMALL)
    assert text.startswith("f3: ")
    assert "over the limit of 1048576 (bytes)" in text


def test_limit_error_carries_the_limits_name(anyone: Unpacker) -> None:
    for entry in (file(b"a/b/c/" * 100), file(b"x", bytes(2 << 20)), *[b"".join(file(b"y") for _ in range(9))]):
        with pytest.raises(LayerError) as caught:
            unpack_stack(anyone.directory / os.urandom(4).hex(), archive(entry), limits=Limits(bytes=1024, entries=8))
        assert caught.value.limit in ("entries", "bytes")


def test_number_of_entries_is_limited(anyone: Unpacker) -> None:
    entries = [file(b"%d" % number) for number in range(1001)]
    assert "over the limit of 1000 (entries)" in anyone.refusal(archive(*entries), limits=SMALL)


def test_directories_that_paths_make_count_against_the_limit_of_entries(anyone: Unpacker) -> None:
    entries = [file(b"%d/" % number + b"d/" * 200 + b"x") for number in range(6)]
    assert "(entries)" in anyone.refusal(archive(*entries), limits=SMALL)
    assert "(entries)" in anyone.refusal(
        archive(*(whiteout(b"%d/" % n + b"d/" * 200 + b"x") for n in range(6))), limits=SMALL
    )


@pytest.mark.parametrize(
    "attack",
    [
        extension(record("comment", b"x" * (1 << 16))),
        extension(b"".join(record(f"k{number}", b"v") for number in range(10000))),
        extension(b"n" * (1 << 17), b"L"),
        extension(b"n" * (1 << 17), b"K"),
        raw_header(b"PaxHeaders/x", b"x", size=1 << 40),
        extension(b"0 path=x\n"),
        extension(b"99999999999999999999 path=x\n"),
        extension(b"x path=x\n"),
        extension(b"30 path=x\n"),
    ],
    ids=["one long record", "many records", "long name", "long target", "huge", "zero", "overlong", "word", "overrun"],
)
def test_extension_header_that_is_too_much_or_malformed_is_refused(anyone: Unpacker, attack: bytes) -> None:
    anyone.refusal(archive(attack, file(b"x")), limits=SMALL)
    assert disk_used(anyone) == 0


def test_map_of_a_sparse_file_is_limited(anyone: Unpacker) -> None:
    limits = Limits(sparse_extents=100)
    extents = [(number * 4096, b"x") for number in range(200)]
    for entry in (
        gnu_sparse(b"s", extents, 1 << 30),
        gnu_sparse(b"s", [(0, b"x")], 1 << 30, blocks=1000),
        *(pax_sparse(b"s", extents, 1 << 30, version) for version in ("0.0", "0.1", "1.0")),
    ):
        anyone.refusal(archive(entry), limits=limits)


def test_sparse_file_of_any_size_takes_the_disk_of_its_data_alone(anyone: Unpacker) -> None:
    top = anyone.unpack(archive(pax_sparse(b"s", [(1 << 40, b"x" * 4096)], (1 << 40) + 4096)), limits=SMALL).top
    assert os.stat(top / "s").st_size == (1 << 40) + 4096
    assert disk_used(anyone) < 1 << 20


def test_sparse_file_larger_than_the_file_system_allows_is_refused(anyone: Unpacker) -> None:
    assert anyone.refusal(archive(pax_sparse(b"s", [], (1 << 63) - 1))) == "s: File too large"


@pytest.mark.parametrize(
    "make",
    [
        lambda n: file(b"f%d" % n),
        lambda n: directory(b"d%d/" % n),
        lambda n: directory(b"d%d/" % (n // 100)) + directory(b"d%d/%d/" % (n // 100, n)),
        lambda n: symlink(b"s%d" % n, b"x" * 50),
        lambda n: whiteout(b"etc/w%d" % n),
        lambda n: hardlink(b"h%d" % n, b"lower"),
        lambda _: file(b"same"),
        lambda n: file(b"f%d" % n, xattrs={b"trusted.x%d" % n: b"1"}),
        lambda n: directory(b"d/") if n % 2 else file(b"d"),
    ],
    ids=["files", "directories", "nested", "symlinks", "whiteouts", "hardlinks", "duplicates", "warnings", "flips"],
)
def test_memory_does_not_grow_with_the_number_of_entries(anyone: Unpacker, make: Callable[[int], bytes]) -> None:
    base = archive(file(b"lower", b"L"), file(b"etc/w1"))

    def peak(count: int) -> int:
        layer = archive(*(make(number) for number in range(count)))
        tracemalloc.start()
        try:
            unpack_stack(anyone.directory / str(count), base, layer, stream=Dripping)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)
    assert peak(2000) - peak(200) < 2000 * 24


def test_hard_links_to_one_lower_file_are_looked_up_once(anyone: Unpacker) -> None:
    layer = archive(*(hardlink(b"h%d" % number, b"lower") for number in range(2000)))
    top = anyone.unpack(archive(file(b"lower", b"L")), layer).top
    assert os.stat(top / "h0").st_nlink == 2000


def test_copies_of_lower_files_count_against_the_limit_of_content(anyone: Unpacker) -> None:
    base = [archive(file(b"%d" % number, bytes(600 << 10))) for number in range(2)]
    text = anyone.refusal(*base, archive(hardlink(b"h", b"0"), hardlink(b"i", b"1")), limits=SMALL)
    assert "over the limit of 1048576 (bytes)" in text


def test_more_links_than_the_file_system_allows_is_an_error_that_names_the_entry(anyone: Unpacker) -> None:
    count = os.pathconf(anyone.directory, "PC_LINK_MAX")
    if count > 70000:
        pytest.skip(f"{anyone.directory} is on a file system without a limit on links that a test could reach")
    layer = archive(file(b"a"), *(hardlink(b"h%d" % number, b"a") for number in range(count)))
    assert anyone.refusal(layer) == f"h{count - 1}: Too many links"


def test_archive_that_ends_early_is_refused_wherever_it_is_cut(anyone: Unpacker) -> None:
    whole = archive(directory(b"d/"), file(b"d/f", b"x" * 700), end=False)
    for length in (100, 512 + 100, 1024 + 100, 1024 + 699):
        assert "ends within" in anyone.refusal(whole[:length])
    assert tree(anyone.unpack(whole).top) == {"d": "dir", "d/f": "700 bytes"}
