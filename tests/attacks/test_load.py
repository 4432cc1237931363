"""Archives made to harm, given to ``unionfs load``: one line is said of each, and nothing comes of it."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import zstandard

from tests.archive.build import Files, OciImage, blob, docker_image, layout, tar, tree
from tests.attacks.test_escape import ATTACKS
from tests.attacks.victim import Victim
from tests.image import documents
from tests.image.documents import Fields, descriptor, encoded, sha256
from tests.snapshots import differences, snapshot
from tests.tarball import archive, base256, char, directory, extension, file, hardlink, raw_header, record, symlink
from unionfs.cli import main
from unionfs.image import media_type as types
from unionfs.store.check import check
from unionfs.store.store import Store

BASE = archive(directory(b"etc/"), file(b"etc/a", b"A"), symlink(b"link", b"etc"))
GOOD = archive(file(b"good", b"G"))
TAKEN = archive(file(b"taken", b"T"))
"""The layer of images that are all right, and so come into the store."""
Form = Callable[[list[bytes]], Files]


def docker(layers: list[bytes]) -> Files:
    return docker_image("c", layers, ["bad:1"])


def oci(layers: list[bytes]) -> Files:
    image = OciImage(layers)
    return layout([image.entry("bad:1")], image.blobs)


def compressed_layers(layers: list[bytes]) -> Files:
    """Return a layout whose layers are gzip blobs."""
    stored = [gzip.compress(layer, mtime=0) for layer in layers]
    config = encoded(documents.config(list(map(sha256, layers))))
    described = [descriptor(content, types.OCI_LAYER + "+gzip") for content in stored]
    manifest = encoded(documents.manifest(config, [], layers=described))
    return layout([descriptor(manifest, types.OCI_MANIFEST)], [*stored, config, manifest])


FORMS: Mapping[str, Callable[[Files, Path], Path]] = {
    "tar": lambda files, path: write(path.with_suffix(".tar"), tar(files)),
    "tar.gz": lambda files, path: write(path.with_suffix(".tar.gz"), gzip.compress(tar(files), 1)),
    "directory": tree,
}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class Loader:
    """A store with an image in it, beside a victim, into which nothing bad may be loaded."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._number = 0
        self.root = top / "store"
        self.victim = Victim(top / "victim", lambda make: make())
        assert self.load(write(top / "good.tar", tar(docker_image("g", [BASE], ["kept:1"]))))[0] == 0

    def load(self, path: Path, *options: str) -> tuple[int, str, str]:
        return self.run("load", "-i", str(path), *options)

    def run(self, *words: str) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = main(["--root", str(self.root), *words])
        return code, output.getvalue(), errors.getvalue()

    def place(self, files: Files, make: Callable[[Files, Path], Path]) -> Path:
        """Write an archive or a layout under a name of its own."""
        self._number += 1
        return make(files, self._top / f"case{self._number}")

    def refusal(self, path: Path, *options: str) -> str:
        """Return the line with which a file is refused; the store is as it was."""
        before, beside = snapshot(self.root), set(os.listdir(self._top))
        code, output, errors = self.load(path, *options)
        assert (code, output) == (1, "")
        assert errors.endswith("\n")
        line = errors[:-1]
        assert line.isprintable()
        assert len(line) < 2000
        assert line.startswith(f'unionfs: error: "{path}": ')
        assert "internal error" not in line
        # That something was written there for a while is seen in a directory's times and in nothing else.
        times = frozenset({"mtime_ns", "ctime_ns"})
        assert differences(before, snapshot(self.root), ignoring=times) == []
        assert os.listdir(self.root / "ingest") == []
        assert set(os.listdir(self._top)) == beside
        self.victim.check()
        return line

    def refusals(self, files: Files, *options: str, forms: Mapping[str, Callable[[Files, Path], Path]] = FORMS) -> str:
        """Return the line with which files are refused in every form, of which a docker archive is a tar archive."""
        lines = set()
        for name, make in forms.items():
            if name == "directory" and "index.json" not in files:
                continue
            path = self.place(files, make)
            lines.add(self.refusal(path, *options).replace(str(path), "FILE"))
        return "\n".join(sorted(lines))


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    """One store for all: that a file is refused is seen by the store's being as it was."""
    given = Loader(tmp_path_factory.mktemp("loads"))
    yield given
    given.victim.check()
    with Store(given.root) as store:
        assert check(store) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_layer_that_tries_to_get_out_is_contained_or_refused(loader: Loader, attack: str) -> None:
    entries = ATTACKS[attack](os.fsencode(loader.victim.directory))
    cuts = [[archive(*entries)], *([archive(*entries[:n]), archive(*entries[n:])] for n in range(1, len(entries)))]
    for number, layers in enumerate(cuts):
        form = (docker, oci, compressed_layers)[number % 3]
        path = loader.place(form(layers), FORMS["tar.gz" if number % 2 else "tar"])
        before = snapshot(loader.root)
        code, _, errors = loader.load(path)
        loader.victim.check()
        assert code in (0, 1)
        assert all(line.isprintable() for line in errors.splitlines())
        if code:
            (line,) = errors.splitlines()
            assert re.search(r'error: "[^"]*case\d+\.tar(\.gz)?": .*: layer sha256:[0-9a-f]{64}: ', line)
            assert differences(before, snapshot(loader.root), frozenset({"mtime_ns", "ctime_ns"})) == []
        assert os.listdir(loader.root / "ingest") == []


