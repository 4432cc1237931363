"""A Debian system split into layers: each package's files in one layer, what is of no package in the topmost."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

COMMAND = (
    "mmdebstrap",
    "--quiet",
    "--mode=root",
    "--variant=minbase",
    "--include=python3,python3-sympy,python3-numpy,gcc,libc6-dev,git",
    "bookworm",
)
_MERGED = ("bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/")
"""Directories that packages name, but that are links into /usr."""
_EMPTY = ("dev", "proc", "sys", "run")


def make_layers(layers: Sequence[Path], root: Path) -> None:
    """Put up a system in *root*, which must not exist, and copy it into *layers*, the lowest first.

    Raises:
        CalledProcessError: mmdebstrap or tar failed.
    """
    subprocess.run([*COMMAND, str(root)], check=True)
    packages = _packages(root)
    owners = {path: package for package, paths in packages.items() for path in paths}
    places = _places(root, packages, len(layers) - 1)
    content: list[list[str]] = [[] for _ in layers]
    for path in _paths(root):
        package = owners.get(path) or owners.get(_source(path))
        content[places[package] if package else -1].append(path)
    for layer, paths in zip(layers, content, strict=True):
        _copy(root, layer, paths)


def _packages(root: Path) -> dict[str, list[str]]:
    """Give what each installed package holds, as paths from the root."""
    lists = sorted((root / "var/lib/dpkg/info").glob("*.list"))
    return {file.stem: [_resolved(line[1:]) for line in file.read_text().splitlines()] for file in lists}


def _resolved(path: str) -> str:
    return f"usr/{path}" if path.startswith(_MERGED) else path


def _places(root: Path, packages: Mapping[str, Sequence[str]], layers: int) -> dict[str, int]:
    """Give each package's layer: 0 for those that every system needs, the others in the alphabet's order."""
    query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat"]
    shown = subprocess.run([*query, "${binary:Package} ${Priority}\\n"], stdout=subprocess.PIPE, text=True, check=True)
    required = {line.split()[0] for line in shown.stdout.splitlines() if line.endswith(" required")}
    others = [name for name in packages if name not in required]
    share = sum(len(packages[name]) for name in others) / (layers - 1)
    places, count = dict.fromkeys(required, 0), 0.0
    for name in others:
        places[name] = 1 + min(int(count / share), layers - 2)
        count += len(packages[name])
    return places


def _paths(root: Path) -> Iterator[str]:
    """Give files, symbolic links and empty directories as paths from the root, in a fixed order."""
    for directory, names, files in os.walk(root):
        relative = os.path.relpath(directory, root)
        if relative in _EMPTY:
            names.clear()
            files.clear()
        names.sort()
        links = [name for name in names if Path(directory, name).is_symlink()]
        yield from (os.path.normpath(os.path.join(relative, name)) for name in sorted(files + links))
        if not names and not files:
            yield relative


def _source(path: str) -> str:
    """Give the Python source from which *path* was compiled, if it was: no package names what its set-up compiles."""
    directory, name = os.path.split(path)
    if os.path.basename(directory) != "__pycache__":
        return ""
    return os.path.join(os.path.dirname(directory), name.split(".")[0] + ".py")


def _copy(root: Path, layer: Path, paths: Sequence[str]) -> None:
    """Copy *paths*, and the directories that lead to them, with all attributes; hard links stay such."""
    directories = {parent for path in paths for parent in map(str, Path(path).parents)}
    wanted = sorted(directories) + sorted(set(paths) - directories)
    names = root.with_name("names")
    names.write_bytes(b"".join(os.fsencode(path) + b"\0" for path in wanted))
    layer.mkdir()
    script = 'tar -C "$1" --no-recursion --null --verbatim-files-from -T "$2" --xattrs -c | tar -C "$3" --xattrs -xp'
    subprocess.run(["bash", "-o", "pipefail", "-c", script, "bash", root, names, layer], check=True)
