"""The blobs of OCI layouts: missing, wrong, elsewhere, and read side by side."""

import base64
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tarball
from tests.archive.build import OciImage, blob, layer, layout, tar, tree
from tests.archive.reading import Opener, Opening, contents, refusal
from tests.image import documents
from tests.image.documents import Fields, encoded, sha256
from unionfs.archive import ArchiveError, open_archive
from unionfs.image import Digest
from unionfs.image import media_type as types

LAYERS = [layer("one"), layer("two")]
IMAGE = OciImage(LAYERS)
OTHER = OciImage(LAYERS[:1])
PLAIN = layout([IMAGE.entry()], IMAGE.blobs)


@pytest.mark.parametrize("gone", [0, 1, 2, 3], ids=["layer 0", "layer 1", "config", "manifest"])
def test_a_missing_blob_is_named(opening: Opening, gone: int) -> None:
    missing = IMAGE.blobs[gone]
    files = layout([IMAGE.entry()], [content for content in IMAGE.blobs if content != missing])
    assert f'"blobs/sha256/{sha256(missing)[7:]}" is missing' in refusal(opening(files))


@pytest.mark.parametrize("number", [0, 2, 3], ids=["layer", "config", "manifest"])
@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b" "])
def test_a_blob_of_another_size_is_refused(opening: Opening, number: int, change: Callable[[bytes], bytes]) -> None:
    (path,) = blob(IMAGE.blobs[number])
    message = refusal(opening({**PLAIN, path: change(IMAGE.blobs[number])}))
    assert "but its descriptor says" in message
    assert sha256(IMAGE.blobs[number]) in message


@pytest.mark.parametrize("number", [2, 3], ids=["config", "manifest"])
def test_a_document_with_other_content_is_refused(opening: Opening, number: int) -> None:
    (path,) = blob(IMAGE.blobs[number])
    changed = IMAGE.blobs[number].replace(b" ", b"\t", 1)
    assert "does not match its digest" in refusal(opening({**PLAIN, path: changed}))


def test_a_layer_with_other_content_is_found_when_it_is_read(opening: Opening) -> None:
    (path,) = blob(LAYERS[0])
    image = opening({**PLAIN, path: bytes(len(LAYERS[0]))}).image()
    with pytest.raises(ArchiveError, match="does not match its digest"):
        contents(image)


def test_a_wrong_diff_id_is_found_when_the_layer_is_read(opening: Opening) -> None:
    image = OciImage(LAYERS, documents.config([sha256(b"other")] * 2))
    found = opening(layout([image.entry()], image.blobs)).image()
    with pytest.raises(ArchiveError, match=f"expected {sha256(b'other')}, got {sha256(LAYERS[0])}"):
        contents(found)


def test_sha512_blobs_are_read(opening: Opening) -> None:
    def described(content: bytes, media_type: str) -> Fields:
        return {"mediaType": media_type, "digest": str(Digest.of(content, "sha512")), "size": len(content)}

    config = encoded(documents.config([str(Digest.of(content, "sha512")) for content in LAYERS]))
    layers = [described(content, types.OCI_LAYER) for content in LAYERS]
    fields = documents.manifest(config, [], config=described(config, types.OCI_CONFIG), layers=layers)
    manifest = encoded(fields)
    files = layout([described(manifest, types.OCI_MANIFEST)], [])
    for content in (*LAYERS, config, manifest):
        files["blobs/sha512/" + Digest.of(content, "sha512").hex] = content
    image = opening(files).image()
    assert contents(image) == LAYERS
    assert image.config_digest == Digest.of(config, "sha512")


def test_a_foreign_layer_is_used_if_its_blob_is_there(opening: Opening) -> None:
    foreign = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    layers = [documents.descriptor(content, foreign, urls=["https://example.com/blob"]) for content in LAYERS]
    image = OciImage(LAYERS, layers=layers)
    assert contents(opening(layout([image.entry()], image.blobs)).image()) == LAYERS


def test_a_foreign_layer_that_is_not_there_says_where_it_is(opening: Opening) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    layers = [documents.descriptor(content, foreign, urls=["https://example.com/blob"]) for content in LAYERS]
    image = OciImage(LAYERS, layers=layers)
    message = refusal(opening(layout([image.entry()], image.blobs[2:])))
    assert 'this foreign layer is to be had from "https://example.com/blob"' in message


