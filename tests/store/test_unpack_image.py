"""An image becomes layer directories, verified and whole."""

import bz2
import gzip
import lzma
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.archive import build
from tests.image.documents import sha256
from tests.layer.unpacking import tree
from tests.posix.processes import in_child
from tests.store.images import BOTTOM, MIDDLE, NAME, TOP, chain_ids, compressed, layout, refusal, unpack
from tests.tarball import archive, directory, file, hardlink, opaque
from unionfs.archive import open_archive
from unionfs.image import ImageError
from unionfs.mount.options import parse_settings, split_option_string
from unionfs.store import unpack_image
from unionfs.tar import Limits


def test_layers_are_named_by_chain_id_and_given_lowest_first(tmp_path: Path) -> None:
    unpacked = unpack(layout(tmp_path / "image", BOTTOM, MIDDLE, TOP), tmp_path / "layers")
    expected = [tmp_path / "layers" / f"sha256-{chain}" for chain in chain_ids(BOTTOM, MIDDLE, TOP)]
    assert [layer.path for layer in unpacked.layers] == expected
    assert [str(layer.diff_id) for layer in unpacked.layers] == [sha256(layer) for layer in (BOTTOM, MIDDLE, TOP)]
    assert [layer.chain_id.hex for layer in unpacked.layers] == chain_ids(BOTTOM, MIDDLE, TOP)
    assert unpacked.lowerdir == ":".join(map(str, reversed(expected)))
    assert unpacked.warnings == ()


def test_layers_hold_what_the_archives_say(tmp_path: Path) -> None:
    unpacked = unpack(layout(tmp_path / "image", BOTTOM, MIDDLE), tmp_path / "layers")
    bottom, middle = (layer.path for layer in unpacked.layers)
    assert tree(bottom) == {"etc": "dir", "etc/a": "A", "etc/b": "B"}
    assert tree(middle) == {"etc": "dir", "etc/a": "char 0:0", "opt": "dir", "opt/m": "M"}
    assert sorted(os.listdir(tmp_path / "layers")) == sorted([".lock", bottom.name, middle.name])


def test_relative_directory_gives_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = layout(tmp_path / "image", BOTTOM)
    monkeypatch.chdir(tmp_path)
    assert unpack(source, Path("layers")).lowerdir.startswith(f"{tmp_path}/layers/")


@pytest.mark.parametrize("name", ["a:b", "a,b", "back\\slash", 'quo"te', "all\\:,", "new\nline", "\udcff"])
def test_lowerdir_means_the_layers_whatever_their_directory_is_called(tmp_path: Path, name: str) -> None:
    unpacked = unpack(layout(tmp_path / "image", BOTTOM, TOP), tmp_path / name)
    options = parse_settings(split_option_string(f"lowerdir={unpacked.lowerdir}"))
    assert options.lowers == tuple(os.fsencode(layer.path) for layer in reversed(unpacked.layers))


def test_layer_that_is_there_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "layers"
    first = unpack(layout(tmp_path / "one", BOTTOM, MIDDLE), target)
    before = [os.stat(layer.path).st_ino for layer in first.layers]
    seen: set[int] = set()
    again = unpack(layout(tmp_path / "two", BOTTOM, MIDDLE, TOP), target, progress=lambda number, *_: seen.add(number))
    assert [os.stat(layer.path).st_ino for layer in again.layers][:2] == before
    assert seen == {2}
    assert tree(again.layers[2].path) == {"etc": "dir", "etc/t": "T"}


def test_layer_on_others_is_not_the_same_layer_on_its_own(tmp_path: Path) -> None:
    base, link = archive(file(b"a", b"A")), archive(hardlink(b"h", b"a"))
    unpacked = unpack(layout(tmp_path / "image", base, link), tmp_path / "layers")
    assert tree(unpacked.layers[1].path) == {"h": "A"}
    with pytest.raises(Exception, match="isn't there"):
        unpack(layout(tmp_path / "other", archive(file(b"b")), link), tmp_path / "layers")


def test_same_layer_twice_is_applied_twice(tmp_path: Path) -> None:
    layers = (BOTTOM, MIDDLE, BOTTOM)
    unpacked = unpack(layout(tmp_path / "image", *layers), tmp_path / "layers")
    assert [layer.chain_id.hex for layer in unpacked.layers] == chain_ids(*layers)
    assert tree(unpacked.layers[2].path) == tree(unpacked.layers[0].path)


def test_image_without_layers_is_one_empty_layer(tmp_path: Path) -> None:
    unpacked = unpack(layout(tmp_path / "image"), tmp_path / "layers")
    assert unpacked.layers == ()
    assert unpacked.lowerdir == str(tmp_path / "layers/empty")
    assert tree(tmp_path / "layers/empty") == {}
    assert stat.S_IMODE(os.stat(tmp_path / "layers/empty").st_mode) == 0o755
    assert unpack(layout(tmp_path / "again"), tmp_path / "layers") == unpacked