LAYERS: Mapping[str, tuple[bytes, str, str]] = {
    "above the root": (archive(file(b"a"), file(b"../../x")), "../../x", "above the root"),
    "control characters": (archive(file(b"../\x1b[2J\n\xff")), r"../\x1b[2J\n\xff", "above the root"),
    "root": (archive(symlink(b"./", b"/etc")), "layer", "root"),
    "long name": (archive(file(b"n" * 256)), "nnn", "File name too long"),
    "unknown type": (archive(raw_header(b"odd", b"Z")), "odd", "type 'Z' is unknown"),
    "NUL in a name": (archive(extension(record(b"path", b"a\0b")), file(b"x")), "layer", "NUL"),
    "owner": (archive(file(b"own", uid=base256(1 << 32, 8))), "own", "uid"),
    "negative owner": (archive(file(b"own", uid=base256(-1, 8))), "own", "uid"),
    "whiteout of nothing": (archive(file(b"etc/.wh.")), "etc/.wh.", "whiteout"),
    "whiteout of the parent": (archive(file(b"a/.wh...")), "a/.wh...", "whiteout"),
    "whiteout as a directory": (archive(file(b".wh.d/x")), ".wh.d/x", "whiteout"),
    "whiteout device": (archive(char(b"etc/a", 0, 0)), "etc/a", "would be a whiteout"),
    "link to the host": (archive(hardlink(b"h", b"../../../etc/passwd")), "h", "isn't there"),
    "link to itself": (archive(hardlink(b"h", b"h")), "h", "is the link itself"),
    "link to a directory": (archive(directory(b"d/"), hardlink(b"h", b"d")), "h", "is a directory"),
    "link through a symlink": (archive(symlink(b"s", b"etc"), hardlink(b"h", b"s/a")), "h", "isn't a directory"),
    "link with no target": (archive(hardlink(b"h", b"")), "h", "is a directory"),
    "symlink to nothing": (archive(symlink(b"s", b"")), "s", "No such file"),
    "exabytes": (raw_header(b"huge", size=base256((1 << 63) - 1, 12)), "huge", "limit"),
    "negative size": (raw_header(b"less", size=base256(-1024, 12)), "layer", "size"),
    "record of length 0": (archive(extension(b"0 path=x\n"), file(b"x")), "layer", "record"),
    "record that overruns": (archive(extension(b"30 path=x\n"), file(b"x")), "layer", "record"),
    "records of a gigabyte": (raw_header(b"PaxHeaders/x", b"x", size=1 << 30), "layer", "limit"),
    "wrong checksum": (archive(raw_header(b"x", checksum=b"000001\0 ")), "layer", "checksum"),
    "cut off": (archive(file(b"f", b"x" * 700), end=False)[:900], "f", "ends"),
    "no archive": (b"text\n" * 300, "layer", "checksum"),
    "deep": (archive(file(b"d/" * 2000 + b"x")), "d/d/d", "depth"),
}


