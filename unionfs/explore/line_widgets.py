"""Lists of lines, of which only those are drawn that are on the screen.

The line at the cursor is told by reversed colours, so that no colour is needed to see it.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from unionfs.explore.changes import Change
from unionfs.explore.outline import Outline, Row
from unionfs.explore.subject import Made, Words
from unionfs.explore.totals import Totals

_HERE = Style(reverse=True)
_HERE_ELSEWHERE = Style(underline=True)
_STYLES = {
    Change.SAME: Style(),
    Change.ADDED: Style(color="green"),
    Change.CHANGED: Style(color="yellow"),
    Change.REMOVED: Style(color="red"),
}
_SIZE_WIDTH = 6
_UNKNOWN = "…"


class LineList(ScrollView, can_focus=True):
    """Lines with a cursor; ``Moved`` says that it is at another one."""

    class Moved(Message):
        """The cursor of the list is at another line, or the line is another one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("home,g", "end(-1)", "First", show=False),
        Binding("end,G", "end(1)", "Last", show=False),
    ]
    cursor = reactive(0)

    @property
    @abstractmethod
    def count(self) -> int:
        """How many lines there are."""

    @abstractmethod
    def line(self, index: int) -> Text:
        """Give a line; what doesn't fit is cut off."""

    def reload(self, cursor: int | None = None) -> None:
        """Draw the lines, which are others now, with the cursor at *cursor*, by default where it is."""
        self.virtual_size = Size(self.container_size.width, self.count)
        self.set_reactive(LineList.cursor, self._within(self.cursor if cursor is None else cursor))
        self._follow()
        self.post_message(self.Moved())

    def _within(self, index: int) -> int:
        return max(0, min(index, self.count - 1))

    def validate_cursor(self, index: int) -> int:
        """Keep the cursor at a line."""
        return self._within(index)

    def watch_cursor(self) -> None:
        """Show the line that the cursor has come to."""
        self._follow()
        self.post_message(self.Moved())

    def _follow(self) -> None:
        """Scroll as far as the cursor's line needs it."""
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if not top <= self.cursor < top + height:
            self.scroll_to(y=self.cursor if self.cursor < top else self.cursor - height + 1, animate=False)
        self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor's line on the screen."""
        self._follow()

    def on_click(self, event: events.Click) -> None:
        """Go to the line that was clicked."""
        self.cursor = self.scroll_offset.y + event.y

    def action_move(self, lines: int) -> None:
        """Move the cursor."""
        self.cursor += lines

    def action_page(self, pages: int) -> None:
        """Move the cursor by the height of the list."""
        self.cursor += pages * max(1, self.size.height - 1)

    def action_end(self, direction: int) -> None:
        """Move the cursor to an end of the list."""
        self.cursor = 0 if direction < 0 else self.count - 1

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        index, width = self.scroll_offset.y + y, self.size.width
        if index >= self.count:
            return Strip.blank(width, self.rich_style)
        text = self.line(index)
        if index == self.cursor:
            text.stylize(_HERE if self.has_focus else _HERE_ELSEWHERE)
        text.truncate(width, overflow="ellipsis", pad=True)
        return Strip(text.render(self.app.console)).adjust_cell_length(width).apply_style(self.rich_style)


class LayerList(LineList):
    """The layers, the lowest first."""

    class Moved(LineList.Moved):
        """Another layer is at the cursor."""

    def __init__(self, layers: Sequence[Made], totals: Totals, words: Words) -> None:
        super().__init__()
        self._layers = layers
        self._totals = totals
        self._words = words

    @property
    def count(self) -> int:
        """How many layers there are."""
        return len(self._layers)

    def line(self, index: int) -> Text:
        """Give number, digest, size and step of a layer."""
        made, total = self._layers[index], self._totals.get(b"")
        size = _UNKNOWN if total is None else self._words.size(total.gained(index))
        return Text(f"{made.number:>3} {made.digest} {size:>{_SIZE_WIDTH}} {self._words.escape(made.created_by)}")


class TreeList(LineList):
    """The tree that a look at a layer shows."""

    class Moved(LineList.Moved):
        """Something else is at the cursor."""

    def __init__(self, outline: Outline, words: Words) -> None:
        super().__init__()
        self._outline = outline
        self._words = words

    @property
    def count(self) -> int:
        """How many lines of the tree there are."""
        return len(self._outline.rows)

    @property
    def row(self) -> Row | None:
        """What is at the cursor; None in an empty tree."""
        return self._outline.rows[self.cursor] if self.count else None

    @property
    def rows_on_screen(self) -> Sequence[Row]:
        """What is drawn."""
        top = self.scroll_offset.y
        return self._outline.rows[top : top + max(1, self.size.height)]

    def line(self, index: int) -> Text:
        """Give mark, size and name."""
        row = self._outline.rows[index]
        fold = ("▾ " if row.is_open else "▸ ") if self._outline.can_open(row) else "  "
        name = self._words.escape(row.item.name.decode("utf-8", "surrogateescape")) + "/" * row.item.is_directory
        text = f"{row.item.change.value} {self._size_of(row):>{_SIZE_WIDTH}} {'  ' * row.depth}{fold}{name}"
        line = Text(text)
        line.stylize(_STYLES[row.item.change])
        return line

    def _size_of(self, row: Row) -> str:
        try:
            size = self._outline.size(row)
        except OSError:
            # Why, is told of the line that the cursor comes to.
            return "?"
        if size is None:
            return _UNKNOWN if row.item.is_directory else ""
        return self._words.size(size)
