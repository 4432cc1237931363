"""Archives whose extended attributes or devices are what a layer's own marks look like: none may act as one."""

import os
from collections.abc import Iterator

import pytest

from tests.layer.unpacking import Unpacker, tree, unpacker
from tests.tarball import archive, block, char, directory, file, hardlink, opaque

BASE = archive(
    directory(b"dir/"), file(b"dir/lower", b"L"), directory(b"other/"), file(b"other/o", b"O"), file(b"f", b"F")
)
NAMESPACES = (b"trusted.overlay.", b"user.overlay.", b"user.fuseoverlayfs.", b"security.fuseoverlayfs.")
MARKS = {
    b"opaque": b"y",
    b"redirect": b"/other",
    b"metacopy": b"",
    b"origin": b"\0\xfb\x1d\0\1",
    b"whiteout": b"y",
    b"impure": b"y",
    b"unionfs.origin": b"x",
    b"overlay.opaque": b"y",
}


@pytest.fixture(params=["root", "nobody"])
def anyone(request: pytest.FixtureRequest) -> Iterator[Unpacker]:
    if os.geteuid() != 0:
        pytest.skip("overlayfs, which shows whether a mark acts, is mounted by root alone")
    with unpacker(request.param) as given:
        yield given


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("mark", MARKS)
def test_forged_mark_of_a_directory_does_not_act(anyone: Unpacker, namespace: bytes, mark: bytes) -> None:
    forged = directory(b"dir/", xattrs={namespace + mark: MARKS[mark]})
    shown = anyone.shown(BASE, archive(forged, file(b"dir/mine", b"M")))
    assert shown == {
        "dir": "dir",
        "dir/lower": "L",
        "dir/mine": "M",
        "f": "F",
        "other": "dir",
        "other/o": "O",
    }


@pytest.mark.parametrize("namespace", NAMESPACES)
@pytest.mark.parametrize("mark", MARKS)
def test_forged_mark_of_a_file_does_not_act(anyone: Unpacker, namespace: bytes, mark: bytes) -> None:
    holder = directory(b"other/", xattrs={namespace + b"opaque": b"x"})
    forged = file(b"other/o", b"", xattrs={namespace + mark: MARKS[mark]})
    assert anyone.shown(BASE, archive(holder, forged))["other/o"] == ""


def test_mark_in_an_archive_is_kept_escaped_for_a_mount_to_show(anyone: Unpacker) -> None:
    names = [b"user.overlay.opaque", b"user.fuseoverlayfs.opaque", b"user.containers.override_stat"]
    top = anyone.unpack(archive(file(b"x", xattrs=dict.fromkeys(names, b"0:0:4755:file")))).top
    present = set(os.listxattr(top / "x"))
    assert {
        "user.overlay.overlay.opaque",
        "user.fuseoverlayfs.overlay.opaque",
        "user.containers.overlay.override_stat",
    } <= present
    assert not {name.decode() for name in names[:2]} & present


def test_owner_in_an_archives_attribute_does_not_act(anyone: Unpacker) -> None:
    entry = file(b"x", mode=0o644, uid=5, gid=6, xattrs={b"user.containers.override_stat": b"0:0:4755:file"})
    top = anyone.unpack(archive(entry)).top
    if anyone.name == "root":
        assert "user.containers.override_stat" not in os.listxattr(top / "x")
    else:
        assert os.getxattr(top / "x", "user.containers.override_stat") == b"5:6:0644:file"


def test_marks_that_the_layer_itself_set_outlast_a_second_entry(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(opaque(b"dir"), directory(b"dir/"), directory(b"dir/", mode=0o700)))
    assert {path for path in shown if path.startswith("dir")} == {"dir"}


def test_device_that_would_be_a_whiteout_is_refused(anyone: Unpacker) -> None:
    text = anyone.refusal(BASE, archive(char(b"dir/lower", 0, 0)))
    assert text.startswith("dir/lower: a character device 0:0 would be a whiteout")


def test_block_device_0_0_is_no_whiteout(anyone: Unpacker) -> None:
    assert "f" in anyone.shown(BASE, archive(block(b"f", 0, 0)))


def test_hard_link_with_the_name_of_a_whiteout_is_one(anyone: Unpacker) -> None:
    shown = anyone.shown(BASE, archive(file(b"mine", b"M"), hardlink(b"dir/.wh.lower", b"mine")))
    assert {path for path in shown if path.startswith("dir")} == {"dir"}


def test_hard_link_to_a_whiteout_is_refused(anyone: Unpacker) -> None:
    assert "has the name of a whiteout" in anyone.refusal(
        BASE, archive(file(b"dir/.wh.lower"), hardlink(b"h", b"dir/.wh.lower"))
    )
    assert "was removed by this layer" in anyone.refusal(
        BASE, archive(file(b"dir/.wh.lower"), hardlink(b"h", b"dir/lower"))
    )


def test_tree_of_a_layer_with_forged_marks_is_whole(anyone: Unpacker) -> None:
    every = {namespace + mark: value for namespace in NAMESPACES for mark, value in MARKS.items()}
    stack = anyone.unpack(archive(directory(b"d/", xattrs=every), file(b"d/f", b"F", xattrs=every)))
    assert tree(stack.top) == {"d": "dir", "d/f": "F"}
