"""Images whose documents, names, digests or links are wrong, given to ``unionfs load``."""

import json
from collections.abc import Callable, Mapping

import pytest

from tests.archive.build import Files, OciImage, blob, docker_image, layout, tar, tree
from tests.attacks.loading import BASE, FORMS, GOOD, TAKEN, Loader, docker, oci, write
from tests.image import documents
from tests.image.documents import Fields, descriptor, encoded, sha256
from tests.tarball import hardlink, symlink
from unionfs.image import media_type as types
from unionfs.store.store import Store

NAMES: Mapping[str, str] = {
    "../../x": "invalid reference format",
    "Foo:1": "must be lowercase",
    "-rf": "invalid reference format",
    "a" * 10240: "",
    "a:" + "t" * 10240: "",
    "0" * 64: "cannot specify 64-byte hexadecimal strings",
    "/etc/passwd": "invalid reference format",
    "": "invalid reference format",
    "a:": "invalid reference format",
    "a b": "invalid reference format",
    "x\n": r"x\n",
    "\x1b[2J": r"\x1b[2J",
    "x\x00": r"x\x00",
    "x@sha256:" + "0" * 64: "digest",
    "\u202eabc": "u202e",
}


@pytest.mark.parametrize("name", NAMES, ids=[repr(name[:20]) for name in NAMES])
def test_name_against_the_grammar_is_refused_in_a_docker_archive(loader: Loader, name: str) -> None:
    assert NAMES[name] in loader.refusals(docker_image("c", [GOOD], ["fine:1", name]))


@pytest.mark.parametrize("name", NAMES, ids=[repr(name[:20]) for name in NAMES])
def test_name_against_the_grammar_is_refused_in_a_layout(loader: Loader, name: str) -> None:
    image = OciImage([GOOD])
    assert NAMES[name] in loader.refusals(layout([image.entry("1", containerd=name)], image.blobs))


@pytest.mark.parametrize("name", NAMES, ids=[repr(name[:20]) for name in NAMES])
def test_annotation_that_is_no_name_gives_none(loader: Loader, name: str) -> None:
    """The image-spec lets org.opencontainers.image.ref.name be more than names; such an image is loaded without one."""
    image = OciImage([TAKEN])
    path = loader.place(layout([image.entry(name)], image.blobs), tree)
    assert loader.load(path) == (0, f"Loaded image ID: {sha256(image.config)}\n", "")
    with Store(loader.root) as store:
        assert [stored.names for stored in store.catalogue().images if str(stored.id) == sha256(image.config)] == [()]


DIGESTS = {
    "above": "sha256:../../x",
    "upper case": "sha256:" + "A" * 64,
    "short": "sha256:" + "a" * 63,
    "long": "sha256:" + "a" * 65,
    "other": "md5:" + "a" * 32,
    "empty": "",
    "no digits": "sha256:",
    "number": 5,
    "absolute": "/etc/passwd",
    "controls": "sha256:\x1b[2J\n",
}


@pytest.mark.parametrize("digest", DIGESTS)
@pytest.mark.parametrize("place", ["index", "config", "layer", "diff_id"])
def test_digest_that_is_none_is_refused(loader: Loader, digest: str, place: str) -> None:
    image = OciImage([GOOD])
    bad = {"digest": DIGESTS[digest]}
    if place == "index":
        files = layout([{**image.entry("bad:1"), **bad}], image.blobs)
    else:
        diff_id = DIGESTS[digest] if place == "diff_id" else sha256(GOOD)
        config = documents.config([])
        config["rootfs"]["diff_ids"] = [diff_id]
        changed = OciImage([GOOD], config)
        fields = json.loads(changed.manifest)
        if place == "config":
            fields["config"] |= bad
        elif place == "layer":
            fields["layers"][0] |= bad
        manifest = encoded(fields)
        files = layout([descriptor(manifest, types.OCI_MANIFEST)], [*changed.blobs, manifest])
    loader.refusals(files)


