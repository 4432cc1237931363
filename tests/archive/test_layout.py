"""OCI layouts, each as a tar archive and as a directory."""

import pytest

from tests.archive.build import OciImage, blob, layer, layout
from tests.archive.reading import Opening, contents, refusal
from tests.image import documents
from tests.image.documents import Fields, encoded, platform, sha256
from unionfs.archive import ArchiveError
from unionfs.image import Platform
from unionfs.image import media_type as types

LAYERS = [layer("one"), layer("two")]
IMAGE = OciImage(LAYERS)
OTHER = OciImage(LAYERS[:1])
PLAIN = layout([IMAGE.entry()], IMAGE.blobs)


def test_an_image_is_read_with_its_documents_and_layers(opening: Opening) -> None:
    archive = opening(PLAIN)
    assert [(image.index, image.names, image.tags) for image in archive.images] == [(0, (), ())]
    image = archive.image()
    assert image.names == ()
    assert image.manifest == IMAGE.manifest
    assert str(image.manifest_digest) == sha256(IMAGE.manifest)
    assert image.config.raw == IMAGE.config
    assert str(image.config_digest) == sha256(IMAGE.config)
    assert contents(image) == LAYERS
    assert [part.descriptor and str(part.descriptor.digest) for part in image.layers] == list(map(sha256, LAYERS))
    assert tuple(part.chain_id for part in image.layers) == image.config.chain_ids


def test_unknown_files_and_blobs_do_not_matter(opening: Opening) -> None:
    extras = {"README": b"hello", "blobs/other/x": b"", **blob(b"unreferenced")}
    assert contents(opening({**extras, **PLAIN}).image()) == LAYERS


@pytest.mark.parametrize(
    ("marker", "reason"),
    [(b'{"imageLayoutVersion": "9.9.9"}', "is not supported"), (b"", "not valid JSON"), (b"{}", "has no")],
)
def test_another_version_of_the_layout_is_refused(opening: Opening, marker: bytes, reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        opening({**PLAIN, "oci-layout": marker})


@pytest.mark.parametrize("gone", ["oci-layout", "index.json"])
def test_a_layout_without_one_of_its_two_files_is_refused(opening: Opening, gone: str) -> None:
    with pytest.raises(ArchiveError, match=f"oci-archive, oci: it has no {gone}$"):
        opening({path: content for path, content in PLAIN.items() if path != gone})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schemaVersion": None}, "must have schemaVersion 2"),
        ({"mediaType": types.OCI_MANIFEST}, "not that of an index"),
        ({"manifests": [{}]}, 'has no "mediaType"'),
        ({"config": {}}, "ambiguous"),
        ({"manifests": [{**IMAGE.entry(), "digest": "sha256:../../../etc/passwd"}]}, "invalid checksum digest"),
        ({"manifests": [{**IMAGE.entry(), "digest": "blake3:" + "0" * 64}]}, "only sha256 and sha512 are supported"),
        ({"manifests": [IMAGE.entry(containerd="../../x")]}, "invalid reference format"),
        ({"manifests": [{**IMAGE.entry(), "data": "AAAA"}]}, "the embedded data"),
    ],
)
def test_a_malformed_index_is_refused(opening: Opening, changes: Fields, reason: str) -> None:
    with pytest.raises(ArchiveError, match=reason):
        opening({**PLAIN, "index.json": encoded({**documents.index([IMAGE.entry()]), **changes})})


def test_the_index_needs_no_media_type(opening: Opening) -> None:
    files = {**PLAIN, "index.json": encoded(documents.index([IMAGE.entry()], mediaType=None))}
    assert contents(opening(files).image()) == LAYERS


@pytest.mark.parametrize(
    ("ref_name", "containerd", "names", "tags"),
    [
        ("docker.io/library/foo:1", None, ("docker.io/library/foo:1",), ()),
        ("foo:1", None, ("docker.io/library/foo:1",), ()),
        ("localhost/foo", None, ("localhost/foo:latest",), ()),
        ("latest", None, (), ("latest",)),
        ("1", "docker.io/library/foo:1", ("docker.io/library/foo:1",), ("1",)),
        ("docker.io/library/foo:1", "docker.io/library/foo:1", ("docker.io/library/foo:1",), ()),
        (None, "localhost:5000/x", ("localhost:5000/x:latest",), ()),
        ("stable+build.1/Upper", None, (), ("stable+build.1/Upper",)),
        (None, None, (), ()),
    ],
)
def test_annotations_name_an_image(
    opening: Opening, ref_name: str | None, containerd: str | None, names: tuple[str, ...], tags: tuple[str, ...]
) -> None:
    archive = opening(layout([IMAGE.entry(ref_name, containerd)], IMAGE.blobs))
    assert (archive.images[0].names, archive.images[0].tags) == (names, tags)
    assert archive.image().names == names
    for selector in (*names, *tags, *filter(None, (ref_name, containerd))):
        assert archive.image(selector).names == names


