"""``unionfs-overlay`` as its callers start it: as a program, also by the name of what it stands for."""

import os
import stat
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


def test_an_opaque_directory_has_a_marker_file_too(place: Place) -> None:
    (place.root / "b/d").mkdir()
    assert place.run("-o", WRITABLE, "merged").returncode == 0
    (place.merged / "d").rmdir()
    (place.merged / "d").mkdir()
    assert os.listdir(place.root / "upper/d") == [".wh..wh..opq"]
    assert os.listdir(place.merged / "d") == []


@pytest.mark.parametrize(
    ("number", "attribute"), [(1, "security.fuseoverlayfs.override_stat"), (2, "user.containers.override_stat")]
)
def test_owners_modes_and_devices_are_kept_in_an_attribute_where_asked_for(
    place: Place, number: int, attribute: str
) -> None:
    assert place.run("-o", f"{WRITABLE},xattr_permissions={number}", "merged").returncode == 0
    (place.merged / "f").touch()
    os.chown(place.merged / "f", 10, 20)
    (place.merged / "f").chmod(0o4750)
    os.mknod(place.merged / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    shown = (place.merged / "f").stat()
    assert (shown.st_uid, shown.st_gid, shown.st_mode) == (10, 20, stat.S_IFREG | 0o4750)
    assert (place.merged / "null").stat().st_rdev == os.makedev(1, 3)
    on_disk = place.root / "upper"
    assert (on_disk / "f").stat().st_uid == 0
    assert os.getxattr(on_disk / "f", attribute) == b"10:20:4750:file"
    assert stat.S_ISREG((on_disk / "null").stat().st_mode)
    assert os.getxattr(on_disk / "null", attribute).endswith(b":char-1-3")


def test_ids_are_shown_as_mapped_and_kept_as_on_disk(place: Place) -> None:
    os.chown(place.root / "a/top", 1, 1)
    ids = "uidmapping=:0:1000:1:1:100000:65536,gidmapping=:0:1000:1:1:100000:65536"
    assert place.run("-o", f"{WRITABLE},{ids}", "merged").returncode == 0
    assert [(place.merged / name).stat().st_uid for name in ("base", "top")] == [1000, 100000]
    os.chown(place.merged / "base", 100004, 1000)
    found = (place.root / "upper/base").stat()
    assert (found.st_uid, found.st_gid) == (5, 0)


def test_everything_is_shown_as_owned_by_one(place: Place) -> None:
    os.chown(place.root / "a/top", 5, 6)
    assert place.run("-o", "lowerdir=a:b,squash_to_uid=7,squash_to_gid=8", "merged").returncode == 0
    assert {((place.merged / name).stat().st_uid, (place.merged / name).stat().st_gid) for name in place.names()} == {
        (7, 8)
    }


def test_numbers_of_32_bits_and_a_timeout_are_had_where_asked_for(place: Place) -> None:
    assert place.run("-o", f"{WRITABLE},ino32_t,timeout=0", "merged").returncode == 0
    assert all(entry.inode() < 1 << 32 for entry in os.scandir(place.merged))
    assert place.names() == ["base", "top"]
