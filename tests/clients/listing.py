"""What a user sees beneath a directory, as JSON, with the type of the file system that shows it.

Run as a program by whoever can see the mount, so it needs nothing but Python's own library.
"""

import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator

KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "pipe",
    stat.S_IFCHR: "char", stat.S_IFBLK: "block", stat.S_IFSOCK: "socket",
}  # fmt: skip
NEWEST_OF_IMAGE = 1_100_000_000
"""Seconds. What is newer was made or changed by a test, at a time that nobody can compare."""


def time_of(seconds: float) -> str:
    """Give a time of the image as a number, and a time since as a word."""
    return f"{int(seconds)}" if seconds < NEWEST_OF_IMAGE else "now"


def digest(content: bytes) -> str:
    """Give a short name for some content."""
    return hashlib.sha256(content).hexdigest()[:12]


def described(path: str) -> str:
    """Describe one entry in a line: what it is, its permissions, owner, size or target, time, attributes, names."""
    found = os.lstat(path)
    kind = KINDS[stat.S_IFMT(found.st_mode)]
    words = [kind, f"{stat.S_IMODE(found.st_mode):04o}", f"{found.st_uid}:{found.st_gid}"]
    if kind == "symlink":
        words.append(os.readlink(path))
    elif kind == "file":
        with open(path, "rb") as file:
            words.append(f"{found.st_size} {digest(file.read())}")
    elif kind in {"char", "block"}:
        words.append(f"{os.major(found.st_rdev)}-{os.minor(found.st_rdev)}")
    if kind != "dir":
        words.append(f"names={found.st_nlink}")
    words.append(f"mtime={time_of(found.st_mtime)}")
    names = sorted(os.listxattr(path, follow_symlinks=False))
    words += [f"{name}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in names]
    return " ".join(words)


def entries(directory: str, path: str = "") -> Iterator[tuple[str, str]]:
    """Describe everything beneath the directory, by its path in it."""
    full = f"{directory}{path}"
    yield path or "/", described(full)
    if stat.S_ISDIR(os.lstat(full).st_mode):
        for name in sorted(os.listdir(full)):
            yield from entries(directory, f"{path}/{name}")


def type_at(directory: str) -> str:
    """Give the type of the file system mounted at a directory, from /proc/mounts; empty where nothing is."""
    with open("/proc/self/mounts", encoding="utf-8") as table:
        found = [line.split(" ")[2] for line in table if line.split(" ")[1] == directory]
    return found[-1] if found else ""


if __name__ == "__main__":
    print(json.dumps({"type": type_at(sys.argv[1]), "entries": dict(entries(sys.argv[1]))}))  # noqa: T201 - the answer
