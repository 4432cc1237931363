"""The application, as a user of a terminal of 80 columns and 24 lines meets it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.cli.looking import HISTORY, LAYERS
from tests.cli.stored import fill
from tests.ordinary_user import ordinary_user
from tests.tarball import archive, file
from tests.tarball import directory as make_directory
from unionfs.cli.human import size
from unionfs.cli.images import opened_image, opened_store
from unionfs.cli.report import describe, escape
from unionfs.explore import panes
from unionfs.explore.app import ExploreApp
from unionfs.explore.line_widgets import TreeList
from unionfs.explore.subject import Subject, Words
from unionfs.provenance import open_stack

WORDS = Words(size, escape, describe)


class Terminal:
    """The screen of an application, and its keys."""

    def __init__(self, app: ExploreApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        """Press keys, and wait until what they do is done."""
        await self.pilot.press(*keys)
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is measured or searched any more."""
        await self.pilot.pause()
        await self.app.workers.wait_for_complete()
        await self.pilot.pause()

    @property
    def lines(self) -> list[str]:
        """What is on the screen."""
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    @property
    def tree(self) -> list[str]:
        """The lines of the tree, without the space between what is in them."""
        found = self.app.screen.query_one(TreeList)
        return [" ".join(found.line(index).plain.split()) for index in range(found.count)]

    @property
    def text(self) -> str:
        """What is on the screen, as one text."""
        return "\n".join(self.lines)


def explored(root: Path, use: Callable[[Terminal], Awaitable[None]], name: str = "app:1") -> ExploreApp:
    """Explore an image of the store at *root*, and let *use* press keys."""

    async def run() -> ExploreApp:
        with opened_store(root) as store, opened_image(store, name) as image, open_stack(image.layers) as layers:
            app = ExploreApp(Subject(name, image.layers, image.image.config), layers, WORDS)
            async with app.run_test(size=(80, 24), notifications=True) as pilot:
                terminal = Terminal(app, pilot)
                await terminal.settle()
                await use(terminal)
        return app

    return asyncio.run(run())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill(tmp_path / "store", LAYERS, "app:1", history=HISTORY)
    return tmp_path / "store"


