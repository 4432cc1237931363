"""Layouts that are written as a directory: new, and with images in them already; and files that appear whole."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.archive.build import OciImage, docker_image, layer, layout, tar, tree
from tests.archive.reading import Opener, contents
from tests.archive.writing import damaged, ignore
from tests.image import documents
from unionfs.archive import ArchiveError, Image, open_archive
from unionfs.archive.writing import gathered, output, write_layout

LAYERS = [layer("one"), layer("two")]
NAME = "docker.io/library/busybox:latest"
DOCKER = docker_image("image", LAYERS, ["busybox"])
OCI = OciImage([*LAYERS, layer("three")])


def write(path: Path, *images: Image) -> None:
    write_layout(str(path), gathered(images), ignore)


def blobs(path: Path) -> set[str]:
    return {found.name for found in (path / "blobs/sha256").iterdir()}


def index(path: Path) -> Any:
    return json.loads((path / "index.json").read_bytes())


def everything(path: Path) -> dict[str, bytes | None]:
    found = sorted(path.rglob("*"))
    return {str(at.relative_to(path)): at.read_bytes() if at.is_file() else None for at in found}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a directory in which nothing else is."""
    path = tmp_path / "place"
    path.mkdir()
    return path


@pytest.fixture
def image(opened: Opener) -> Image:
    return opened(tar(DOCKER)).image()


@pytest.fixture
def other(opened: Opener) -> Image:
    return opened(tar(layout([OCI.entry("localhost/other:1")], OCI.blobs))).image()


@pytest.fixture
def broken(opened: Opener) -> Image:
    return opened(damaged(docker_image("broken", [*LAYERS, layer("bad")], ["broken"]), "broken2/layer.tar")).image()


def test_a_new_layout_is_made(tmp_path: Path, image: Image) -> None:
    write(tmp_path / "new", image)
    assert {found.name for found in (tmp_path / "new").iterdir()} == {"blobs", "index.json", "oci-layout"}
    with open_archive(tmp_path / "new") as archive:
        again = archive.image("busybox")
        assert again.names == (NAME,)
        assert again.config_digest == image.config_digest
        assert contents(again) == LAYERS
        digests = {again.manifest_digest, again.config_digest, *(layer.diff_id for layer in again.layers)}
    assert blobs(tmp_path / "new") == {digest.hex for digest in digests if digest}


def test_an_empty_directory_becomes_a_layout(tmp_path: Path, image: Image) -> None:
    (tmp_path / "empty").mkdir(mode=0o700)
    write(tmp_path / "empty", image)
    with open_archive(tmp_path / "empty") as archive:
        assert contents(archive.image()) == LAYERS
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o700


def test_the_same_images_make_the_same_layout(tmp_path: Path, image: Image, other: Image) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, image, other)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")
    write(tmp_path / "one", image, other)
    assert everything(tmp_path / "one") == everything(tmp_path / "two")


def test_an_image_is_added_to_a_layout(tmp_path: Path, image: Image, other: Image) -> None:
    write(tmp_path / "layout", image)
    before = {name: (tmp_path / "layout/blobs/sha256" / name).stat().st_ino for name in blobs(tmp_path / "layout")}
    write(tmp_path / "layout", other)
    after = {name: (tmp_path / "layout/blobs/sha256" / name).stat().st_ino for name in before}
    assert before == after
    with open_archive(tmp_path / "layout") as archive:
        assert [listed.names for listed in archive.images] == [(NAME,), ("localhost/other:1",)]
        assert contents(archive.image("busybox")) == LAYERS
        assert contents(archive.image("localhost/other:1")) == OCI.layers


def test_a_name_goes_over_to_the_image_that_is_written_last(tmp_path: Path, image: Image, opened: Opener) -> None:
    later = opened(tar(docker_image("later", LAYERS[1:], ["busybox"]))).image()
    write(tmp_path / "layout", image)
    write(tmp_path / "layout", later)
    with open_archive(tmp_path / "layout") as archive:
        assert [listed.names for listed in archive.images] == [(), (NAME,)]
        assert archive.image("busybox").config_digest == later.config_digest
        assert contents(archive.image("@0")) == LAYERS