@pytest.mark.parametrize("form", [docker, oci, compressed_layers])
@pytest.mark.parametrize("layer", LAYERS)
def test_malformed_layer_is_refused_by_file_layer_entry_and_reason(loader: Loader, layer: str, form: Form) -> None:
    content, entry, reason = LAYERS[layer]
    for line in loader.refusals(form([BASE, content])).splitlines():
        where, _, rest = line.partition(f": layer {sha256(content)}: ")
        assert where.startswith('unionfs: error: "FILE": ')
        assert entry == "layer" or rest.startswith(entry)
        assert reason in rest


@pytest.mark.parametrize("form", [docker, oci, compressed_layers])
def test_good_layers_of_a_refused_image_do_not_stay(loader: Loader, form: Form) -> None:
    bad = archive(file(b"../x"))
    loader.refusals(form([GOOD, bad]))
    loader.refusals(form([bad, GOOD]))


def test_good_images_before_a_bad_one_do_not_stay(loader: Loader) -> None:
    good, bad = OciImage([GOOD]), OciImage([archive(file(b"../x"))])
    loader.refusals(layout([good.entry("good:1"), bad.entry("bad:1")], good.blobs + bad.blobs))


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
    "one layer 100 000 times": (
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


WHOLE: Mapping[str, bytes] = {
    "empty file": b"",
    "text": b"text\n" * 300,
    "empty archive": archive(),
    "root file system": archive(directory(b"bin/"), directory(b"etc/"), file(b"etc/passwd")),
    "cut off": tar(oci([GOOD]))[:-2000],
    "cut off gzip": gzip.compress(tar(oci([GOOD])))[:-20],
    "wrong gzip": gzip.compress(tar(oci([GOOD])))[:-8] + bytes(8),
    "more after gzip": gzip.compress(tar(oci([GOOD]))) + b"rest",
    "cut off zstd": zstandard.compress(tar(oci([GOOD])))[:-20],
    "cut off bzip2": bz2.compress(tar(oci([GOOD])))[:-20],
    "cut off xz": lzma.compress(tar(oci([GOOD])))[:-20],
    "huge member": raw_header(b"manifest.json", size=base256(1 << 62, 12)) + bytes(4096),
    "manifest.json is a directory": archive(directory(b"manifest.json/")),
    "manifest.json is a device": archive(char(b"manifest.json", 1, 5)),
    "manifest.json is a link": archive(symlink(b"manifest.json", b"/etc/shadow")),
    "manifest.json of a gigabyte": raw_header(b"manifest.json", size=1 << 30) + bytes(4096),
}


@pytest.mark.parametrize("content", WHOLE)
def test_file_that_is_no_whole_archive_is_refused(loader: Loader, content: str) -> None:
    loader.refusal(write(loader.root.with_name("file"), WHOLE[content]))


@pytest.mark.parametrize("form", [docker, oci])
@pytest.mark.parametrize("outer", ["tar", "tar.gz"])
def test_bomb_ends_at_the_limit_on_a_layers_bytes(loader: Loader, form: Form, outer: str) -> None:
    bomb = archive(file(b"zeros", bytes(64 << 20)))
    compressed = gzip.compress(bomb)
    files = form([compressed])
    if form is docker:
        files = docker_image("c", [compressed], ["bad:1"], [sha256(bomb)])
    else:
        config = encoded(documents.config([sha256(bomb)]))
        described = [descriptor(compressed, types.OCI_LAYER + "+gzip")]
        manifest = encoded(documents.manifest(config, [], layers=described))
        files = layout([descriptor(manifest, types.OCI_MANIFEST)], [compressed, config, manifest])
    path = loader.place(files, FORMS[outer])
    del bomb
    tracemalloc.start()
    try:
        line = loader.refusal(path, "--max-layer-bytes", str(1 << 20))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert "limit of 1048576" in line
    assert "--max-layer-bytes raises the limit" in line


def test_window_larger_than_is_allowed_is_refused(loader: Loader) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    bomb = compressor.compress(GOOD) + compressor.flush()
    files = docker_image("c", [bomb], ["bad:1"], [sha256(GOOD)])
    assert "too much memory" in loader.refusals(files)
    loader.refusal(write(loader.root.with_name("a.tar.zst"), bomb))


def test_number_of_entries_is_limited_by_option(loader: Loader) -> None:
    files = docker([archive(*(file(b"%d" % number) for number in range(200)))])
    assert "--max-layer-entries raises the limit" in loader.refusals(files, "--max-layer-entries", "100")


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
