"""Layers and files made to harm, given to ``unionfs load``: one line is said of each, and nothing comes of it."""

import bz2
import gzip
import lzma
import os
import re
import zlib
from collections.abc import Mapping

import pytest
import zstandard

from tests.archive.build import OciImage, docker_image, layout, tar
from tests.attacks.loading import BASE, FORMS, GOOD, Form, Loader, compressed_layers, docker, oci, within, write
from tests.attacks.test_escape import ATTACKS
from tests.image import documents
from tests.image.documents import descriptor, encoded, sha256
from tests.snapshots import differences, snapshot
from tests.tarball import archive, base256, char, directory, extension, file, hardlink, raw_header, record, symlink
from unionfs.image import media_type as types


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


def bomb(size: int) -> bytes:
    """Return the gzip blob of a layer with one file of zeros."""
    compressor = zlib.compressobj(1, wbits=31)
    pieces = [compressor.compress(raw_header(b"zeros", size=size))]
    pieces += [compressor.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, compressor.flush()])


@pytest.mark.parametrize("outer", ["tar", "tar.gz"])
def test_bomb_ends_at_the_limit_on_a_layers_bytes(loader: Loader, outer: str) -> None:
    blob = bomb(512 << 20)
    config = encoded(documents.config([sha256(b"nobody gets that far")]))
    manifest = encoded(documents.manifest(config, [], layers=[descriptor(blob, types.OCI_LAYER + "+gzip")]))
    in_layout = layout([descriptor(manifest, types.OCI_MANIFEST)], [blob, config, manifest])
    for files in (in_layout, docker_image("c", [blob], ["bad:1"])):
        path = loader.place(files, FORMS[outer])
        with within(60, 384 << 20):
            line = loader.refusal(path, "--max-layer-bytes", str(1 << 20))
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
