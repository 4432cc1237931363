"""Damaged images given to ``unionfs load``: each comes in whole, or is refused with one line and leaves nothing.

Hypothesis draws the damage: of bytes, of members of an archive, and of fields of the documents, whose digests are then
put right so that the damage gets past them.
"""

import gzip
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.archive.build import Files, OciImage, docker_image, layout, tar, tree
from tests.attacks.loading import within
from tests.fuzz.budget import SECONDS, bounded, repeated
from tests.image import documents
from tests.image.documents import descriptor, encoded, sha256
from tests.tarball import archive, directory, file, hardlink, pax_sparse, symlink, whiteout
from unionfs.archive import open_archive
from unionfs.cli import main
from unionfs.image import Reference
from unionfs.image import media_type as types
from unionfs.store.check import check
from unionfs.store.store import Store

HANGS = 60
"""Seconds after which a load is taken to hang."""
MEMORY = 1 << 30
"""Bytes of address space that a load may take beyond what the tests have."""
LAYERS = [
    archive(directory(b"etc/"), file(b"etc/a", b"A" * 700, xattrs={b"user.k": b"v"}), file(b"etc/b", b"B")),
    archive(
        whiteout(b"etc/a"), symlink(b"s", b"etc"), hardlink(b"h", b"etc/b"), pax_sparse(b"p", [(4096, b"x")], 9000)
    ),
]
CONFIG = documents.config(
    [sha256(layer) for layer in LAYERS],
    config={"Env": ["PATH=/bin"], "Cmd": ["sh"], "Labels": {"a": "b"}, "ExposedPorts": {"80/tcp": {}}, "User": "0"},
    history=[{"created_by": "one", "created": "2024-01-01T00:00:00Z"}, {"created_by": "two", "empty_layer": False}],
)
IMAGE = OciImage(LAYERS, CONFIG)
DOCKER = {**docker_image("c", LAYERS, ["demo:1", "other:2"]), "c.json": encoded(CONFIG)}
OCI = layout([IMAGE.entry("demo:1", "docker.io/library/demo:1")], IMAGE.blobs)
ARCHIVES = [tar(DOCKER), tar(OCI), gzip.compress(tar(DOCKER), mtime=0), gzip.compress(tar(OCI), mtime=0)]


class Loader:
    """Loads into a store with an image in it, which is made anew whenever something came in."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._root = top / "store"
        self._template = top / "template"
        kept = archive(file(b"kept"))
        path = tree(layout([OciImage([kept]).entry("kept:1")], OciImage([kept]).blobs), top / "kept")
        with Store(self._template) as store, open_archive(path) as opened:
            store.load(opened.image(), [Reference.parse("kept:1")])
        shutil.copytree(self._template, self._root)
        self.loaded = 0
        self.refused = 0
        self._before = self._content()

    def _content(self) -> Mapping[str, bytes]:
        found = {}
        for place, directories, names in os.walk(self._root):
            found.update({os.path.join(place, name): b"" for name in directories})
            found.update({os.path.join(place, name): Path(place, name).read_bytes() for name in names})
        return found

    def load(self, path: Path) -> None:
        """Load a file, and check that it came in whole or not at all."""
        output, errors = io.StringIO(), io.StringIO()
        with within(HANGS, MEMORY), redirect_stdout(output), redirect_stderr(errors):
            code = main(["--root", str(self._root), "load", "-i", str(path), "--max-layer-bytes", str(16 << 20)])
        lines = errors.getvalue().splitlines()
        assert "internal error" not in errors.getvalue(), lines
        assert all(line.isprintable() for line in lines)
        if code:
            assert (code, output.getvalue(), len(lines)) == (1, "", 1), lines
            assert lines[0].startswith(f'unionfs: error: "{path}": '), lines
            assert self._content() == self._before
            self.refused += 1
            return
        with Store(self._root) as store:
            assert check(store) == []
        self.loaded += 1
        shutil.rmtree(self._root)
        shutil.copytree(self._template, self._root)

    def load_bytes(self, content: bytes) -> None:
        path = self._top / "archive"
        path.write_bytes(content)
        self.load(path)

    def load_files(self, files: Files, *, as_directory: bool) -> None:
        if not as_directory:
            self.load_bytes(tar(files))
            return
        path = tree(files, self._top / "layout")
        self.load(path)
        shutil.rmtree(path)


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Flip, insert, delete, repeat or exchange pieces of *content*, or cut it off."""
    found = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        size = draw(st.sampled_from([1, 8, 512, 1024]))
        kind = draw(st.sampled_from(["flip", "write", "insert", "delete", "repeat", "exchange", "cut"]))
        if kind == "flip" and found:
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "write":
            piece = draw(st.binary(min_size=1, max_size=12))
            found[at : at + len(piece)] = piece
        elif kind == "insert":
            found[at:at] = draw(st.binary(min_size=1, max_size=size))
        elif kind == "delete":
            del found[at : at + size]
        elif kind == "repeat":
            found[at:at] = found[at : at + size]
        elif kind == "exchange":
            block = at - at % 512
            found[block : block + 1024] = found[block + 512 : block + 1024] + found[block : block + 512]
        elif kind == "cut" and draw(st.booleans()):
            del found[at:]
    return bytes(found)


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 65), 1 << 65),
    st.sampled_from(
        [0, -1, 1, 2, 1 << 31, 1 << 63, 0.5, 1e300, "", "/", "..", "x:1", "\x1b[2J\n", "\0", "sha256:", "latest"]
    ),
    st.sampled_from(
        [sha256(b""), sha256(LAYERS[0]), "sha512:" + "0" * 128, *types.DOCKER_INDEX.split(), types.OCI_LAYER]
    ),
    st.text(max_size=20),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=4,
)