def test_embedded_data_does_not_replace_a_blob(opening: Opening) -> None:
    config = documents.descriptor(IMAGE.config, types.OCI_CONFIG, data=base64.b64encode(IMAGE.config).decode())
    image = OciImage(LAYERS, config=config)
    assert contents(opening(layout([image.entry()], image.blobs)).image()) == LAYERS
    assert "is missing" in refusal(opening(layout([image.entry()], [*LAYERS, image.manifest])))


def test_one_layer_twice_is_two_layers(opening: Opening) -> None:
    image = OciImage([LAYERS[0]] * 3)
    found = opening(layout([image.entry()], image.blobs)).image()
    assert contents(found) == [LAYERS[0]] * 3
    assert len({part.chain_id for part in found.layers}) == 3


def test_an_image_without_layers_is_read(opening: Opening) -> None:
    image = OciImage([])
    assert opening(layout([image.entry()], image.blobs)).image().layers == ()


def test_four_hundred_layers_are_read(opening: Opening) -> None:
    image = OciImage([layer(str(number)) for number in range(400)])
    assert contents(opening(layout([image.entry()], image.blobs)).image()) == image.layers


def test_layers_can_be_read_in_several_threads(opening: Opening) -> None:
    big = OciImage([tarball.archive(tarball.file(b"f", os.urandom(300_000))) for _ in range(4)])
    image = opening(layout([big.entry()], big.blobs)).image()
    found: list[list[bytes]] = []
    threads = [threading.Thread(target=lambda: found.append(contents(image))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [big.layers] * 6


def test_an_open_layer_outlives_the_archive(opening: Opening) -> None:
    with opening(PLAIN) as archive:
        stream = archive.image().layers[0].open()
    assert stream.read() == LAYERS[0]
    assert stream.seek(0) == 0
    assert stream.read(10) == LAYERS[0][:10]
    stream.close()


def test_a_closed_archive_gives_no_image(opening: Opening) -> None:
    archive = opening(PLAIN)
    archive.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        archive.image()


def test_blobs_of_a_directory_may_be_links_within_it(tmp_path: Path) -> None:
    top = tree(PLAIN, tmp_path / "layout")
    first, second = (top / path for content in LAYERS for path in blob(content))
    first.rename(top / "elsewhere")
    first.symlink_to("../../elsewhere")
    os.link(second, top / "hard")
    second.unlink()
    os.link(top / "hard", second)
    with open_archive(top) as archive:
        assert contents(archive.image()) == LAYERS


def test_blobs_of_a_directory_may_not_be_links_out_of_it(tmp_path: Path) -> None:
    top = tree(PLAIN, tmp_path / "layout")
    (path,) = blob(LAYERS[0])
    (top / path).rename(tmp_path / "outside")
    for target in ("../../../outside", str(tmp_path / "outside")):
        (top / path).symlink_to(target)
        with open_archive(top) as archive:
            assert "leads out of the directory" in refusal(archive)
        (top / path).unlink()


@pytest.mark.parametrize("target", [b"/etc/passwd", b"../../../etc/passwd"])
def test_blobs_of_an_archive_may_not_be_links_out_of_it(opened: Opener, target: bytes) -> None:
    (path,) = blob(LAYERS[0])
    files = {name: content for name, content in PLAIN.items() if name != path}
    assert "leads out of the archive" in refusal(opened(tarball.symlink(path.encode(), target) + tar(files)))


@pytest.mark.timeout(10)
def test_a_fifo_among_the_files_of_a_directory_does_not_hang(tmp_path: Path) -> None:
    top = tree(PLAIN, tmp_path / "layout")
    (path,) = blob(LAYERS[0])
    (top / path).unlink()
    os.mkfifo(top / path)
    with open_archive(top) as archive:
        assert "no regular file" in refusal(archive)
    (top / "index.json").unlink()
    os.mkfifo(top / "index.json")
    with pytest.raises(ArchiveError, match="no regular file"):
        open_archive(top)


def test_nothing_is_written_to_a_directory(tmp_path: Path) -> None:
    top = tree(PLAIN, tmp_path / "layout")

    def state() -> list[tuple[str, int, int]]:
        return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in top.rglob("*"))

    for path in (*top.rglob("*"), top):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = state()
    with open_archive(top) as archive:
        assert contents(archive.image()) == LAYERS
    assert state() == before


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_huge_file_of_the_layout_is_refused_unread(tmp_path: Path, name: str) -> None:
    top = tree(PLAIN, tmp_path / "layout")
    os.truncate(top / name, 1 << 30)
    with pytest.raises(ArchiveError, match="exceeded maximum allowed size: 1073741824 bytes") as error:
        open_archive(top)
    assert error.value.limit == "manifest"