DOCUMENTS: Mapping[str, tuple[bytes, str]] = {
    "deep": (b"[" * 100_000, "nested deeper"),
    "deep objects": (b'{"a":' * 100_000, "nested deeper"),
    "key twice": (b'{"a":1,"a":2}', "twice"),
    "lone surrogate": (b'{"a":"\\ud800"}', "surrogate"),
    "too large a number": (b'{"size":1e999}', "out of range"),
    "trailing bytes": (b"{}x", "not valid JSON"),
    "not UTF-8": (b'{"a":"\xff"}', "UTF-8"),
    "cut off": (b'{"a":', "not valid JSON"),
    "nothing": (b"", "not valid JSON"),
    "null": (b"null", "must be"),
    "number": (b"5", "must be"),
    "controls": (b'{"\\u001b[2J\\n":1,"\\u001b[2J\\n":1}', "twice"),
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_malformed_document_is_refused_wherever_it_stands(loader: Loader, document: str) -> None:
    content, reason = DOCUMENTS[document]
    good = OciImage([GOOD])
    manifest = encoded(documents.manifest(content, [GOOD]))
    cases = [
        {**docker([GOOD]), "manifest.json": content},
        {**docker([GOOD]), "c.json": content},
        {**oci([GOOD]), "index.json": content},
        {**oci([GOOD]), "oci-layout": content},
        layout([descriptor(content, types.OCI_MANIFEST)], [content]),
        layout([descriptor(content, types.OCI_INDEX)], [content, *good.blobs]),
        layout([descriptor(manifest, types.OCI_MANIFEST)], [GOOD, content, manifest]),
    ]
    for files in cases:
        assert reason in loader.refusals(files)


def with_item(**changes: object) -> Files:
    """Return a docker archive with fields of the image in its manifest.json changed."""
    files = docker([GOOD])
    (item,) = json.loads(files["manifest.json"])
    return {**files, "manifest.json": encoded([item | changes])}


def with_manifest(**changes: object) -> Files:
    image = OciImage([GOOD], **changes)
    return layout([image.entry("bad:1")], image.blobs)


def with_blob(content: bytes, other: bytes) -> Files:
    """Return a layout with other content under a blob's name."""
    (path,) = blob(content)
    return {**oci([GOOD]), path: other}


PLAIN = OciImage([GOOD])
SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
IMAGES: Mapping[str, tuple[Files, str]] = {
    "config is a file of the host": (with_item(Config="/etc/shadow"), "archive"),
    "config is above": (with_item(Config="../../etc/shadow"), "archive"),
    "layer is a file of the host": (with_item(Layers=["/etc/shadow"]), "archive"),
    "layer is above": (with_item(Layers=["../../etc/shadow"]), "archive"),
    "layer with controls in its name": (with_item(Layers=["\x1b[2J\n"]), r"\x1b[2J"),
    "no layers": (with_item(Layers=[]), "layers length mismatch"),
    "layers are no list": (with_item(Layers=5), "Layers"),
    "too many layers": (with_item(Layers=["c0/layer.tar"] * 100_000), "limit"),
    "list without images": ({**docker([GOOD]), "manifest.json": b"[]"}, "no image in archive"),
    "list that is no list": ({**docker([GOOD]), "manifest.json": b"{}"}, "must be a JSON list"),
    "missing config": (with_item(Config="gone.json"), "missing"),
    "missing layer": (with_item(Layers=["gone/layer.tar"]), "missing"),
    "wrong diff_id": (docker_image("c", [GOOD], ["bad:1"], [sha256(BASE)]), "expected"),
    "before docker 1.10": ({"repositories": b"{}", "c/json": b"{}", "c/layer.tar": GOOD}, "before docker 1.10"),
    "large manifest.json": ({**docker([GOOD]), "manifest.json": b" " * (2 << 20)}, "exceeded maximum allowed size"),
    "large config": ({**docker([GOOD]), "c.json": b" " * ((4 << 20) + 1)}, "exceeded maximum allowed size"),
    "large index": ({**oci([GOOD]), "index.json": b" " * ((4 << 20) + 1)}, "exceeded maximum allowed size"),
    "large oci-layout": ({**oci([GOOD]), "oci-layout": b" " * ((4 << 20) + 1)}, "exceeded maximum allowed size"),
    "blob with other content": (with_blob(GOOD, bytes(len(GOOD))), "digest"),
    "blob cut off": (with_blob(GOOD, GOOD[:-512]), "its descriptor says"),
    "blob with more": (with_blob(GOOD, GOOD + bytes(512)), "its descriptor says"),
    "config with other content": (with_blob(PLAIN.config, PLAIN.config.replace(b"linux", b"Linux")), "digest"),
    "manifest with other content": (with_blob(PLAIN.manifest, PLAIN.manifest.replace(b": ", b":\t", 1)), "digest"),
    "missing blob": (layout([PLAIN.entry("bad:1")], [PLAIN.config, PLAIN.manifest]), "missing"),
    "version of the layout": ({**oci([GOOD]), "oci-layout": b'{"imageLayoutVersion":"9.9.9"}'}, "9.9.9"),
    "schema of the index": (
        {**oci([GOOD]), "index.json": b'{"schemaVersion":1,"manifests":[]}'},
        "schema 1 is not supported",
    ),
    "two kinds in one": (with_manifest(manifests=[]), "ambiguous"),
    "another media type": (with_manifest(mediaType=types.DOCKER_MANIFEST), "but came as"),
    "artifact": (with_manifest(artifactType="application/x"), "not a runnable image"),
    "unknown layer type": (with_manifest(layers=[descriptor(GOOD, "application/x")]), "unknown media type"),
    "more layers than diff_ids": (
        with_manifest(layers=[descriptor(GOOD, types.OCI_LAYER)] * 2),
        "layers length mismatch",
    ),
    "one layer 25 000 times": (
        with_manifest(layers=[{"mediaType": types.OCI_LAYER, "digest": sha256(GOOD), "size": len(GOOD)}] * 25_000),
        "limit",
    ),
    "negative size": (
        with_manifest(config={**descriptor(PLAIN.config, types.OCI_CONFIG), "size": -5}),
        "size is negative",
    ),
    "size of a config": (
        with_manifest(config={**descriptor(PLAIN.config, types.OCI_CONFIG), "size": 5 << 20}),
        "exceeded maximum allowed size",
    ),
    "data that isn't the blob": (
        with_manifest(config={**descriptor(PLAIN.config, types.OCI_CONFIG), "data": "e30="}),
        "data",
    ),
    "schema 1": (layout([descriptor(b"{}", SCHEMA1)], [b"{}"]), "schema 1 is not supported"),
}


@pytest.mark.parametrize("image", IMAGES)
def test_malformed_image_is_refused(loader: Loader, image: str) -> None:
    files, reason = IMAGES[image]
    assert reason in loader.refusals(files)


@pytest.mark.parametrize(
    "target", [b"/etc/shadow", b"../../../../etc/shadow", b"../c1/layer.tar", b"../victim/secret", b"loop"]
)
@pytest.mark.parametrize("link", [symlink, hardlink])
def test_member_that_is_a_link_to_elsewhere_is_refused(
    loader: Loader, target: bytes, link: Callable[[bytes, bytes], bytes]
) -> None:
    files = with_item(Layers=["c1/layer.tar"])
    path = write(loader.root.with_name("link.tar"), link(b"c1/layer.tar", target) + tar(files))
    assert '"c1/layer.tar" is a link' in loader.refusal(path)


@pytest.mark.parametrize("target", ["/etc/shadow", "../../../victim/secret"])
def test_blob_of_a_layout_that_is_a_link_to_a_file_with_other_content_is_refused(loader: Loader, target: str) -> None:
    path = loader.place(oci([GOOD]), tree)
    (name,) = blob(GOOD)
    (path / name).unlink()
    (path / name).symlink_to(target)
    loader.refusal(path)


def nested(levels: int) -> Files:
    entries, blobs = [PLAIN.entry()], list(PLAIN.blobs)
    for _ in range(levels):
        content = encoded(documents.index(entries))
        blobs.append(content)
        entries = [descriptor(content, types.OCI_INDEX)]
    return layout(entries, blobs)


def test_indexes_without_end_are_refused(loader: Loader) -> None:
    assert "nested deeper than the limit" in loader.refusals(nested(1000))


def test_one_index_listed_very_often_is_loaded_once(loader: Loader) -> None:
    image = OciImage([TAKEN])
    entries: list[Fields] = [image.entry()] * 10_000
    path = loader.place(layout(entries, image.blobs), FORMS["tar"])
    code, output, _ = loader.load(path)
    assert code == 0
    assert len(output.splitlines()) == 1


def test_what_an_image_says_of_itself_reaches_the_terminal_escaped(loader: Loader) -> None:
    controls = "\x1b[2J\n\r\x07\u202e"
    config = documents.config(
        [sha256(TAKEN)], author=controls, config={"Labels": {controls: controls}, "Cmd": [controls]}
    )
    config["history"] = [{"created_by": controls, "comment": controls}]
    image = OciImage([TAKEN], config)
    path = loader.place(layout([image.entry("odd:1")], image.blobs), tree)
    code, output, errors = loader.load(path)
    assert (code, output, errors) == (0, "Loaded image: odd:1\n", "")
    for words in (["images"], ["history", "odd:1"], ["inspect", "odd:1"], ["images", "--format", "json"]):
        code, output, errors = loader.run(*words)
        assert (code, errors) == (0, "")
        assert all(line.isprintable() for line in output.splitlines())
