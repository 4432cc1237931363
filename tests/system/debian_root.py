"""A Debian root file system, made by mmdebstrap once and kept between runs in the user's cache directory."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.snapshots import Snapshot, snapshot

_COMMAND = (
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=minbase",
    "--include=gcc,libc6-dev,git,python3-venv,sqlite3,libcap2-bin",
    *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")),
    "bookworm",
)
_VERSION = 1
"""Counted up when the tree is to be made anew though the command stays."""


def debian_root() -> tuple[Path, Snapshot]:
    """Give the tree, which nobody may change, and what is in it.

    A kept tree that isn't any more what it was when it was made is made anew.

    Raises:
        CalledProcessError: mmdebstrap failed.
    """
    key = hashlib.sha256(f"{_VERSION} {_COMMAND}".encode()).hexdigest()[:16]
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unionfs-tests"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tree, sum_file = directory / f"debian-{key}", directory / f"debian-{key}.sha256"
    with _locked(directory / "lock"):
        for left_over in directory.glob("unfinished-*"):
            shutil.rmtree(left_over)
        if tree.exists():
            content = snapshot(tree)
            if sum_file.exists() and sum_file.read_text() == _checksum(content):
                return tree, content
            shutil.rmtree(tree)
        _make(tree)
        content = snapshot(tree)
        sum_file.write_text(_checksum(content))
        return tree, content


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(tree: Path) -> None:
    """Make the tree aside, so that one that is half made never bears its name."""
    aside = Path(tempfile.mkdtemp(prefix="unfinished-", dir=tree.parent))
    try:
        subprocess.run([*_COMMAND, str(aside / "tree")], check=True)
        (aside / "tree").rename(tree)
    finally:
        shutil.rmtree(aside)


def _checksum(content: Snapshot) -> str:
    """Sum up what a copy of the tree would have in common with it."""
    digest = hashlib.sha256()
    for path, entry in sorted(content.items()):
        kept = (path, entry.mode, entry.uid, entry.gid, entry.size, entry.nlink, entry.rdev, entry.mtime_ns)
        digest.update(repr((kept, sorted(entry.xattrs.items()), entry.content)).encode(errors="surrogateescape"))
    return digest.hexdigest()
