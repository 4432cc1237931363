"""An upper in the store, and what is done in it, for the tests of commands that make images of uppers."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cli.stored import fill
from tests.tarball import archive, directory, file, hardlink, symlink
from tests.unions import EVERYTHING, Kernel
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.store.store import Store
from unionfs.union.union import Union

BASE = archive(
    directory(b"etc", mode=0o755),
    file(b"etc/passwd", b"root:x:0:0::/:/bin/sh\n"),
    file(b"etc/motd", b"hello\n"),
    directory(b"bin", mode=0o755),
    file(b"bin/tool", b"tool", mode=0o4755, uid=1),
    hardlink(b"bin/same", b"bin/tool"),
    symlink(b"bin/link", b"tool"),
)
SECOND = archive(file(b"etc/second", b"2"), file(b"etc/.wh.motd"))


def fill_demo(root: Path, *names: str) -> str:
    """Put an image of two layers into the store at *root*, and give its id."""
    config: Mapping[str, object] = {
        "config": {"Env": ["PATH=/bin"], "Cmd": ["/bin/tool"], "Labels": {"a": "b"}, "OnBuild": ["RUN x"]},
        "history": [{"created_by": "base"}, {"created_by": "env", "empty_layer": True}, {"created_by": "second"}],
        "author": "somebody",
    }
    return fill(root, [BASE, SECOND], *(names or ("demo:1",)), **config)


def make_upper(root: Path, name: str, image: str, act: Callable[[Kernel], object] = lambda _: None) -> None:
    """Make a named upper, and do something in it as a mount would."""
    with Store(root) as store, store.using():
        stacked = store.stack(store.find(image), image)
        upper = store.uppers.make(name, stacked.use, stacked.lowers[0])
        with _opened(upper.upper, upper.work, stacked.lowers) as kernel:
            act(kernel)


@contextmanager
def _opened(upper: Path, work: Path, lowers: tuple[Path, ...]) -> Iterator[Kernel]:
    umask = os.umask(0)
    descriptors = Descriptors(64)
    opened = open_upper(os.fsencode(upper), os.fsencode(work), descriptors, UpperOptions())
    roots = [open_lower(os.fsencode(path), number, descriptors) for number, path in enumerate(lowers)]
    union = Union(opened.upper, roots, EVERYTHING)
    try:
        yield Kernel(union)
    finally:
        union.close()
        opened.close()
        for root in roots:
            root.close()
        os.umask(umask)
