"""Redirected directories and metadata-only files found in layers.

Source: the kernel's overlayfs documentation, "Redirect on rename of directories" and "Metadata only copy up".
"""

import os
from errno import EACCES, EINVAL, EIO, EPERM

from tests.posix.place import Place
from tests.posix.table import UNIONS, errno_of, row
from tests.stacks import Directory, File

REDIRECT = "trusted.overlay.redirect"
METACOPY = "trusted.overlay.metacopy"
METACOPY_ON = ("metacopy=on", "redirect_dir=on")


def redirected(target: bytes) -> Directory:
    """A directory whose content below comes from another place in the layers beneath."""
    return Directory(xattrs={REDIRECT: target})


def metadata_only(size: int, **xattrs: bytes) -> File:
    """A file whose data lies in a layer beneath."""
    named = {f"trusted.overlay.{name}": value for name, value in xattrs.items()}
    return File(size=size, mode=0o600, uid=7, mtime_ns=5_000_000_001, xattrs={METACOPY: b"", **named})


@row(
    own=True,
    on=UNIONS,
    bottom={"a/old/x": File(b"x")},
    middle={"b/new": redirected(b"/a/old"), "b/new/y": File(b"y")},
)
def test_an_absolute_redirect_is_followed_from_the_layers_root(place: Place) -> None:
    assert place.names("b/new") == ["x", "y"]
    assert (place / "b/new/x").read_bytes() == b"x"
    assert os.listxattr(place / "b/new") == []


@row(on=UNIONS, bottom={"a/old/x": File(b"x")}, middle={"a/new": redirected(b"old"), "a/new/y": File()})
def test_a_relative_redirect_names_a_sibling(place: Place) -> None:
    assert place.names("a/new") == ["x", "y"]


@row(
    own=True,
    on=UNIONS,
    bottom={"first/sub/x": File(b"x")},
    middle={"second": redirected(b"first"), "second/sub": Directory()},
    top={"third/inner": redirected(b"/second/sub"), "third/inner/z": File()},
)
def test_redirects_chain_from_layer_to_layer(place: Place) -> None:
    assert place.names("third/inner") == ["x", "z"]


@row(
    own=True,
    on=UNIONS,
    bottom={"a/x": File(), "d/low": File()},
    middle={"d": redirected(b"/none"), "d/y": File()},
)
def test_a_redirect_to_nothing_merges_with_nothing(place: Place) -> None:
    assert place.names("d") == ["y"]


@row(
    own=True,
    on=UNIONS,
    options=("redirect_dir=nofollow",),
    bottom={"a/x": File(), "plain/low": File()},
    middle={"d": redirected(b"a"), "d/y": File(), "plain/high": File()},
)
def test_nofollow_refuses_a_redirect(place: Place) -> None:
    assert errno_of(os.listdir, place / "d") == EPERM
    assert place.names("plain") == ["high", "low"]


BAD_REDIRECTS = {
    "up": b"../a",
    "absolute_up": b"/../a",
    "inner_slash": b"a/b",
    "empty": b"",
    "slash": b"/",
    "double_slash": b"/a//b",
    "dots": b"..",
    "self": b".",
}


@row(
    own=True,
    on=UNIONS,
    bottom={"a/b/x": File(), **{f"bad/{name}/low": File() for name in BAD_REDIRECTS}},
    middle={f"bad/{name}": redirected(value) for name, value in BAD_REDIRECTS.items()},
)
def test_a_malformed_redirect_is_an_error_of_its_directory_alone(place: Place) -> None:
    outcomes = {name: errno_of(os.listdir, place / "bad" / name) for name in BAD_REDIRECTS}
    assert {name for name, number in outcomes.items() if number in {EACCES, EINVAL, EIO}} == set(BAD_REDIRECTS)
    assert sorted(place.names("bad")) == sorted(BAD_REDIRECTS)
    assert place.names("a/b") == ["x"]


@row(
    own=True,
    on=UNIONS,
    bottom={"d/low": File()},
    middle={"d": redirected(b"/" + b"n" * 300), "d/own": File()},
    expected={"kernel": 0, "default": EIO},
    because="overlayfs looks the name up and finds nothing; to refuse it is to show no half of a directory",
)
def test_a_redirect_longer_than_a_name_is_refused_or_leads_nowhere(place: Place) -> None:
    assert errno_of(os.listdir, place / "d") == place.expected
    assert place.names() == ["d"]


@row(
    own=True,
    on=UNIONS,
    options=METACOPY_ON,
    bottom={"f": File(b"data")},
    top={"f": metadata_only(4)},
)
def test_a_metadata_only_file_has_its_own_attributes_and_the_data_beneath(place: Place) -> None:
    found = (place / "f").stat()
    assert (found.st_mode & 0o7777, found.st_uid, found.st_mtime_ns, found.st_size) == (
        0o600,
        7,
        5_000_000_001,
        4,
    )
    assert (place / "f").read_bytes() == b"data"
    assert os.listxattr(place / "f") == []


@row(
    own=True,
    on=UNIONS,
    options=METACOPY_ON,
    bottom={"d/f": File(b"data")},
    top={"d/g": metadata_only(4, redirect=b"f"), "h": metadata_only(4, redirect=b"/d/f")},
)
def test_the_data_of_a_renamed_metadata_only_file_is_found_by_its_redirect(place: Place) -> None:
    assert (place / "d/g").read_bytes() == b"data"
    assert (place / "h").read_bytes() == b"data"


@row(
    own=True,
    on=UNIONS,
    options=METACOPY_ON,
    bottom={"f": File(b"data"), "other": File()},
    top={"lost": metadata_only(4), "g": File()},
)
def test_a_metadata_only_file_without_data_is_never_read_as_empty(place: Place) -> None:
    assert errno_of((place / "lost").read_bytes) == EIO
    assert (place / "f").read_bytes() == b"data"


@row(own=True, on=UNIONS, options=METACOPY_ON, bottom={"f": File(b"data"), "g": File(b"more")})
def test_with_metacopy_on_a_change_of_attributes_copies_no_data(place: Place) -> None:
    (place / "f").chmod(0o600)
    assert METACOPY in os.listxattr(place.upper / "f")
    assert (place / "f").read_bytes() == b"data"
    (place / "f").rename(place / "moved")
    os.link(place / "g", place / "linked")
    place.remount()
    assert (place / "moved").read_bytes() == b"data"
    assert (place / "moved").stat().st_mode & 0o777 == 0o600
    assert (place / "linked").read_bytes() == b"more"
    with (place / "moved").open("ab") as file:
        file.write(b"!")
    place.remount()
    assert (place / "moved").read_bytes() == b"data!"
    assert METACOPY not in os.listxattr(place.upper / "moved")
