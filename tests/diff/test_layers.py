"""The form of a layer: what entries it has, in which order, and with what in them."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.diff.layering import Made, layer_of
from tests.diff.test_lines import BASE, made, steps
from tests.stacks import LONG_AGO, OPAQUE, Device, Directory, Fifo, File, Layer, Socket, Symlink, write
from tests.unions import EVERYTHING, Kernel, Stack
from unionfs.diff import ChangedError, layer_changes, write_changes
from unionfs.layer.abilities import WhiteoutForm
from unionfs.layer.open_upper import UpperOptions
from unionfs.tar import Kind
from unionfs.union.inode import Place
from unionfs.view import View, open_view


def of(tmp_path: Path, upper: Layer, lower: Layer = BASE) -> Made:
    """Return the layer of an upper that is written as it lies on disk."""
    write(tmp_path / "lower", lower)
    write(tmp_path / "upper", upper)
    return layer_of([tmp_path / "lower"], tmp_path / "upper", None)


def done(tmp_path: Path, act: Callable[[Kernel], None], lower: Layer = BASE) -> Made:
    """Return the layer of what is done in a union."""
    return made(Stack(tmp_path / "stack", [lower], settings=EVERYTHING), act)


def test_a_whiteout_is_an_empty_file_without_permissions_of_the_year_1970(tmp_path: Path) -> None:
    entry = done(tmp_path, steps("unlink etc/a")).entries["etc/.wh.a"]
    assert (entry.kind, entry.size, entry.mode, entry.uid, entry.gid, entry.mtime_ns) == (Kind.FILE, 0, 0, 0, 0, 0)


def test_whiteouts_come_before_their_siblings_and_those_by_name(tmp_path: Path) -> None:
    made_layer = done(
        tmp_path, steps("create etc/1", "create etc/0", "unlink etc/b", "unlink etc/a", "mkdir etc/d", "create etc/d/x")
    )
    assert made_layer.names == ["etc/", "etc/.wh.a", "etc/.wh.b", "etc/0", "etc/1", "etc/d/", "etc/d/x"]


def test_each_entry_has_its_parents_before_it_with_their_attributes(tmp_path: Path) -> None:
    lower: Layer = {
        "a": Directory(mode=0o1711, uid=7, gid=8, xattrs={"user.k": b"v"}),
        "a/b": Directory(mode=0o2750),
        "a/b/c": File(),
    }
    found = done(tmp_path, steps("chmod a/b/c 600"), lower)
    assert found.names == ["a/", "a/b/", "a/b/c"]
    above = found.entries["a/"]
    assert (above.mode, above.uid, above.gid, above.mtime_ns) == (0o1711, 7, 8, LONG_AGO)
    assert above.xattrs == {b"user.k": b"v"}
    assert found.entries["a/b/"].mode == 0o2750


def test_an_opaque_directory_is_marked_where_one_was_before(tmp_path: Path) -> None:
    found = of(tmp_path, {"dir": OPAQUE, "dir/x": File(), "new": OPAQUE, "etc/a": OPAQUE, "etc/a/x": File()})
    assert found.names == ["dir/", "dir/.wh..wh..opq", "dir/x", "etc/", "etc/a/", "etc/a/x", "new/"]


def test_an_opaque_directory_has_no_whiteouts_and_no_further_marks_in_it(tmp_path: Path) -> None:
    found = of(tmp_path, {"dir": OPAQUE, "dir/sub": OPAQUE, "dir/.wh.x": File(), "dir/sub/g": Symlink("h")})
    assert found.names == ["dir/", "dir/.wh..wh..opq", "dir/sub/", "dir/sub/g"]


def test_a_renamed_directory_is_there_as_a_whole_under_its_new_name(tmp_path: Path) -> None:
    found = done(tmp_path, steps("rename dir new", "write new/x changed"))
    assert found.names == ["./", ".wh.dir", "new/", "new/sub/", "new/sub/g", "new/sub/h", "new/x"]
    assert b"changed" in found.archive


def test_a_directory_above_what_a_rename_brought_is_covered(tmp_path: Path) -> None:
    """What it has from the layers beneath at the same path is hidden by the mark, and so comes along."""
    found = done(tmp_path, steps("rename dir old", "mkdir dir", "rename old/sub dir/sub"))
    assert found.names == ["./", "dir/", "dir/.wh..wh..opq", "dir/sub/", "dir/sub/g", "dir/sub/h", "old/", "old/x"]
    assert "C /dir/sub/g" not in found.lines


def test_a_file_with_changed_metadata_alone_has_its_content(tmp_path: Path) -> None:
    found = done(tmp_path, steps("chmod etc/a 600"))
    assert os.listxattr(tmp_path / "stack/upper/etc/a") != []
    entry = found.entries["etc/a"]
    assert (entry.mode, entry.size, dict(entry.xattrs)) == (0o600, 1, {})
    assert found.archive[found.archive.index(b"etc/a\0") + 512 :][:1] == b"a"


def test_the_names_of_a_file_are_hard_links_to_the_first(tmp_path: Path) -> None:
    found = done(tmp_path, steps("write one z"))
    assert found.names == ["far/", "far/away/", "far/away/two", "one"]
    assert found.entries["far/away/two"].size == 6
    assert (found.entries["one"].kind, found.entries["one"].linkname) == (Kind.HARDLINK, b"far/away/two")


def test_no_mark_of_a_layer_and_nothing_of_this_machine_is_in_it(tmp_path: Path) -> None:
    """``trusted.overlay.overlay.opaque`` is what a program in a mount called ``trusted.overlay.opaque``."""
    xattrs = {
        "trusted.overlay.origin": b"x",
        "trusted.overlay.overlay.opaque": b"y",
        "trusted.mine": b"z",
        "user.overlay.redirect": b"x",
        "user.fuseoverlayfs.opaque": b"n",
        "user.kept": b"\0\n=",
        "security.selinux": b"label",
    }
    found = of(tmp_path, {"f": File(xattrs=xattrs)})
    assert dict(found.entries["f"].xattrs) == {b"user.kept": b"\0\n="}
    assert found.warnings == [
        "/f has a trusted.* attribute, which is for this machine alone; such attributes are left out"
    ]


def test_owners_and_devices_that_an_attribute_keeps_are_those_of_the_entry(tmp_path: Path) -> None:
    stat_of = "user.containers.override_stat"
    found = of(
        tmp_path,
        {
            "device": File(xattrs={stat_of: b"1:2:0640:char-5-6"}, mode=0o600),
            "owned": File(xattrs={stat_of: b"1000:1001:4755:file"}, mode=0o700),
        },
    )
    device, owned = found.entries["device"], found.entries["owned"]
    assert (device.kind, device.devmajor, device.devminor, device.mode) == (Kind.CHAR, 5, 6, 0o640)
    assert (owned.kind, owned.uid, owned.gid, owned.mode) == (Kind.FILE, 1000, 1001, 0o4755)
    assert owned.xattrs == {}


def test_every_type_that_a_tar_has_is_kept(tmp_path: Path) -> None:
    found = of(tmp_path, {"b": Device(stat.S_IFBLK, 7, 0), "p": Fifo(mode=0o622), "s": Symlink("../x" * 40)})
    kinds = {name: (entry.kind, entry.devmajor, entry.linkname) for name, entry in found.entries.items()}
    assert kinds == {"b": (Kind.BLOCK, 7, b""), "p": (Kind.FIFO, 0, b""), "s": (Kind.SYMLINK, 0, b"../x" * 40)}


def test_a_socket_is_left_out_with_a_warning_and_hides_what_was_there(tmp_path: Path) -> None:
    found = of(tmp_path, {"etc/a": Socket(), "etc/new": Socket(), "etc/1": File()})
    assert found.names == ["etc/", "etc/.wh.a", "etc/1"]
    assert found.warnings == [
        "/etc/a is a socket, which a layer can't hold; it is left out",
        "/etc/new is a socket, which a layer can't hold; it is left out",
    ]


def test_the_root_is_in_it_only_where_it_shows_something_else(tmp_path: Path) -> None:
    assert done(tmp_path, steps("write etc/a b")).names == ["etc/", "etc/a"]
    entry = of(tmp_path, {".": Directory(mode=0o700, uid=5)}).entries["./"]
    assert (entry.kind, entry.mode, entry.uid) == (Kind.DIR, 0o700, 5)


def test_an_upper_without_changes_makes_an_empty_layer(tmp_path: Path) -> None:
    found = done(tmp_path, steps())
    assert (found.names, found.archive) == ([], bytes(1024))


@pytest.mark.parametrize("form", WhiteoutForm)
def test_whiteouts_of_every_form_become_the_same(tmp_path: Path, form: WhiteoutForm) -> None:
    stack = Stack(
        tmp_path / "stack",
        [BASE],
        settings=EVERYTHING,
        whiteouts=form,
        options=UpperOptions(prefix_whiteouts=form is WhiteoutForm.PREFIX),
    )
    long = "n" * 255
    write(tmp_path / "stack/lower0", {f"etc/{long}": File()})
    found = made(stack, steps("unlink etc/a", f"unlink etc/{long}"))
    assert found.names == ["etc/", "etc/.wh.a", f"etc/.wh.{long}"]


def test_an_ordinary_users_upper_makes_the_same_layer(tmp_path: Path) -> None:
    def act(kernel: Kernel) -> None:
        kernel.mkdir("new")
        kernel.create("new/device", stat.S_IFCHR | 0o600, rdev=os.makedev(1, 3))
        kernel.change("etc/a", uid=1234, gid=4321)
        kernel.unlink("etc/b")

    as_root = made(Stack(tmp_path / "root", [BASE], settings=EVERYTHING), act)
    as_user = made(Stack(tmp_path / "user", [BASE], settings=EVERYTHING, owners=False), act)
    assert shown(as_user) == shown(as_root)


def shown(layer: Made) -> list[tuple[object, ...]]:
    """Return what doesn't depend on when it was made."""
    return [(name, entry.kind, entry.uid, entry.mode, entry.devminor) for name, entry in layer.entries.items()]


