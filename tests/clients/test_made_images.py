"""Images that this program makes run under podman."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients import image
from tests.clients.client import Client
from tests.clients.operations import LOOK
from tests.filesystems import scratch
from unionfs.archive import open_archive
from unionfs.image import Reference
from unionfs.store.store import Store

PROGRAM = Path(sys.executable).with_name("unionfs")


class Program:
    """``unionfs`` with a store of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "store"
        self.mountpoint = directory / "mount"

    def __call__(self, *words: str | Path) -> str:
        done = subprocess.run(
            [PROGRAM, *words], env={"UNIONFS_ROOT": str(self.root)}, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), f"{words}: {done.returncode}: {done.stderr}"
        return done.stdout.strip()

    def run_under(self, client: Client, name: str, *command: str) -> str:
        """Run an image of the store under podman, with its own command or the one given; give what it prints."""
        saved = client.directory / f"{client.new_name()}.tar"
        self("save", "--quiet", "-o", saved, name)
        saved.chmod(0o644)
        client.podman("load", "--quiet", "--input", str(saved))
        return client.podman("run", "--rm", name, *command)


@pytest.fixture
def unionfs() -> Iterator[Program]:
    with scratch() as directory:
        program = Program(directory)
        program.mountpoint.mkdir()
        (directory / "base.tar").write_bytes(image.archive())
        with Store(program.root) as store, open_archive(directory / "base.tar") as opened:
            store.load(opened.image(), [Reference.parse(image.NAME)])
        yield program


def test_a_commit_runs_with_what_was_written_while_it_was_mounted(ours: Client, unionfs: Program) -> None:
    unionfs("mount", "--rw=web", image.NAME, unionfs.mountpoint)
    try:
        (unionfs.mountpoint / "data/html").mkdir(parents=True)
        (unionfs.mountpoint / "data/html/index.html").write_text("the page\n")
        (unionfs.mountpoint / "etc/removed").unlink()
        (unionfs.mountpoint / "dir/sub").rename(unionfs.mountpoint / "dir/moved")
        (unionfs.mountpoint / "dir/set-id").chmod(0o6711)
        with (unionfs.mountpoint / "hard/one").open("a") as file:
            file.write("more")
        listed = unionfs("diff", "web").splitlines()
        changes = ["-c", 'CMD ["/bin/cat", "/data/html/index.html"]', "-c", 'ENV A="b c"', "-c", "WORKDIR /data"]
        unionfs("commit", "-p", "-a", "Ada", *changes, "web", "localhost/web:2")
    finally:
        unionfs("umount", unionfs.mountpoint)
    assert listed == [
        "A /data", "A /data/html", "A /data/html/index.html", "C /dir", "A /dir/moved", "A /dir/moved/y",
        "A /dir/moved/z", "C /dir/set-id", "D /dir/sub", "C /etc", "D /etc/removed", "C /hard", "C /hard/one",
        "C /hard/two",
    ]  # fmt: skip
    assert unionfs.run_under(ours, "localhost/web:2") == "the page"
    script = "pwd; echo $A; cat /hard/one /hard/two; echo; stat -c '%a %u %h' /dir/set-id /hard/two; ls /etc/removed"
    lines = ours.podman("run", "--rm", "localhost/web:2", "/bin/sh", "-c", f"{script} || true").splitlines()
    assert lines == ["/data", "b c", "hard/onemorehard/onemore", "6711 1000 1", "644 0 2"]


def test_a_squashed_image_shows_under_podman_what_the_image_did(ours: Client, unionfs: Program) -> None:
    unionfs("squash", image.NAME, "localhost/small")
    files = "find /bin /dir /hard /odd /opaque /hidden /untouched -type f -exec stat -c '%n %h %s %Y' {} + | sort"
    look = ("/bin/sh", "-c", f"{LOOK}; {files}")
    assert unionfs.run_under(ours, "localhost/small", *look) == ours.podman("run", "--rm", image.NAME, *look)
    assert len(ours.layers("localhost/small")) == 1


def test_what_podman_exports_becomes_an_image(ours: Client, unionfs: Program) -> None:
    name = ours.new_name()
    ours.container("echo mine > /made", name=name)
    exported = ours.directory / f"{name}.tar"
    ours.podman("export", "--output", str(exported), name)
    unionfs("import", "-c", 'CMD ["/bin/cat","/made"]', exported, "localhost/imported")
    assert unionfs.run_under(ours, "localhost/imported") == "mine"
