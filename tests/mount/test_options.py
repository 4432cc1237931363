"""The ``-o`` language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionfs.mount.errors import OptionError
from unionfs.mount.options import (
    MountOptions,
    RedirectDir,
    parse_settings,
    split_lowers,
    split_option_string,
)


def parsed(*option_strings: str) -> MountOptions:
    return parse_settings(setting for text in option_strings for setting in split_option_string(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("ro", [("ro", None)]),
        ("ro,suid", [("ro", None), ("suid", None)]),
        (",,ro,,", [("ro", None)]),
        ("upperdir=/u,ro", [("upperdir", "/u"), ("ro", None)]),
        ("upperdir=", [("upperdir", "")]),
        ("upperdir=/a=b", [("upperdir", "/a=b")]),
        (r"upperdir=/a\,b,ro", [("upperdir", r"/a\,b"), ("ro", None)]),
        (r"upperdir=/a\\,ro", [("upperdir", r"/a\\"), ("ro", None)]),
        (r"lowerdir=/a\:b:/c", [("lowerdir", r"/a\:b:/c")]),
        ('fsname="a,b",ro', [("fsname", "a,b"), ("ro", None)]),
        (r'fsname="a\"b,c"', [("fsname", r"a\"b,c")]),
        ('lowerdir=/in"side,ro', [("lowerdir", '/in"side'), ("ro", None)]),
        ('lowerdir=/a"b,upperdir=/c"d', [("lowerdir", '/a"b'), ("upperdir", '/c"d')]),
        ("lowerdir+=/a", [("lowerdir+", "/a")]),
        ("lowerdir+=/a=b", [("lowerdir+", "/a=b")]),
    ],
)
def test_options_end_at_commas_outside_quotes(text: str, expected: list[tuple[str, str | None]]) -> None:
    assert split_option_string(text) == expected


@pytest.mark.parametrize("text", ['fsname="a,b', r'fsname="a\"', 'ro,fsname="'])
def test_a_quote_that_is_not_closed_is_an_error(text: str) -> None:
    with pytest.raises(OptionError, match=r"quote after .*fsname= isn't closed"):
        split_option_string(text)


def test_text_after_a_closing_quote_is_an_error() -> None:
    with pytest.raises(OptionError, match="closing quote of fsname="):
        split_option_string('fsname="a"b')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/a", [b"/a"]),
        ("/top:/middle:/bottom", [b"/top", b"/middle", b"/bottom"]),
        ("relative:../up", [b"relative", b"../up"]),
        ("l/ID/../diff1", [b"l/ID/../diff1"]),
        (r"/a\:b:/c", [b"/a:b", b"/c"]),
        (r"/a\,b", [b"/a,b"]),
        (r"/a\\:/b", [b"/a\\", b"/b"]),
        (r"/a\\\:b", [b"/a\\:b"]),
        (r"/dev\x2ddisk", [rb"/dev\x2ddisk"]),
        ("/ends\\", [b"/ends\\"]),
        ("/caf\udce9", [b"/caf\xe9"]),
        ("/\u00e9", [b"/\xc3\xa9"]),
    ],
)
def test_lowers_are_split_at_colons_and_keep_their_bytes(value: str, expected: list[bytes]) -> None:
    assert split_lowers(value) == expected


@pytest.mark.parametrize("value", ["/a::/b", ":::", "/a:::/b"])
def test_the_double_colon_of_data_only_layers_is_refused_by_name(value: str) -> None:
    with pytest.raises(OptionError, match="'::'"):
        split_lowers(value)


@pytest.mark.parametrize("value", [":/a", "/a:", ":"])
def test_an_empty_lower_is_refused(value: str) -> None:
    with pytest.raises(OptionError, match="lowerdir: an element is empty"):
        split_lowers(value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_every_escaped_path_is_read_back(paths: list[str]) -> None:
    def escaped(path: str) -> str:
        for character in "\\:,":
            path = path.replace(character, "\\" + character)
        return path

    text = "lowerdir=" + ":".join(map(escaped, paths)) + ",ro"
    if text.startswith('lowerdir="'):
        return  # a leading quote means a quoted value, which is another test's matter
    assert parsed(text).lowers == tuple(path.encode() for path in paths)


def test_the_first_lower_is_the_topmost_and_lowerdir_plus_adds_below() -> None:
    assert parsed("lowerdir=/a:/b", "lowerdir+=/c:d").lowers == (b"/a", b"/b", b"/c:d")


def test_four_hundred_lowers_are_more_than_a_page_and_are_all_read() -> None:
    lowers = [f"/var/lib/layers/{number:04}" for number in range(400)]
    options = parsed("lowerdir=" + ":".join(lowers))
    assert options.lowers == tuple(lower.encode() for lower in lowers)


def test_a_mount_of_lowers_is_not_writable_and_keeps_every_default() -> None:
    options = parsed("lowerdir=/a")
    assert options == MountOptions(lowers=(b"/a",))
    assert not options.writable


def test_an_upper_makes_the_mount_writable_unless_ro() -> None:
    paths = "lowerdir=/a,upperdir=/u,workdir=/w"
    assert parsed(paths).writable
    assert not parsed(paths, "ro").writable
    assert parsed(paths, "ro", "rw").writable


def test_an_upper_needs_no_lower() -> None:
    assert parsed("upperdir=/u,workdir=/w").lowers == ()


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("redirect_dir=on", "redirect_dir", RedirectDir.ON),
        ("redirect_dir=off", "redirect_dir", RedirectDir.OFF),
        ("redirect_dir=follow", "redirect_dir", RedirectDir.FOLLOW),
        ("redirect_dir=nofollow", "redirect_dir", RedirectDir.NOFOLLOW),
        ("metacopy=on", "metacopy", True),
        ("metacopy=off", "metacopy", False),
        ("volatile", "volatile", True),
        ("userxattr", "userxattr", True),
        ("noacl", "acl", False),
        ("noacl,acl", "acl", True),
        ("allow_other", "allow_other", True),
        ("ro", "read_only", True),
        ("suid", "suid", True),
        ("suid,nosuid", "suid", False),
        ("dev", "dev", True),
        ("dev,nodev", "dev", False),
        ("noexec", "exec_", False),
        ("noexec,exec", "exec_", True),
        ("fsname=image", "fsname", b"image"),
        (r"fsname=a\,allow_other", "fsname", b"a,allow_other"),
    ],
)
def test_an_option_sets_its_field_alone(text: str, field: str, value: object) -> None:
    options = parsed("lowerdir=/a", text)
    default = MountOptions(lowers=(b"/a",))
    changed = {
        name: getattr(options, name)
        for name in MountOptions._fields
        if getattr(options, name) != getattr(default, name)
    }
    assert getattr(options, field) == value
    assert set(changed) <= {field}


@pytest.mark.parametrize(
    "text",
    [
        "default_permissions",
        "noatime",
        "relatime",
        "xino=on",
        "xino=off",
        "xino=auto",
        "index=off",
        "nfs_export=off",
        "uuid=off",
        "uuid=null",
        "uuid=auto",
        "verity=off",
    ],
)
def test_options_that_ask_for_what_is_done_anyway_are_accepted(text: str) -> None:
    assert parsed("lowerdir=/a", text) == MountOptions(lowers=(b"/a",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("index=on", "option index=on is refused: hard links"),
        ("index", "option index is refused"),
        ("nfs_export=on", "option nfs_export=on is refused: .*NFS"),
        ("uuid=on", "option uuid=on is refused: no UUID"),
        ("verity=on", "option verity=on is refused: fs-verity"),
        ("verity=require", "option verity=require is refused"),
        ("datadir+=/d", r"option datadir\+=/d is refused: data-only layers"),
        ("lowerdir=/a::/d", "'::'"),
    ],
)
def test_options_of_the_kernel_that_would_change_the_view_are_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parsed(text, "lowerdir+=/b")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("frobnicate", "unknown option: frobnicate"),
        ("frobnicate=1", "unknown option: frobnicate"),
        ("RO", "unknown option: RO"),
        (" ro", "unknown option:  ro"),
        ("=x", "an option has no name: =x"),
        ("ro=1", "option ro takes no value"),
        ("default_permissions=1", "option default_permissions takes no value"),
        ("volatile=yes", "option volatile takes no value"),
        ("redirect_dir", "option redirect_dir needs a value"),
        ("redirect_dir=maybe", "redirect_dir=maybe: must be one of on, off, follow, nofollow"),
        ("metacopy=1", "metacopy=1: must be one of on, off"),
        ("xino=maybe", "xino=maybe: must be one of on, off, auto"),
        ("xino", "xino: must be one of on, off, auto"),
        ("upperdir=", "option upperdir needs a value"),
        ("lowerdir", "option lowerdir needs a value"),
        ("fsname=", "option fsname needs a value"),
        ("upperdir=/a,upperdir=/b,workdir=/w", "upperdir is given twice"),
        ("workdir=/a,workdir=/b", "workdir is given twice"),
        ("lowerdir=/a,lowerdir=/b", "lowerdir is given twice"),
        ("upperdir=/u", "workdir not specified"),
        ("workdir=/w", "workdir is given without upperdir"),
        (
            "upperdir=/u,workdir=/w,metacopy=on,redirect_dir=off",
            "conflicting options: metacopy=on,redirect_dir=off",
        ),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it(text: str, reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parsed("lowerdir+=/lower", text)


def test_nothing_to_mount_is_an_error() -> None:
    with pytest.raises(OptionError, match="nothing to mount"):
        parsed("ro")


def test_options_do_not_change_once_read() -> None:
    with pytest.raises(AttributeError, match="set attribute"):
        parsed("lowerdir=/a").volatile = True  # type: ignore[misc]  # the assignment is what is tested
