"""What survives: a killed unpack, two at once, a full disk; and in which order things reach the disk."""

import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mounts import mount, unmount_or_detach
from tests.posix.processes import NOBODY, as_user
from tests.snapshots import differences, snapshot
from tests.store.images import BOTTOM, MIDDLE, NAME, TOP, layout, refusal, unpack
from tests.tarball import archive, file
from unionfs.store import StoreError

UNPACK = (sys.executable, "-c", "import sys; from unionfs.cli import main; sys.exit(main(['unpack', *sys.argv[1:]]))")
MANY = archive(*(file(b"d%d/%d" % (number % 20, number), b"x" * number) for number in range(400)))


def run(source: Path, target: Path, *before: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*before, *UNPACK, source, target], capture_output=True, text=True, check=False, timeout=60)


def check_complete(target: Path, reference: Path) -> None:
    """Raise AssertionError unless every layer that has its name is as in the reference."""
    for name in os.listdir(target):
        if name.startswith("sha256-"):
            found, wanted = snapshot(target / name), snapshot(reference / name)
            assert differences(found, wanted, frozenset({"ino", "ctime_ns"})) == []


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return layout(tmp_path / "image", BOTTOM, MANY, MIDDLE)


@pytest.fixture
def reference(tmp_path: Path, source: Path) -> Path:
    unpack(source, tmp_path / "reference")
    return tmp_path / "reference"


def test_everything_reaches_the_disk_before_a_layer_has_its_name(tmp_path: Path, source: Path) -> None:
    log = tmp_path / "log"
    run(source, tmp_path / "layers", "strace", "-f", "-y", "-o", str(log), "-e", "trace=syncfs,fsync,renameat,openat")
    calls = re.findall(r"(syncfs|fsync|renameat|openat)\((.*)", log.read_text())
    names = [name for name, arguments in calls if name != "openat" or "O_WRONLY|O_CREAT" in arguments]
    last_written = max(number for number, name in enumerate(names) if name == "openat")
    assert names[last_written + 1 :] == ["syncfs", "renameat", "renameat", "renameat", "fsync"]
    synced = [arguments for name, arguments in calls if name in ("syncfs", "fsync")]
    assert all(f"<{tmp_path}/layers>" in arguments for arguments in synced)


@pytest.mark.parametrize(
    "point",
    [
        *(f"renameat:signal=KILL:when={number}" for number in (1, 2, 3)),
        "syncfs:signal=KILL",
        "fsync:signal=KILL",
        *(f"mkdirat:signal=KILL:when={number}" for number in (1, 2, 5, 9, 17)),
        *(f"fchown:signal=KILL:when={number}" for number in (1, 10, 100, 400)),
        *(f"unlinkat:signal=KILL:when={number}" for number in (1, 3)),
        *(f"write:signal=KILL:when={number}" for number in (2, 200)),
    ],
)
def test_unpack_killed_anywhere_leaves_whole_layers_alone(
    tmp_path: Path, source: Path, reference: Path, point: str
) -> None:
    target = tmp_path / "layers"
    killed = run(source, target, "strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={point}")
    # What is killed is the command, or the process of one layer: then the command says so.
    assert killed.returncode in (1, -signal.SIGKILL, 128 + signal.SIGKILL), killed.stderr
    if killed.returncode == 1:
        assert re.fullmatch(r"unionfs: .*: layer sha256:.*: its process was ended by SIGKILL\n", killed.stderr)
        assert os.listdir(target) == [".lock"]
    if target.exists():
        check_complete(target, reference)
    assert run(source, target).returncode == 0
    check_complete(target, reference)
    assert sorted(os.listdir(target)) == sorted(os.listdir(reference))


def test_unpack_killed_at_some_time_leaves_whole_layers_alone(tmp_path: Path, source: Path, reference: Path) -> None:
    chance = random.Random(1)
    target = tmp_path / "layers"
    for _ in range(6):
        process = subprocess.Popen([*UNPACK, source, target], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(chance.uniform(0.05, 0.35))
        process.kill()
        process.wait()
        if target.exists():
            check_complete(target, reference)
    assert run(source, target).returncode == 0
    assert sorted(os.listdir(target)) == sorted(os.listdir(reference))


def test_interrupted_unpack_removes_what_it_began(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "layers"
    # It waits in poll(2) for those that unpack.
    inject = "inject=poll:signal=INT:when=2"
    interrupted = run(source, target, "strace", "-f", "-qq", "-o", os.devnull, "-e", inject)
    assert (interrupted.returncode, interrupted.stderr.strip()) == (130, "")
    assert os.listdir(target) == [".lock"]


def test_two_at_once_both_succeed(tmp_path: Path, source: Path, reference: Path) -> None:
    target = tmp_path / "layers"
    both = [
        subprocess.Popen([*UNPACK, source, target], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    results = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], results
    assert len(set(results)) == 1
    check_complete(target, reference)
    assert sorted(os.listdir(target)) == sorted(os.listdir(reference))


def test_nothing_is_written_while_another_process_holds_the_lock(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "layers"
    unpack(layout(tmp_path / "other", TOP), target)
    staging = target / ".staging"
    staging.mkdir()
    (staging / "in the making").touch()
    with open(target / ".lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen([*UNPACK, source, target], stdout=subprocess.DEVNULL)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert os.listdir(staging) == ["in the making"]
    assert process.wait(60) == 0
    assert not staging.exists()


@contextmanager
def small_disk(path: Path, options: str) -> Iterator[Path]:
    path.mkdir()
    mount("tmpfs", path, "tmpfs", 0, options)
    try:
        yield path
    finally:
        assert unmount_or_detach(path)


@pytest.fixture(params=["size=512k", "nr_inodes=100"])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("a small file system is mounted by root alone")
    with small_disk(tmp_path / "disk", request.param) as path:
        yield path


def test_full_disk_is_an_error_that_leaves_nothing(tmp_path: Path, disk: Path) -> None:
    kept = unpack(layout(tmp_path / "small", BOTTOM, TOP), disk / "layers")
    large = layout(tmp_path / "large", BOTTOM, archive(*(file(b"f%d" % n, bytes(5000)) for n in range(300))))
    with pytest.raises(StoreError, match="No space left on device") as caught:
        unpack(large, disk / "layers")
    assert str(caught.value).startswith(f'"{large}": {NAME}: layer sha256:')
    assert sorted(os.listdir(disk / "layers")) == sorted([".lock", *(layer.path.name for layer in kept.layers)])
    assert unpack(layout(tmp_path / "again", BOTTOM, MIDDLE), disk / "layers").layers[1].path.exists()


def test_disk_full_of_one_large_file_is_an_error_that_leaves_nothing(tmp_path: Path, disk: Path) -> None:
    large = layout(
        tmp_path / "large", BOTTOM, archive(file(b"large", os.urandom(2 << 20)), *[file(b"%d" % n) for n in range(99)])
    )
    assert "No space left on device" in refusal(large, disk / "layers")


def test_ordinary_user_unpacks_what_root_unpacks(reference: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("root alone can be two users")
    with tempfile.TemporaryDirectory(prefix="unionfs-store.") as home:
        os.chown(home, NOBODY, NOBODY)

        def names() -> list[str]:
            made = layout(Path(home, "image"), BOTTOM, MANY, MIDDLE)
            return [layer.path.name for layer in unpack(made, Path(home, "layers")).layers]

        assert sorted(as_user(names)) == sorted(name for name in os.listdir(reference) if name.startswith("sha256-"))
