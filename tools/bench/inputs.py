"""What the workloads work on, the same for all candidates: layers, an archive, a repository. Made once, and kept."""

import fcntl
import json
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

from tools.bench import debian
from tools.bench.sizes import MIB, Sizes

LAYERS = 10
SPREAD = 5
"""Layers over which the names of the large merged directory are spread."""
_FORMAT = 1
"""Counted up when the inputs are to be made anew though the sizes stay."""
_SEED = 20


@dataclass(frozen=True)
class Inputs:
    """The directory that holds them."""

    root: Path
    sizes: Sizes

    @cached_property
    def image(self) -> tuple[Path, ...]:
        """The ten layers, the topmost first."""
        return tuple(self.root / "layers" / str(number) for number in reversed(range(LAYERS)))

    @cached_property
    def names_in_one(self) -> Path:
        """A layer with the directory ``names`` that holds all of the names."""
        return self.root / "layers" / "names"

    @cached_property
    def names_spread(self) -> tuple[Path, ...]:
        """Layers that each have a part of the directory ``names``."""
        return tuple(self.root / "layers" / f"names{number}" for number in range(SPREAD))

    @cached_property
    def big(self) -> Path:
        """A layer with the one large file ``big``."""
        return self.root / "layers" / "big"

    @property
    def archive(self) -> Path:
        """A tar archive of many small files."""
        return self.root / "files.tar"

    @property
    def repository(self) -> Path:
        """A bare git repository."""
        return self.root / "repository.git"

    @cached_property
    def files(self) -> list[str]:
        """The image's regular files, as paths from its root, sorted."""
        found: set[str] = set()
        for layer in self.image:
            for directory, _, names in os.walk(layer):
                paths = (os.path.join(directory, name) for name in names)
                found.update(os.path.relpath(path, layer) for path in paths if not os.path.islink(path))
        return sorted(found)


@contextmanager
def inputs(kept: Path, sizes: Sizes) -> Iterator[Inputs]:
    """Give the inputs in a directory in *kept*; make them if they aren't there.

    While they are in use no other run makes or removes any.

    Raises:
        CalledProcessError: a program that makes them failed.
        OSError: there is no room for them.
    """
    kept.mkdir(parents=True, exist_ok=True)
    recipe = json.dumps([_FORMAT, vars(sizes), debian.COMMAND if sizes.debian else []])
    directory = kept / ("debian" if sizes.debian else "quick")
    with (kept / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not _is_made(directory, recipe):
            # Waits for the runs that use what is there, which may be made by another meanwhile.
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left_over in kept.glob("unfinished-*"):
                shutil.rmtree(left_over)
            if not _is_made(directory, recipe):
                _make(directory, sizes, recipe)
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield Inputs(directory, sizes)


def _is_made(directory: Path, recipe: str) -> bool:
    made_by = directory / "recipe.json"
    return made_by.exists() and made_by.read_text() == recipe


def _make(directory: Path, sizes: Sizes, recipe: str) -> None:
    """Make the inputs aside, so that what is half made never has their name."""
    aside = Path(tempfile.mkdtemp(prefix="unfinished-", dir=directory.parent))
    try:
        made = Inputs(aside, sizes)
        (aside / "layers").mkdir()
        if sizes.debian:
            debian.make_layers(made.image[::-1], aside / "root")
            shutil.rmtree(aside / "root")
            (aside / "names").unlink()
        else:
            _make_small_image(made)
        _make_names(made)
        _make_big_file(made)
        _make_archive(made)
        _make_repository(made)
        (aside / "recipe.json").write_text(recipe)
        if directory.exists():
            shutil.rmtree(directory)
        aside.chmod(0o755)
        aside.rename(directory)
    finally:
        if aside.exists():
            shutil.rmtree(aside)


def _make_small_image(made: Inputs) -> None:
    chance = random.Random(_SEED)  # noqa: S311 - content that is the same each time, nothing secret
    for number, layer in enumerate(reversed(made.image)):
        for place in ("usr/lib/python3/dist-packages/package", "usr/share/doc", f"srv/layer{number}"):
            directory = layer / place
            directory.mkdir(parents=True)
            for file in range(10):
                (directory / f"file{number}{file}").write_bytes(chance.randbytes(chance.randrange(8192)))
    (made.image[-1] / "usr/lib/os-release").write_text("ID=bench\n")
    for name in ("srv", "tmp"):
        (made.image[-1] / name).mkdir(exist_ok=True)


def _make_names(made: Inputs) -> None:
    for layers in ((made.names_in_one,), made.names_spread):
        for layer in layers:
            (layer / "names").mkdir(parents=True)
        for number in range(made.sizes.names):
            path = layers[number % len(layers)] / "names" / f"name-{number:06d}"
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _make_big_file(made: Inputs) -> None:
    made.big.mkdir()
    chance = random.Random(_SEED)  # noqa: S311 - content that is the same each time, nothing secret
    with (made.big / "big").open("wb") as file:
        for _ in range(made.sizes.big_file // MIB):
            file.write(chance.randbytes(MIB))


def _small_files(count: int) -> Iterator[tuple[str, bytes]]:
    """Give names and content as a source tree has them: 20 files a directory, 4 KiB in the median, few large."""
    chance = random.Random(_SEED)  # noqa: S311 - content that is the same each time, nothing secret
    for number in range(count):
        size = min(int(chance.lognormvariate(8.3, 1.2)), 256 * 1024)
        group = number // 20
        yield f"part{group // 20}/section{group}/file{number}.c", chance.randbytes(size)


def _make_archive(made: Inputs) -> None:
    with tarfile.open(made.archive, "w") as archive:
        for name, content in _small_files(made.sizes.archived_files):
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(content), 0o644, 1_700_000_000
            archive.addfile(member, BytesIO(content))


def _make_repository(made: Inputs) -> None:
    tree = made.root / "tree"
    for name, content in _small_files(made.sizes.repository_files):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    git = ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "All files"]):
        subprocess.run([*git, *arguments], cwd=tree, env=GIT_ENVIRONMENT, check=True)
    subprocess.run([*git, "clone", "-q", "--bare", tree, made.repository], env=GIT_ENVIRONMENT, check=True)
    shutil.rmtree(tree)


GIT_ENVIRONMENT: Mapping[str, str] = {
    "PATH": os.defpath,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
}
"""git as nobody has configured it."""
