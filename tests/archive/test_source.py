"""Opening a source: by looking at it, whatever it is called."""

import bz2
import gzip
import io
import lzma
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests import tarball
from tests.archive.build import OciImage, docker_image, layer, layout, tar, tree
from tests.archive.reading import Opener, contents
from tests.mounts import mount, unmount
from unionfs.archive import ArchiveError, Limits, open_archive, open_stream, parse_source

LAYERS = [layer("one"), layer("two" * 1000)]
IMAGE = OciImage(LAYERS)
DOCKER = tar(docker_image("c", LAYERS, ["foo:1"]))
OCI = tar(layout([IMAGE.entry("foo:1")], IMAGE.blobs))

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize(
    ("text", "path", "selector"),
    [
        ("image.tar", "image.tar", None),
        ("dir/with:colon", "dir/with:colon", None),
        ("docker-archive:f.tar", "f.tar", None),
        ("docker-archive:f.tar:name:tag", "f.tar", "name:tag"),
        ("docker-archive:f.tar:@1", "f.tar", "@1"),
        ("docker-archive:/a/b.tar:localhost:5000/x:1", "/a/b.tar", "localhost:5000/x:1"),
        ("oci-archive:f.tar:ref", "f.tar", "ref"),
        ("oci:dir", "dir", None),
        ("oci:dir:latest", "dir", "latest"),
        ("oci:dir:@0", "dir", "@0"),
        ("oci", "oci", None),
        ("docker-daemon:x", "docker-daemon:x", None),
    ],
)
def test_a_source_is_a_path_with_or_without_transport_and_selector(text: str, path: str, selector: str | None) -> None:
    assert parse_source(text) == (path, selector)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", '"" names no file'),
        ("oci:", "names no file"),
        ("docker-archive::tag", "names no file"),
        ("oci:dir:", "without a name after it"),
        ("docker-archive:\n:", r'"docker-archive:\n:" ends in a colon'),
    ],
)
def test_an_incomplete_source_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ArchiveError) as error:
        parse_source(text)
    assert reason in str(error.value)


@pytest.mark.parametrize("compress", COMPRESSORS.values(), ids=COMPRESSORS.keys())
@pytest.mark.parametrize("archive", [DOCKER, OCI], ids=["docker", "oci"])
def test_the_whole_archive_may_be_compressed(
    opened: Opener, archive: bytes, compress: Callable[[bytes], bytes]
) -> None:
    assert contents(opened(compress(archive)).image("foo:1")) == LAYERS


def test_a_compressed_archive_goes_to_an_unnamed_file_in_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(DOCKER))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with open_archive(path) as archive:
        places = [os.readlink(f"/proc/self/fd/{number}") for number in open_descriptors()]
        assert len([place for place in places if place.startswith(str(temporary))]) == 1
        assert list(temporary.iterdir()) == []
        assert contents(archive.image()) == LAYERS


def test_an_archive_that_expands_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(DOCKER))
    open_archive(path, Limits(expanded=len(DOCKER))).close()
    with pytest.raises(ArchiveError, match="over the limit of 100 bytes") as error:
        open_archive(path, Limits(expanded=100))
    assert error.value.limit == "expanded"
    assert str(error.value).startswith(f'"{path}": ')


def test_the_limit_on_expansion_does_not_concern_a_plain_archive(opened: Opener) -> None:
    assert contents(opened(DOCKER, Limits(expanded=1)).image()) == LAYERS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a tmpfs here")
def test_a_full_temporary_directory_is_named(tmp_path: Path) -> None:
    path, small = tmp_path / "a.tar.gz", tmp_path / "small"
    path.write_bytes(gzip.compress(tarball.archive(tarball.file(b"a", bytes(100_000)))))
    small.mkdir()
    mount("tmpfs", small, "tmpfs", options="size=64k")
    try:
        with pytest.raises(OSError, match="No space left on device") as error:
            open_archive(path, spool=small)
        assert error.value.filename == str(small)
    finally:
        unmount(small)


