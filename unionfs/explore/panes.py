"""The screen with layers, tree and details: what is in them, and which key does what."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.markup import escape
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from unionfs.explore import preview
from unionfs.explore.line_widgets import LayerList, TreeList
from unionfs.explore.outline import Outline, Row
from unionfs.explore.preview_widgets import Details, Preview
from unionfs.explore.search import Found, search
from unionfs.explore.subject import Subject, Words
from unionfs.explore.totals import Totals
from unionfs.layer.directory import Directory
from unionfs.provenance import open_stack

STYLES = """
#image { height: 1; text-style: bold; }
LayerList { height: auto; max-height: 7; }
LayerList, TreeList, Details { border-top: solid $primary; scrollbar-size-vertical: 1; overflow-x: hidden; }
LayerList:focus, TreeList:focus, Details:focus { border-top: heavy $primary; border-title-style: bold; }
#beside { height: 1fr; }
TreeList { width: 2fr; }
Details { width: 1fr; min-width: 29; padding-left: 1; }
Input { display: none; height: 1; border: none; padding: 0; }
"""
"""Where what is on the screen; an application that shows it has to have them."""
MOST_FOUND = 1000
"""Lines that a search shows."""
_SLICE = 0.02
"""Seconds that a search goes on before keys are looked after."""
_BETWEEN_DRAWINGS = 0.5
"""Seconds between showing what has been measured meanwhile."""


class Panes(Screen[None]):
    """Layers above, the tree of the selected one below, and beside it what is told of the line at the cursor."""

    class Measured(Message):
        """A directory, and what is beneath it, has been measured; or it can't be, by *error*."""

        def __init__(self, error: OSError | None = None) -> None:
            super().__init__()
            self.error = error

    AUTO_FOCUS = "TreeList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "app.quit", "Quit"),
        Binding("tab", "app.focus_next", "Pane", key_display="tab"),
        Binding("escape", "unfilter", "All", key_display="esc"),
        Binding("left_square_bracket", "layer(-1)", "Layer", key_display="[ ]"),
        Binding("right_square_bracket", "layer(1)", "Layer", show=False),
        Binding("v", "look", "View"),
        Binding("s", "sort", "Sort"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("enter", "open", "Open", key_display="enter"),
        Binding("space", "open", "Open", show=False),
        Binding("p", "preview", "Show"),
        Binding("right,l", "unfold", "Unfold", show=False),
        Binding("left,h", "fold", "Fold", show=False),
    ]

    def __init__(self, subject: Subject, layers: Sequence[Directory], words: Words) -> None:
        super().__init__()
        self._subject = subject
        self._layers = layers
        self._words = words
        self._made = subject.layers()
        self._totals = Totals()
        self._outline = Outline(layers, self._totals)
        self._filter = ""
        self._is_measuring = False
        self._can_measure = True

    def compose(self) -> ComposeResult:
        """Lay the panes out."""
        yield Static(id="image", markup=False)
        yield LayerList(self._made, self._totals, self._words)
        with Horizontal(id="beside"):
            yield TreeList(self._outline, self._words)
            yield Details()
        yield Input(placeholder="a part of a name, or of a path with /", compact=True)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Show the topmost layer and begin to measure."""
        self._tree = self.query_one(TreeList)
        self._list = self.query_one(LayerList)
        self._list.border_title = "layers"
        self._drawing = self.set_interval(_BETWEEN_DRAWINGS, self._draw_measured, pause=True)
        with self._telling():
            self._outline.show()
        self._tree.reload()
        self._list.reload(self._outline.layer)
        self._measure(b"")

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Tell the user of a layer that can't be read, and go on."""
        try:
            yield
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        self.notify(self._words.describe(error), severity="error", markup=False)

    # Measuring.

    def _measure(self, path: bytes) -> None:
        self._is_measuring = True
        self._drawing.resume()
        self._walk(path)
        self._draw_measured()

    @work(thread=True, group="measure")
    def _walk(self, path: bytes) -> None:
        """Measure, with descriptors of its own, since they aren't made for several threads."""
        worker = get_current_worker()
        error = None
        try:
            with open_stack(self._subject.paths) as layers:
                for _ in self._totals.measure(layers, path):
                    if worker.is_cancelled:
                        return
        except OSError as found:
            error = found
        self.post_message(self.Measured(error))

    @on(Measured)
    def _stop_measuring(self, message: Measured) -> None:
        self._is_measuring = False
        self._drawing.pause()
        if message.error is not None:
            self._can_measure = False
            self._tell(message.error)
        if self._outline.by_size and not self._filter:
            self._show()
        self._draw_measured()
        self._tell_facts()
        self._measure_what_is_missing()

    def _measure_what_is_missing(self) -> None:
        """Measure a directory on the screen again, of an image so large that not all sizes are kept."""
        if self._can_measure and not self._is_measuring:
            path = self._outline.unmeasured(self._tree.rows_on_screen)
            if path is not None:
                self._measure(path)

    def _draw_measured(self) -> None:
        told = preview.of_image(self._subject.name, len(self._made), self._totals.get(b""), self._words)
        self.query_one("#image", Static).update(Text(told))
        self._list.refresh()
        self._tree.refresh()

    # What is shown.

    def _show(self) -> None:
        """Show the tree anew, with the cursor at what it was at."""
        row = self._tree.row
        if self._filter:
            self._search(self._filter)
            return
        with self._telling():
            self._outline.show()
        self._tree.reload(self._outline.index_of(row.path) if row else 0)
        self._name_tree()

    def _name_tree(self, more: str = "") -> None:
        order = ", by size" if self._outline.by_size else ""
        wanted = f", filter {self._words.escape(self._filter)}" if self._filter else ""
        title = f"layer {self._outline.layer + 1}: {self._outline.look.value}{order}{wanted}{more}"
        self._tree.border_title = escape(title)

    @on(LayerList.Moved)
    def _select_layer(self, message: LayerList.Moved) -> None:
        message.stop()
        if not self._made:
            return
        if self._list.cursor != self._outline.layer:
            self._outline.layer = self._list.cursor
            self._show()
        self._name_tree()
        self._tell_facts()

    @on(TreeList.Moved)
    def _select_row(self, message: TreeList.Moved) -> None:
        message.stop()
        self._tell_facts()
        self._measure_what_is_missing()

    def _tell_facts(self) -> None:
        lines: list[str] = []
        row = self._tree.row
        with self._telling():
            lines += self._about(row) if row else ()
        if self._made:
            made = self._made[self._outline.layer]
            lines += ["", *preview.of_layer(made, self._totals.get(b""), self._words)]
        self.query_one(Details).show(lines)

    def _about(self, row: Row) -> Iterator[str]:
        """Give all lines that are told of a line of the tree."""
        yield from preview.facts(row, self._words)
        total = self._totals.get(row.path) if row.item.is_directory else None
        if total is not None:
            yield preview.beneath(total, self._words)
        yield from preview.touches(row, self._made, self._words)

    # Searching.

    @work(exclusive=True, group="search")
    async def _search(self, text: str) -> None:
        """Search a little at a time, so that keys are answered; a search that comes after ends this one."""
        found: list[Found] = []
        self._name_tree(", searching …")
        with self._telling():
            until = time.monotonic() + _SLICE
            for each in search(self._layers, self._outline.layer, self._outline.look, text):
                if each is not None:
                    found.append(each)
                if len(found) >= MOST_FOUND:
                    break
                if time.monotonic() > until:
                    await asyncio.sleep(0)
                    until = time.monotonic() + _SLICE
        self._outline.show_found(found)
        self._tree.reload(0)
        self._name_tree(f", the first {MOST_FOUND}" if len(found) >= MOST_FOUND else "")

    @on(Input.Changed)
    def _filter_by(self, message: Input.Changed) -> None:
        self.workers.cancel_group(self, "search")
        self._filter = message.value
        self._show()

    @on(Input.Submitted)
    def _leave_filter(self) -> None:
        self._tree.focus()

    def action_filter(self) -> None:
        """Ask for a part of a name."""
        asked = self.query_one(Input)
        asked.display = True
        self.set_focus(asked)
        self.refresh_bindings()

    def action_unfilter(self) -> None:
        """Show everything again."""
        asked = self.query_one(Input)
        asked.value = ""
        asked.display = False
        self._tree.focus()
        self.refresh_bindings()

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to show everything again only while something is left out."""
        del parameters
        return action != "unfilter" or self.query_one(Input).display

    def action_layer(self, step: int) -> None:
        """Select the layer above or below."""
        self._list.cursor += step

    def action_look(self) -> None:
        """Look at the layer in the next way."""
        self._outline.look = self._outline.look.next
        self._show()

    def action_sort(self) -> None:
        """Sort by size, or by name again."""
        self._outline.by_size = not self._outline.by_size
        self._show()

    def action_open(self) -> None:
        """Open or close a directory, or preview what is none."""
        row = self._tree.row
        if row is None:
            return
        if not row.item.is_directory:
            self.action_preview()
        elif row.is_open:
            self.action_fold()
        else:
            self.action_unfold()

    def action_unfold(self) -> None:
        """Open a directory."""
        if self._tree.row is not None:
            with self._telling():
                self._outline.open(self._tree.cursor)
            self._tree.reload()

    def action_fold(self) -> None:
        """Close a directory, or go to the one above."""
        row = self._tree.row
        if row is None:
            return
        if row.is_open:
            self._outline.close(self._tree.cursor)
            self._tree.reload()
        else:
            self._tree.cursor = self._outline.above(self._tree.cursor)

    def action_preview(self) -> None:
        """Show all that is told of what is at the cursor, and the beginning of its content."""
        row = self._tree.row
        if row is None:
            return
        with self._telling():
            self.app.push_screen(Preview(list(self._about(row)), list(preview.content(row, self._words))))
