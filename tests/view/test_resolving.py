"""Paths stay within the root, whatever its links say."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stacks import Directory, File, Layer, Symlink, write
from unionfs.view import View, open_view

LAYER: Layer = {
    "etc/passwd": File(content=b"of the image"),
    "a/b/c": File(),
    "abs": Symlink("/etc/passwd"),
    "up": Symlink("../../../../etc/passwd"),
    "a/b/up": Symlink("../../etc"),
    "a/link": Symlink("b"),
    "a/empty": Directory(),
    "magic": Symlink("/proc/self/root/etc/passwd"),
    "dangling": Symlink("nowhere"),
    "slash": Symlink("etc/passwd/"),
    "root": Symlink("/"),
    "self": Symlink("self"),
    **{f"l{n}": Symlink(f"l{n + 1}") for n in range(41)},
    "l41": File(),
}


@pytest.fixture
def view(tmp_path: Path) -> Iterator[View]:
    write(tmp_path / "layer", LAYER)
    with open_view([tmp_path / "layer"]) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ""),
        ("/", ""),
        (".", ""),
        ("..", ""),
        ("/../../etc/./passwd", "etc/passwd"),
        ("abs", "etc/passwd"),
        ("up", "etc/passwd"),
        ("a/b/up/passwd", "etc/passwd"),
        ("a/b/up/../a/b/c", "a/b/c"),
        ("a/link/../empty/", "a/empty"),
        ("a//link///c", "a/b/c"),
        ("root/root/a/b", "a/b"),
        ("root", ""),
        ("l1", "l41"),
    ],
)
def test_links_and_dots_lead_to_a_place_within_the_root(view: View, path: str, found: str) -> None:
    assert view.resolve(path.encode()) == found.encode()
    assert view.find(path.encode()).path == found.encode()


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("magic", errno.ENOENT),
        ("dangling", errno.ENOENT),
        ("slash", errno.ENOTDIR),
        ("etc/passwd/", errno.ENOTDIR),
        ("etc/passwd/.", errno.ENOTDIR),
        ("etc/passwd/..", errno.ENOTDIR),
        ("self", errno.ELOOP),
        ("l0", errno.ELOOP),
        ("self/x", errno.ELOOP),
    ],
)
def test_a_path_that_leads_nowhere_is_an_error_that_names_it(view: View, path: str, number: int) -> None:
    with pytest.raises(OSError, match=r".") as caught:
        view.resolve(path.encode())
    assert (caught.value.errno, caught.value.filename) == (number, b"/" + path.encode())


@pytest.mark.parametrize(
    ("path", "found"),
    [("abs", "abs"), ("a/link", "a/link"), ("a/link/", "a/b"), ("a/link/c", "a/b/c"), ("self", "self")],
)
def test_the_last_link_need_not_be_followed(view: View, path: str, found: str) -> None:
    assert view.resolve(path.encode(), follow=False) == found.encode()


def test_a_link_that_others_put_on_the_disk_is_text_of_the_image(tmp_path: Path) -> None:
    """What the machine has there isn't asked, even where the target exists on it."""
    (tmp_path / "secret").write_text("of the machine")
    write(tmp_path / "layer", {"link": Symlink(str(tmp_path / "secret")), "above": Symlink("../secret")})
    with open_view([tmp_path / "layer"]) as view:
        for link in (b"link", b"above"):
            with pytest.raises(FileNotFoundError):
                view.resolve(link)
