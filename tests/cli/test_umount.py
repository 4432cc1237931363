"""``unionfs umount``."""

import os
from pathlib import Path

import pytest

from tests.mount.connections import mount_connection
from tests.mounts import is_mounted, mount
from unionfs.cli import main


@pytest.mark.parametrize("name", ["umount", "unmount"])
def test_a_dead_mount_is_ended(mountpoint: Path, name: str) -> None:
    os.close(mount_connection(mountpoint))
    assert main([name, str(mountpoint)]) == 0
    assert not is_mounted(mountpoint)


def test_several_mounts_are_ended_by_relative_names_and_links(
    tmp_path: Path, mountpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "link").symlink_to("other")
    connections = [mount_connection(mountpoint), mount_connection(other)]
    monkeypatch.chdir(tmp_path)
    assert main(["umount", "--lazy", "merged", "link"]) == 0
    assert not is_mounted(mountpoint)
    assert not is_mounted(other)
    for connection in connections:
        os.close(connection)


def test_what_is_not_mounted_is_an_error(mountpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["umount", str(mountpoint)]) == 1
    assert capsys.readouterr().err == f"unionfs: error: {mountpoint} is not a mountpoint\n"


def test_a_mount_of_another_type_is_left_alone(mountpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mount("tmpfs", mountpoint, "tmpfs")
    assert main(["umount", str(mountpoint)]) == 1
    expected = f"unionfs: error: {mountpoint} is not a unionfs but a mount of type tmpfs: left alone\n"
    assert capsys.readouterr().err == expected
    assert is_mounted(mountpoint)


def test_a_mount_of_ours_under_another_is_left_alone(mountpoint: Path) -> None:
    connection = mount_connection(mountpoint)
    mount("tmpfs", mountpoint, "tmpfs")
    assert main(["umount", str(mountpoint)]) == 1
    assert is_mounted(mountpoint)
    os.close(connection)