def test_a_name_with_a_digest_is_that_of_its_own_entry_alone(opening: Opening) -> None:
    own, other = f"docker.io/library/foo@{sha256(IMAGE.manifest)}", f"docker.io/library/foo@{sha256(OTHER.manifest)}"
    for annotations in ((own, None), (None, own)):
        assert opening(layout([IMAGE.entry(*annotations)], IMAGE.blobs)).image().names == (own,)
    assert opening(layout([IMAGE.entry(other)], IMAGE.blobs)).image().names == ()
    with pytest.raises(ArchiveError, match="has a digest that isn't that of its entry"):
        opening(layout([IMAGE.entry(None, other)], IMAGE.blobs))


def test_entries_with_one_digest_are_one_image_with_all_their_names(opening: Opening) -> None:
    entries = [
        IMAGE.entry("1", "foo:1"),
        OTHER.entry(containerd="other"),
        IMAGE.entry("2", "foo:2"),
        IMAGE.entry("2", "foo:2"),
    ]
    archive = opening(layout(entries, IMAGE.blobs + OTHER.blobs))
    names = ("docker.io/library/foo:1", "docker.io/library/foo:2")
    assert [(image.index, image.names) for image in archive.images] == [
        (0, names),
        (1, ("docker.io/library/other:latest",)),
    ]
    for selector in ("foo:1", "foo:2", "@0", "@2", "@3", "1", "2"):
        assert archive.image(selector).names == names
    assert len(archive.image("@1").layers) == 1


def test_one_image_under_two_names_needs_no_selector(opening: Opening) -> None:
    archive = opening(layout([IMAGE.entry("a:1"), IMAGE.entry("b:1")], IMAGE.blobs))
    assert archive.image().names == ("docker.io/library/a:1", "docker.io/library/b:1")


TWO = layout(
    [IMAGE.entry("one"), OTHER.entry("two"), IMAGE.entry("same"), OTHER.entry("same")], IMAGE.blobs + OTHER.blobs
)


@pytest.mark.parametrize(("selector", "count"), [("one", 2), ("two", 1), ("@0", 2), ("@1", 1), ("@3", 1)])
def test_an_image_is_selected_by_annotation_or_number(opening: Opening, selector: str, count: int) -> None:
    assert len(opening(TWO).image(selector).layers) == count


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        (None, "more than one image in oci, choose an image"),
        ("same", 'reference "same" is ambiguous'),
        ("three", 'no descriptor found for reference "three"'),
        ("not a name\n", "no descriptor found for reference"),
        ("@4", "Invalid source index @4, only 4 manifest items available"),
    ],
)
def test_a_selector_that_fits_no_one_image_is_refused(opening: Opening, selector: str | None, reason: str) -> None:
    assert reason in refusal(opening(TWO), selector)


def test_a_layout_may_list_no_image(opening: Opening) -> None:
    archive = opening(layout([], []))
    assert archive.images == ()
    assert "no image in index.json" in refusal(archive)


def test_attestations_and_unknown_types_are_not_listed(opening: Opening) -> None:
    attestation = OTHER.entry(platform=platform("unknown/unknown"))
    unknown = documents.descriptor(b"?", "application/vnd.example.thing")
    archive = opening(layout([unknown, attestation, IMAGE.entry()], IMAGE.blobs))
    assert [image.index for image in archive.images] == [2]
    assert contents(archive.image()) == LAYERS
    assert "is not the media type of an image" in refusal(archive, "@0")


@pytest.mark.parametrize("levels", [1, 2, 5])
def test_the_image_of_a_platform_is_found_in_nested_indexes(opening: Opening, levels: int) -> None:
    entries = [OTHER.entry(platform=platform("linux/arm64")), IMAGE.entry(platform=platform("linux/amd64"))]
    blobs = IMAGE.blobs + OTHER.blobs
    for _ in range(levels):
        index = encoded(documents.index(entries))
        blobs.append(index)
        entries = [documents.descriptor(index, types.OCI_INDEX)]
    archive = opening(layout(entries, blobs))
    assert len(archive.image(platform=Platform.parse("linux/amd64")).layers) == 2
    assert len(archive.image(platform=Platform.parse("linux/arm64/v8")).layers) == 1
    assert 'no image found in image index for architecture "s390x", variant "", OS "linux"' in refusal(
        archive, platform=Platform.parse("linux/s390x")
    )


