"""Images given to ``unionfs load``, and a look at everything before and after."""

import gzip
import io
import os
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType

from tests.archive.build import Files, OciImage, docker_image, layout, tar, tree
from tests.attacks.victim import Victim
from tests.image import documents
from tests.image.documents import descriptor, encoded, sha256
from tests.snapshots import differences, snapshot
from tests.tarball import archive, directory, file, symlink
from unionfs.cli import main
from unionfs.image import media_type as types

BASE = archive(directory(b"etc/"), file(b"etc/a", b"A"), symlink(b"link", b"etc"))
GOOD = archive(file(b"good", b"G"))
TAKEN = archive(file(b"taken", b"T"))
"""The layer of images that are all right, and so come into the store."""
Form = Callable[[list[bytes]], Files]


def docker(layers: list[bytes]) -> Files:
    return docker_image("c", layers, ["bad:1"])


def oci(layers: list[bytes]) -> Files:
    image = OciImage(layers)
    return layout([image.entry("bad:1")], image.blobs)


def compressed_layers(layers: list[bytes]) -> Files:
    """Return a layout whose layers are gzip blobs."""
    stored = [gzip.compress(layer, mtime=0) for layer in layers]
    config = encoded(documents.config(list(map(sha256, layers))))
    described = [descriptor(content, types.OCI_LAYER + "+gzip") for content in stored]
    manifest = encoded(documents.manifest(config, [], layers=described))
    return layout([descriptor(manifest, types.OCI_MANIFEST)], [*stored, config, manifest])


FORMS: Mapping[str, Callable[[Files, Path], Path]] = {
    "tar": lambda files, path: write(path.with_suffix(".tar"), tar(files)),
    "tar.gz": lambda files, path: write(path.with_suffix(".tar.gz"), gzip.compress(tar(files), 1)),
    "directory": tree,
}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


class Loader:
    """A store with an image in it, beside a victim, into which nothing bad may be loaded."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._number = 0
        self.root = top / "store"
        self.victim = Victim(top / "victim", lambda make: make())
        assert self.load(write(top / "good.tar", tar(docker_image("g", [BASE], ["kept:1"]))))[0] == 0

    def load(self, path: Path, *options: str) -> tuple[int, str, str]:
        return self.run("load", "-i", str(path), *options)

    def run(self, *words: str) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        with redirect_stdout(output), redirect_stderr(errors):
            code = main(["--root", str(self.root), *words])
        return code, output.getvalue(), errors.getvalue()

    def place(self, files: Files, make: Callable[[Files, Path], Path]) -> Path:
        """Write an archive or a layout under a name of its own."""
        self._number += 1
        return make(files, self._top / f"case{self._number}")

    def refusal(self, path: Path, *options: str) -> str:
        """Return the line with which a file is refused; the store is as it was."""
        before, beside = snapshot(self.root), set(os.listdir(self._top))
        code, output, errors = self.load(path, *options)
        assert (code, output) == (1, "")
        assert errors.endswith("\n")
        line = errors[:-1]
        assert line.isprintable()
        assert len(line) < 2000
        assert line.startswith(f'unionfs: error: "{path}": ')
        assert "internal error" not in line
        # That something was written there for a while is seen in a directory's times and in nothing else.
        times = frozenset({"mtime_ns", "ctime_ns"})
        assert differences(before, snapshot(self.root), ignoring=times) == []
        assert os.listdir(self.root / "ingest") == []
        assert set(os.listdir(self._top)) == beside
        self.victim.check()
        return line

    def refusals(self, files: Files, *options: str) -> str:
        """Return the line with which files are refused in every form, of which a docker archive is a tar archive."""
        lines = set()
        for name, make in FORMS.items():
            if name == "directory" and "index.json" not in files:
                continue
            path = self.place(files, make)
            lines.add(self.refusal(path, *options).replace(str(path), "FILE"))
        return "\n".join(sorted(lines))


@contextmanager
def within(seconds: int, memory: int) -> Iterator[None]:
    """Raise TimeoutError if the block takes longer, and let it have no more than so many bytes of memory."""

    def late(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + memory, limits[1]))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.signal(signal.SIGALRM, before)
