"""The stream of one layer: what ends it early."""

import threading
from pathlib import Path

import pytest
import zstandard

from tests.store.images import layout
from tests.tarball import archive, file
from unionfs.archive import open_archive
from unionfs.store.layer_stream import CancelledError, LayerStream


def test_a_layer_is_cancelled_even_where_a_few_bytes_of_its_blob_are_many(tmp_path: Path) -> None:
    layer = archive(file(b"zeros", bytes(32 << 20)))
    blob = zstandard.ZstdCompressor().compress(layer)
    source = layout(tmp_path / "image", layer, blobs=[blob])
    cancelled = threading.Event()
    told: list[int] = []
    with (
        open_archive(source) as opened,
        LayerStream(opened.image().layers[0], 1 << 30, lambda done, _: told.append(done), cancelled) as stream,
    ):
        assert stream.read(1 << 20)
        assert told[-1] == len(blob)
        cancelled.set()
        with pytest.raises(CancelledError):
            stream.read(1 << 20)