def test_the_platform_is_this_machines_unless_told(opening: Opening) -> None:
    host = Platform.host()
    other = "linux/s390x" if host.architecture != "s390x" else "linux/amd64"
    entries = [OTHER.entry(platform=platform(other)), IMAGE.entry(platform=platform(str(host)))]
    index = encoded(documents.index(entries))
    archive = opening(layout([documents.descriptor(index, types.OCI_INDEX)], [*IMAGE.blobs, *OTHER.blobs, index]))
    assert contents(archive.image()) == LAYERS


def test_an_image_listed_by_itself_is_taken_whatever_its_platform(opening: Opening) -> None:
    foreign = OciImage(LAYERS, documents.config(list(map(sha256, LAYERS)), architecture="s390x"))
    image = opening(layout([foreign.entry(platform=platform("linux/s390x"))], foreign.blobs)).image(
        platform=Platform.parse("linux/amd64")
    )
    assert image.config.platform.architecture == "s390x"


def test_very_deep_indexes_are_refused(opening: Opening) -> None:
    entries, blobs = [IMAGE.entry()], list(IMAGE.blobs)
    for _ in range(100):
        index = encoded(documents.index(entries))
        blobs.append(index)
        entries = [documents.descriptor(index, types.OCI_INDEX)]
    assert "nested deeper than the limit of 16" in refusal(opening(layout(entries, blobs)))


def test_docker_types_are_accepted_in_a_layout(opening: Opening) -> None:
    config = documents.descriptor(IMAGE.config, types.DOCKER_CONFIG)
    layers = [documents.descriptor(content, types.DOCKER_LAYER_GZIP) for content in LAYERS]
    fields = {"schemaVersion": 2, "mediaType": types.DOCKER_MANIFEST, "config": config, "layers": layers}
    manifest = encoded(fields)
    entry = documents.descriptor(manifest, types.DOCKER_MANIFEST, platform=platform("linux/amd64"))
    index = encoded(documents.index([entry], mediaType=types.DOCKER_INDEX))
    root = documents.descriptor(index, types.DOCKER_INDEX)
    archive = opening(layout([root], [*IMAGE.blobs, manifest, index]))
    assert contents(archive.image(platform=Platform.parse("linux/amd64"))) == LAYERS


def test_a_schema_1_manifest_is_refused_by_name(opening: Opening) -> None:
    content = b'{"schemaVersion": 1, "fsLayers": []}'
    media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    archive = opening(layout([documents.descriptor(content, media_type)], [content]))
    assert "schema 1 is not supported" in refusal(archive)
    archive = opening(layout([documents.descriptor(content, types.OCI_MANIFEST)], [content]))
    assert "schema 1 is not supported" in refusal(archive)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layers": [documents.descriptor(LAYERS[0], types.OCI_LAYER)]}, "layers length mismatch: expected 1, got 2"),
        ({"layers": []}, "layers length mismatch: expected 0, got 2"),
        ({"manifests": []}, "ambiguous"),
        ({"mediaType": types.DOCKER_MANIFEST}, "but came as"),
        ({"artifactType": "application/x"}, "not a runnable image"),
        ({"config": documents.descriptor(b"{}", types.OCI_EMPTY)}, "not a runnable image"),
        ({"layers": [documents.descriptor(b"", "application/x")] * 2}, 'unknown media type "application/x"'),
        (
            {"config": {**documents.descriptor(IMAGE.config, types.OCI_CONFIG), "size": 5 << 20}},
            "exceeded maximum allowed",
        ),
        ({"config": {**documents.descriptor(IMAGE.config, types.OCI_CONFIG), "size": -5}}, "size is negative"),
        ({"config": {**documents.descriptor(IMAGE.config, types.OCI_CONFIG), "size": 5}}, "but its descriptor says 5"),
    ],
)
def test_a_manifest_that_describes_no_image_is_refused(opening: Opening, changes: Fields, reason: str) -> None:
    image = OciImage(LAYERS, **changes)
    assert reason in refusal(opening(layout([image.entry()], [*image.blobs, b"{}"])))


def test_a_subject_and_unknown_fields_do_not_matter(opening: Opening) -> None:
    image = OciImage(LAYERS, subject=documents.descriptor(b"x", types.OCI_MANIFEST), unknown=[None])
    assert contents(opening(layout([image.entry()], image.blobs)).image()) == LAYERS
