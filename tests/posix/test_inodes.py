"""Inode numbers, device numbers and link counts.

Sources: POSIX, stat(), readdir(); the kernel's overlayfs documentation, "Inode properties".
"""

import os
import stat

from tests.filesystems import FileSystem, scratch
from tests.mounts import MS_RDONLY, MS_REMOUNT, mount, unmount
from tests.posix.place import Place
from tests.posix.syscalls import all_dents
from tests.posix.table import UNIONS, row
from tests.stacks import WHITEOUT, Device, Directory, Fifo, File, HardLink, Layer, Symlink, write

MIXED: Layer = {
    "d/file": File(),
    "d/dir": Directory(),
    "d/link": Symlink("file"),
    "d/fifo": Fifo(),
    "d/char": Device(stat.S_IFCHR, 1, 7),
    "d/a": File(b"linked"),
    "d/b": HardLink("d/a"),
}


def listed(place: Place, name: str) -> dict[str, tuple[int, int]]:
    """Return inode number and type by name, as the directory's own listing gives them."""
    descriptor = os.open(place / name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return {entry.name: (entry.ino, entry.kind) for entry in all_dents(descriptor)}
    finally:
        os.close(descriptor)


def looked_up(place: Place, name: str) -> dict[str, tuple[int, int]]:
    """Return the same from stat(2)."""
    found = {}
    for entry in [".", "..", *os.listdir(place / name)]:
        result = os.lstat(f"{place / name}/{entry}")
        found[entry] = (result.st_ino, stat.S_IFMT(result.st_mode) >> 12)
    return found


@row(bottom=MIXED, upper={"d/up": File(), "d/updir/x": File()}, middle={"d/dir/m": File(), "d/mid": Directory()})
def test_a_listing_gives_the_numbers_and_types_that_stat_gives(place: Place) -> None:
    for name in ("d", "d/dir", "d/mid", "d/updir"):
        assert listed(place, name) == looked_up(place, name)


@row(bottom=MIXED, top={"d/dir/t": File()})
def test_a_listing_agrees_with_stat_after_copy_up(place: Place) -> None:
    before = looked_up(place, "d")
    for name in ("file", "link", "fifo", "char", "dir", "a"):
        os.chown(place / "d" / name, 1, 1, follow_symlinks=False)
    assert listed(place, "d") == looked_up(place, "d") == before


@row(own=True, bottom=MIXED, upper={"d/up": File()})
def test_a_listing_agrees_with_stat_when_mounted_anew(place: Place) -> None:
    before = looked_up(place, "d")
    (place / "d/file").chmod(0o600)
    (place / "d/dir/new").touch()
    (place / "d/dir").rename(place / "d/moved")
    place.remount()
    assert listed(place, "d") == looked_up(place, "d")
    expected = {("moved" if name == "dir" else name): numbers for name, numbers in before.items()}
    assert looked_up(place, "d") == expected


@row(
    bottom={name: File() for name in ("f", "link", "dir")},
    middle={"f": WHITEOUT, "link": WHITEOUT, "dir": WHITEOUT},
    top={"f": Directory(), "link": Symlink("x"), "dir": Fifo()},
)
def test_a_name_that_changed_its_type_is_listed_with_the_new_one(place: Place) -> None:
    (place / "dir").unlink()
    (place / "dir").mkdir()
    (place / "f").rmdir()
    (place / "f").symlink_to("x")
    assert listed(place, ".") == looked_up(place, ".")


@row(bottom={"d/a": File(), "d/sub/b": File()}, middle={"d/m": File()}, upper={"d/u": File()})
def test_every_file_of_the_mount_has_its_own_number_on_one_device(place: Place) -> None:
    names = [".", "d", "d/a", "d/sub", "d/sub/b", "d/m", "d/u"]
    (place / "d/new").touch()
    (place / "d/newdir").mkdir()
    found = [(place / name).stat() for name in [*names, "d/new", "d/newdir"]]
    assert len({result.st_ino for result in found}) == len(found)
    assert len({result.st_dev for result in found}) == 1


@row(on=UNIONS)
def test_files_of_layers_on_different_file_systems_are_distinct(filesystem: FileSystem) -> None:
    """Two fresh tmpfs number their files alike."""
    with scratch() as directory:
        write(directory, {name: Directory() for name in ("one", "two", "low", "mount")})
        root = directory / "mount"
        for name in ("one", "two"):
            mount("tmpfs", directory / name, "tmpfs", options="size=1m")
        try:
            for name in ("one", "two"):
                write(directory / name, {f"d/{name}{number}": File() for number in range(5)})
                mount("", directory / name, "", MS_REMOUNT | MS_RDONLY)
            lowerdir = f"lowerdir={directory}/one:{directory}/two:{directory}/low"
            attachment = filesystem.attach([lowerdir], root, directory, {})
            try:
                found = [os.stat(root / "d" / name) for name in os.listdir(root / "d")]
                assert len({(result.st_dev, result.st_ino) for result in found}) == 10
                assert {os.stat(root / name).st_dev for name in ("d", ".")} == {root.stat().st_dev}
                layers = {os.stat(directory / name).st_dev for name in ("one", "two", "low")}
                assert not {result.st_dev for result in found} & layers
            finally:
                attachment.detach()
        finally:
            for name in ("one", "two"):
                unmount(directory / name)


@row(bottom={"d/a/x": File(), "d/b/x": File(), "d/f": File()}, middle={"d/c/x": File()})
def test_the_link_count_of_a_directory_misleads_no_tree_walk(place: Place) -> None:
    """A count of 1 says nothing of sub-directories; any other says that there are two fewer."""
    assert (place / "d").stat().st_nlink in {1, 2 + 3}
    (place / "d/new").mkdir()
    assert (place / "d").stat().st_nlink in {1, 2 + 4}


@row(bottom={"a": File(b"x"), "b": HardLink("a"), "c": File()})
def test_the_inode_of_lower_links_is_one(place: Place) -> None:
    assert os.path.samefile(place / "a", place / "b")
    assert not os.path.samefile(place / "a", place / "c")
    assert (place / "a").stat().st_nlink == 2


@row(bottom={"f": File(b"old")})
def test_no_stale_file_is_shown_under_a_name_made_anew(place: Place) -> None:
    for number in range(20):
        (place / "f").unlink()
        assert not (place / "f").exists()
        (place / "f").mkdir()
        assert place.names("f") == []
        (place / "f").rmdir()
        (place / "f").write_bytes(b"%d" % number)
        assert (place / "f").read_bytes() == b"%d" % number