def test_the_same_upper_makes_the_same_bytes_and_access_times_are_not_in_them(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "stack", [BASE], settings=EVERYTHING)
    first = made(stack, steps("create etc/n", "rename dir d", "write one 1"))
    for path in stack.upper.rglob("*"):
        if path.is_file():
            path.read_bytes()
            os.utime(path, ns=(LONG_AGO + 5, path.stat().st_mtime_ns))
    assert layer_of([stack.lower()], stack.upper, stack.work).archive == first.archive
    assert all(entry.atime_ns is None for entry in first.entries.values())


def test_a_file_that_became_shorter_meanwhile_is_an_error_that_names_it(tmp_path: Path) -> None:
    write(tmp_path / "lower", BASE)
    write(tmp_path / "upper", {"etc/log": File(content=b"x" * 3_000_000)})

    class Shortening:
        def write(self, piece: bytes, /) -> None:
            if b"etc/log\0" in piece:
                os.truncate(tmp_path / "upper/etc/log", 10)

    lowers = [tmp_path / "lower"]
    with open_view(lowers) as before, open_view(lowers, tmp_path / "upper") as now:
        found = layer_changes(before, now)
        with pytest.raises(ChangedError, match=r"^/etc/log became shorter while it was read$"):
            write_changes(found, now, Shortening())