def test_another_name_for_an_image_is_an_entry_more(tmp_path: Path, opened: Opener) -> None:
    for tag in ("a", "b", "a"):
        write(tmp_path / "layout", opened(tar(docker_image("image", LAYERS, [f"x:{tag}"]))).image())
    assert len(index(tmp_path / "layout")["manifests"]) == 2
    write(tmp_path / "layout", opened(tar(docker_image("image", LAYERS, None))).image())
    assert len(index(tmp_path / "layout")["manifests"]) == 2


def test_an_image_without_a_name_is_listed_once(tmp_path: Path, opened: Opener) -> None:
    image = opened(tar(docker_image("image", LAYERS, None))).image()
    write(tmp_path / "layout", image)
    write(tmp_path / "layout", image)
    assert len(index(tmp_path / "layout")["manifests"]) == 1


def test_what_else_an_index_says_is_kept(tmp_path: Path, image: Image) -> None:
    foreign = documents.descriptor(b"{}", "application/x-unknown", unknown={"a": [1]})
    named = OCI.entry("busybox:latest", unknown=2, platform={"os": "linux", "architecture": "arm64"})
    named["annotations"]["org.example"] = "kept"
    files = layout([named, foreign], OCI.blobs)
    whole = json.loads(files["index.json"])
    files["index.json"] = documents.encoded({**whole, "annotations": {"x": "y"}, "unknown": None})
    write(tree(files, tmp_path / "layout"), image)
    found = index(tmp_path / "layout")
    assert (found["annotations"], found["unknown"]) == ({"x": "y"}, None)
    assert found["manifests"][:2] == [{**named, "annotations": {"org.example": "kept"}}, foreign]
    assert found["manifests"][2]["annotations"]["org.opencontainers.image.ref.name"] == NAME


def test_a_blob_of_the_wrong_size_is_written_anew(tmp_path: Path, image: Image) -> None:
    write(tmp_path / "layout", image)
    cut = tmp_path / "layout/blobs/sha256" / image.layers[0].diff_id.hex
    cut.write_bytes(b"cut short")
    write(tmp_path / "layout", image)
    assert cut.read_bytes() == LAYERS[0]


@pytest.mark.parametrize("before", ["nothing", "empty", "layout"])
def test_a_damaged_image_leaves_all_as_it_was(place: Path, other: Image, broken: Image, before: str) -> None:
    path = place / "layout"
    if before != "nothing":
        path.mkdir()
    if before == "layout":
        write(path, other)
    found = everything(path.parent)
    with pytest.raises(ArchiveError, match=r'layout": layer sha256:.* does not match its digest'):
        write(path, broken)
    assert everything(path.parent) == found


def test_an_interruption_leaves_all_as_it_was(place: Path, other: Image, image: Image) -> None:
    def interrupt(_count: int) -> None:
        raise KeyboardInterrupt

    write(place, other)
    found = everything(place)
    with pytest.raises(KeyboardInterrupt):
        write_layout(str(place), gathered([image]), interrupt)
    assert everything(place) == found


def test_a_directory_with_other_things_in_it_is_refused(place: Path, image: Image) -> None:
    (place / "precious").write_bytes(b"1")
    with pytest.raises(ArchiveError, match="it is a directory with other things in it and no oci-layout"):
        write(place, image)
    assert everything(place) == {"precious": b"1"}


def test_a_file_is_no_place_for_a_layout(place: Path, image: Image) -> None:
    (place / "file").write_bytes(b"1")
    with pytest.raises(NotADirectoryError, match="file"):
        write(place / "file", image)
    assert everything(place) == {"file": b"1"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("oci-layout", b'{"imageLayoutVersion": "9.9.9"}'),
        ("index.json", b"{"),
        ("index.json", documents.encoded({**documents.index([]), "schemaVersion": 1})),
        ("index.json", documents.encoded(documents.manifest(b"{}", []))),
    ],
)
def test_a_layout_that_is_not_understood_stays_as_it_is(place: Path, image: Image, name: str, content: bytes) -> None:
    files = layout([OCI.entry()], OCI.blobs)
    tree({**files, name: content}, place)
    found = everything(place)
    with pytest.raises(ArchiveError):
        write(place, image)
    assert everything(place) == found


def test_a_layout_without_an_index_gets_one(tmp_path: Path, image: Image) -> None:
    """It is what a process leaves that is killed while it makes one."""
    (tmp_path / "oci-layout").write_bytes(b'{"imageLayoutVersion":"1.0.0"}')
    write(tmp_path, image)
    with open_archive(tmp_path) as archive:
        assert contents(archive.image()) == LAYERS


