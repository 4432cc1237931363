"""In which order what is written reaches the disk; and where there is no room, or no file without a name."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive.build import OciImage, layer, layout, tree
from tests.mounts import mount, unmount_or_detach

PROGRAM = Path(sys.executable).with_name("unionfs")
NAME = "docker.io/library/app:1"
BIG = layer("x" * 300_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    image = OciImage([layer("one"), BIG])
    return tree(layout([image.entry(NAME)], image.blobs), tmp_path / "source")


def save(source: Path, *words: str | Path, before: tuple[str | Path, ...] = ()) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "UNIONFS_ROOT": str(source.parent / "store")}
    command = [*before, PROGRAM, "save", *words, f"oci:{source}"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def steps(tmp_path: Path, source: Path, *words: str | Path) -> list[str]:
    """Save, and give the calls by which files got their names and reached the disk, with the file each was about."""
    log = tmp_path / "log"
    strace = ("strace", "-f", "-y", "-o", log, "-e", "trace=fsync,linkat,renameat,mkdirat,mkdir")
    assert save(source, *words, before=strace).returncode == 0
    found = re.findall(r" (fsync|renameat|mkdirat|mkdir)\((.*)\)", log.read_text())
    return [step for name, arguments in found if (step := _step(name, arguments, str(tmp_path / "place")))]


def _step(name: str, arguments: str, place: str) -> str:
    """Describe a call on *place*, in it or on what it is in; a file that has no name yet is ``content``."""
    if place not in arguments and f"<{os.path.dirname(place)}>" not in arguments:
        return ""
    if name == "fsync":
        path = arguments.partition("<")[2].rpartition(">")[0].removesuffix(" (deleted)>").removesuffix(">(deleted")
        unnamed = "/#" in path
        return "sync content" if unnamed else f"sync {os.path.relpath(path, place)}"
    if name == "renameat":
        *_, directory, new = arguments.split(", ")
        above = os.path.relpath(directory.partition("<")[2].rstrip(">"), place)
        return f"name {os.path.normpath(os.path.join(above, new.strip(chr(34))))}"
    return ""


def test_an_archive_is_on_disk_before_it_has_its_name_and_so_is_the_name(tmp_path: Path, source: Path) -> None:
    (tmp_path / "place").mkdir()
    path = tmp_path / "place/out"
    assert steps(tmp_path, source, "-o", path) == ["sync content", "name out", "sync ."]


def test_blobs_are_on_disk_with_their_names_before_an_index_lists_them(tmp_path: Path, source: Path) -> None:
    found = steps(tmp_path, source, "--format", "oci-dir", "-o", tmp_path / "place")
    start = ["sync content", "name oci-layout", "sync content", "name index.json"]
    assert found[:4] == start
    last = found.index("name index.json", 4)
    blobs, after = found[4 : last - 1], found[last - 1 :]
    assert after == ["sync content", "name index.json", "sync .", "sync .."]
    named = [number for number, step in enumerate(blobs) if step.startswith("name blobs/sha256/")]
    assert len(named) == 4
    assert all(blobs[number - 1] == "sync content" for number in named)
    assert sorted(blobs[max(named) + 1 :]) == ["sync .", "sync blobs", "sync blobs/sha256"]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Give a directory with room for nothing but small files."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a tmpfs here")
    path = tmp_path / "small"
    path.mkdir()
    mount("tmpfs", path, "tmpfs", options="size=64k")
    yield path
    unmount_or_detach(path)


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_where_there_is_no_room_nothing_is_left(small: Path, source: Path, form: str) -> None:
    done = save(source, "--format", form, "-o", small / "out")
    assert done.returncode == 1
    assert re.fullmatch(rf"unionfs: error: {small}/out\S*: No space left on device\n", done.stderr)
    assert list(small.iterdir()) == []


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on a file system on which every file has a name."""
    for name in ("lower", "upper", "work", "mount"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    mounting = ["mount", "--transport", "pyfuse3", "-o", options, str(tmp_path / "mount")]
    subprocess.run([PROGRAM, *mounting], check=True, stdin=subprocess.DEVNULL)
    with pytest.raises(OSError, match="not supported"):
        os.open(tmp_path / "mount", os.O_TMPFILE | os.O_WRONLY)
    yield tmp_path / "mount"
    subprocess.run([PROGRAM, "umount", tmp_path / "mount"], check=True)


@pytest.mark.parametrize("form", ["docker-archive", "oci-dir"])
def test_an_image_is_saved_where_every_file_has_a_name(tmp_path: Path, plain: Path, source: Path, form: str) -> None:
    for path in (plain / "out", tmp_path / "reference"):
        assert save(source, "--format", form, "-o", path).stderr == ""
    assert content(plain / "out") == content(tmp_path / "reference")
    assert [path.name for path in plain.iterdir()] == ["out"]


@pytest.mark.parametrize("form", ["docker-archive", "oci-dir"])
def test_nothing_is_left_of_a_damaged_image_where_every_file_has_a_name(plain: Path, source: Path, form: str) -> None:
    for blob in (source / "blobs/sha256").iterdir():
        if blob.stat().st_size == len(BIG):
            blob.write_bytes(b"y" + BIG[1:])
    done = save(source, "--format", form, "-o", plain / "out")
    assert "does not match its digest" in done.stderr
    assert list(plain.iterdir()) == []


def content(path: Path) -> dict[str, bytes]:
    found = [path] if path.is_file() else [at for at in path.rglob("*") if at.is_file()]
    return {str(at.relative_to(path)): at.read_bytes() for at in found}
