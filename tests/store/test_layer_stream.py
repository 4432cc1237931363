"""The stream of one layer: what it verifies and how often, what it reports, and that no thread stays."""

import gzip
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.documents import sha256
from tests.store.images import layout
from tests.tarball import archive, file
from unionfs.archive import ArchiveError, VerifyingReader, open_archive
from unionfs.store import layer_stream
from unionfs.store.layer_stream import LayerStream, Report

LAYER = archive(file(b"f", os.urandom(3 << 20)))


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def stream_of(source: Path, report: Report = lambda *_: None) -> LayerStream:
    with open_archive(source) as opened:
        return LayerStream(opened.image().layers[0], 1 << 30, report)


def content_of(stream: LayerStream) -> bytes:
    with stream:
        content = b"".join(iter(lambda: stream.read(1 << 20), b""))
        stream.verify()
    return content


def test_content_is_that_of_the_layer_and_the_blob_is_told_of_to_its_end(tmp_path: Path) -> None:
    blob = gzip.compress(LAYER)
    told: list[tuple[int, int]] = []
    stream = stream_of(layout(tmp_path / "image", LAYER, blobs=[blob]), lambda *how_far: told.append(how_far))
    assert content_of(stream) == LAYER
    assert told == sorted(set(told))
    assert told[-1] == (len(blob), len(blob))
    assert len(told) <= len(blob) // (1 << 20) + 1


def test_stream_that_is_left_early_lets_go_of_the_blob(tmp_path: Path) -> None:
    source = layout(tmp_path / "image", archive(file(b"zeros", bytes(64 << 20))))
    before = os.listdir("/proc/self/fd")
    with stream_of(source) as stream:
        assert stream.read(1 << 20)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_blob_that_is_no_archive_of_a_known_compression_lets_go_of_it_too(tmp_path: Path) -> None:
    stream = stream_of(layout(tmp_path / "image", LAYER, blobs=[b"\x1f\x8b\x08\xff damaged"]))
    with pytest.raises(ArchiveError, match="gzip"):
        content_of(stream)


def test_blob_that_is_the_content_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    class Counted(VerifyingReader):
        def verify(self) -> None:
            verified.append(self._what)
            super().verify()

    monkeypatch.setattr(layer_stream, "VerifyingReader", Counted)
    assert content_of(stream_of(layout(tmp_path / "plain", LAYER))) == LAYER
    assert verified == ["its content"]
    assert content_of(stream_of(layout(tmp_path / "packed", LAYER, blobs=[gzip.compress(LAYER)]))) == LAYER
    assert verified == ["its content"] * 2 + ["its blob"]


@pytest.mark.parametrize("blob", [LAYER[:-1], LAYER + b"\0", b"!" + LAYER[1:]])
def test_blob_that_should_be_the_content_and_is_not_is_refused(tmp_path: Path, blob: bytes) -> None:
    source = layout(tmp_path / "image", LAYER)
    (source / "blobs" / sha256(LAYER).replace(":", "/")).write_bytes(blob)
    with open_archive(source) as opened, pytest.raises(ArchiveError):
        content_of(LayerStream(opened.image().layers[0], 1 << 30, lambda *_: None))


def test_compressed_blob_whose_own_digest_is_given_for_its_contents_is_refused(tmp_path: Path) -> None:
    blob = gzip.compress(LAYER)
    source = layout(tmp_path / "image", LAYER, blobs=[blob], diff_ids=[sha256(blob)])
    with pytest.raises(ArchiveError, match="its content"):
        content_of(stream_of(source))
