"""What is told of one path: a pane with attributes and layers, and a screen with its content too."""

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import chop_cells
from rich.segment import Segment
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Footer, Static


class Details(VerticalScroll):
    """A pane of lines; one that is too long goes on in the next."""

    def compose(self) -> ComposeResult:
        """Put the lines one below another; they are no markup."""
        yield Static(markup=False)

    def show(self, lines: Sequence[str]) -> None:
        """Show other lines."""
        self.query_one(Static).update(Text("\n".join(lines)))


class Folded(ScrollView, can_focus=True):
    """Many lines, of which only those are drawn that are on the screen; one that is too long goes on in the next."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
    ]

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__()
        self._whole = lines
        self._folded: Sequence[str] = ()

    def on_resize(self) -> None:
        """Fold the lines to the width that there is."""
        width = max(2, self.scrollable_content_region.width)
        self._folded = [piece for line in self._whole for piece in chop_cells(line, width) or [""]]
        self.virtual_size = Size(width, len(self._folded))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        index, width = self.scroll_offset.y + y, self.size.width
        text = self._folded[index] if index < len(self._folded) else ""
        return Strip([Segment(text)]).adjust_cell_length(width).apply_style(self.rich_style)


class Preview(Screen[None]):
    """Lines about a path, and those of its content."""

    CSS = "Folded { scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,p,left", "dismiss", "Back", key_display="esc"),
    ]

    def __init__(self, about: Sequence[str], content: Sequence[str]) -> None:
        super().__init__()
        self._lines = [*about, "", *content]

    def compose(self) -> ComposeResult:
        """Put the lines one below another."""
        yield Folded(self._lines)
        yield Footer(show_command_palette=False, compact=True)