def test_a_file_that_went_meanwhile_is_an_error_that_names_it(tmp_path: Path) -> None:
    write(tmp_path / "lower", BASE)
    write(tmp_path / "upper", {"etc/b": File(content=b"1"), "etc/log": File(content=b"x")})

    class Removing:
        def write(self, _: bytes, /) -> None:
            (tmp_path / "upper/etc/log").unlink(missing_ok=True)

    lowers = [tmp_path / "lower"]
    with open_view(lowers) as before, open_view(lowers, tmp_path / "upper") as now:
        found = layer_changes(before, now)
        with pytest.raises(ChangedError, match=r"^/etc/log was changed while it was read$"):
            write_changes(found, now, Removing())


def test_a_file_that_grows_meanwhile_is_as_long_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "lower", BASE)
    write(tmp_path / "upper", {"etc/log": File(content=b"x" * 700)})
    pieces: list[bytes] = []

    class Growing:
        def write(self, piece: bytes, /) -> None:
            pieces.append(piece)
            with (tmp_path / "upper/etc/log").open("ab") as log:
                log.write(b"more")

    lowers = [tmp_path / "lower"]
    with open_view(lowers) as before, open_view(lowers, tmp_path / "upper") as now:
        write_changes(layer_changes(before, now), now, Growing())
    assert len(b"".join(pieces)) % 512 == 0


def test_an_upper_whose_root_is_opaque_hides_all_beneath(tmp_path: Path) -> None:
    found = of(tmp_path, {".": OPAQUE, "etc/a": File(content=b"A")})
    assert found.names == ["./", ".wh..wh..opq", "etc/", "etc/a"]
    assert found.lines == ["D /dir", "C /etc", "C /etc/a", "D /etc/b", "D /etc/sub", "D /far", "D /one"]


def test_a_directory_that_went_meanwhile_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "lower", BASE)
    write(tmp_path / "upper", {"new/in": File()})
    places = View.places

    def after_removal(view: View, path: bytes) -> tuple[Place, ...]:
        if path == b"new":
            shutil.rmtree(tmp_path / "upper/new", ignore_errors=True)
        return places(view, path)

    monkeypatch.setattr(View, "places", after_removal)
    with pytest.raises(ChangedError, match=r"^/new was changed while it was read$"):
        layer_of([tmp_path / "lower"], tmp_path / "upper", None)
