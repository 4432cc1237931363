"""Owners, permissions and devices kept in an attribute: always, never, or only where the entry can't have them.

Whatever the form, the entry shows what was asked for; the attribute is what fuse-overlayfs (``xattr_permissions``) and
containers' storage (pkg/idtools) read.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.filesystems import scratch
from tests.layer.opened import opened_upper
from tests.posix.processes import NOBODY
from tests.stacks import Directory, File, write
from unionfs.layer.directory import Directory as LayerDirectory
from unionfs.layer.open_upper import UpperOptions
from unionfs.layer.ownership import OverrideForm, Ownership
from unionfs.layer.upper import New, Upper

USER = "user.containers.override_stat"
SECURITY = "security.fuseoverlayfs.override_stat"
OLD = "user.fuseoverlayfs.override_stat"
NAMES = {OverrideForm.USER: USER, OverrideForm.SECURITY: SECURITY}
ROOTS = Ownership(0, 0, 0o640, stat.S_IFREG)
THEIRS = Ownership(7, 8, 0o640, stat.S_IFREG)
NULL = Ownership(0, 6, 0o660, stat.S_IFCHR, os.makedev(1, 3))
RECORDED: Mapping[str, tuple[Ownership, str, int]] = {
    "file": (ROOTS, "0:0:0640:file", 0o100640),
    "of another": (THEIRS, "7:8:0640:file", 0o100640),
    "closed": (THEIRS._replace(permissions=0), "7:8:0000:file", 0o100600),
    "set-id": (THEIRS._replace(permissions=0o6755), "7:8:6755:file", 0o100755),
    "directory": (Ownership(7, 8, 0o3050, stat.S_IFDIR), "7:8:3050:dir", 0o041750),
    "character device": (NULL, "0:6:0660:char-1-3", 0o100660),
    "block device": (NULL._replace(type_bits=stat.S_IFBLK, rdev=os.makedev(8, 1)), "0:6:0660:block-8-1", 0o100660),
    "pipe": (Ownership(0, 0, 0o600, stat.S_IFIFO), "0:0:0600:pipe", 0o100600),
    "socket": (Ownership(7, 8, 0o600, stat.S_IFSOCK), "7:8:0600:socket", 0o100600),
}
"""What is made, its record, and the mode on disk: of use to the daemon, and to others no more than shown."""


@pytest.fixture(params=NAMES, ids=lambda form: form.value)
def form(request: pytest.FixtureRequest) -> OverrideForm:
    found: OverrideForm = request.param
    return found


@pytest.fixture
def attribute(form: OverrideForm) -> str:
    return NAMES[form]


@pytest.fixture
def upper(tmp_path: Path, form: OverrideForm) -> Iterator[Upper]:
    with opened_upper(tmp_path, UpperOptions(override=form)) as found:
        yield found


@pytest.fixture
def open_place() -> Iterator[Path]:
    """Give a directory that an ordinary user reaches."""
    with scratch() as place:
        yield place


@contextmanager
def nobodys_upper(path: Path, form: OverrideForm) -> Iterator[Upper]:
    """Open an upper as an ordinary user who owns it."""
    for name in ("upper", "work"):
        (path / name).mkdir(exist_ok=True)
        os.chown(path / name, NOBODY, NOBODY)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        with opened_upper(path, UpperOptions(override=form)) as found:
            yield found
    finally:
        os.seteuid(0)
        os.setegid(0)


def make(upper: Upper, name: str, ownership: Ownership) -> None:
    fd = upper.make(upper.root, name.encode(), New(ownership), over_whiteout=False).fd
    if fd is not None:
        os.close(fd)


def change(upper: Upper, name: str, *, chown: bool, chmod: bool = False, **wanted: int) -> None:
    shown, _ = upper.root.examine(name.encode())
    ownership = Ownership.of(shown)._replace(**wanted)
    upper.metadata.change(upper.root, name.encode(), shown, ownership, chown=chown, chmod=chmod)


def records(path: Path) -> dict[str, str]:
    """Give the attributes that record an owner, by name."""
    names = set(os.listxattr(path, follow_symlinks=False)) & {USER, SECURITY, OLD}
    return {name: os.getxattr(path, name).decode() for name in names}


def shown_by(directory: LayerDirectory, name: str) -> Ownership:
    return Ownership.of(directory.examine(name.encode())[0])


@pytest.mark.parametrize(("ownership", "text", "mode"), RECORDED.values(), ids=RECORDED)
def test_everything_that_is_made_is_recorded(
    tmp_path: Path, upper: Upper, attribute: str, ownership: Ownership, text: str, mode: int
) -> None:
    make(upper, "made", ownership)
    status = (tmp_path / "upper/made").lstat()
    assert records(tmp_path / "upper/made") == {attribute: text}
    assert (status.st_mode, status.st_uid, status.st_gid) == (mode, os.geteuid(), os.getegid())
    assert shown_by(upper.root, "made") == ownership


def test_the_root_is_recorded_for_who_looks_there_first(tmp_path: Path, form: OverrideForm, attribute: str) -> None:
    (tmp_path / "upper").mkdir()
    os.chown(tmp_path / "upper", 7, 8)
    (tmp_path / "upper").chmod(0o2711)
    for _ in range(2):
        with opened_upper(tmp_path, UpperOptions(override=form)):
            assert records(tmp_path / "upper") == {attribute: "7:8:2711:dir"}
    assert not records(tmp_path / "work/work")


def test_a_root_that_has_a_record_keeps_it(tmp_path: Path, form: OverrideForm, attribute: str) -> None:
    write(tmp_path / "upper", {".": Directory(xattrs={attribute: b"1000:1000:0700:dir"})})
    with opened_upper(tmp_path, UpperOptions(override=form)):
        assert records(tmp_path / "upper") == {attribute: "1000:1000:0700:dir"}


def test_a_change_goes_to_the_record(tmp_path: Path, upper: Upper, attribute: str) -> None:
    make(upper, "f", ROOTS)
    change(upper, "f", chown=True, uid=7)
    change(upper, "f", chown=False, chmod=True, permissions=0o4444)
    assert records(tmp_path / "upper/f") == {attribute: "7:0:4444:file"}
    status = (tmp_path / "upper/f").lstat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o644, 0)


def test_a_change_of_what_was_not_recorded_records_it(tmp_path: Path, upper: Upper, attribute: str) -> None:
    write(tmp_path / "upper", {"f": File(mode=0o4711, uid=5, gid=6)})
    change(upper, "f", chown=True, gid=9)
    assert records(tmp_path / "upper/f") == {attribute: "5:9:0711:file"}
    assert (tmp_path / "upper/f").lstat().st_uid == 5


def test_a_change_leaves_no_other_record(tmp_path: Path, upper: Upper, attribute: str) -> None:
    others = dict.fromkeys((USER, SECURITY, OLD), b"1:1:0600:file")
    write(tmp_path / "upper", {"f": File(xattrs=others)})
    change(upper, "f", chown=True, uid=7)
    assert records(tmp_path / "upper/f") == {attribute: "7:1:0600:file"}


def test_a_symbolic_link_has_its_owner_itself(tmp_path: Path, upper: Upper) -> None:
    link = New(Ownership(7, 8, 0o777, stat.S_IFLNK), b"target")
    upper.make(upper.root, b"link", link, over_whiteout=False)
    status = (tmp_path / "upper/link").lstat()
    assert (status.st_uid, status.st_gid) == (7, 8)
    assert os.listxattr(tmp_path / "upper/link", follow_symlinks=False) == []


def test_an_upper_of_an_older_fuse_overlayfs_keeps_its_name(tmp_path: Path) -> None:
    write(tmp_path / "upper", {".": Directory(xattrs={OLD: b"0:0:0755"}), "f": File(xattrs={OLD: b"5:6:100640"})})
    with opened_upper(tmp_path, UpperOptions(override=OverrideForm.USER)) as upper:
        change(upper, "f", chown=True, uid=7)
        make(upper, "new", THEIRS)
    assert records(tmp_path / "upper/f") == {OLD: "7:6:0640:file"}
    assert records(tmp_path / "upper/new") == {OLD: "7:8:0640:file"}
    assert records(tmp_path / "upper") == {OLD: "0:0:0755"}


# Who may neither chown nor mknod.


@pytest.mark.parametrize(("ownership", "text", "mode"), RECORDED.values(), ids=RECORDED)
def test_an_ordinary_user_records_everything(open_place: Path, ownership: Ownership, text: str, mode: int) -> None:
    with nobodys_upper(open_place, OverrideForm.USER) as upper:
        make(upper, "made", ownership)
        assert shown_by(upper.root, "made") == ownership
    status = (open_place / "upper/made").lstat()
    assert records(open_place / "upper/made") == {USER: text}
    assert (status.st_mode, status.st_uid, status.st_gid) == (mode, NOBODY, NOBODY)


def test_who_may_not_write_the_attribute_is_told_so(open_place: Path) -> None:
    message = "owners can't be kept here in security.fuseoverlayfs.override_stat"
    with pytest.raises(PermissionError, match=message), nobodys_upper(open_place, OverrideForm.SECURITY):
        pytest.fail("the upper was opened")


# Never.


def test_what_cannot_be_set_is_refused_where_nothing_is_recorded(open_place: Path) -> None:
    mine = Ownership(NOBODY, NOBODY, 0o040, stat.S_IFREG)
    with nobodys_upper(open_place, OverrideForm.NEVER) as upper:
        make(upper, "mine", mine)
        for ownership in (THEIRS, ROOTS, NULL, NULL._replace(uid=NOBODY, gid=NOBODY)):
            with pytest.raises(PermissionError):
                make(upper, "theirs", ownership)
        with pytest.raises(PermissionError):
            change(upper, "mine", chown=True, uid=7)
        change(upper, "mine", chown=False, chmod=True, permissions=0o6755)
        assert os.listdir(upper.work.path()) == [b"unionfs-index"]
        assert upper.root.scan().keys() == {b"mine"}
    assert records(open_place / "upper/mine") == {}
    assert stat.S_IMODE((open_place / "upper/mine").lstat().st_mode) == 0o6755


def test_what_cannot_be_set_stays_where_that_is_ignored(open_place: Path) -> None:
    with nobodys_upper(open_place, OverrideForm.IGNORED) as upper:
        make(upper, "f", THEIRS)
        make(upper, "d", Ownership(7, 8, 0o711, stat.S_IFDIR))
        change(upper, "f", chown=True, uid=9)
        change(upper, "f", chown=True, chmod=True, gid=9, permissions=0o604)
        with pytest.raises(PermissionError):
            make(upper, "null", NULL)
        mine = Ownership(NOBODY, NOBODY, 0o604, stat.S_IFREG)
        assert shown_by(upper.root, "f") == mine
        assert shown_by(upper.root, "d") == mine._replace(permissions=0o711, type_bits=stat.S_IFDIR)
    assert records(open_place / "upper/f") == {}


def test_a_new_file_can_be_written_whatever_its_permissions_are(open_place: Path) -> None:
    unwritable = Ownership(NOBODY, NOBODY, 0o444, stat.S_IFREG)
    with nobodys_upper(open_place, OverrideForm.NEVER) as upper:
        for hidden in (False, True):
            name = b"hidden" if hidden else b"new"
            if hidden:
                upper.white_out(upper.root, name)
            fd = upper.make(upper.root, name, New(unwritable), over_whiteout=hidden).fd
            assert fd is not None
            assert os.write(fd, b"content") == 7
            os.close(fd)
            assert shown_by(upper.root, name.decode()) == unwritable


def test_what_has_a_record_keeps_it_where_it_cannot_be_set(open_place: Path) -> None:
    with nobodys_upper(open_place, OverrideForm.USER) as upper:
        make(upper, "f", THEIRS)
        make(upper, "null", NULL)
    with nobodys_upper(open_place, OverrideForm.NEVER) as upper:
        change(upper, "f", chown=False, chmod=True, permissions=0o600)
        change(upper, "null", chown=False, chmod=True, permissions=0o600)
        assert shown_by(upper.root, "f") == THEIRS._replace(permissions=0o600)
        assert shown_by(upper.root, "null") == NULL._replace(permissions=0o600)


def test_root_makes_a_record_real_where_none_is_wanted(tmp_path: Path) -> None:
    with opened_upper(tmp_path, UpperOptions(override=OverrideForm.SECURITY)) as upper:
        make(upper, "f", THEIRS)
        os.setxattr(tmp_path / "upper/f", USER, b"1:1:0600:file")
    with opened_upper(tmp_path, UpperOptions(override=OverrideForm.NEVER)) as upper:
        change(upper, "f", chown=False, chmod=True, permissions=0o644)
        make(upper, "null", NULL)
    status = (tmp_path / "upper/f").lstat()
    assert records(tmp_path / "upper/f") == {}
    assert (status.st_uid, status.st_gid, status.st_mode) == (7, 8, 0o100644)
    assert stat.S_ISCHR((tmp_path / "upper/null").lstat().st_mode)
