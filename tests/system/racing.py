"""Processes that do random things to the same few names at once, and the layers they do it on."""

import errno
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from tests.posix.syscalls import RENAME_EXCHANGE, RENAME_NOREPLACE, renameat2
from tests.stacks import OPAQUE, WHITEOUT, Directory, File, HardLink, Layer, Node, Symlink

_NAMES = ("a", "b", "c", "d", "e")
_EXPECTED = {
    errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOTEMPTY, errno.ELOOP,
    errno.EINVAL,  # a directory renamed into itself
    errno.EPERM,  # a link to a directory, an attribute of a symbolic link
    None,  # a symbolic link that shutil.rmtree won't follow
}  # fmt: skip


def random_layers(seed: int) -> list[Layer]:
    """Describe three layers in which the same names stand for different things."""
    chance = random.Random(seed)
    return [_random_layer(chance) for _ in range(3)]


def _random_layer(chance: random.Random) -> Layer:
    layer: dict[str, Node] = {}
    for _ in range(40):
        path = _random_path(chance)
        above = [str(parent) for parent in Path(path).parents]
        is_taken = any(taken == path or taken.startswith(f"{path}/") for taken in layer)
        if not is_taken and all(isinstance(layer.get(parent, Directory()), Directory) for parent in above):
            layer[path] = _random_node(chance, layer)
    return layer


def _random_node(chance: random.Random, layer: Layer) -> Node:
    files = [path for path, node in layer.items() if isinstance(node, File)]
    if files and chance.random() < 0.25:
        return HardLink(chance.choice(files))
    size = chance.choice((0, 10, 9000, 1_000_000))
    nodes = (Directory(), OPAQUE, WHITEOUT, Symlink(chance.choice(_NAMES)), File(b"x" * size), File(b"y" * size))
    return chance.choice(nodes)


def _random_path(chance: random.Random) -> str:
    return "/".join(chance.choice(_NAMES) for _ in range(chance.choice((1, 1, 2, 2, 3))))


def race(directory: Path, seed: int, seconds: float, processes: int = 4) -> None:
    """Let the processes go on for so long.

    Raises:
        OSError: one met an error that isn't of what another did at the same time.
    """
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for running in [pool.submit(_run, directory, seed * 100 + number, seconds) for number in range(processes)]:
            running.result()


def _run(directory: Path, seed: int, seconds: float) -> None:
    chance = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        one, other = directory / _random_path(chance), directory / _random_path(chance)
        try:
            chance.choice(_ACTIONS)(chance, one, other)
        except OSError as error:
            if error.errno not in _EXPECTED:
                raise


def _write(chance: random.Random, one: Path, other: Path) -> None:
    del other
    one.write_bytes(bytes([chance.randrange(256)]) * chance.randrange(20_000))


def _patch(chance: random.Random, one: Path, other: Path) -> None:
    del other
    with one.open("r+b", buffering=0) as file:
        file.seek(chance.randrange(8000))
        file.write(b"p" * chance.randrange(5000))
        if chance.random() < 0.3:
            one.unlink()
            file.write(b"after its end")
            os.fsync(file.fileno())
            file.seek(0)
            file.read()


def _list(chance: random.Random, one: Path, other: Path) -> None:
    del chance, other
    with os.scandir(one) as listing:
        for entry in listing:
            entry.stat(follow_symlinks=False)


def _remove_tree(chance: random.Random, one: Path, other: Path) -> None:
    del other
    if chance.random() < 0.1:
        shutil.rmtree(one)


def _set_attribute(chance: random.Random, one: Path, other: Path) -> None:
    del other
    os.setxattr(one, "user.k", b"%d" % chance.randrange(9), follow_symlinks=False)


_Action = Callable[[random.Random, Path, Path], object]
_ACTIONS: Sequence[_Action] = (
    _write,
    _patch,
    _patch,
    _list,
    _remove_tree,
    _set_attribute,
    lambda _, one, __: one.mkdir(),
    lambda _, one, __: one.rmdir(),
    *[lambda _, one, __: one.unlink()] * 2,
    *[lambda _, one, other: one.rename(other)] * 3,
    lambda _, one, other: renameat2(one, other, RENAME_EXCHANGE),
    lambda _, one, other: renameat2(one, other, RENAME_NOREPLACE),
    *[lambda _, one, other: os.link(one, other, follow_symlinks=False)] * 2,
    lambda chance, one, _: one.symlink_to(chance.choice(_NAMES)),
    lambda chance, one, _: os.truncate(one, chance.randrange(10_000)),
    lambda chance, one, _: one.chmod(chance.choice((0o644, 0o600, 0o755))),
    lambda chance, one, _: os.chown(one, chance.randrange(3), 0, follow_symlinks=False),
    lambda _, one, __: os.utime(one, follow_symlinks=False),
    lambda _, one, __: one.read_bytes(),
)