@pytest.mark.parametrize("layer", [b"", bytes(1024), bytes(10240)], ids=["no bytes", "two blocks", "a record"])
def test_layer_without_entries_is_an_empty_directory(tmp_path: Path, layer: bytes) -> None:
    unpacked = unpack(layout(tmp_path / "image", BOTTOM, layer), tmp_path / "layers")
    assert tree(unpacked.layers[1].path) == {}


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress, lambda layer: layer],
    ids=["gzip", "bzip2", "xz", "zstd", "none"],
)
def test_compression_is_told_by_the_bytes_of_the_blob(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    layers = (BOTTOM, MIDDLE)
    unpacked = unpack(layout(tmp_path / "image", *layers, blobs=compressed(layers, compress)), tmp_path / "layers")
    assert tree(unpacked.layers[0].path) == {"etc": "dir", "etc/a": "A", "etc/b": "B"}


def test_opaque_root_ends_the_lowerdir(tmp_path: Path) -> None:
    layers = (BOTTOM, archive(opaque(), file(b"only", b"1")), TOP)
    unpacked = unpack(layout(tmp_path / "image", *layers), tmp_path / "layers")
    assert len(unpacked.layers) == 3
    assert unpacked.lowerdir == f"{unpacked.layers[2].path}:{unpacked.layers[1].path}"
    assert stat.S_IMODE(os.stat(unpacked.layers[2].path / "etc").st_mode) == 0o755


def test_many_layers_are_unpacked_with_few_descriptors(tmp_path: Path) -> None:
    layers = [
        archive(file(b"d/%d" % number, b"%d" % number), file(b"d/.wh.%d" % (number - 1))) for number in range(250)
    ]
    source = layout(tmp_path / "image", *layers)

    def unpack_with_few() -> int:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
        return len(unpack(source, tmp_path / "layers").layers)

    assert in_child(unpack_with_few) == 250
    last = tmp_path / "layers" / f"sha256-{chain_ids(*layers)[-1]}"
    assert tree(last) == {"d": "dir", "d/248": "char 0:0", "d/249": "249"}


def test_progress_tells_the_bytes_of_each_blob(tmp_path: Path) -> None:
    layers = (BOTTOM, archive(file(b"big", os.urandom(3 << 20))))
    blobs = compressed(layers)
    told: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    source = layout(tmp_path / "image", *layers, blobs=blobs)
    unpack(source, tmp_path / "layers", progress=lambda number, done, total: told[number].append((done, total)))
    for number, blob in enumerate(blobs):
        assert told[number] == sorted(told[number])
        assert told[number][-1] == (len(blob), len(blob))


def test_warnings_name_the_layer(tmp_path: Path) -> None:
    layer = archive(file(b"f", xattrs={b"trusted.x": b"1"}))
    (warning,) = unpack(layout(tmp_path / "image", BOTTOM, layer), tmp_path / "layers").warnings
    assert warning == f"layer {sha256(layer)}: f: trusted.x: an attribute of the trusted namespace was left out"


def test_error_names_file_image_layer_and_entry(tmp_path: Path) -> None:
    layer = archive(file(b"../\x1b[31mout"))
    source = layout(tmp_path / "image", BOTTOM, layer)
    text = refusal(source, tmp_path / "layers")
    where = f'"{source}": {NAME}: layer {sha256(layer)}'
    assert text == where + r": ../\x1b[31mout: the name leads above the root of the layer"


def test_wrong_diff_id_is_refused(tmp_path: Path) -> None:
    source = layout(tmp_path / "image", BOTTOM, TOP, diff_ids=[sha256(BOTTOM), sha256(MIDDLE)])
    text = refusal(source, tmp_path / "layers")
    assert f"layer {sha256(MIDDLE)}" in text
    assert f"expected {sha256(MIDDLE)}, got {sha256(TOP)}" in text


def test_diff_id_is_that_of_every_byte_of_the_stream(tmp_path: Path) -> None:
    layer = archive(file(b"x", b"1")) + bytes(5000) + b"whatever follows"
    assert tree(unpack(layout(tmp_path / "image", layer), tmp_path / "layers").layers[0].path) == {"x": "1"}
    source = layout(tmp_path / "cut", layer, diff_ids=[sha256(layer[:-1])])
    assert "does not match its digest" in refusal(source, tmp_path / "refused")


def test_wrong_blob_is_refused(tmp_path: Path) -> None:
    source = layout(tmp_path / "image", BOTTOM)
    blob = source / "blobs/sha256" / sha256(BOTTOM).removeprefix("sha256:")
    blob.write_bytes(b"E" + BOTTOM[1:])
    assert f"layer {sha256(BOTTOM)}: " in refusal(source, tmp_path / "layers")
    for content in (BOTTOM[:-1], BOTTOM + b"\0"):
        blob.write_bytes(content)
        with pytest.raises(ImageError, match="its descriptor"):
            unpack(source, tmp_path / "layers")


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: blob[:-1],
        lambda blob: blob + b"junk",
        lambda blob: blob[:-5] + b"\0" + blob[-4:],
        lambda blob: blob[:40],
    ],
    ids=["cut", "junk after it", "wrong checksum", "cut in the data"],
)
def test_damaged_compressed_blob_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    layer = archive(file(b"x", os.urandom(1000)))
    source = layout(tmp_path / "image", layer, blobs=[damage(gzip.compress(layer))])
    assert "gzip" in refusal(source, tmp_path / "layers")


