"""Archives that are written: what is in them, and that they are read back as they were."""

import bz2
import gzip
import hashlib
import io
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import zstandard

from tests.archive.build import OciImage, docker_image, layer, layout, tar
from tests.archive.reading import Opener, contents
from tests.archive.writing import damaged, files, ignore, saved, written
from tests.image import documents
from tests.image.documents import encoded, sha256
from unionfs.archive import ArchiveError, Image
from unionfs.archive.writing import Compression, Form, compressing, gathered, image_manifest, write_archive
from unionfs.image import Config, Manifest
from unionfs.image import media_type as types

LAYERS = [layer("one"), layer("two")]
NAMES = ["busybox:latest", "localhost/app:2"]
FULL = ("docker.io/library/busybox:latest", "localhost/app:2")
DOCKER = docker_image("image", LAYERS, NAMES)
OCI = OciImage(LAYERS)
FORMS = list(Form)


def path_of(content: bytes) -> str:
    return f"blobs/sha256/{sha256(content).removeprefix('sha256:')}"


def json_of(archive: bytes, path: str) -> Any:
    return json.loads(files(archive)[path])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("source", ["docker", "oci"])
def test_an_image_is_read_back_as_it_was(opened: Opener, source: str, form: Form) -> None:
    entries = [OCI.entry(name) for name in FULL]
    image = opened(tar(DOCKER if source == "docker" else layout(entries, OCI.blobs))).image()
    again = opened(saved([image], form)).image()
    assert again.names == FULL
    assert again.config.raw == image.config.raw
    assert again.config_digest == image.config_digest
    assert contents(again) == LAYERS
    assert image.manifest in (None, again.manifest)
    assert saved([again], form) == saved([image], form)


def test_a_docker_archive_is_an_oci_layout_with_a_manifest_json(opened: Opener) -> None:
    found = files(saved([opened(tar(DOCKER)).image()]))
    config = DOCKER["image.json"]
    manifest = image_manifest(config, Manifest.read(encoded(documents.manifest(config, LAYERS))).layers)
    assert list(found) == [
        "oci-layout",
        "index.json",
        "manifest.json",
        *(path_of(content) for content in (manifest, config, *LAYERS)),
    ]
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(found["manifest.json"]) == [
        {"Config": path_of(config), "RepoTags": NAMES, "Layers": [path_of(content) for content in LAYERS]}
    ]


def test_an_oci_archive_has_no_manifest_json(opened: Opener) -> None:
    assert "manifest.json" not in files(saved([opened(tar(DOCKER)).image()], Form.OCI_ARCHIVE))


@pytest.mark.parametrize("form", FORMS)
def test_each_name_is_an_index_entry(opened: Opener, form: Form) -> None:
    index = json_of(saved([opened(tar(DOCKER)).image()], form), "index.json")
    assert (index["schemaVersion"], index["mediaType"]) == (2, types.OCI_INDEX)
    assert [entry["annotations"] for entry in index["manifests"]] == [
        {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name} for name in FULL
    ]


def test_an_image_without_a_name_has_one_entry_without_annotations(opened: Opener) -> None:
    archive = saved([opened(tar(docker_image("image", LAYERS, None))).image()])
    (entry,) = json_of(archive, "index.json")["manifests"]
    assert "annotations" not in entry
    assert json_of(archive, "manifest.json")[0]["RepoTags"] is None
    assert opened(archive).image().names == ()


def test_a_manifest_is_kept_byte_for_byte(opened: Opener) -> None:
    odd = b" " + encoded({**documents.manifest(OCI.config, LAYERS), "unknown": [1.0], "annotations": {"z": "1"}})
    files_of_it = layout([documents.descriptor(odd, types.OCI_MANIFEST)], [*LAYERS, OCI.config, odd])
    image = opened(tar(files_of_it)).image()
    for form in FORMS:
        again = opened(saved([image], form)).image()
        assert again.manifest == odd
        assert str(again.manifest_digest) == sha256(odd)


def test_a_manifest_of_dockers_kind_is_listed_as_such(opened: Opener) -> None:
    kind = {"mediaType": types.DOCKER_MANIFEST}
    manifest = encoded(documents.manifest(OCI.config, LAYERS, **kind))
    image = opened(tar(layout([documents.descriptor(manifest, types.DOCKER_MANIFEST)], [*OCI.blobs, manifest]))).image()
    (entry,) = json_of(saved([image]), "index.json")["manifests"]
    assert (entry["mediaType"], entry["digest"]) == (types.DOCKER_MANIFEST, sha256(manifest))


