"""Mounts of layers that are on disk already, which ``tests.filesystems`` would write from their description."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.filesystems import FileSystem, Mounted, scratch


@contextmanager
def mounted_over(
    filesystem: FileSystem,
    lowers: Sequence[Path],
    *,
    writable: bool = True,
    options: tuple[str, ...] = (),
    upper_beneath: Path | None = None,
) -> Iterator[Mounted]:
    """Mount the lowers, topmost first, beneath a new upper, which is a scratch directory's or ``upper_beneath``'s.

    The block may unmount and mount again; at its end nothing is mounted.
    """
    with scratch() as directory:
        holder = upper_beneath or directory
        for path in (directory / "mount", holder / "upper", holder / "work"):
            path.mkdir()
        stack = Mounted(
            filesystem=filesystem, directory=directory, root=directory / "mount", lowers=tuple(lowers),
            upper=holder / "upper" if writable else None, work=holder / "work" if writable else None, options=options,
        )  # fmt: skip
        stack.mount()
        try:
            yield stack
        finally:
            stack.unmount()
