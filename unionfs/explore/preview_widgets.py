"""What is told of one path: a pane with attributes and layers, and a screen with its content too."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static


class Details(VerticalScroll):
    """A pane of lines; one that is too long goes on in the next."""

    def compose(self) -> ComposeResult:
        """Put the lines one below another; they are no markup."""
        yield Static(markup=False)

    def show(self, lines: Sequence[str]) -> None:
        """Show other lines."""
        self.query_one(Static).update(Text("\n".join(lines)))


class Preview(Screen[None]):
    """Lines about a path, and those of its content."""

    CSS = """
    Preview VerticalScroll { scrollbar-size-vertical: 1; }
    Preview #about { border-bottom: solid $primary; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,p,left", "dismiss", "Back", key_display="esc"),
        Binding("j", "scroll(1)", "Down", show=False),
        Binding("k", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, about: Sequence[str], content: Sequence[str]) -> None:
        super().__init__()
        self._about = about
        self._content = content

    def compose(self) -> ComposeResult:
        """Put the lines one below another; they are no markup."""
        with VerticalScroll():
            yield Static(Text("\n".join(self._about)), id="about", markup=False)
            yield Static(Text("\n".join(self._content)), id="content", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def action_scroll(self, lines: int) -> None:
        """Scroll as the arrow keys do."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