@pytest.mark.parametrize("content", [DOCKER, gzip.compress(OCI)], ids=["plain", "compressed"])
def test_an_archive_may_come_through_a_fifo(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    with open_archive(path) as archive:
        writer.join()
        assert contents(archive.image()) == LAYERS


@pytest.mark.parametrize("content", [DOCKER, gzip.compress(OCI)], ids=["plain", "compressed"])
def test_an_archive_may_come_as_a_stream(content: bytes) -> None:
    with open_stream(io.BytesIO(content), "standard input") as archive:
        assert archive.name == "standard input"
        assert contents(archive.image()) == LAYERS


def test_a_stream_is_named_in_errors() -> None:
    with pytest.raises(ArchiveError, match=r'^"standard input": payload does not match'):
        open_stream(io.BytesIO(b"text"), "standard input")
    with pytest.raises(ArchiveError, match=r'^"standard input": its content is over the limit'):
        open_stream(io.BytesIO(DOCKER), "standard input", Limits(expanded=10))


FORMATS = "payload does not match any of the supported image formats"


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        (b"", ["docker-archive: it has no manifest.json", "oci: it has no oci-layout and no index.json"]),
        (bytes(10240), ["it has no manifest.json", "it has no oci-layout and no index.json"]),
        (b"just text\n" * 100, ["(docker-archive, oci-archive, oci)", "not a whole tar archive"]),
        (DOCKER[:600], ["(docker-archive, oci-archive, oci)", "the archive ends within"]),
        (DOCKER[:100], ["(docker-archive, oci-archive, oci)", "the archive ends within"]),
        (gzip.compress(b"text"), ["not a whole tar archive"]),
        (gzip.compress(gzip.compress(DOCKER)), ["not a whole tar archive"]),
        (tar({"index.json": b"{}"}), ["it has no manifest.json", "it has no oci-layout"]),
        (tar({"oci-layout": b"{}"}), ["it has no index.json"]),
    ],
)
def test_what_is_no_image_lists_the_formats_tried(opened: Opener, content: bytes, reasons: list[str]) -> None:
    with pytest.raises(ArchiveError) as error:
        opened(content)
    assert FORMATS in str(error.value)
    for reason in reasons:
        assert reason in str(error.value)
    assert "root file system" not in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("cut", [10, 100, -1])
def test_a_compressed_archive_that_is_cut_off_is_refused(opened: Opener, cut: int) -> None:
    with pytest.raises(ArchiveError, match="gzip: the stream is cut off"):
        opened(gzip.compress(DOCKER)[:cut])


def test_a_root_file_system_is_told_from_an_image(opened: Opener, tmp_path: Path) -> None:
    archive = tarball.archive(tarball.directory(b"./bin"), tarball.directory(b"./etc"), tarball.file(b"./etc/passwd"))
    with pytest.raises(ArchiveError, match=r"looks like a root file system, of which .unionfs import. makes an image"):
        opened(archive)
    for name in ("usr", "etc"):
        (tmp_path / "root" / name).mkdir(parents=True)
    with pytest.raises(ArchiveError, match=r"looks like a root file system, of which .unionfs import. makes an image"):
        open_archive(tmp_path / "root")


def test_a_directory_can_only_be_a_layout(tmp_path: Path) -> None:
    top = tree(docker_image("c", LAYERS, ["foo:1"]), tmp_path / "docker")
    with pytest.raises(ArchiveError) as error:
        open_archive(top)
    assert str(error.value) == f'"{top}": {FORMATS}: oci-archive, oci: it has no oci-layout and no index.json'
    tree(layout([IMAGE.entry("foo:1")], IMAGE.blobs), top)
    with open_archive(top) as archive:
        assert archive.image().manifest == IMAGE.manifest


def test_the_format_from_before_docker_1_10_is_refused_by_name(opened: Opener) -> None:
    files = {"repositories": b'{"foo": {"1": "abc"}}', "abc/json": b"{}", "abc/layer.tar": LAYERS[0]}
    with pytest.raises(ArchiveError, match=r"in the format from before docker 1\.10, which is not supported"):
        opened(tar(files))


def test_more_members_than_the_limit_are_refused(opened: Opener) -> None:
    with pytest.raises(ArchiveError, match=r"over the limit of 3 \(members\)") as error:
        opened(DOCKER, Limits(members=3))
    assert error.value.limit == "members"


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_is_refused(path: str) -> None:
    with pytest.raises(ArchiveError, match="it is neither a file nor a directory"):
        open_archive(path)


def test_a_socket_cannot_be_opened(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError, match="No such device or address"):
            open_archive(tmp_path / "socket")


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_archive(tmp_path / "nowhere")


def test_the_source_may_be_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(DOCKER)
    (tmp_path / "link").symlink_to("a.tar")
    with open_archive(tmp_path / "link") as archive:
        assert contents(archive.image()) == LAYERS


def test_a_name_with_control_characters_is_escaped_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2J\n.tar"
    path.write_bytes(b"text")
    with pytest.raises(ArchiveError) as error:
        open_archive(path)
    assert r"\x1b[2J\n.tar" in str(error.value)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    "content",
    [DOCKER, gzip.compress(DOCKER), OCI, b"text", tar({"a": b"b"}), gzip.compress(b"text"), gzip.compress(DOCKER)[:50]],
)
def test_no_descriptor_is_left_open(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "source"
    path.write_bytes(content)
    before = open_descriptors()
    try:
        with open_archive(path) as archive:
            contents(archive.image())
            assert open_descriptors() != before
    except ArchiveError:
        assert content not in (DOCKER, OCI)
    assert open_descriptors() == before


def open_descriptors() -> list[int]:
    """Return this process's open descriptors, without the one that lists them."""
    return sorted(filter(is_open, map(int, os.listdir("/proc/self/fd"))))


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
