"""What a copy holds, and that it is written nowhere else."""

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.oracles import contradictions
from tests.posix.processes import NOBODY, as_user
from tests.snapshots import snapshot
from tests.stacks import Device, Directory, Fifo, File, HardLink, Layer, Socket, Symlink, write
from tests.unions import open_descriptors
from unionfs.copyout import Destination, TargetError, copy_out
from unionfs.view import open_view

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices are set by root alone")

TREE: Layer = {
    "d": Directory(mode=0o2750, uid=3, gid=4, mtime_ns=5, xattrs={"user.d": b"1"}),
    "d/file": File(content=b"content", mode=0o4711, uid=1, gid=2, mtime_ns=7, xattrs={"user.f": b"2"}),
    "d/link": HardLink("d/file"),
    "d/sub": Directory(mode=0o555),
    "d/sub/other-link": HardLink("d/file"),
    "d/sub/symlink": Symlink("/etc/passwd", uid=9),
    "d/sub/sparse": File(content=b"end", extents=(1 << 20,), size=2 << 20),
    "d/pipe": Fifo(mode=0o622),
    "d/socket": Socket(mode=0o777),
    "outside": HardLink("d/file"),
}
DEVICES: Layer = {"d/null": Device(stat.S_IFCHR, 1, 3, mode=0o666), "d/null2": HardLink("d/null")}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir(mode=0o755)
    return tmp_path / "target"


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def copy(layer: Layer, source: str, target: Path, name: str | None, *, everything: bool = False) -> Sequence[bytes]:
    directory = target.parent / "layer"
    if not directory.exists():
        write(directory, layer)
    with open_view([directory]) as view:
        place = Destination(os.fsencode(target), None if name is None else name.encode())
        return copy_out(view, source.encode(), place, everything=everything)


def test_with_everything_the_copy_is_what_the_image_shows(target: Path) -> None:
    assert copy({**TREE, **DEVICES}, "d", target, "d", everything=True) == []
    os.unlink(target.parent / "layer/outside")
    assert contradictions(snapshot(target.parent / "layer/d"), snapshot(target / "d")) == []
    assert (target / "d/sub/sparse").stat().st_blocks < 2048


def test_no_attribute_is_copied_by_which_a_layer_would_mark_its_own(target: Path) -> None:
    """The image holds them encoded, so that a mount shows them as a program would have set them."""
    shown = {"trusted.overlay.opaque": b"y", "user.containers.override_stat": b"0:0:4755", "user.kept": b"1"}
    on_disk = {
        "trusted.overlay.overlay.opaque": b"y",
        "user.containers.overlay.override_stat": b"0:0:4755",
        "user.kept": b"1",
    }
    write(target.parent / "layer", {"d": Directory(xattrs=on_disk), "d/f": File(xattrs=on_disk)})
    with open_view([target.parent / "layer"]) as view:
        assert view.xattrs(b"d") == {name.encode(): value for name, value in shown.items()}
    copy({}, "d", target, "d", everything=True)
    for path in (target / "d", target / "d/f"):
        assert os.listxattr(path) == ["user.kept"]


def test_otherwise_all_belongs_to_who_copies_and_is_without_set_id_bits(target: Path) -> None:
    umask = os.umask(0o077)
    try:
        left_out = copy({**TREE, **DEVICES}, "d", target, "new")
    finally:
        os.umask(umask)
    assert left_out == [b"d/null", b"d/null2"]
    found = snapshot(target / "new")
    assert {(entry.uid, entry.gid) for entry in found.values()} == {(0, 0)}
    assert all(not entry.xattrs for entry in found.values())
    assert (found["."].mode, found["."].mtime_ns) == (stat.S_IFDIR | 0o750, 5)
    assert (found["file"].mode, found["file"].mtime_ns, found["file"].nlink) == (stat.S_IFREG | 0o711, 7, 3)
    assert found["file"].ino == found["link"].ino == found["sub/other-link"].ino
    assert found["sub"].mode == stat.S_IFDIR | 0o555
    assert found["sub/symlink"].content == "/etc/passwd"
    assert (found["pipe"].mode, found["socket"].mode) == (stat.S_IFIFO | 0o622, stat.S_IFSOCK | 0o777)
    assert sorted(found) == [".", "file", "link", "pipe", "socket", "sub", *sorted(
        f"sub/{name}" for name in ("other-link", "symlink", "sparse")
    )]  # fmt: skip