def test_error_in_one_layer_adds_none_of_the_image(tmp_path: Path) -> None:
    slow = archive(*(file(b"%d" % number) for number in range(3000)))
    for layers in ((BOTTOM, slow, archive(file(b".wh."))), (archive(file(b".wh.")), slow, BOTTOM)):
        assert "invalid whiteout name" in refusal(layout(tmp_path / "image", *layers), tmp_path / "layers")


def test_error_leaves_the_layers_of_other_images_alone(tmp_path: Path) -> None:
    unpacked = unpack(layout(tmp_path / "good", BOTTOM, MIDDLE), tmp_path / "layers")
    with pytest.raises(Exception, match="invalid whiteout name"):
        unpack(layout(tmp_path / "bad", BOTTOM, archive(file(b".wh."))), tmp_path / "layers")
    assert sorted(os.listdir(tmp_path / "layers")) == sorted([".lock", *(layer.path.name for layer in unpacked.layers)])


def test_gzip_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    bomb = gzip.compress(archive(file(b"zeros", bytes(64 << 20))))
    source = layout(tmp_path / "image", archive(file(b"zeros", bytes(64 << 20))), blobs=[bomb])
    text = refusal(source, tmp_path / "layers", Limits(bytes=1 << 20))
    assert "zeros: " in text
    assert "limit of 1048576" in text


def test_bomb_after_the_end_of_the_archive_stops_at_the_limit(tmp_path: Path) -> None:
    layer = archive(file(b"x")) + bytes(64 << 20)
    source = layout(tmp_path / "image", layer, blobs=compressed([layer]))
    assert "over the limit of 1048576 bytes" in refusal(source, tmp_path / "layers", Limits(bytes=1 << 20))


def test_target_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    source = layout(tmp_path / "image", BOTTOM)
    unpack(source, tmp_path / "deep/er/layers")
    assert stat.S_IMODE(os.stat(tmp_path / "deep/er/layers").st_mode) == 0o700
    (tmp_path / "empty").mkdir(0o755)
    assert unpack(source, tmp_path / "empty").warnings == ()
    assert stat.S_IMODE(os.stat(tmp_path / "empty").st_mode) == 0o700


def test_target_in_use_keeps_its_mode_with_a_warning(tmp_path: Path) -> None:
    source, target = layout(tmp_path / "image", BOTTOM), tmp_path / "used"
    target.mkdir()
    (target / "mine").touch()
    target.chmod(0o755)
    (warning,) = unpack(source, target).warnings
    assert warning.startswith(f"{target}: others may enter this directory (its mode is 0755)")
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o755
    target.chmod(0o1777)
    (warning,) = unpack(source, target).warnings
    assert warning.startswith(f"{target}: others may write to this directory (its mode is 1777)")
    target.chmod(0o700)
    assert unpack(source, target).warnings == ()


def test_target_may_be_a_symlink_the_user_made(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(0o700)
    (tmp_path / "link").symlink_to("real")
    unpacked = unpack(layout(tmp_path / "image", BOTTOM), tmp_path / "link")
    assert (tmp_path / "real" / unpacked.layers[0].path.name / "etc/a").read_text() == "A"


def test_file_in_the_place_of_a_layer_is_an_error(tmp_path: Path) -> None:
    target = tmp_path / "layers"
    target.mkdir(0o700)
    (target / f"sha256-{chain_ids(BOTTOM)[0]}").symlink_to("/etc")
    with pytest.raises(NotADirectoryError):
        unpack(layout(tmp_path / "image", BOTTOM), target)


def test_symlink_in_the_place_of_the_stores_own_files_is_not_followed(tmp_path: Path) -> None:
    target, victim = tmp_path / "layers", tmp_path / "victim"
    target.mkdir(0o700)
    victim.mkdir()
    (victim / "kept").touch()
    (target / ".staging").symlink_to(victim)
    unpack(layout(tmp_path / "image", BOTTOM), target)
    assert os.listdir(victim) == ["kept"]
    (target / ".lock").unlink()
    (target / ".lock").symlink_to(victim / "made")
    with pytest.raises(OSError, match="symbolic links"):
        unpack(layout(tmp_path / "again", TOP), target)
    assert os.listdir(victim) == ["kept"]


def test_docker_archive_which_has_no_digests_of_blobs_is_unpacked(tmp_path: Path) -> None:
    layers = (archive(directory(b"home/", uid=7, mode=0o750)), archive(file(b"home/f", b"F", uid=8)))
    source = tmp_path / "image.tar"
    source.write_bytes(build.tar(build.docker_image("img", list(layers), ["demo:1"])))
    with open_archive(source) as opened:
        unpacked = unpack_image(opened.image("demo:1"), tmp_path / "layers")
    found = os.stat(unpacked.layers[1].path / "home")
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (7, 0o750)
