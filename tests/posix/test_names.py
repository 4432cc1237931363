"""Names and paths: their lengths, their bytes, links that loop.

Source: POSIX, "Pathname Resolution"; names are bytes without a slash or NUL, 255 at most, also where a whiteout of
the ``.wh.`` form has no room.
"""

import os
import shutil
from errno import ELOOP, ENAMETOOLONG
from pathlib import Path

from tests.filesystems import FileSystem, scratch
from tests.posix.place import Place
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import Directory, File, Symlink, write

LONG = "n" * 255
ODD = [
    "new\nline",
    "tab\t",
    " space ",
    "-dash",
    "back\\slash",
    'quo"te',
    "ünï",
    "u\u0308",
    "*?[",
    "\udcff\udcfe",
    "A",
    "a",
]


@row(bottom={f"d/{LONG}": File(b"low"), "d/x": File()})
def test_a_name_of_255_bytes_is_read_written_moved_and_removed(place: Place) -> None:
    assert (place / "d" / LONG).read_bytes() == b"low"
    (place / "d" / LONG).write_bytes(b"new")
    (place / "d" / LONG).rename(place / "d" / ("m" * 255))
    assert place.names("d") == ["m" * 255, "x"]
    (place / "d" / ("m" * 255)).unlink()
    (place / "d" / LONG).mkdir()
    (place / "d" / LONG).rmdir()
    assert place.names("d") == ["x"]


@row(own=True, bottom={f"d/{LONG}": File(b"low"), f"d/{'k' * 252}": File(), f"tree/{LONG}/{LONG}": File()})
def test_a_long_lower_name_stays_removed_when_mounted_anew(place: Place) -> None:
    (place / "d" / LONG).unlink()
    (place / "d" / ("k" * 252)).unlink()
    shutil.rmtree(place / "tree")
    place.remount()
    assert place.names() == ["d"]
    assert place.names("d") == []


@row(bottom={"d/x": File()})
def test_a_name_of_256_bytes_is_too_long_for_every_call(place: Place) -> None:
    path = place / "d" / ("n" * 256)
    for call in (os.lstat, os.mkdir, os.mkfifo, os.unlink, os.rmdir, os.listdir, os.readlink):
        assert errno_of(call, path) == ENAMETOOLONG
    assert errno_of(os.open, path, os.O_CREAT | os.O_WRONLY) == ENAMETOOLONG
    assert errno_of(os.symlink, "x", path) == ENAMETOOLONG
    assert errno_of(os.rename, place / "d/x", path) == ENAMETOOLONG
    assert errno_of(os.link, place / "d/x", path) == ENAMETOOLONG


@row(bottom={**{f"low/{name}": File(name.encode(errors="surrogateescape")) for name in ODD}, "new": Directory()})
def test_names_are_bytes(place: Place) -> None:
    assert place.names("low") == sorted(ODD)
    for name in ODD:
        assert (place / "low" / name).read_bytes() == os.fsencode(name)
        (place / "new" / name).mkdir()
        (place / "low" / name).rename(place / "new" / name / name)
    assert place.names("low") == []
    assert place.names("new") == sorted(ODD)
    assert [place.names(f"new/{name}") for name in ODD] == [[name] for name in ODD]


@row(bottom={"d": Directory()})
def test_a_path_longer_than_path_max_is_refused_and_reached_step_by_step(place: Place) -> None:
    assert errno_of(os.stat, f"{place.path}/" + "d/../" * 1000) == ENAMETOOLONG
    descriptor = _descend(place / "d", create=True)
    try:
        file = os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor)
        os.write(file, b"5 kB down")
        os.close(file)
        os.rename("deep", "deeper", src_dir_fd=descriptor, dst_dir_fd=descriptor)
        assert os.listdir(descriptor) == ["deeper"]
        assert os.stat("deeper", dir_fd=descriptor).st_size == 9
    finally:
        os.close(descriptor)
    shutil.rmtree(place / "d")


@row(on=UNIONS)
def test_a_lower_file_deeper_than_path_max_is_read_and_copied_up(filesystem: FileSystem) -> None:
    with scratch() as directory:
        write(directory, {name: Directory() for name in ("low", "up", "work", "mount")})
        bottom = _descend(directory / "low", create=True)
        file = os.open("deep", os.O_CREAT | os.O_WRONLY, dir_fd=bottom)
        os.write(file, b"5 kB down")
        os.close(file)
        os.close(bottom)
        options = [f"lowerdir={directory}/low", f"upperdir={directory}/up", f"workdir={directory}/work"]
        attachment = filesystem.attach(options, directory / "mount", directory, {})
        try:
            bottom = _descend(directory / "mount", create=False)
            try:
                file = os.open("deep", os.O_RDWR, dir_fd=bottom)
                assert os.read(file, 100) == b"5 kB down"
                os.write(file, b"!")
                os.close(file)
                os.rename("deep", "deeper", src_dir_fd=bottom, dst_dir_fd=bottom)
                assert os.listdir(bottom) == ["deeper"]
                assert os.stat("deeper", dir_fd=bottom).st_size == 10
            finally:
                os.close(bottom)
        finally:
            attachment.detach()


def _descend(directory: Path, *, create: bool) -> int:
    """Open the directory 20 names of 255 bytes below ``directory``."""
    descriptor = os.open(directory, os.O_RDONLY)
    for _ in range(20):
        if create:
            os.mkdir(LONG, dir_fd=descriptor)
        inner = os.open(LONG, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    return descriptor


@row(
    bottom={
        "a": Symlink("b"),
        "b": Symlink("a"),
        "c0": File(b"end"),
        **{f"c{number}": Symlink(f"c{number - 1}") for number in range(1, 42)},
    },
)
def test_symlinks_are_followed_forty_times(place: Place) -> None:
    assert errno_of(os.stat, place / "a") == ELOOP
    assert (place / "c40").read_bytes() == b"end"
    assert errno_of(os.stat, place / "c41") == ELOOP


@row(bottom={"d/f": File(b"x"), "up": Symlink("d/.."), "abs": Symlink("/etc/hostname-of-no-one"), "self": Symlink(".")})
def test_symlinks_are_stored_and_followed_verbatim(place: Place) -> None:
    assert (place / "up/self/d/f").read_bytes() == b"x"
    assert not (place / "abs").exists()
    for target in ("../../..", "/", "x" * 4095, "trailing/", "a//b", "\udcff"):
        (place / "new").symlink_to(target)
        assert os.readlink(place / "new") == target
        assert os.lstat(place / "new").st_size == len(os.fsencode(target))
        (place / "new").unlink()
    assert errno_of(os.symlink, "x" * 4096, place / "new") == ENAMETOOLONG


@row(bottom={"d/f": File()})
def test_dot_and_dot_dot_lead_where_they_should(place: Place) -> None:
    assert os.stat(f"{place / 'd'}/.").st_ino == os.stat(place / "d").st_ino
    assert os.stat(f"{place / 'd'}/..").st_ino == os.stat(place.path).st_ino
