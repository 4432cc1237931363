"""renameat2(2) and its flags.

Sources: rename(2), "renameat2()"; for the directories of lower layers the kernel's overlayfs documentation.
"""

import os
import stat
from errno import EEXIST, EINVAL, ENOENT, ENOTEMPTY, EXDEV

import pytest

from tests.posix.place import Place
from tests.posix.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, renameat2
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import WHITEOUT, Directory, File, Layer, Symlink

BOTTOM: Layer = {
    "lower_file": File(b"lower file"),
    "lower_dir/x": File(b"x"),
    "merged_dir/low": File(b"low"),
    "lower_link": Symlink("nowhere"),
    "hidden": File(b"hidden"),
    "hidden_dir/h": File(b"h"),
}
UPPER: Layer = {
    "upper_file": File(b"upper file"),
    "upper_dir/y": File(b"y"),
    "merged_dir/up": File(b"up"),
    "hidden": WHITEOUT,
    "hidden_dir": WHITEOUT,
}
SHOWN = ("lower_dir", "lower_file", "lower_link", "merged_dir", "upper_dir", "upper_file")
FILES = ("upper_file", "lower_file", "lower_link")
DIRECTORIES = ("upper_dir", "lower_dir", "merged_dir")


def look(place: Place, name: str) -> object:
    """Return what tells one name's content from another's."""
    path = place / name
    found = os.lstat(path)
    if stat.S_ISDIR(found.st_mode):
        return sorted(os.listdir(path))
    return os.readlink(path) if stat.S_ISLNK(found.st_mode) else path.read_bytes()


@pytest.mark.parametrize("source", SHOWN)
@row(bottom=BOTTOM, upper=UPPER)
def test_noreplace_refuses_every_name_that_is_there(place: Place, source: str) -> None:
    for target in SHOWN:
        assert errno_of(renameat2, place / source, place / target, RENAME_NOREPLACE) == EEXIST
    assert place.names() == sorted(SHOWN)


@pytest.mark.parametrize("target", ["hidden", "hidden_dir", "fresh"])
@pytest.mark.parametrize("source", SHOWN)
@row(bottom=BOTTOM, upper=UPPER)
def test_noreplace_takes_a_name_that_is_hidden_or_free(place: Place, source: str, target: str) -> None:
    before = look(place, source)
    renameat2(place / source, place / target, RENAME_NOREPLACE)
    assert look(place, target) == before
    assert place.names() == sorted({*SHOWN, target} - {source})


@pytest.mark.parametrize("target", SHOWN)
@pytest.mark.parametrize("source", SHOWN)
@row(bottom=BOTTOM, upper=UPPER)
def test_exchange_swaps_any_two_names(place: Place, source: str, target: str) -> None:
    before = look(place, source), look(place, target)
    inodes = os.lstat(place / source).st_ino, os.lstat(place / target).st_ino
    renameat2(place / source, place / target, RENAME_EXCHANGE)
    assert (look(place, target), look(place, source)) == before
    assert (os.lstat(place / target).st_ino, os.lstat(place / source).st_ino) == inodes
    assert place.names() == sorted(SHOWN)


@row(bottom=BOTTOM, upper=UPPER)
def test_exchange_needs_both_names(place: Place) -> None:
    for source in SHOWN:
        for target in ("hidden", "hidden_dir", "fresh"):
            assert errno_of(renameat2, place / source, place / target, RENAME_EXCHANGE) == ENOENT
            assert errno_of(renameat2, place / target, place / source, RENAME_EXCHANGE) == ENOENT
    assert errno_of(renameat2, place / "lower_dir", place / "lower_dir/x", RENAME_EXCHANGE) == EINVAL


@row(own=True, on=UNIONS, options=("redirect_dir=off",), bottom=BOTTOM, upper=UPPER)
def test_without_redirects_exchange_moves_no_lower_directory(place: Place) -> None:
    for source in ("lower_dir", "merged_dir"):
        for target in ("upper_file", "upper_dir", "lower_file"):
            assert errno_of(renameat2, place / source, place / target, RENAME_EXCHANGE) == EXDEV
            assert errno_of(renameat2, place / target, place / source, RENAME_EXCHANGE) == EXDEV
        assert errno_of(renameat2, place / source, place / "fresh", RENAME_NOREPLACE) == EXDEV
    for target in ("upper_file", "lower_file"):
        assert errno_of(renameat2, place / "upper_dir", place / target, RENAME_EXCHANGE) == 0


@row(own=True, bottom=BOTTOM, upper=UPPER)
def test_what_was_exchanged_stays_so_when_mounted_anew(place: Place) -> None:
    before = {name: look(place, name) for name in SHOWN}
    pairs = [("lower_dir", "lower_file"), ("merged_dir", "upper_file"), ("upper_dir", "lower_link")]
    for one, other in pairs:
        renameat2(place / one, place / other, RENAME_EXCHANGE)
    place.remount()
    for one, other in pairs:
        assert (look(place, one), look(place, other)) == (before[other], before[one])


@pytest.mark.parametrize("source", SHOWN)
@row(bottom=BOTTOM, upper=UPPER, on=UNIONS)
def test_a_user_makes_no_whiteout_by_a_rename(place: Place, source: str) -> None:
    assert errno_of(renameat2, place / source, place / "fresh", RENAME_WHITEOUT) == EINVAL
    assert place.names() == sorted(SHOWN)


@row(bottom=BOTTOM, upper=UPPER)
def test_flags_that_contradict_or_are_unknown_are_refused(place: Place) -> None:
    for flags in (RENAME_NOREPLACE | RENAME_EXCHANGE, RENAME_EXCHANGE | RENAME_WHITEOUT, 8, 1 << 30):
        assert errno_of(renameat2, place / "lower_file", place / "fresh", flags) == EINVAL
        assert errno_of(renameat2, place / "lower_file", place / "upper_file", flags) == EINVAL


@row(bottom={"d/sub": Directory(), "e/x": File()})
def test_exchange_does_not_move_a_directory_into_itself(place: Place) -> None:
    assert errno_of(renameat2, place / "d", place / "d/sub", RENAME_EXCHANGE) == EINVAL
    assert errno_of(renameat2, place / "d/sub", place / "d", RENAME_EXCHANGE) in {EINVAL, ENOTEMPTY}
    renameat2(place / "d", place / "e", RENAME_EXCHANGE)
    assert place.names("d") == ["x"]
    assert place.names("e") == ["sub"]
