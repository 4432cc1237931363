"""What users of union file systems ask for again and again, once with each command."""

import contextlib
import fcntl
import mmap
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.mounts import mount, unmount_or_detach
from tests.reflinks import blocks, btrfs
from tests.snapshots import snapshot
from tests.users.stack import COMMANDS, Stack
from tools.system import forgetting_inodes

New = Callable[..., Stack]


@pytest.fixture(params=COMMANDS)
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[New]:
    """Make stacks for one of the commands, and unmount them at the end."""
    made: list[Stack] = []

    def make(lowers: int = 1, directory: Path = tmp_path) -> Stack:
        root = directory / f"stack{len(made)}"
        root.mkdir()
        made.append(Stack(root, request.param, lowers))
        return made[-1]

    yield make
    for stack in made:
        stack.close()


def shell(script: str, cwd: Path) -> str:
    """Run *script*, which fails at the first command that does."""
    return subprocess.run(["sh", "-ec", script], cwd=cwd, check=True, capture_output=True, text=True).stdout


# Content.


def fill(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, value INTEGER, filler BLOB)")
        connection.executemany("INSERT INTO rows VALUES (?, 0, zeroblob(9000))", ((number,) for number in range(10000)))
        connection.commit()


def change(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for number in range(1, 10000, 97):
            connection.execute("UPDATE rows SET value = ?, filler = ? WHERE id = ?", (number, b"x" * number, number))
        connection.commit()


def test_a_large_database_keeps_every_page_when_it_is_changed_through_the_mount(new: New, tmp_path: Path) -> None:
    stack = new()
    fill(stack.lowers[0] / "db")
    assert (stack.lowers[0] / "db").stat().st_size > 90_000_000
    plain = tmp_path / "plain"
    plain.write_bytes((stack.lowers[0] / "db").read_bytes())
    change(plain)
    change(stack.mount() / "db")
    stack.remount()
    with contextlib.closing(sqlite3.connect(stack.merged / "db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert subprocess.run(["cmp", stack.merged / "db", plain], check=False).returncode == 0


def test_a_file_stays_set_id_when_it_is_copied_up(new: New) -> None:
    stack = new()
    for name in ("touched", "renamed", "linked", "marked", "appended"):
        (stack.lowers[0] / name).write_text("x")
        (stack.lowers[0] / name).chmod(0o6755)
    shell(
        "touch touched; mv renamed moved; ln linked link; setfattr -n user.a -v 1 marked; echo y >>appended",
        stack.mount(),
    )
    stack.remount()
    modes = {name: stat.S_IMODE((stack.merged / name).stat().st_mode) for name in os.listdir(stack.merged)}
    assert modes == dict.fromkeys(("touched", "moved", "linked", "link", "marked", "appended"), 0o6755)


def test_changing_the_owner_of_an_image_copies_no_content(new: New) -> None:
    stack = new()
    for number in range(50):
        (stack.lowers[0] / f"f{number}").write_bytes(bytes(1 << 20))
    merged = stack.mount("" if stack.command == "unionfs mount" else ",metacopy=on")
    shell("chown -R 1000:1000 .", merged)
    assert {(merged / name).stat().st_uid for name in os.listdir(merged)} == {1000}
    used = sum(entry.stat().st_blocks * 512 for entry in stack.upper.iterdir())
    assert used < 1 << 20


def test_changing_the_owner_of_an_image_shares_its_content_where_that_can_be_shared(new: New) -> None:
    with btrfs() as root:
        stack = new(directory=root)
        names = [f"f{number}" for number in range(20)]
        for number, name in enumerate(names):
            (stack.lowers[0] / name).write_bytes(Random(number).randbytes(1 << 20))
        merged = stack.mount(",metacopy=off")
        shell("chown -R 1000:1000 .", merged)
        assert {(merged / name).stat().st_uid for name in names} == {1000}
        stack.unmount()
        for name in names:
            assert blocks(stack.upper / name) == blocks(stack.lowers[0] / name)


# Names.


@pytest.mark.parametrize("order", ["hidden first", "listed first", "inside first"])
def test_an_opaque_directory_hides_what_is_beneath_in_any_order_of_lookups(new: New, order: str) -> None:
    stack = new(2)
    for layer, name in ((0, "new"), (1, "old")):
        (stack.lowers[layer] / "d" / "sub").mkdir(parents=True)
        (stack.lowers[layer] / "d" / "sub" / name).touch()
        (stack.lowers[layer] / "d" / name).touch()
    os.setxattr(stack.lowers[0] / "d", "trusted.overlay.opaque", b"y")
    merged = stack.mount()
    if order == "listed first":
        assert "old" not in os.listdir(merged / "d")
    else:
        assert not (merged / ("d/old" if order == "hidden first" else "d/sub/old")).exists()
    assert not any((merged / name).exists() for name in ("d/old", "d/sub/old"))
    assert sorted(os.listdir(merged / "d")) == ["new", "sub"]
    assert os.listdir(merged / "d/sub") == ["new"]


def test_what_was_deleted_stays_deleted_when_its_directory_is_made_and_removed_again(new: New) -> None:
    stack = new()
    (stack.lowers[0] / "d2").mkdir()
    (stack.lowers[0] / "d2/a").touch()
    shell("rm -r d2; mkdir d2; rmdir d2", stack.mount())
    assert os.listdir(stack.merged) == []
    stack.remount()
    assert not (stack.merged / "d2/a").exists()
    (stack.merged / "d2").mkdir()
    assert os.listdir(stack.merged / "d2") == []


def test_what_an_earlier_mount_left_in_the_workdir_is_in_nobodys_way(new: New) -> None:
    stack = new()
    for number in range(3):
        (stack.lowers[0] / f"f{number}").touch()
    (stack.work / "work").mkdir()
    for number in range(20):
        (stack.work / "work" / f"#{number:x}").touch()
        (stack.work / "work" / str(number)).touch()
    merged = stack.mount()
    for number in range(3):
        shell(f"rm f{number}; mkdir f{number}; rmdir f{number}; echo x >f{number}; mv f{number} g{number}", merged)
        merged = stack.remount()
    assert sorted(os.listdir(merged)) == ["g0", "g1", "g2"]


def test_odd_whiteouts_of_image_layers_hide_what_they_name_and_nothing_else(new: New) -> None:
    stack = new(2)
    top, base = stack.lowers
    shell("mkdir -p foo gone; touch a b c foo/bar foo/kept gone/x", base)
    shell("touch .wh.a; ln .wh.a .wh.b; touch .wh. .wh.gone .wh.foo; mkdir foo; touch foo/.wh.bar foo/own", top)
    merged = stack.mount()
    assert sorted(os.listdir(merged)) == ["c", "foo"]
    assert os.listdir(merged / "foo") == ["own"]
    assert not any((merged / name).exists() for name in ("a", "b", "gone", "foo/bar", ".wh.a", ".wh."))


def test_two_files_with_one_inode_number_are_both_there(new: New) -> None:
    stack = new(2)
    with contextlib.ExitStack() as mounted:
        for number, lower in enumerate(stack.lowers):
            mount("none", lower, "tmpfs")
            mounted.callback(unmount_or_detach, lower)
            (lower / f"f{number}").write_text(str(number))
        assert stack.lowers[0].joinpath("f0").stat().st_ino == stack.lowers[1].joinpath("f1").stat().st_ino
        merged = stack.mount()
        assert sorted(os.listdir(merged)) == ["f0", "f1"]
        assert len({(merged / name).stat().st_ino for name in ("f0", "f1")}) == 2
        assert [(merged / name).read_text() for name in ("f0", "f1")] == ["0", "1"]
        stack.close()


def test_listing_and_stat_agree_on_inode_numbers_and_link_counts(new: New) -> None:
    stack = new(2)
    shell("mkdir d; touch a d/x; ln a b; ln -s a link; mkfifo fifo", stack.lowers[1])
    shell("mkdir d; touch d/y top", stack.lowers[0])
    merged = stack.mount()
    shell("touch a new; ln new newer; mkdir made; echo >>d/x", merged)
    for directory in (merged, merged / "d"):
        for entry in os.scandir(directory):
            assert entry.inode() == entry.stat(follow_symlinks=False).st_ino, entry.name
    counts = {name: (merged / name).lstat().st_nlink for name in ("a", "b", "new", "newer", "top", "link")}
    assert counts == {"a": 2, "b": 2, "new": 2, "newer": 2, "top": 1, "link": 1}
    assert (merged / "a").stat().st_ino == (merged / "b").stat().st_ino


def test_the_kernels_overlayfs_mounts_what_was_written(new: New, tmp_path: Path) -> None:
    stack = new()
    shell("mkdir -p d/e gone; touch d/e/f gone/x a b; ln -s a s", stack.lowers[0])
    merged = stack.mount()
    shell("rm -r gone; rm a; echo new >b; mkdir d/made; mv d/e/f d/f; rm -r d/e; mkdir d/e; touch d/e/g", merged)
    before = snapshot(merged)
    stack.unmount()
    kernel = tmp_path / "kernel"
    kernel.mkdir()
    options = f"{stack.options},redirect_dir=on,metacopy=on"
    mount("overlay", kernel, "overlay", options=options)
    try:
        after = snapshot(kernel)
    finally:
        unmount_or_detach(kernel)
    # fuse-overlayfs's marker of an opaque directory is a file to the kernel.
    after = {path: found for path, found in after.items() if not str(path).endswith(".wh..wh..opq")}
    assert {path: found.content for path, found in before.items()} == {p: found.content for p, found in after.items()}


def test_what_was_made_and_removed_again_leaves_nothing_in_the_upper(new: New) -> None:
    stack = new()
    (stack.lowers[0] / "d").mkdir()
    merged = stack.mount()
    shell("touch a; rm a; mkdir b; touch b/c; rm -r b; touch d/x; mv d/x d/y; rm d/y", merged)
    stack.unmount()
    assert [path.relative_to(stack.upper).as_posix() for path in stack.upper.rglob("*")] == ["d"]


# Permissions.


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_the_umask_of_whoever_makes_it_counts(new: New, umask: int) -> None:
    stack = new()
    script = f"umask {umask:03o}; touch file; mkdir dir; mkfifo fifo; mknod dev c 1 3; ln -s x link"
    shell(script, stack.mount())
    modes = {name: stat.S_IMODE((stack.merged / name).lstat().st_mode) for name in ("file", "dir", "fifo", "dev")}
    assert modes == {"file": 0o666 & ~umask, "dir": 0o777 & ~umask, "fifo": 0o666 & ~umask, "dev": 0o666 & ~umask}


# Locks, places, depth.


def test_a_lock_keeps_others_out_and_hangs_nobody(new: New) -> None:
    stack = new()
    (stack.lowers[0] / "f").write_text("x")
    path = stack.mount() / "f"
    with path.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert subprocess.run(["flock", "-n", path, "true"], check=False, timeout=10).returncode == 1
        file.write("y")
        file.flush()
        assert subprocess.run(["flock", "-n", path, "true"], check=False, timeout=10).returncode == 1
    assert subprocess.run(["flock", "-n", path, "true"], check=False, timeout=10).returncode == 0


def test_the_mountpoint_may_cover_a_lower(new: New) -> None:
    stack = new()
    (stack.lowers[0] / "f").write_text("x")
    stack.merged = stack.lowers[0]
    merged = stack.mount()
    (merged / "g").write_text("y")
    assert sorted(os.listdir(merged)) == ["f", "g"]
    assert os.listdir(stack.upper) == ["g"]


def test_the_upper_as_mountpoint_is_refused_at_once(new: New) -> None:
    stack = new()
    result = stack.attempt(mountpoint=stack.upper)
    assert result.returncode == 1
    assert "is the upperdir itself" in result.stderr


def test_a_process_deep_in_the_tree_meets_no_limit_of_paths(new: New) -> None:
    stack = new()
    script = """
import os, sys
os.chdir(sys.argv[1])
for _ in range(40):
    os.mkdir("d" * 200)
    os.chdir("d" * 200)
open("f", "w").write(sys.argv[2])
"""
    change_script = """
import os, sys
os.chdir(sys.argv[1])
for _ in range(40):
    os.chdir("d" * 200)
open("f", "a").write("y")
os.rename("f", "g")
os.mkdir("made")
print(open("g").read(), sorted(os.listdir(".")))
"""
    subprocess.run([sys.executable, "-c", script, stack.lowers[0], "x"], check=True)
    command: list[str | Path] = [sys.executable, "-c", change_script, stack.mount()]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "xy ['g', 'made']\n"
    subprocess.run(["rm", "-r", "d" * 200], cwd=stack.merged, check=True)


# The daemon.


def test_what_cannot_be_done_fails_and_the_mount_goes_on(new: New) -> None:
    stack = new()
    (stack.lowers[0] / "f").write_text("x")
    merged = stack.mount()
    attempts: list[Callable[[], object]] = [
        (merged / ("n" * 256)).touch,
        lambda: os.mknod(merged / "whiteout", stat.S_IFCHR | 0o600, 0),
        (merged / ".wh.x").touch,
        lambda: os.setxattr(merged / "f", "user.large", bytes(65537)),
        lambda: os.setxattr(merged / "f", "nowhere.x", b""),
        lambda: os.rename(merged / "f", merged / "absent" / "f"),
        lambda: fcntl.ioctl(os.open(merged / "f", os.O_RDONLY), 0x1234),
        lambda: os.truncate(merged / "f", 1 << 62),
        lambda: os.link(merged, merged / "link"),
        lambda: os.rmdir(merged / "f"),
    ]
    for attempt in attempts:
        with pytest.raises(OSError, match="Errno"):
            attempt()
    assert (merged / "f").read_text() == "x"
    assert os.listdir(merged) == ["f"]


def test_mapping_more_files_than_there_may_be_descriptors_leaks_none(new: New) -> None:
    stack = new()
    for number in range(1000):
        (stack.lowers[0] / str(number)).write_text("x")
    merged = stack.mount(before=["prlimit", "--nofile=256:256"])
    for _ in range(2):
        for number in range(1000):
            with (merged / str(number)).open("r+b") as file, mmap.mmap(file.fileno(), 1) as mapped:
                mapped[:1] = b"y"
    stack.remount()
    assert {(merged / str(number)).read_bytes() for number in range(1000)} == {b"y"}


def test_a_directory_of_ten_thousand_files_costs_little_memory(new: New) -> None:
    stack = new()
    for number in range(10_000):
        (stack.lowers[0] / f"file{number}").touch()
    merged = stack.mount()
    before = stack.resident()
    assert shell("ls -l | wc -l", merged) == "10001\n"
    assert stack.resident() - before < 20 << 10


def test_memory_does_not_grow_with_the_work_that_was_done(new: New) -> None:
    stack = new()
    merged = stack.mount()

    def work() -> int:
        shell("mkdir d; cd d; seq 3000 | xargs touch; ls -l; cd ..; rm -r d", merged)
        return stack.resident()

    sizes = [work() for _ in range(6)]
    assert sizes[-1] - sizes[1] < 4 << 10, sizes


def test_forgetting_caches_in_the_middle_of_work_changes_nothing(new: New, tmp_path: Path) -> None:
    stack = new(2)
    plain = tmp_path / "plain"
    plain.mkdir()
    tree = """
        for d in a b c; do mkdir -p $d/e; for n in 1 2 3 4 5 6 7 8; do echo $d$n >$d/f$n; echo $n >$d/e/g$n; done; done
    """
    shell(tree, plain)
    shell(tree, stack.lowers[1])
    work = """
        for round in 1 2 3 4 5 6 7 8 9 10; do
            for d in a b c; do
                mkdir -p $d/new; cp $d/f1 $d/new/x$round; mv $d/f2 $d/new/moved$round; cp $d/new/moved$round $d/f2
                ln $d/f3 $d/link$round; echo $round >>$d/f3; rm $d/link$round; rm -f $d/e/g$round; chmod 640 $d/f4
                rm -r $d/new; mkdir $d/new; ln -s f1 $d/new/s; sleep 0.01
            done
        done
    """
    with forgetting_inodes():
        shell(work, stack.mount())
    shell(work, plain)
    tell = r"find . -printf '%P %y %m %n %l\n' -type f -exec cat {} \; | grep -v '[^ ]* d ' | sort"
    assert shell(tell, stack.merged) == shell(tell, plain)