def test_an_ordinary_user_copies_too(target: Path) -> None:
    write(
        target.parent / "layer", {"d/sub/a": File(mode=0o604), "d": Directory(mode=0o555), "d/b": HardLink("d/sub/a")}
    )
    os.chown(target, NOBODY, NOBODY)
    for above in target.parents[: len(target.parents) - 2]:
        above.chmod(0o755)
    as_user(lambda: [*copy({}, "d", target, "d")])
    found = snapshot(target / "d")
    assert {(entry.uid, entry.gid) for entry in found.values()} == {(NOBODY, NOBODY)}
    assert found["."].mode == stat.S_IFDIR | 0o555
    assert found["b"].ino == found["sub/a"].ino
    with pytest.raises(TargetError, match="Operation not permitted") as caught:
        as_user(lambda: [*copy({}, "d/b", target, "owned", everything=True)])
    assert caught.value.filename == os.fsencode(target / "owned")
    assert sorted(os.listdir(target)) == ["d"]


def test_a_file_is_replaced_and_neither_a_link_nor_other_names_are_written_through(target: Path) -> None:
    victim = target.parent / "victim"
    victim.write_text("mine")
    (target / "link").symlink_to(victim)
    os.link(victim, target / "hard")
    for name in ("link", "hard"):
        copy({"f": File(content=b"new")}, "f", target, name)
        assert (target / name).read_bytes() == b"new"
        assert not (target / name).is_symlink()
    assert victim.read_text() == "mine"
    assert sorted(os.listdir(target)) == ["hard", "link"]


def test_links_that_one_copy_brings_do_not_lead_the_next_one_out(target: Path) -> None:
    """The first image has links where the second has a directory and a file of the same names."""
    outside = target.parent / "outside"
    outside.mkdir()
    copy({"d/way": Symlink(str(outside)), "d/passwd": Symlink(f"{outside}/passwd")}, "d", target, None)
    other = target.parent / "other"
    other.mkdir()
    (other / "target").symlink_to(target)
    with pytest.raises(TargetError, match="over what is no directory") as caught:
        copy({"d/way/shadow": File(), "d/passwd": File(content=b"x")}, "d", other / "target", None)
    assert caught.value.filename == os.fsencode(other / "target/way")
    assert os.listdir(outside) == []
    assert (target / "passwd").read_bytes() == b"x"


def test_a_directory_is_no_way_out_when_it_becomes_a_link_meanwhile(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who may write the target swaps the new directory before its first file is written."""
    outside = target.parent / "outside"
    outside.mkdir()
    made = os.mkdir

    def swapped(path: bytes, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        made(path, mode, dir_fd=dir_fd)
        if path == b"sub":
            os.rename(path, b"moved", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
            os.symlink(outside, path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", swapped)
    with pytest.raises(TargetError):
        copy({"d/sub/file": File()}, "d", target, "d")
    assert os.listdir(outside) == []


def test_directories_are_merged_and_keep_their_attributes(target: Path) -> None:
    (target / "d/sub").mkdir(parents=True, mode=0o700)
    (target / "d/mine").write_text("mine")
    copy(TREE, "d", target, "d")
    assert (target / "d/mine").read_text() == "mine"
    assert (target / "d/sub").stat().st_mode & 0o7777 == 0o700
    copy(TREE, "d", target, "d", everything=True)
    assert (target / "d/sub").stat().st_mode & 0o7777 == 0o555
    assert sorted(os.listdir(target / "d")) == ["file", "link", "mine", "pipe", "socket", "sub"]


def test_the_target_directory_itself_stays_as_it_is(target: Path) -> None:
    before = target.stat()
    copy(TREE, "d", target, None, everything=True)
    after = target.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_a_directory_is_not_replaced_by_a_file(target: Path) -> None:
    (target / "f").mkdir()
    with pytest.raises(TargetError, match="can't be replaced"):
        copy({"f": File()}, "f", target, "f")


def test_a_failure_leaves_no_half_of_a_file(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unionfs.copyout.tree.copy_content", full)
    with pytest.raises(TargetError, match="No space left") as caught:
        copy({"f": File(content=b"x")}, "f", target, "f")
    assert caught.value.filename == os.fsencode(target / "f")
    assert os.listdir(target) == []


def test_a_tree_deeper_than_path_max_is_copied(target: Path) -> None:
    deep, here = 1500, os.getcwd()
    (target.parent / "layer").mkdir()
    os.chdir(target.parent / "layer")
    try:
        for _ in range(deep):
            os.mkdir("d")
            os.chdir("d")
        Path("file").write_text("x")
    finally:
        os.chdir(here)
    copy({}, "d", target, "d")
    place = os.open(target, os.O_RDONLY)
    for _ in range(deep):
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    assert os.listdir(place) == ["file"]
    os.close(place)
    # Deeper than what clears pytest's directories can go.
    subprocess.run(["rm", "-rf", target, target.parent / "layer"], check=True)