def test_a_made_manifest_is_the_same_for_the_same_image(opened: Opener) -> None:
    """However the archive that had none was laid out."""
    turned = dict(reversed(docker_image("another", LAYERS, ["other:1"]).items()))
    digests = {opened(saved([opened(tar(source)).image()])).image().manifest_digest for source in (DOCKER, turned)}
    assert len(digests) == 1


def test_a_layer_of_several_images_is_written_once(opened: Opener) -> None:
    one = opened(tar(docker_image("one", LAYERS, ["one:1"]))).image()
    two = opened(tar(docker_image("two", [*LAYERS, LAYERS[0], layer("three")], ["two:1"]))).image()
    archive = saved([one, two])
    assert len(files(archive)) == 3 + 2 + 2 + 3
    again = opened(archive)
    assert [image.names for image in again.images] == [("docker.io/library/one:1",), ("docker.io/library/two:1",)]
    assert contents(again.image("two:1")) == [*LAYERS, LAYERS[0], layer("three")]


def test_images_keep_the_order_in_which_they_are_given(opened: Opener) -> None:
    images = [opened(tar(docker_image(name, [layer(name)], [f"{name}:1"]))).image() for name in ("b", "a", "c")]
    listed = json_of(saved(images), "manifest.json")
    assert [item["RepoTags"] for item in listed] == [["b:1"], ["a:1"], ["c:1"]]


def test_one_image_given_by_several_names_is_one_image(opened: Opener) -> None:
    image = opened(tar(DOCKER)).image()
    parts = [replace(image, names=names) for names in (FULL[1:], (), FULL[:1], FULL[1:])]
    (found,) = gathered(parts).images
    assert found.names == (FULL[1], FULL[0])


def test_one_name_of_two_images_is_refused(opened: Opener) -> None:
    images = [opened(tar(docker_image(text, [layer(text)], ["same:1"]))).image() for text in ("one", "two")]
    with pytest.raises(ArchiveError, match=r'two images have the name "docker\.io/library/same:1"'):
        gathered(images)


def test_an_image_without_layers_is_written(opened: Opener) -> None:
    image = opened(tar(docker_image("empty", [], ["empty:1"]))).image()
    archive = saved([image])
    assert json_of(archive, "manifest.json")[0]["Layers"] == []
    assert opened(archive).image().layers == ()


COMPRESSED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "gzip": (gzip.compress, types.OCI_LAYER_GZIP),
    "zstd": (zstandard.compress, types.OCI_LAYER_ZSTD),
}


def compressed_source(blob: bytes, where: str) -> bytes:
    """Return a docker archive with one layer that is compressed, its path the digest or not."""
    source = docker_image("image", LAYERS[:1], ["x:1"])
    if where == "named":
        return tar({**source, "image0/layer.tar": blob})
    item = {"Config": "image.json", "RepoTags": ["x:1"], "Layers": [path_of(blob)]}
    return tar({"manifest.json": encoded([item]), "image.json": source["image.json"], path_of(blob): blob})


@pytest.mark.parametrize("where", ["named", "by digest"])
@pytest.mark.parametrize("program", COMPRESSED)
def test_a_compressed_layer_of_a_docker_archive_is_kept_and_named_by_its_type(
    opened: Opener, program: str, where: str
) -> None:
    compress, media_type = COMPRESSED[program]
    blob = compress(LAYERS[0])
    image = opened(saved([opened(compressed_source(blob, where)).image()])).image()
    (part,) = image.layers
    assert part.descriptor is not None
    assert (part.descriptor.media_type, str(part.descriptor.digest)) == (media_type, sha256(blob))
    assert contents(image) == LAYERS[:1]


@pytest.mark.parametrize("where", ["named", "by digest"])
def test_a_layer_compressed_in_a_way_that_has_no_media_type_is_written_as_a_plain_tar(
    opened: Opener, where: str
) -> None:
    image = opened(saved([opened(compressed_source(bz2.compress(LAYERS[0]), where)).image()])).image()
    (part,) = image.layers
    assert part.descriptor is not None
    assert (part.descriptor.media_type, str(part.descriptor.digest)) == (types.OCI_LAYER, sha256(LAYERS[0]))
    assert contents(image) == LAYERS[:1]