@pytest.mark.parametrize("link", ["blobs", "blobs/sha256"])
def test_no_blob_is_written_through_a_symbolic_link(tmp_path: Path, image: Image, link: str) -> None:
    (tmp_path / "outside").mkdir()
    tree({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}, tmp_path / "layout")
    (tmp_path / "layout" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "layout" / link).symlink_to(tmp_path / "outside")
    with pytest.raises(ArchiveError, match=f"{link} is no directory"):
        write(tmp_path / "layout", image)
    assert not list((tmp_path / "outside").iterdir())


def test_a_link_in_the_place_of_a_blob_is_replaced_and_not_followed(tmp_path: Path, image: Image) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    blob = f"blobs/sha256/{image.layers[0].diff_id.hex}"
    write(tmp_path / "layout", image)
    (tmp_path / "layout" / blob).unlink()
    (tmp_path / "layout" / blob).symlink_to(tmp_path / "victim")
    write(tmp_path / "layout", image)
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "layout" / blob).is_symlink()


def test_two_who_write_to_one_layout_at_once_lose_nothing(tmp_path: Path, opened: Opener) -> None:
    images = [opened(tar(docker_image(f"i{n}", [layer("x"), layer(f"{n}")], [f"x:{n}"]))).image() for n in range(8)]
    writers = [threading.Thread(target=write, args=(tmp_path / "layout", image)) for image in images]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with open_archive(tmp_path / "layout") as archive:
        assert {name for listed in archive.images for name in listed.names} == {
            f"docker.io/library/x:{n}" for n in range(8)
        }
        for n in range(8):
            assert contents(archive.image(f"x:{n}")) == [layer("x"), layer(f"{n}")]


def test_an_entry_by_docker_counts_as_named_by_its_full_name(tmp_path: Path, image: Image) -> None:
    """docker's own index has the bare tag in one annotation and the full name in the other."""
    tree(layout([OCI.entry("latest", NAME)], OCI.blobs), tmp_path)
    write(tmp_path, image)
    assert "annotations" not in index(tmp_path)["manifests"][0]
    with open_archive(tmp_path) as archive:
        assert archive.image("busybox").config_digest == image.config_digest


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def interrupted() -> None:
        with output(str(path)) as file:
            file.write(b"half")
            file.flush()
            assert everything(tmp_path) == {"file": b"old"}
            raise KeyboardInterrupt

    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert everything(tmp_path) == {"file": b"old"}
    with output(str(path)) as file:
        file.write(b"new")
    assert everything(tmp_path) == {"file": b"new"}


def test_a_new_file_has_the_permissions_that_files_get(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with output(str(tmp_path / "file")):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o640


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    with output(str(tmp_path / "link")) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    with output(str(tmp_path / "pipe")) as file:
        file.write(b"content")
    assert reader.communicate()[0] == b"content"


@pytest.mark.parametrize(
    ("path", "error", "named"),
    [("", IsADirectoryError, ""), ("missing/file", FileNotFoundError, "missing"), ("file/x", NotADirectoryError, "")],
)
def test_where_no_file_can_be_is_an_error_that_names_it(
    tmp_path: Path, path: str, error: type[OSError], named: str
) -> None:
    (tmp_path / "file").write_bytes(b"1")
    with pytest.raises(error, match=str(tmp_path / named)), output(str(tmp_path / path)):
        pass
    assert everything(tmp_path) == {"file": b"1"}


WRITTEN = """
import sys
from unionfs.archive.writing import output
with output(sys.argv[1]) as file:
    file.write(b"new")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts over /proc here")
def test_a_file_is_written_where_proc_is_not_mounted(tmp_path: Path) -> None:
    hidden = ["unshare", "--mount", "sh", "-euc", 'mount -t tmpfs none /proc; exec "$@"', "sh"]
    subprocess.run([*hidden, sys.executable, "-c", WRITTEN, str(tmp_path / "file")], check=True)
    assert everything(tmp_path) == {"file": b"new"}


KILLED = """
import os, sys
from unionfs.archive.writing import output
with output(sys.argv[1]) as file:
    file.write(bytes(10_000_000))
    os.kill(os.getpid(), 9)
"""


def test_a_killed_process_leaves_nothing_of_its_file(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "file"], check=False)
    assert done.returncode == -9
    assert everything(tmp_path) == {}
