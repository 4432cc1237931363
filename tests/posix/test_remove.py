"""unlink and rmdir: what disappears from view, and what is left in the upper directory.

Sources: POSIX unlink(), rmdir(); the kernel's overlayfs documentation, "whiteouts and opaque directories".
"""

import os
import shutil
import stat
from errno import EBUSY, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EPERM

from tests.posix.place import Place
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import OPAQUE, WHITEOUT, Directory, Fifo, File, HardLink, Symlink

TREE = {"d/a": File(b"a"), "d/sub/b": File(b"b"), "d/sub/deep/c": File(b"c"), "d/link": Symlink("a")}


@row(bottom={"f": File(), "d": Directory(), "link": Symlink("f"), "fifo": Fifo(), "kept": File()})
def test_a_lower_name_of_each_kind_can_be_removed(place: Place) -> None:
    for name in ("f", "link", "fifo"):
        (place / name).unlink()
    (place / "d").rmdir()
    assert place.names() == ["kept"]
    for name in ("f", "link", "fifo", "d"):
        assert errno_of(os.lstat, place / name) == ENOENT
        assert errno_of(os.unlink, place / name) == ENOENT


@row(bottom={"low": File()}, upper={"both": File(), "pure": File()}, middle={"both": File()}, on=UNIONS)
def test_a_whiteout_is_left_only_where_a_lower_name_must_be_hidden(place: Place) -> None:
    for name in ("low", "both", "pure"):
        (place / name).unlink()
    assert sorted(os.listdir(place.upper)) == ["both", "low"]
    for name in ("both", "low"):
        found = os.lstat(place.upper / name)
        assert stat.S_ISCHR(found.st_mode)
        assert found.st_rdev == os.makedev(0, 0)


@row(bottom={"d/gone": File()}, middle={"d": OPAQUE, "d/own": File()})
def test_a_name_hidden_by_an_opaque_directory_stays_hidden_when_it_was_made_and_removed(place: Place) -> None:
    (place / "d/gone").touch()
    (place / "d/gone").unlink()
    assert place.names("d") == ["own"]
    assert errno_of(os.unlink, place / "d/gone") == ENOENT


@row(bottom=TREE, middle={"d/m": File()}, upper={"d/u": File()})
def test_a_merged_directory_with_visible_children_is_not_removed(place: Place) -> None:
    assert errno_of(os.rmdir, place / "d") == ENOTEMPTY
    for name in ("a", "link", "m", "u"):
        (place / "d" / name).unlink()
    assert errno_of(os.rmdir, place / "d") == ENOTEMPTY
    shutil.rmtree(place / "d/sub")
    (place / "d").rmdir()
    assert place.names() == []


@row(bottom={"d/a": File(), "d/b": File()}, middle={"d/a": WHITEOUT}, top={"d/b": WHITEOUT})
def test_a_directory_whose_children_are_all_hidden_is_removed(place: Place) -> None:
    (place / "d").rmdir()
    assert place.names() == []
    assert errno_of(os.stat, place / "d") == ENOENT


@row(bottom={"e/d/a": File()}, upper={"e/d/a": WHITEOUT, "e/d": Directory()}, on=UNIONS)
def test_removing_a_directory_takes_the_whiteouts_in_its_upper_with_it(place: Place) -> None:
    (place / "e/d").rmdir()
    assert place.names("e") == []
    assert stat.S_ISCHR(os.lstat(place.upper / "e/d").st_mode)


@row(bottom=TREE, middle={"d/sub/m": File()})
def test_a_tree_removed_and_made_again_is_empty(place: Place) -> None:
    shutil.rmtree(place / "d")
    assert place.names() == []
    (place / "d").mkdir()
    assert place.names("d") == []
    (place / "d/sub").mkdir()
    assert place.names("d/sub") == []
    assert errno_of(os.lstat, place / "d/sub/b") == ENOENT


@row(own=True, bottom={"d2/a": File(b"a"), "kept": File()})
def test_files_deleted_with_their_directory_do_not_come_back(place: Place) -> None:
    shutil.rmtree(place / "d2")
    (place / "d2").mkdir()
    (place / "d2").rmdir()
    assert place.names() == ["kept"]
    place.remount()
    assert place.names() == ["kept"]
    (place / "d2").mkdir()
    place.remount()
    assert place.names("d2") == []


@row(bottom={"f": File(), "d/x": File(), "link": Symlink("d"), "dangling": Symlink("none")})
def test_unlink_takes_no_directory_and_rmdir_nothing_else(place: Place) -> None:
    assert errno_of(os.unlink, place / "d") in {EISDIR, EPERM}
    assert errno_of(os.rmdir, place / "f") == ENOTDIR
    assert errno_of(os.rmdir, place / "link") == ENOTDIR
    assert errno_of(os.unlink, f"{place / 'f'}/") == ENOTDIR
    (place / "link").unlink()
    (place / "dangling").unlink()
    assert place.names() == ["d", "f"]
    assert place.names("d") == ["x"]


@row(own=True, bottom={"f": File()}, on=UNIONS)
def test_the_root_of_the_mount_is_busy(place: Place) -> None:
    assert errno_of(os.rmdir, place.path) == EBUSY
    assert errno_of(os.rename, place.path, place.stack.directory / "elsewhere") == EBUSY


@row(bottom={"a": File(b"x"), "b": HardLink("a")})
def test_removing_one_of_two_lower_links_leaves_the_other_whole(place: Place) -> None:
    (place / "a").unlink()
    assert place.names() == ["b"]
    assert (place / "b").read_bytes() == b"x"
    assert (place / "b").stat().st_nlink == 1


@row(bottom={"d": Directory(), "f": File()})
def test_a_directory_removed_while_open_lists_nothing_more(place: Place) -> None:
    descriptor = os.open(place / "d", os.O_RDONLY | os.O_DIRECTORY)
    try:
        (place / "d").rmdir()
        assert errno_of(os.listdir, descriptor) in {0, ENOENT}
        assert errno_of(os.open, "new", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor) == ENOENT
        assert errno_of(os.mkdir, "new", dir_fd=descriptor) == ENOENT
    finally:
        os.close(descriptor)


@row(bottom={f"{number:03}": File() for number in range(200)}, own=True)
def test_a_name_created_and_removed_many_times_leaves_the_lower_name_hidden(place: Place) -> None:
    for number in range(200):
        (place / f"{number:03}").unlink()
        (place / f"{number:03}").mkdir()
        (place / f"{number:03}").rmdir()
    assert place.names() == []
    place.remount()
    assert place.names() == []
