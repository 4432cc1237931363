"""Bars that show how far long work is, on standard error where that is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Show = Callable[[str, int, int], None]
"""Told a label, how many bytes are done, and how many there are in all."""


@contextmanager
def byte_bars(*, quiet: bool = False) -> Iterator[Show]:
    """Give what shows a bar for each label; they vanish at the end, and with *quiet* aren't there at all."""
    if quiet or not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console  # noqa: PLC0415 - takes as long to load as the rest together
    from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn  # noqa: PLC0415 - same
    from rich.progress import Progress as Bars  # noqa: PLC0415 - same

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def show(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total)
            bars.update(tasks[label], completed=done)

        yield show
