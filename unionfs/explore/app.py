"""The application: a terminal in its colours, and how it is left."""

import asyncio
import signal
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType

from unionfs.explore.panes import STYLES, Panes
from unionfs.explore.subject import Subject, Words
from unionfs.layer.directory import Directory
from unionfs.provenance import open_stack


def explore(subject: Subject, words: Words) -> int:
    """Show *subject* until the user has seen enough, and give the exit code.

    Raises:
        OSError: a layer can't be opened.
    """
    with open_stack(subject.paths) as layers:
        app = ExploreApp(subject, layers, words)
        app.run()
    return app.return_code or 0


class ExploreApp(App[None]):
    """Shows an image, whose opened *layers*, the lowest first, stay its caller's."""

    TITLE = "unionfs explore"
    CSS = STYLES
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False),
    ]

    def __init__(self, subject: Subject, layers: Sequence[Directory], words: Words) -> None:
        # The terminal's own colours are readable on its own background, whatever that is.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        # Through a slow connection movement is only something to wait for.
        self.animation_level = "none"
        self._shown = (subject, layers, words)

    def on_mount(self) -> None:
        """Leave the terminal as it was also where this process is told to end."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, partial(self.exit, return_code=128 + number))

    def get_default_screen(self) -> Panes:
        """Give the screen that is there from the first on."""
        return Panes(*self._shown)