def test_a_compressed_layer_that_is_not_what_its_config_says_is_refused(opened: Opener) -> None:
    image = opened(compressed_source(gzip.compress(b"something else"), "named")).image()
    with pytest.raises(ArchiveError, match="does not match its digest"):
        gathered([image])


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_layer_is_an_error_and_never_written_whole(opened: Opener, form: Form) -> None:
    image = opened(damaged(DOCKER, "image1/layer.tar")).image()
    out = io.BytesIO()
    found = gathered([image])
    with pytest.raises(ArchiveError, match=f"layer {sha256(LAYERS[1])} does not match its digest"):
        write_archive(found, form, out, ignore)
    with pytest.raises(ArchiveError, match="the archive ends within its content"):
        opened(out.getvalue())


@pytest.mark.parametrize("other", [layer("longer" * 200), b""])
def test_a_layer_that_changed_its_size_is_an_error(opened: Opener, other: bytes) -> None:
    image = opened(tar(layout([OCI.entry()], OCI.blobs))).image()
    changed = opened(tar(docker_image("other", [other], None))).image().layers[0]
    with pytest.raises(ArchiveError, match="its descriptor"):
        saved([replace(image, layers=(image.layers[0], replace(image.layers[1], opener=changed.opener)))])


def test_what_is_copied_is_told(opened: Opener) -> None:
    found = gathered([opened(tar(DOCKER)).image()])
    told: list[int] = []
    write_archive(found, Form.OCI_ARCHIVE, io.BytesIO(), told.append)
    assert sum(told) == found.size == sum(blob.size for blob in found.blobs)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
@pytest.mark.parametrize("form", FORMS)
def test_a_compressed_archive_is_read_back(opened: Opener, form: Form, compression: Compression) -> None:
    found = gathered([opened(tar(DOCKER)).image()])
    packed = written(found, form, compression)
    program = [compression.value, "-dc"]
    plain = subprocess.run(program, input=packed, check=True, capture_output=True).stdout
    assert plain == written(found, form)
    assert contents(opened(packed).image()) == LAYERS
    assert written(found, form, compression) == packed


def test_a_gzip_header_holds_no_time_and_no_name(opened: Opener) -> None:
    packed = written(gathered([opened(tar(DOCKER)).image()]), compression=Compression.GZIP)
    assert packed[:8] == b"\x1f\x8b\x08\0\0\0\0\0"


def test_an_archive_after_an_error_has_no_end_when_compressed(opened: Opener) -> None:
    found = gathered([opened(damaged(DOCKER, "image1/layer.tar")).image()])
    out = io.BytesIO()
    with pytest.raises(ArchiveError), compressing(out, Compression.GZIP) as sink:
        write_archive(found, Form.DOCKER_ARCHIVE, sink, ignore)
    with pytest.raises(EOFError):
        gzip.decompress(out.getvalue() or b"\x1f\x8b\x08" + bytes(7))


def test_a_manifest_can_be_made_of_config_and_layers_alone() -> None:
    listed = Manifest.read(encoded(documents.manifest(OCI.config, LAYERS)))
    assert Manifest.read(image_manifest(OCI.config, listed.layers)) == listed
    assert Config.read(OCI.config).digest == listed.config.digest


def test_an_image_of_a_sha512_layout_keeps_its_digests(opened: Opener) -> None:
    image = sha512_image(opened)
    again = opened(saved([image])).image()
    assert again.manifest == image.manifest
    assert again.config_digest == image.config_digest
    assert again.config_digest.algorithm == "sha512"


def sha512_image(opened: Opener) -> Image:
    def named(content: bytes) -> str:
        return "sha512:" + hashlib.sha512(content).hexdigest()

    def described(content: bytes, kind: str) -> documents.Fields:
        return {"mediaType": kind, "digest": named(content), "size": len(content)}

    config = encoded(documents.config([sha256(content) for content in LAYERS]))
    manifest = encoded(
        {
            **documents.manifest(config, LAYERS),
            "config": described(config, types.OCI_CONFIG),
            "layers": [described(content, types.OCI_LAYER) for content in LAYERS],
        }
    )
    blobs = {f"blobs/{named(content).replace(':', '/')}": content for content in (*LAYERS, config, manifest)}
    return opened(tar({**layout([described(manifest, types.OCI_MANIFEST)], []), **blobs})).image()
