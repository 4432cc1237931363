"""``unionfs-overlay`` as its callers start it: as a program, also by the name of what it stands for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import is_mounted, unmount_or_detach

PROGRAM = Path(sys.executable).with_name("unionfs-overlay")


class Place:
    """Two lowers, an upper and a mountpoint."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("a", "b", "upper", "work", "merged"):
            (root / name).mkdir()
        (root / "a" / "top").write_text("top")
        (root / "b" / "base").write_text("base")
        self.merged = root / "merged"

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the program where the lowers lie."""
        return subprocess.run(
            [PROGRAM, *words],
            cwd=self.root,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def names(self) -> list[str]:
        return sorted(os.listdir(self.merged))

    def table_line(self) -> str:
        """Give what /proc/mounts says of the mountpoint."""
        lines = Path("/proc/mounts").read_text().splitlines()
        return next(line for line in lines if line.split(" ")[1] == str(self.merged))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    unmount_or_detach(made.merged)


WRITABLE = "lowerdir=a:b,upperdir=upper,workdir=work"


def test_relative_directories_are_mounted_and_unknown_options_reported(place: Place) -> None:
    result = place.run("-o", f"{WRITABLE},private", "merged")
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == "unknown argument ignored: private\n"
    assert place.names() == ["base", "top"]
    assert place.table_line().split(" ")[2] == "fuse.unionfs-overlay"
    options = place.table_line().split(" ")[3].split(",")
    assert {"rw", "noatime", "default_permissions", "allow_other"} <= set(options)
    assert not {"nosuid", "nodev"} & set(options)


def test_statfs_shows_the_magic_of_fuse(place: Place) -> None:
    assert place.run("-o", "lowerdir=a:b", "merged").returncode == 0
    shown = subprocess.run(["stat", "-f", "-c", "%t", place.merged], capture_output=True, text=True, check=True)
    assert shown.stdout == "65735546\n"


def test_by_the_name_of_fuse_overlayfs_through_mount_fuse3(place: Place) -> None:
    (place.root / "bin").mkdir()
    (place.root / "bin/fuse-overlayfs").symlink_to(PROGRAM)
    options = ["-o", f"workdir={place.root}/work", "-o", f"upperdir={place.root}/upper"]
    command: list[str | Path] = ["mount.fuse3", "overlay", place.merged, *options]
    command += ["-o", f"lowerdir={place.root}/a", "-t", "fuse-overlayfs"]
    path = f"{place.root}/bin:{os.environ['PATH']}"
    subprocess.run(command, env={**os.environ, "PATH": path}, check=True)
    assert place.names() == ["top"]
    assert place.table_line().startswith("overlay ")
    assert place.table_line().split(" ")[2] == "fuse.unionfs-overlay"


def test_by_mount_8_and_umount_8(place: Place) -> None:
    # The type may not be a path, and mount(8) passes no PATH on; so the program may be named before the source.
    options = f"lowerdir={place.root}/a:{place.root}/b,upperdir={place.root}/upper,workdir={place.root}/work"
    subprocess.run(["mount", "-t", "fuse", f"{PROGRAM}#none", place.merged, "-o", options], check=True)
    (place.merged / "new").write_text("new")
    subprocess.run(["umount", place.merged], check=True)
    assert (place.root / "upper/new").read_text() == "new"
    assert os.listdir(place.merged) == []


def test_by_an_installed_program_from_fstab(place: Place) -> None:
    line = f"none {place.merged} fuse.unionfs-overlay lowerdir={place.root}/a:{place.root}/b,noauto 0 0"
    script = """
        mount -t tmpfs none /usr/local/bin && ln -s "$0" /usr/local/bin/unionfs-overlay
        printf '%s\n' "$1" >"$2/fstab" && mount --fstab "$2/fstab" "$2/merged" && ls "$2/merged" && umount "$2/merged"
    """
    command: list[str | Path] = ["unshare", "--mount", "sh", "-ec", script, PROGRAM, line, place.root]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "base\ntop\n"


def test_the_version_is_one_that_callers_accept() -> None:
    for word in ("--version", "-V"):
        result = subprocess.run([PROGRAM, word], capture_output=True, text=True, check=True)
        name, number = result.stdout.splitlines()[0].split(": version ")
        assert name == "fuse-overlayfs"
        assert tuple(map(int, number.split("."))) >= (1, 10)
        assert "unionfs-overlay" in result.stdout


def test_a_refusal_is_one_line_and_mounts_nothing(place: Place) -> None:
    for words in (["-o", "lowerdir=a,index=on", "merged"], ["-o", "lowerdir=absent", "merged"], ["merged"]):
        result = place.run(*words)
        assert result.returncode == 1
        assert result.stderr.startswith("unionfs-overlay: error: ")
        assert result.stderr.count("\n") == 1
        assert not is_mounted(place.merged)


def test_callers_that_read_until_the_end_are_not_kept_waiting(place: Place) -> None:
    result = subprocess.run(
        [PROGRAM, "-o", "lowerdir=a", "merged"], cwd=place.root, capture_output=True, check=True, timeout=10
    )
    assert (result.stdout, result.stderr) == (b"", b"")


def test_an_upper_that_a_killed_volatile_mount_left_is_taken(place: Place) -> None:
    (place.root / "work/work/incompat/volatile").mkdir(parents=True)
    assert place.run("-o", f"{WRITABLE},volatile", "merged").returncode == 0
    assert place.names() == ["base", "top"]


def test_whiteouts_are_files_where_the_environment_says_so(place: Place) -> None:
    assert place.run("-o", WRITABLE, "merged", FUSE_OVERLAYFS_DISABLE_OVL_WHITEOUT="1").returncode == 0
    (place.merged / "base").unlink()
    assert os.listdir(place.root / "upper") == [".wh.base"]
    assert place.names() == ["top"]
