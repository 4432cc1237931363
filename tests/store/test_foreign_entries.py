"""What other programs may have put into a store: it stays, and keeps nobody from collecting the rest."""

import hashlib
from pathlib import Path

from tests.archive import build
from tests.image import documents
from tests.image.documents import Fields, encoded
from unionfs.archive import open_archive
from unionfs.image import media_type as types
from unionfs.store.store import Store


def collected(top: Path, entry: Fields, blobs: list[bytes]) -> set[bytes]:
    """Give the blobs that are left of a layout after collecting, with one more that nothing leads to."""
    build.tree(build.layout([entry], [*blobs, b"not needed"]), top)
    with Store(top) as store:
        removed = store.collect()
        assert len(removed.blobs) == 1
    return {path.read_bytes() for path in (top / "blobs/sha256").iterdir()}


def test_an_artifact_stays_with_its_blobs(tmp_path: Path) -> None:
    signature = build.OciImage([b"signature"], artifactType="application/vnd.example.signature")
    assert collected(tmp_path / "store", signature.entry("demo.sig"), signature.blobs) == set(signature.blobs)


def test_an_index_of_which_one_platform_was_copied_stays_as_it_is(tmp_path: Path) -> None:
    here, elsewhere = build.OciImage([build.layer("here")]), build.OciImage([build.layer("elsewhere")])
    index = encoded(documents.index([here.entry(), elsewhere.entry()]))
    blobs = [index, *here.blobs]
    assert collected(tmp_path / "store", documents.descriptor(index, types.OCI_INDEX), blobs) == set(blobs)


def test_an_image_whose_manifest_has_a_longer_digest_is_found_by_it(tmp_path: Path) -> None:
    image = build.OciImage([build.layer("a")])
    digest = hashlib.sha512(image.manifest).hexdigest()
    files = build.layout([{**image.entry(), "digest": f"sha512:{digest}"}], image.blobs)
    source = build.tree({**files, f"blobs/sha512/{digest}": image.manifest}, tmp_path / "image")
    with Store(tmp_path / "store") as store, open_archive(source) as opened:
        loaded = store.load(opened.image(), ())
        assert store.by_manifest(loaded.manifest.digest).manifest_digest.hex == digest