def test_layers_tree_details_and_keys_are_on_a_small_screen(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        lines = terminal.lines
        assert len(lines) == 24
        assert lines[0] == "app:1  1.04kB in 3 layers, 1.01kB wasted (96.8%)"
        assert [line[17:] for line in lines[2:5]] == [
            "1.02kB ADD rootfs.tar /",
            "   20B RUN rm /etc/old",
            "    6B COPY srv /srv",
        ]
        assert terminal.tree == ["bin", "21B ▸ etc/", "+ 6B ▸ srv/", "6B ▸ usr/"]
        assert "/bin" in lines[6]
        assert "hides" not in terminal.text
        assert "-> usr/bin" in terminal.text
        for key in ("q Quit", "tab Pane", "[ ] Layer", "v View", "s Sort", "/ Filter", "enter Open", "p Show"):
            assert key in lines[-1]

    explored(root, use)


def test_the_way_of_looking_and_the_layer_are_changed_by_keys(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        await terminal.press("[", "down", "enter")
        assert "layer 2: state" in terminal.text
        assert "1.03kB shipped, 1.01kB" in terminal.text
        assert "hides 1.01kB of the layers" in terminal.text
        etc = ["~ 21B ▾ etc/", "1B .hidden", "- 1kB old", "~ 20B passwd"]
        assert terminal.tree[1:5] == etc
        await terminal.press("v")
        assert "layer 2: changes" in terminal.text
        assert terminal.tree == ["~ 20B ▾ etc/", *etc[2:]]
        await terminal.press("v", "]")
        assert "layer 3: layer alone" in terminal.text
        assert terminal.tree == ["+ 6B ▸ srv/"]

    explored(root, use)


def test_a_file_is_previewed_and_left(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        await terminal.press("down", "right", "down", "down", "enter")
        assert terminal.lines[:3] == ["/etc/passwd", "-rw-r----- (0640)", "owner 1:2"]
        assert "~ layer 2 changes it: RUN rm /etc/old" in terminal.lines
        assert "me:x:1:1" in terminal.lines
        assert terminal.lines[-1].strip() == "esc Back"
        await terminal.press("v", "]", "escape", "left")
        assert "layer 3: state" in terminal.text
        assert terminal.tree[1:3] == ["21B ▾ etc/", "1B .hidden"]
        await terminal.press("left")
        assert terminal.tree[1:3] == ["21B ▸ etc/", "+ 6B ▸ srv/"]

    explored(root, use)


def test_the_lines_of_a_long_file_are_folded_and_scrolled(tmp_path: Path) -> None:
    content = b"first\n" + "漢".encode() * 60 + b"\n" * 9000 + b"last\n"
    fill(tmp_path / "store", [archive(file(b"f", content))], "long:1")

    async def use(terminal: Terminal) -> None:
        await terminal.press("enter")
        begin = terminal.lines.index("first")
        width = len(terminal.lines[begin + 1])
        assert terminal.lines[begin + 1 : begin + 4] == ["漢" * width, "漢" * (60 - width), ""]
        assert 38 <= width <= 40
        await terminal.press("end")
        assert terminal.lines[-2] == "last"
        await terminal.press("k", "home", "j")
        assert terminal.lines[begin - 1] == "first"

    explored(tmp_path / "store", use, "long:1")


def test_names_and_content_never_reach_the_terminal_raw_or_as_markup(tmp_path: Path) -> None:
    layer = archive(file(b"[red]x\x1b[31m", b"\x1b[2J[bold]"), file(b"\xff", b"\0"))
    fill(tmp_path / "store", [layer], "odd:1", history=[{"created_by": "RUN [/] \x1b[0m\n[red]x"}])

    async def use(terminal: Terminal) -> None:
        assert terminal.tree[0].endswith(r"[red]x\x1b[31m")
        assert r"RUN [/] \x1b[0m [red]x" in terminal.lines[2]
        await terminal.press("enter")
        assert r"\x1b[2J[bold]" in terminal.text
        assert r"/[red]x\x1b[31m" in terminal.lines[0]
        await terminal.press("escape", "down", "enter")
        assert "00000000  00" in terminal.text
        await terminal.press("escape", "/", "[", "r", "e", "d", "]")
        assert "filter [red]" in terminal.text

    explored(tmp_path / "store", use, "odd:1")


def test_a_filter_shows_matches_until_it_is_left(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        await terminal.press("/", "p", "A", "g")
        assert terminal.tree == ["+ 6B ▾ srv/", "+ 3B ▾ sub/", "+ 3B page"]
        assert "layer 3: state, filter pAg" in terminal.text
        await terminal.press("enter", "down", "down")
        assert "/srv/sub/page" in terminal.text
        await terminal.press("[")
        assert terminal.tree == []
        await terminal.press("enter", "p", "left", "right", "down")
        await terminal.press("]", "escape")
        assert len(terminal.tree) == 4
        assert "filter" not in terminal.text.replace("Filter", "")

    explored(root, use)


def test_a_filter_shows_a_bounded_number_of_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panes, "MOST_FOUND", 5)
    fill(tmp_path / "store", [archive(*(file(b"d/x%d" % number) for number in range(20)))], "many:1")

    async def use(terminal: Terminal) -> None:
        await terminal.press("/", "x")
        assert len(terminal.tree) == 5
        assert "filter x, the first 5" in terminal.text

    explored(tmp_path / "store", use, "many:1")


def test_a_long_directory_is_scrolled(tmp_path: Path) -> None:
    fill(tmp_path / "store", [archive(*(file(b"%04d" % number) for number in range(3000)))], "long:1")

    async def use(terminal: Terminal) -> None:
        await terminal.press("end")
        assert "2999" in terminal.text
        assert "0000" not in terminal.text
        await terminal.press("pageup")
        assert "/29" in terminal.text
        await terminal.press("home")
        assert "2999" not in terminal.text
        await terminal.pilot.resize_terminal(60, 14)
        await terminal.press("end")
        assert "2999" in terminal.text

    explored(tmp_path / "store", use, "long:1")


def test_a_terminal_of_hardly_any_room_does_no_harm(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        for width, height in ((20, 5), (2, 1), (80, 24)):
            await terminal.pilot.resize_terminal(width, height)
            await terminal.press("down", "end", "p", "escape", "/", "a", "escape", "tab", "home")
        assert terminal.tree[1] == "21B ▸ etc/"

    explored(root, use)


def seen_by_a_user(directory: Path) -> list[str]:
    """Put an image into a store in *directory*, explore it, and give what a preview shows."""
    found: list[str] = []
    layer = archive(make_directory(b"closed", mode=0), file(b"closed/in", b"secret", mode=0o4700, uid=5, gid=6))
    fill(directory / "store", [layer], "app:1")

    async def use(terminal: Terminal) -> None:
        await terminal.press("right", "down", "enter")
        found.extend(terminal.lines)

    explored(directory / "store", use)
    return found


def test_an_ordinary_user_sees_the_owners_and_modes_of_the_image() -> None:
    with ordinary_user() as user:
        (user.directory / "own").mkdir()
        os.chown(user.directory / "own", *user.directory.stat()[4:6])
        lines = user.do(lambda: seen_by_a_user(user.directory / "own"))
    assert lines[:3] == ["/closed/in", "-rws------ (4700)", "owner 5:6"]
    assert "secret" in lines


def test_lines_are_sorted_by_size_and_the_cursor_stays_where_it_was(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        await terminal.press("[", "[", "down", "s")
        assert [line.split()[-1] for line in terminal.tree] == ["etc/", "usr/", "bin"]
        assert "layer 1: state, by size" in terminal.text
        await terminal.press("enter")
        assert [line.split()[-1] for line in terminal.tree] == ["etc/", "old", "passwd", ".hidden", "usr/", "bin"]

    explored(root, use)


def test_an_image_without_layers_is_shown_as_empty(tmp_path: Path) -> None:
    fill(tmp_path / "store", [], "empty:1")

    async def use(terminal: Terminal) -> None:
        await terminal.press("enter", "p", "v", "[", "]", "s", "left", "right", "end")
        assert "0B in 0 layers, 0B wasted (0.0%)" in terminal.lines[0]

    explored(tmp_path / "store", use, "empty:1")


def test_a_layer_that_is_damaged_meanwhile_is_told_of(root: Path) -> None:
    (usr,) = root.glob("layers/*/usr")

    async def use(terminal: Terminal) -> None:
        usr.rename(usr.with_name("moved"))
        await terminal.press("end", "enter")
        assert "usr: No such file or directory" in terminal.text
        await terminal.press("home", "down", "enter")
        assert "21B ▾ etc/" in terminal.tree
        usr.with_name("etc").joinpath(".hidden").unlink()
        await terminal.press("down")
        assert "? .hidden" in terminal.tree

    explored(root, use)


def colours(root: Path) -> set[str]:
    """Give the colours that text of the tree is written in."""
    found: set[str] = set()

    async def use(terminal: Terminal) -> None:
        await terminal.press("[", "down", "enter")
        tree = terminal.app.screen.query_one(TreeList)
        strips = terminal.app.screen._compositor.render_strips()[tree.region.y + 1 : tree.region.bottom]
        for segment in (segment for strip in strips for segment in strip):
            if segment.style and segment.style.color and segment.text.strip():
                found.add(segment.style.color.name)

    explored(root, use)
    return found


def test_colours_say_what_the_layer_does(root: Path) -> None:
    assert colours(root) == {"default", "yellow", "red"}


def test_there_is_no_colour_where_none_is_wanted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert colours(root) == {"default"}


def test_quitting_ends_it_well(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        await terminal.pilot.press("q")

    assert explored(root, use).return_code == 0


def test_it_can_be_left_from_anywhere(root: Path) -> None:
    async def use(terminal: Terminal) -> None:
        await terminal.press("/", "q")
        assert terminal.app.is_running
        await terminal.pilot.press("ctrl+c")

    assert explored(root, use).return_code == 0
