"""An upper in which all owners are in an attribute (fuse-overlayfs, ``xattr_permissions``) shows what any other does.

Each session is done on a plain upper too, and both show the same, at once and when opened again. On disk nothing was
given away, no device was made, and everything that can have the attribute does.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.filesystems import TRANSPORTS, mounted, scratch
from tests.posix.acl import ACCESS, acl
from tests.posix.processes import NOBODY, effectively_nobody
from tests.stacks import EMPTY, Device, Directory, Fifo, File, HardLink, Layer, Symlink, write
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.layer.ownership import OverrideForm
from unionfs.linux.rename import RENAME_EXCHANGE
from unionfs.union.flatten import flatten
from unionfs.union.table import ROOT
from unionfs.union.union import Caller, Settings

NAMES = {
    OverrideForm.USER: "user.containers.override_stat",
    OverrideForm.SECURITY: "security.fuseoverlayfs.override_stat",
}
LOWER: Layer = {
    "f": File(b"f", mode=0o4755, uid=3, gid=4),
    "closed": File(b"closed", mode=0, uid=3, gid=4),
    "null": Device(stat.S_IFCHR, 1, 3, mode=0o666, uid=0, gid=6),
    "pipe": Fifo(mode=0o622, uid=3),
    "link": Symlink("f"),
    "d": Directory(mode=0o2755, uid=3, gid=5),
    "d/a": File(b"a", uid=7),
    "d/sub/b": File(b"b", uid=8, xattrs={"user.k": b"v"}),
    "one": File(b"linked", uid=9),
    "two": HardLink("one"),
    "recorded": File(b"r", mode=0o600, xattrs={"user.containers.override_stat": b"5:6:0640:file"}),
    "tty": File(mode=0o600, xattrs={"user.fuseoverlayfs.override_stat": b"0:5:620:char-5-0"}),
}
READABLE: Layer = {
    path: File(node.content, uid=3, gid=4) if isinstance(node, File) and not node.mode & 0o4 else node
    for path, node in LOWER.items()
    if not isinstance(node, Symlink)
}
"""As an ordinary user can read it; a symbolic link of theirs couldn't be somebody else's."""
SETTINGS = {"as mounted": EVERYTHING, "plain": Settings(volatile=True)}
THEM = Caller(1000, 1001, 0o022)


def write_to_files(kernel: Kernel) -> None:
    for name in ("f", "closed", "recorded", "one"):
        kernel.write(name, b"new")


Session = tuple[Callable[[Kernel], object], ...]
SESSIONS: dict[str, Session] = {
    "written": (write_to_files,),
    "given away": (lambda k: [k.change(name, uid=70, gid=80) for name in ("f", "closed", "null", "pipe", "d", "tty")],),
    "opened and closed": (lambda k: [k.change(name, mode=0o1707) for name in ("f", "d", "null", "recorded", "two")],),
    "linked": (
        lambda k: k.link("f", "d/f"),
        lambda k: k.link("null", "d/null"),
        lambda k: k.change("d/f", uid=70),
        lambda k: k.change("d/null", gid=7),
    ),
    "renamed": (
        lambda k: k.rename("f", "d/f"),
        lambda k: k.rename("tty", "d/tty"),
        lambda k: k.rename("recorded", "f"),
        lambda k: k.unlink("pipe"),
    ),
    "exchanged": (lambda k: k.rename("f", "null", RENAME_EXCHANGE),),
    "made": (
        lambda k: k.create("file", 0o106755, caller=THEM),
        lambda k: k.create("d/file", 0o100666, caller=THEM),
        lambda k: k.create("d/directory", 0o040777, caller=THEM),
        lambda k: k.create("char", 0o020666, rdev=os.makedev(1, 5), caller=THEM),
        lambda k: k.create("block", 0o060660, rdev=os.makedev(8, 1), caller=THEM),
        lambda k: k.create("fifo", 0o010666, caller=THEM),
        lambda k: k.create("socket", 0o140666, caller=THEM),
    ),
    "replaced": (
        lambda k: k.unlink("null"),
        lambda k: k.mkdir("null", 0o700),
        lambda k: k.create("null/x", 0o100600, caller=THEM),
    ),
    "attributes": (
        lambda k: k.set_xattr("d/a", b"user.x", b"y"),
        lambda k: k.set_xattr("d", b"user.x", b"y"),
    ),
}
Shown = dict[str, tuple[int, int, int, int, int, bytes]]


def shown(kernel: Kernel) -> Shown:
    """Give mode, owner, group, device, link count and content of everything that shows."""
    found: Shown = {}
    for path, entry in kernel.tree().items():
        attributes = kernel.stat(path)
        links = 0 if attributes.is_directory else attributes.nlink
        owner = (attributes.uid, attributes.gid)
        found[path] = (attributes.mode, *owner, attributes.rdev, links, entry.content)
    return found


def shown_after(stack: Stack, session: Session) -> Shown:
    """Give what shows after the session, which is what shows when the stack is opened again."""
    with stack.opened() as kernel:
        for change in session:
            change(kernel)
        at_once = shown(kernel)
    with stack.opened() as kernel:
        assert shown(kernel) == at_once
    return at_once


def on_disk(upper: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in (upper, *upper.rglob("*")):
        status = path.lstat()
        if not (stat.S_ISCHR(status.st_mode) and status.st_rdev == 0):
            yield path, status


def check_disk(stack: Stack, attribute: str, owner: int) -> None:
    """Nothing was given away or made that needs a right, and each entry that can be recorded is."""
    for path, status in on_disk(stack.upper):
        if stat.S_ISLNK(status.st_mode):
            continue
        assert stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode), path
        assert (status.st_uid, status.st_gid) == (owner, owner), path
        assert not status.st_mode & 0o6000, path
        assert set(os.listxattr(path)) & set(NAMES.values()) == {attribute}, path


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("form", NAMES, ids=lambda form: form.value)
@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_owners_in_an_attribute_show_as_real_ones(
    tmp_path: Path, session: Session, form: OverrideForm, settings: Settings
) -> None:
    plain = Stack(tmp_path / "plain", (LOWER,), settings)
    recorded = Stack(tmp_path / "recorded", (LOWER,), settings, UpperOptions(override=form))
    assert shown_after(recorded, session) == shown_after(plain, session)
    check_disk(recorded, NAMES[form], 0)


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_so_they_do_for_who_may_neither_chown_nor_mknod(tmp_path: Path, session: Session) -> None:
    settings = SETTINGS["plain"]
    plain = Stack(tmp_path / "plain", (READABLE,), settings)
    with scratch() as place:
        recorded = Stack(place / "recorded", (READABLE,), settings, UpperOptions(override=OverrideForm.USER))
        for path in (recorded.upper, recorded.work):
            os.chown(path, NOBODY, NOBODY)
        with effectively_nobody():
            found = shown_after(recorded, session)
        check_disk(recorded, NAMES[OverrideForm.USER], NOBODY)
    assert found == shown_after(plain, session)


def test_a_listing_of_names_gives_the_types_that_show(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", ({"d/pipe": File(xattrs={NAMES[OverrideForm.USER]: b"0:0:0600:pipe"})}, LOWER))
    write(stack.upper, {"d/tty": LOWER["tty"], "d/file": File()})
    with stack.opened() as kernel:
        for path in (".", "d"):
            kernel.tree()
            kernel.forget_everything()
            listed = kernel.union.names(kernel.number_of(path), 2)
            names = {os.fsdecode(named.name): named.kind << 12 for named in listed}
            assert names == {name: stat.S_IFMT(kernel.stat(f"{path}/{name}").mode) for name in names}
        assert (names["pipe"], names["tty"]) == (stat.S_IFIFO, stat.S_IFCHR)


def test_a_listing_of_names_reaches_no_file_where_nothing_is_recorded(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", ({f"f{number}": File() for number in range(10)},))
    with stack.opened() as kernel:
        before = list(kernel.union.names(ROOT, 2))
        for path in stack.lower().iterdir():
            path.unlink()
        assert list(kernel.union.names(ROOT, 2)) == before


def test_where_none_are_recorded_an_ordinary_user_copies_their_own_up_and_no_others() -> None:
    lower: Layer = {
        ".": Directory(uid=NOBODY, gid=NOBODY),
        "mine": File(b"mine", mode=0o444, uid=NOBODY, gid=NOBODY, xattrs={"user.k": b"v"}),
        "theirs": File(b"theirs", mode=0o666),
    }
    with scratch() as place:
        stack = Stack(place / "stack", (lower,), SETTINGS["plain"], UpperOptions(override=OverrideForm.NEVER))
        for path in (stack.upper, stack.work):
            os.chown(path, NOBODY, NOBODY)
        with effectively_nobody(), stack.opened() as kernel:
            kernel.write("mine", b"MI")
            assert (kernel.read("mine"), kernel.stat("mine").mode) == (b"MIne", 0o100444)
            assert kernel.xattrs("mine") == {b"user.k": b"v"}
            with pytest.raises(PermissionError):
                kernel.write("theirs", b"x")
        assert [path.name for path in stack.upper.iterdir()] == ["mine"]
        assert stack.staged() == []


K = {"user.k": b"v"}
CLOSED: Layer = {
    ".": Directory(uid=NOBODY, gid=NOBODY),
    "d": Directory(mode=0o555, uid=NOBODY, gid=NOBODY, xattrs=K),
    "d/f": File(b"f", mode=0o444, uid=NOBODY, gid=NOBODY, xattrs=K),
    "d/one": File(b"linked", uid=NOBODY, gid=NOBODY, xattrs=K),
    "d/two": HardLink("d/one"),
    "d/listed": Directory(mode=0o570, uid=NOBODY, gid=NOBODY, xattrs={ACCESS: acl(owner=5, group=7, other=0, mask=7)}),
    "d/listed/f": File(b"f", uid=NOBODY, gid=NOBODY, xattrs=K),
}


def test_so_they_do_with_a_directory_in_which_its_owner_may_change_nothing() -> None:
    with scratch() as place:
        options = UpperOptions(override=OverrideForm.NEVER)
        stack = Stack(place / "stack", (CLOSED,), SETTINGS["plain"], options)
        for writable in (stack.upper, stack.work):
            os.chown(writable, NOBODY, NOBODY)
        with effectively_nobody(), stack.opened() as kernel:
            before = {path: kernel.stat(path) for path in CLOSED}
            for path in ("d/f", "d/one", "d/listed/f"):
                kernel.write(path, b"F")
            kernel.change("d/two", mode=0o400)
            for path in ("d", "d/listed"):
                assert (kernel.stat(path).mode, kernel.stat(path).mtime_ns) == (
                    before[path].mode,
                    before[path].mtime_ns,
                )
            assert kernel.xattrs("d") == {b"user.k": b"v"}
            assert kernel.xattrs("d/listed")[ACCESS.encode()] == acl(owner=5, group=7, other=0, mask=7)
            assert (kernel.read("d/two"), kernel.stat("d/one").nlink) == (b"Finked", 2)
            kernel.change("d", mode=0o500)
        found = {path: stat.S_IMODE((stack.upper / path).stat().st_mode) for path in ("d", "d/listed", "d/f")}
        assert found == {"d": 0o500, "d/listed": 0o570, "d/f": 0o444}
        assert stack.staged() == []


@pytest.mark.parametrize("form", NAMES, ids=lambda form: form.value)
def test_so_they_do_on_another_mount_of_this_program(tmp_path: Path, form: OverrideForm) -> None:
    options = UpperOptions(override=form, marker_files=True)
    with mounted(TRANSPORTS[0], [{}], EMPTY) as outer:
        for name, session in SESSIONS.items():
            plain = Stack(tmp_path / name, (LOWER,), SETTINGS["plain"])
            nested = Stack(outer.root / name, (LOWER,), SETTINGS["plain"], options)
            assert shown_after(nested, session) == shown_after(plain, session), name


@pytest.mark.parametrize("form", NAMES, ids=lambda form: form.value)
def test_flattening_as_root_makes_them_real(tmp_path: Path, form: OverrideForm) -> None:
    stack = Stack(tmp_path / "stack", (LOWER,), EVERYTHING, UpperOptions(override=form))
    for session in (SESSIONS["made"], SESSIONS["given away"], SESSIONS["linked"]):
        before = shown_after(stack, session)
    stack.options = UpperOptions()
    descriptors = Descriptors(64)
    opened = open_upper(os.fsencode(stack.upper), os.fsencode(stack.work), descriptors, stack.options)
    lower = open_lower(os.fsencode(stack.lower()), 0, descriptors)
    flatten(opened.upper, [lower], lambda _: None)
    opened.close()
    lower.close()
    with stack.opened() as kernel:
        assert shown(kernel) == before
    for path, _ in on_disk(stack.upper):
        assert not set(os.listxattr(path, follow_symlinks=False)) & set(NAMES.values()), path
    device = (stack.upper / "char").lstat()
    assert (stat.S_ISCHR(device.st_mode), device.st_rdev, device.st_uid) == (True, os.makedev(1, 5), 1000)