def places(document: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the way to every value in a document."""
    yield above
    if isinstance(document, dict):
        for key, value in document.items():
            yield from places(value, (*above, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from places(value, (*above, number))


@st.composite
def changed(draw: st.DrawFn, document: bytes) -> bytes:
    """Change fields of a document: another value, gone, twice, under another name, or broken as text."""
    fields = json.loads(document)
    for _ in range(draw(st.integers(1, 2))):
        way = draw(st.sampled_from(list(places(fields))))
        if not way:
            fields = draw(VALUES) if draw(st.booleans()) else fields
            continue
        _change(draw, _inner(fields, way[:-1]), way[-1])
    text = encoded(fields)
    return draw(damaged(text)) if draw(st.integers(0, 9)) == 0 else text


def _inner(fields: Any, way: Sequence[str | int]) -> Any:
    for step in way:
        fields = fields[step]
    return fields


def _change(draw: st.DrawFn, holder: Any, key: Any) -> None:
    kind = draw(st.sampled_from(["value", "gone", "list", "again"]))
    if kind == "value":
        holder[key] = draw(VALUES)
    elif kind == "gone":
        del holder[key]
    elif kind == "list":
        holder[key] = [holder[key]]
    elif isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[draw(st.text(max_size=8))] = holder[key]


def image_of(layers: Sequence[bytes], config: bytes) -> tuple[bytes, list[bytes]]:
    """Give a manifest of what may be no config and no layers, and all blobs."""
    manifest = encoded(documents.manifest(config, list(layers)))
    return manifest, [*layers, config, manifest]


@st.composite
def oci_files(draw: st.DrawFn) -> Files:
    """A layout in which one document or layer is damaged, and what leads to it fits."""
    what = draw(st.sampled_from(["layer", "config", "manifest", "index", "marker", "nested"]))
    layers, config = list(LAYERS), IMAGE.config
    if what == "layer":
        number = draw(st.integers(0, len(layers) - 1))
        layers[number] = draw(damaged(layers[number]))
        config = encoded({**CONFIG, "rootfs": {"type": "layers", "diff_ids": list(map(sha256, layers))}})
        layers = [gzip.compress(layer, mtime=0) if draw(st.booleans()) else layer for layer in layers]
    elif what == "config":
        config = draw(changed(config))
    manifest, blobs = image_of(layers, config)
    if what == "manifest":
        manifest = draw(changed(manifest))
        blobs[-1] = manifest
    entry = descriptor(manifest, types.OCI_MANIFEST, annotations={"org.opencontainers.image.ref.name": "demo:1"})
    if what == "nested":
        inner = draw(changed(encoded(documents.index([entry]))))
        blobs.append(inner)
        entry = descriptor(inner, types.OCI_INDEX)
    files = layout([entry], blobs)
    for name, chosen in (("index.json", "index"), ("oci-layout", "marker")):
        if what == chosen:
            files[name] = draw(changed(files[name]))
    return files


@st.composite
def docker_files(draw: st.DrawFn) -> Files:
    """A docker archive in which one document or layer is damaged, or members are exchanged."""
    what = draw(st.sampled_from(["manifest.json", "c.json", "layer", "exchange"]))
    files = dict(DOCKER)
    if what == "layer":
        layers = [draw(damaged(LAYERS[0])), LAYERS[1]]
        files = docker_image("c", layers, ["demo:1"])
    elif what == "exchange":
        one, other = draw(st.lists(st.sampled_from(sorted(files)), min_size=2, max_size=2, unique=True))
        files[one], files[other] = files[other], files[one]
    else:
        files[what] = draw(changed(files[what]))
    return files


def exercise(loader: Loader, examples: int, strategy: st.SearchStrategy[Any], use: Callable[[Any], None]) -> None:
    @given(strategy)
    @bounded(examples)
    def run(drawn: Any) -> None:
        use(drawn)

    repeated(run)
    assert loader.refused > examples // 20


def test_undamaged_images_are_loaded(loader: Loader) -> None:
    for content in ARCHIVES:
        loader.load_bytes(content)
    loader.load_files(OCI, as_directory=True)
    assert (loader.loaded, loader.refused) == (5, 0)


@pytest.mark.timeout(SECONDS + 300)
def test_damaged_archives(loader: Loader) -> None:
    exercise(loader, 400, st.sampled_from(ARCHIVES).flatmap(damaged), loader.load_bytes)


@pytest.mark.timeout(SECONDS + 300)
def test_damaged_layouts(loader: Loader) -> None:
    drawn = st.tuples(oci_files(), st.booleans())
    exercise(loader, 400, drawn, lambda case: loader.load_files(case[0], as_directory=case[1]))


@pytest.mark.timeout(SECONDS + 300)
def test_damaged_docker_archives(loader: Loader) -> None:
    exercise(loader, 300, docker_files(), lambda files: loader.load_files(files, as_directory=False))
