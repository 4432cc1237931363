"""What is exported and copied out of an image is what podman exports and copies out of a container made of it."""

import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.clients import image
from tests.clients.client import Client
from tests.filesystems import scratch

PROGRAM = Path(sys.executable).with_name("unionfs")
MADE_BY_PODMAN = ("dev", "etc", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "run", "sys")
"""What a container gets beside what its image has; for some of it podman makes the time that of the export."""


@pytest.fixture
def place() -> Iterator[Path]:
    with scratch() as directory:
        (directory / "base.tar").write_bytes(image.archive())
        yield directory


@pytest.fixture
def container(ours: Client) -> Iterator[str]:
    name = ours.new_name()
    ours.podman("create", "--name", name, image.NAME, "/bin/true")
    yield name
    ours.podman("rm", "--force", name)


def unionfs(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {"UNIONFS_ROOT": str(place / "store"), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [PROGRAM, *words], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def exported(path: Path) -> dict[str, tuple[object, ...]]:
    """Read a tar of a root; names of one file are those that have one content by the first of them."""
    first: dict[str, str] = {}
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(path) as tar:
        members = {member.name.removeprefix("./"): member for member in tar}
        for name, member in members.items():
            of = member.linkname.removeprefix("./") if member.islnk() else name
            first[name] = of
            real = members[of]
            content = tar.extractfile(real)
            found[name] = (
                real.type, real.mode & 0o7777, real.uid, real.gid, int(real.mtime), real.linkname,
                None if content is None else content.read(),
            )  # fmt: skip
    groups: dict[str, set[str]] = {}
    for name, of in first.items():
        groups.setdefault(of, set()).add(name)
    return {name: (*found[name], frozenset(groups[first[name]])) for name in found if name not in MADE_BY_PODMAN}


def test_an_export_holds_what_podmans_does(ours: Client, container: str, place: Path) -> None:
    theirs = ours.directory / f"{ours.new_name()}.tar"
    ours.podman("export", "--output", str(theirs), container)
    done = unionfs(place, "export", "-o", "root.tar", "docker-archive:base.tar")
    assert (done.returncode, done.stderr) == (0, "")
    expected, found = exported(theirs), exported(place / "root.tar")
    assert found.pop(".", None) is not None
    assert {name: entry for name, entry in found.items() if expected.get(name) != entry} == {}
    assert expected.keys() - {"."} == found.keys()


def tree(directory: Path) -> Mapping[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        target = os.readlink(path) if path.is_symlink() else ""
        found[str(path.relative_to(directory))] = (stat.S_IFMT(status.st_mode), content, target)
    return found


CASES = [
    ("/dir/x", ".", ""),
    ("/dir/x", "new/", ""),
    ("/dir/x", "x", "file x"),
    ("/dir/x", ".", "directory x"),
    ("/dir/sub", ".", "directory other"),
    ("/dir/sub", "new", ""),
    ("/dir/sub/.", ".", ""),
    ("/dir/sub/", "sub", "directory sub"),
    ("/dir/sub", "sub", "file sub"),
]
"""What is copied, where to, and what is there before."""


def test_a_copy_goes_where_podmans_does(ours: Client, container: str, place: Path) -> None:
    for number, (path, target, there) in enumerate(CASES):
        theirs, mine = ours.directory / "shared" / f"{container}-{number}", place / f"mine-{number}"
        for directory in (theirs, mine):
            directory.mkdir()
            _prepare(directory, there)
            for made in (directory, *directory.iterdir()):
                os.chown(made, ours.uid, ours.uid, follow_symlinks=False)
        copied = ours.start("podman", "cp", f"{container}:{path}", f"{theirs}/{target}")
        done = unionfs(place, "cp", f"docker-archive:base.tar:{path}", f"{mine}/{target}")
        case = (path, target, there, done.stderr, copied.stderr)
        assert (done.returncode == 0) == (copied.returncode == 0), case
        assert tree(mine) == tree(theirs), case


def _prepare(directory: Path, there: str) -> None:
    """Put something where the copy goes to."""
    kind, _, name = there.partition(" ")
    if kind == "directory":
        (directory / name).mkdir()
        (directory / name / "mine").write_text("mine")
    elif kind == "file":
        (directory / name).write_text("old")
