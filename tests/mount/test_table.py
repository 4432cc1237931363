"""The mount table, with real mounts."""

import os
from pathlib import Path

import pytest

from tests.mount.connections import mount_connection
from tests.mounts import mount
from unionfs.mount import table
from unionfs.mount.errors import MountError
from unionfs.mount.table import Mount, mount_at, parse_mountinfo

MOUNTINFO = b"""\
22 27 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
40 27 0:35 / /mnt/with\\040space\\134and\\011tab\\012line ro,nosuid,nodev - fuse.unionfs a\\040b rw,user_id=0
41 27 0:36 /sub /mnt/bind rw shared:9 master:2 propagate_from:1 - tmpfs tmpfs rw
50 41 0:40 / /mnt/bind rw - fuse.unionfs unionfs rw
"""


def test_a_line_is_read_with_its_optional_fields_and_octal_escapes() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    assert [mount.mount_id for mount in mounts] == [22, 27, 40, 41, 50]
    assert mounts[2] == Mount(
        mount_id=40,
        parent_id=27,
        device="0:35",
        mountpoint=b"/mnt/with space\\and\ttab\nline",
        options="ro,nosuid,nodev",
        file_system_type="fuse.unionfs",
        source=b"a b",
    )
    assert mounts[3].file_system_type == "tmpfs"


@pytest.mark.parametrize("line", [b"", b"1 2 3\n", b"22 27 0:20 / /sys rw - \n", b"x"])
def test_what_is_not_mountinfo_is_refused_unless_empty(line: bytes) -> None:
    if line == b"":
        assert parse_mountinfo(line) == []
        return
    with pytest.raises(ValueError, match="not a line of mountinfo"):
        parse_mountinfo(line)


def test_only_the_type_tells_whose_a_mount_is() -> None:
    assert [mount.mount_id for mount in parse_mountinfo(MOUNTINFO) if mount.ours] == [40, 50]


def test_the_mount_on_top_is_found_whatever_the_order_of_the_table() -> None:
    mounts = parse_mountinfo(MOUNTINFO)
    for order in (mounts, mounts[::-1]):
        on_top = mount_at(b"/mnt/bind", order)
        assert on_top is not None
        assert on_top.mount_id == 50


@pytest.mark.parametrize("path", [b"/mnt", b"/mnt/bind/", b"/mnt/with", b"mnt/bind"])
def test_a_path_that_is_no_root_of_a_mount_finds_none(path: bytes) -> None:
    assert mount_at(path, parse_mountinfo(MOUNTINFO)) is None


def test_this_process_reads_its_own_table() -> None:
    root = mount_at(b"/", table.read_table())
    assert root is not None
    assert root.device == f"{os.major(os.stat('/').st_dev)}:{os.minor(os.stat('/').st_dev)}"


def test_resolve_follows_links_and_takes_away_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path(os.path.realpath(tmp_path))
    (real / "dir" / "sub").mkdir(parents=True)
    (real / "link").symlink_to("dir/sub")
    (real / "chain").symlink_to(real / "link")
    monkeypatch.chdir(real / "dir")
    cases = {
        b"sub": real / "dir/sub",
        b"sub/": real / "dir/sub",
        b"../link": real / "dir/sub",
        os.fsencode(real / "chain"): real / "dir/sub",
        os.fsencode(real / "chain" / ".."): real / "dir",
        b".": real / "dir",
        b"..": real,
        b"absent": real / "dir/absent",
        b"/": Path("/"),
    }
    assert {path: table.resolve(path) for path in cases} == {
        path: os.fsencode(expected) for path, expected in cases.items()
    }


def test_resolve_ends_a_loop_of_links_and_refuses_an_empty_path(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels"):
        table.resolve(os.fsencode(tmp_path / "loop"))
    with pytest.raises(FileNotFoundError):
        table.resolve(b"")


def found(place: Path) -> Mount | None:
    return mount_at(os.fsencode(place), table.read_table())


def test_a_mount_nobody_answers_is_found_and_listed_without_asking_it(mountpoint: Path) -> None:
    device_fd = mount_connection(mountpoint)
    try:
        link = mountpoint.parent / "link"
        link.symlink_to("merged")
        assert table.resolve(os.fsencode(link)) == os.fsencode(mountpoint)
        seen = found(mountpoint)
        assert seen is not None
        assert seen.ours
        assert seen in table.our_mounts()
    finally:
        os.close(device_fd)


def test_a_mount_whose_daemon_is_gone_is_dead_and_is_unmounted(mountpoint: Path) -> None:
    assert not table.is_dead(os.fsencode(mountpoint))
    os.close(mount_connection(mountpoint))
    assert table.is_dead(os.fsencode(mountpoint))
    table.unmount(os.fsencode(mountpoint))
    assert found(mountpoint) is None
    assert not table.is_dead(os.fsencode(mountpoint))


def test_a_busy_mount_is_left_and_a_lazy_unmount_takes_it_away_at_once(mountpoint: Path) -> None:
    mount("tmpfs", mountpoint, "tmpfs")
    with (mountpoint / "held").open("w"):
        with pytest.raises(MountError, match="busy"):
            table.unmount(os.fsencode(mountpoint))
        assert found(mountpoint) is not None
        table.unmount(os.fsencode(mountpoint), lazy=True)
        assert found(mountpoint) is None


def test_unmounting_what_is_not_mounted_says_so(mountpoint: Path) -> None:
    with pytest.raises(MountError, match=f"cannot unmount {mountpoint}: nothing is mounted there"):
        table.unmount(os.fsencode(mountpoint))
    with pytest.raises(MountError, match="No such file"):
        table.unmount(os.fsencode(mountpoint / "absent"))
