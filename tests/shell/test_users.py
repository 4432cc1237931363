"""Who a command runs as, by the User of an image and the image's passwd and group files."""

from collections.abc import Callable

import pytest

from unionfs.shell.error import ShellError
from unionfs.shell.users import Identity, identify

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
app:x:1000:1001:App:/srv/app:/bin/sh
twin:x:1000:1002::/twin:
homeless:x:7:8:::
broken:x:y:0::/:
huge:x:4294967296:0::/:
short:x:9
1000:x:5:5::/five:
"""
GROUP = """\
root:x:0:
staff:x:50:app,other
wheel:x:10:root,app
app:x:1001:
gone:x:no:app
staff:x:51:
"""


def read(path: str) -> bytes:
    return {"/etc/passwd": PASSWD, "/etc/group": GROUP}[path].encode()


def nothing(_path: str) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Identity(0, 0, (10,), "/root")),
        ("root", Identity(0, 0, (10,), "/root")),
        ("0", Identity(0, 0, (10,), "/root")),
        ("app", Identity(1000, 1001, (50, 10), "/srv/app")),
        ("1000", Identity(1000, 1001, (50, 10), "/srv/app")),
        ("app:staff", Identity(1000, 50, (), "/srv/app")),
        ("app:4", Identity(1000, 4, (), "/srv/app")),
        ("1000:staff", Identity(1000, 50, (), "/srv/app")),
        ("77", Identity(77, 0, (), "/")),
        ("77:88", Identity(77, 88, (), "/")),
        ("4294967294:4294967294", Identity(4294967294, 4294967294, (), "/")),
        ("homeless", Identity(7, 8, (), "/")),
    ],
)
def test_names_and_numbers_are_looked_up_as_the_image_spec_says(user: str, expected: Identity) -> None:
    assert identify(user, read) == expected


@pytest.mark.parametrize(
    ("user", "expected"),
    [("", Identity(0, 0, (), "/")), ("5", Identity(5, 0, (), "/")), ("5:6", Identity(5, 6, (), "/"))],
)
def test_numbers_need_no_files(user: str, expected: Identity) -> None:
    assert identify(user, nothing) == expected


@pytest.mark.parametrize("user", ["nobody", "broken", "huge", "short", "x:x:0:0", "app "])
def test_an_unknown_user_is_an_error(user: str) -> None:
    with pytest.raises(ShellError, match=r"unable to find user .*: no matching entries in passwd file"):
        identify(user, read)


@pytest.mark.parametrize("user", ["app:nobody", "0:gone"])
def test_an_unknown_group_is_an_error(user: str) -> None:
    with pytest.raises(ShellError, match=r"unable to find group .*: no matching entries in group file"):
        identify(user, read)


@pytest.mark.parametrize(
    "user",
    [
        "4294967295",
        "4294967296",
        "-1",
        "+1",
        "0x0",
        "1.5",
        "1e3",
        "0 ",
        "1000:99999999999",
        "1000:-1",
        "0:0x0",
        "9" * 5000,
    ],
)
@pytest.mark.parametrize("reader", [read, nothing])
def test_what_looks_like_a_number_and_is_no_id_is_an_error(user: str, reader: Callable[[str], bytes]) -> None:
    with pytest.raises(ShellError, match="is no id"):
        identify(user, reader)


@pytest.mark.parametrize("user", [":", "app:", ":0", ":staff"])
def test_an_empty_part_is_an_error(user: str) -> None:
    with pytest.raises(ShellError, match="has an empty part"):
        identify(user, read)


def test_numbers_of_other_scripts_are_names() -> None:
    with pytest.raises(ShellError, match="unable to find user"):
        identify("٣", nothing)
