"""Where the image ends and the path in it begins."""

import pytest

from unionfs.cli.arguments import UsageError
from unionfs.cli.image_path import ImagePath


@pytest.mark.parametrize(
    ("text", "image", "path"),
    [
        ("alpine", "alpine", None),
        ("alpine:3.20", "alpine:3.20", None),
        ("alpine:/etc", "alpine", b"/etc"),
        ("alpine:3.20:/etc", "alpine:3.20", b"/etc"),
        ("localhost:5000/a/b:1.2:/x", "localhost:5000/a/b:1.2", b"/x"),
        ("a@sha256:00:/x", "a@sha256:00", b"/x"),
        ("a:/x:/y", "a", b"/x:/y"),
        ("a:/", "a", b"/"),
        ("docker-archive:/tmp/f.tar", "docker-archive:/tmp/f.tar", None),
        ("docker-archive:/tmp/f.tar:/etc", "docker-archive:/tmp/f.tar", b"/etc"),
        ("docker-archive:f.tar:a:1:/etc", "docker-archive:f.tar:a:1", b"/etc"),
        ("oci:dir:/etc", "oci:dir", b"/etc"),
        ("oci-archive:/a:b:/etc", "oci-archive:/a:b", b"/etc"),
        ("a:/\udcff", "a", b"/\xff"),
    ],
)
def test_a_path_begins_at_the_first_colon_with_a_slash_behind_it(text: str, image: str, path: bytes | None) -> None:
    assert ImagePath.parse(text) == (image, path)


@pytest.mark.parametrize("text", ["", ":/etc", "oci:", "oci::/etc"])
def test_an_image_must_be_named(text: str) -> None:
    with pytest.raises(UsageError, match="names no image"):
        ImagePath.parse(text)


def test_a_path_must_be_named_where_one_is_needed() -> None:
    assert ImagePath.parse_whole("a:1:/b") == ("a:1", b"/b")
    with pytest.raises(UsageError, match="a:1 names no path: write IMAGE:/PATH"):
        ImagePath.parse_whole("a:1")
