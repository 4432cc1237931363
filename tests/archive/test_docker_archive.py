"""Docker archives, as `docker save` wrote them for ten years and as it writes them now."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests import tarball
from tests.archive.build import Files, OciImage, docker_image, layer, layout, tar
from tests.archive.reading import Opener, contents, refusal
from tests.image import documents
from tests.image.documents import encoded, sha256
from unionfs.archive import ArchiveError, Limits, open_archive
from unionfs.archive.members import Members
from unionfs.archive.stream import Window
from unionfs.image import Limits as DocumentLimits

LAYERS = [layer("one"), layer("two")]
CLASSIC = docker_image("c", LAYERS, ["foo:1"])


def manifest(files: Files, **changes: object) -> Files:
    """Return the files with fields of the first image in manifest.json changed."""
    items = json.loads(files["manifest.json"])
    items[0].update(changes)
    return {**files, "manifest.json": encoded(items)}


def multi(*images: Files) -> Files:
    """Return one archive of several images."""
    files: Files = {path: content for image in images for path, content in image.items()}
    files["manifest.json"] = encoded([item for image in images for item in json.loads(image["manifest.json"])])
    return files


def test_a_classic_archive_is_read(opened: Opener) -> None:
    extras = {"repositories": b'{"foo":{"1":"c0"}}', "c0/VERSION": b"1.0", "c0/json": b"{}"}
    archive = opened(tar({**CLASSIC, **extras}))
    assert [(image.index, image.names) for image in archive.images] == [(0, ("docker.io/library/foo:1",))]
    image = archive.image()
    assert image.names == ("docker.io/library/foo:1",)
    assert image.config.raw == CLASSIC["c.json"]
    assert str(image.config_digest) == sha256(CLASSIC["c.json"])
    assert image.manifest_digest is None
    assert image.manifest is None
    assert contents(image) == LAYERS
    assert [str(part.diff_id) for part in image.layers] == [sha256(content) for content in LAYERS]
    assert tuple(part.chain_id for part in image.layers) == image.config.chain_ids
    assert [part.descriptor for part in image.layers] == [None, None]


@pytest.mark.parametrize("prefix", ["", "./"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("directories", [b"", tarball.directory(b"c0/") + tarball.directory(b"./c1")])
def test_the_order_and_form_of_members_does_not_matter(
    opened: Opener, prefix: str, directories: bytes, *, backwards: bool
) -> None:
    files = dict(reversed(CLASSIC.items())) if backwards else CLASSIC
    assert contents(opened(directories + tar(files, prefix=prefix)).image()) == LAYERS


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (None, ()),
        ([], ()),
        (["foo"], ("docker.io/library/foo:latest",)),
        (["b:2", "localhost/a:1"], ("docker.io/library/b:2", "localhost/a:1")),
    ],
)
def test_names_are_in_full_form_and_in_order(opened: Opener, tags: list[str] | None, names: tuple[str, ...]) -> None:
    archive = opened(tar(docker_image("c", LAYERS, tags)))
    assert archive.images[0].names == names
    assert archive.image().names == names


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_layers_may_be_compressed(opened: Opener, compress: Callable[[bytes], bytes]) -> None:
    stored = [compress(content) for content in LAYERS]
    files = docker_image("c", stored, ["foo:1"], [sha256(content) for content in LAYERS])
    image = opened(tar(files)).image()
    assert [part.open().read() for part in image.layers] == stored
    assert contents(image) == LAYERS


def test_an_image_without_layers_is_read(opened: Opener) -> None:
    image = opened(tar(docker_image("c", [], ["empty:1"]))).image()
    assert image.layers == ()
    without_rootfs = {**docker_image("c", [], None), "c.json": b'{"os": "linux"}'}
    assert opened(tar(without_rootfs)).image().layers == ()


def test_one_layer_twice_is_two_layers(opened: Opener) -> None:
    files = docker_image("c", [LAYERS[0]], None, [sha256(LAYERS[0])] * 2)
    image = opened(tar(manifest(files, Layers=["c0/layer.tar"] * 2))).image()
    assert contents(image) == [LAYERS[0]] * 2
    assert image.layers[0].chain_id != image.layers[1].chain_id


@pytest.mark.parametrize("link", [tarball.symlink, tarball.hardlink])
@pytest.mark.parametrize("first", [True, False])
def test_equal_layers_may_be_links(opened: Opener, link: Callable[[bytes, bytes], bytes], *, first: bool) -> None:
    files = docker_image("c", [LAYERS[0]], None, [sha256(LAYERS[0])] * 2)
    files = manifest(files, Layers=["c0/layer.tar", "c1/layer.tar"])
    member = link(b"c1/layer.tar", b"../c0/layer.tar" if link is tarball.symlink else b"c0/layer.tar")
    archive = member + tar(files) if first else tarball.archive(tar(files)[:-1024], member)
    assert contents(opened(archive).image()) == [LAYERS[0]] * 2


@pytest.mark.parametrize("target", [b"/etc/shadow", b"../../etc/shadow", b"c9/layer.tar", b"../c1/layer.tar"])
def test_a_layer_that_is_a_link_to_elsewhere_is_refused(opened: Opener, target: bytes) -> None:
    files = manifest(docker_image("c", [LAYERS[0]], None), Layers=["c1/layer.tar"])
    archive = opened(tarball.symlink(b"c1/layer.tar", target) + tar(files))
    assert '"c1/layer.tar" is a link' in refusal(archive)


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "etc/passwd", "c0", "\x1b[2J"])
def test_paths_are_looked_up_among_the_members_alone(opened: Opener, path: str) -> None:
    assert "archive" in refusal(opened(tar(manifest(CLASSIC, Config=path))))
    assert "archive" in refusal(opened(tar(manifest(CLASSIC, Layers=["c0/layer.tar", path]))))


@pytest.mark.parametrize("gone", ["c.json", "c0/layer.tar", "c1/layer.tar"])
def test_a_missing_member_is_named(opened: Opener, gone: str) -> None:
    archive = opened(tar({path: content for path, content in CLASSIC.items() if path != gone}))
    assert f'"{gone}" is missing in the archive' in refusal(archive)


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_layers_as_diff_ids_are_needed(opened: Opener, count: int) -> None:
    layers = ["c0/layer.tar"] * count
    assert f"layers length mismatch: expected {count}, got 2" in refusal(opened(tar(manifest(CLASSIC, Layers=layers))))


def test_the_configs_file_name_does_not_matter(opened: Opener) -> None:
    files = {**manifest(CLASSIC, Config="0" * 64 + ".json"), "0" * 64 + ".json": CLASSIC["c.json"]}
    assert str(opened(tar(files)).image().config_digest) == sha256(CLASSIC["c.json"])


def test_another_type_of_rootfs_is_refused(opened: Opener) -> None:
    config = documents.config([], rootfs={"type": "layers+base", "diff_ids": []})
    assert "rootfs.type must be" in refusal(opened(tar({**docker_image("c", [], None), "c.json": encoded(config)})))


TWO = multi(docker_image("a", LAYERS[:1], ["a:1", "shared:1"]), docker_image("b", LAYERS, ["b", "x/b:2"]))


def test_all_images_of_an_archive_are_listed_in_order(opened: Opener) -> None:
    archive = opened(tar(TWO))
    assert [(image.index, image.names) for image in archive.images] == [
        (0, ("docker.io/library/a:1", "docker.io/library/shared:1")),
        (1, ("docker.io/library/b:latest", "docker.io/x/b:2")),
    ]
    for listed in archive.images:
        assert archive.image(f"@{listed.index}").names == listed.names


@pytest.mark.parametrize(
    ("selector", "count"),
    [
        ("a:1", 1),
        ("docker.io/library/a:1", 1),
        ("shared:1", 1),
        ("b", 2),
        ("b:latest", 2),
        ("x/b:2", 2),
        ("@0", 1),
        ("@1", 2),
    ],
)
def test_an_image_is_selected_by_any_form_of_its_name_or_by_number(opened: Opener, selector: str, count: int) -> None:
    assert len(opened(tar(TWO)).image(selector).layers) == count


@pytest.mark.parametrize(
    ("selector", "reason"),
    [
        (None, "Unexpected tar manifest.json: expected 1 item, got 2"),
        ("@7", "Invalid source index @7, only 2 manifest items available"),
        ("@2", "Invalid source index @2, only 2 manifest items available"),
        ("@-1", "Invalid source index @-1"),
        ("@", "Invalid source index @"),
        ("@one", "Invalid source index @one"),
        ("@\u0661", "Invalid source index"),
        ("@" + "9" * 10_000, "Invalid source index"),
        ("@\x1b[2J", r"Invalid source index @\x1b[2J"),
        ("nope:1", 'Tag "docker.io/library/nope:1" not found'),
        ("b:3", 'Tag "docker.io/library/b:3" not found'),
        ("B:1", "must be lowercase"),
        ("a:1@" + sha256(b""), "not found"),
    ],
)
def test_a_selector_that_fits_no_image_is_refused(opened: Opener, selector: str | None, reason: str) -> None:
    assert reason in refusal(opened(tar(TWO)), selector)


def test_a_name_that_two_images_have_is_ambiguous(opened: Opener) -> None:
    files = multi(docker_image("a", LAYERS[:1], ["a:1"]), docker_image("b", LAYERS, ["a:1"]))
    assert "ambiguous" in refusal(opened(tar(files)), "a:1")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"null", "must be a JSON list"),
        (b"{}", "must be a JSON list"),
        (b"[]", "no image in archive"),
        (b"[" * 100_000, "nested deeper than"),
        (b'[{"Config": "c.json", "RepoTags": ["Foo:1"]}]', "must be lowercase"),
        (b'[{"Config": "c.json", "RepoTags": ["x@' + sha256(b"").encode() + b'"]}]', "names a digest"),
        (b'[{"Config": "c.json", "RepoTags": ["\\u001b[2J"]}]', r"\x1b[2J"),
    ],
)
def test_a_bad_list_is_refused_when_the_archive_is_opened(tmp_path: Path, document: bytes, reason: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar({**CLASSIC, "manifest.json": document}))
    with pytest.raises(ArchiveError) as error:
        open_archive(path)
    assert str(error.value).startswith(f'"{path}": ')
    assert reason in str(error.value)
    assert str(error.value).isprintable()


def test_documents_over_their_limits_are_refused(tmp_path: Path, opened: Opener) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar({**CLASSIC, "manifest.json": b" " * (2 << 20)}))
    with pytest.raises(ArchiveError, match=r'"manifest\.json" exceeded maximum allowed size') as error:
        open_archive(path)
    assert error.value.limit == "archive_manifest"
    archive = opened(tar({**CLASSIC, "c.json": b" " * ((4 << 20) + 1)}))
    with pytest.raises(ArchiveError, match=r'"c\.json" exceeded maximum allowed size') as error:
        archive.image()
    assert error.value.limit == "config"


def test_a_layer_listed_very_often_is_looked_up_once(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    look_up = Members.open

    def counted(members: Members, path: str) -> Window:
        looked_up.append(path)
        return look_up(members, path)

    count = 10_000
    files = docker_image("c", [LAYERS[0]], None, [sha256(LAYERS[0])] * count)
    limits = Limits(documents=DocumentLimits(layers=count))
    archive = opened(tar(manifest(files, Layers=["c0/layer.tar"] * count)), limits)
    monkeypatch.setattr(Members, "open", counted)
    assert len(archive.image().layers) == count
    assert looked_up == ["c.json", "c0/layer.tar"]


def test_an_image_of_more_layers_than_the_limit_is_refused(opened: Opener) -> None:
    files = docker_image("c", [LAYERS[0]], None, [sha256(LAYERS[0])] * 1001)
    archive = opened(tar(manifest(files, Layers=["c0/layer.tar"] * 1001)))
    with pytest.raises(ArchiveError, match=r"1001 layers are over the limit of 1000 \(layers\)") as error:
        archive.image()
    assert error.value.limit == "layers"


MODERN = OciImage(LAYERS)


def modern(**changes: object) -> Files:
    """Return what docker 25 and later save: an OCI layout with a manifest.json in front."""
    files = layout([MODERN.entry("1", "docker.io/library/foo:1")], MODERN.blobs)
    item = {
        "Config": "blobs/sha256/" + sha256(MODERN.config)[7:],
        "RepoTags": ["foo:1"],
        "Layers": ["blobs/sha256/" + sha256(content)[7:] for content in LAYERS],
        "LayerSources": {sha256(LAYERS[0]): {"mediaType": "x", "size": 1, "digest": "y"}},
        **changes,
    }
    return {"manifest.json": encoded([item]), **files}


def test_of_both_formats_the_oci_index_is_used(opened: Opener) -> None:
    image = opened(tar(modern(Config="gone"))).image()
    assert image.names == ("docker.io/library/foo:1",)
    assert str(image.manifest_digest) == sha256(MODERN.manifest)
    assert contents(image) == LAYERS


@pytest.mark.parametrize("left_out", ["oci-layout", "index.json"])
def test_without_a_whole_layout_the_list_is_used(opened: Opener, left_out: str) -> None:
    files = modern()
    del files[left_out]
    image = opened(tar(files)).image()
    assert image.names == ("docker.io/library/foo:1",)
    assert image.manifest_digest is None
    assert contents(image) == LAYERS


def test_without_an_image_in_the_index_the_list_is_used(opened: Opener) -> None:
    image = opened(tar({**modern(), "index.json": encoded(documents.index([]))})).image()
    assert image.manifest_digest is None
    assert contents(image) == LAYERS


def test_layers_stored_as_blobs_tell_their_digest(opened: Opener) -> None:
    files = modern()
    del files["index.json"]
    found = [part.descriptor for part in opened(tar(files)).image().layers]
    assert [(str(part.digest), part.size) for part in found if part] == [
        (sha256(content), len(content)) for content in LAYERS
    ]


def test_a_config_stored_as_a_blob_must_match_its_digest(opened: Opener) -> None:
    files = modern()
    del files["index.json"]
    path = next(path for path, content in files.items() if content == MODERN.config)
    files[path] = MODERN.config.replace(b"linux", b"Linux")
    assert "does not match its digest" in refusal(opened(tar(files)))


def test_the_limits_are_the_callers(opened: Opener) -> None:
    assert "config" in refusal(opened(tar(CLASSIC), Limits(documents=DocumentLimits(config=10))))
