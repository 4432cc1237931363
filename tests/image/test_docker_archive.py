"""The manifest.json of a docker archive."""

import pytest

from tests.image.documents import Fields, encoded
from unionfs.image import ImageError
from unionfs.image.docker_archive import Item, read_items

PLAIN = {"Config": "c.json", "RepoTags": ["foo:1"], "Layers": ["l1/layer.tar", "l2/layer.tar"]}


def item(**changes: object) -> Item:
    (found,) = read_items(encoded([{**PLAIN, **changes}]))
    return found


def refusal(document: bytes) -> str:
    with pytest.raises(ImageError) as error:
        read_items(document)
    return str(error.value)


def test_an_items_members_are_read_in_order() -> None:
    found = item()
    assert found.config == "c.json"
    assert found.layers == ("l1/layer.tar", "l2/layer.tar")


def test_items_keep_their_order() -> None:
    items = read_items(encoded([{**PLAIN, "Config": name} for name in ("b", "a", "c")]))
    assert [item.config for item in items] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        (["foo:1"], ["docker.io/library/foo:1"]),
        (["foo"], ["docker.io/library/foo:latest"]),
        (["b:2", "a/b:1", "localhost/x:3"], ["docker.io/library/b:2", "docker.io/a/b:1", "localhost/x:3"]),
        (["foo:1", "docker.io/library/foo:1"], ["docker.io/library/foo:1"]),
        ([], []),
        (None, []),
    ],
)
def test_tags_are_brought_to_their_full_form(tags: list[str] | None, names: list[str]) -> None:
    assert [str(name) for name in item(RepoTags=tags).names] == names


@pytest.mark.parametrize(
    ("tag", "reason"),
    [
        ("Foo:1", "must be lowercase"),
        ("../../x", "invalid reference format"),
        ("-rf", "invalid reference format"),
        ("a" * 10_240, "must not be more than 255"),
        ("0" * 64, "cannot specify 64-byte hexadecimal strings"),
        ("x@sha256:" + "0" * 64, "names a digest"),
        ("x:1@sha256:" + "0" * 64, "names a digest"),
        ("\x1b[2J", r"\x1b[2J"),
    ],
)
def test_a_tag_that_is_no_name_is_refused(tag: str, reason: str) -> None:
    message = refusal(encoded([{**PLAIN, "RepoTags": [tag]}]))
    assert message.startswith("manifest.json item 0: RepoTags: ")
    assert reason in message
    assert message.isprintable()


@pytest.mark.parametrize("layers", [[], None])
def test_an_image_may_have_no_layers(layers: object) -> None:
    assert item(Layers=layers).layers == ()


def test_unknown_fields_are_ignored() -> None:
    sources: Fields = {"sha256:00": {"mediaType": "x", "size": -1, "digest": "?"}}
    assert item(Parent="sha256:00", LayerSources=sources) == item()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not valid JSON"),
        (b"[", "not valid JSON"),
        (b"null", "must be a JSON list"),
        (b"{}", "must be a JSON list"),
        (b"[]", "no image in archive"),
        (b"[1]", "item 0 must be a JSON object"),
        (b"[null]", "item 0 must be a JSON object"),
        (b"[{}]", 'has no "Config"'),
        (b'[{"Config": ""}]', 'has no "Config"'),
        (b'[{"Config": 1}]', '"Config" must be a string'),
        (b'[{"Config": "c", "Layers": [1]}]', '"Layers" must be a list of strings'),
        (b'[{"Config": "c", "RepoTags": "foo"}]', '"RepoTags" must be a list'),
    ],
)
def test_what_lists_no_image_is_refused(document: bytes, reason: str) -> None:
    assert reason in refusal(document)


def test_a_list_over_one_mebibyte_is_refused() -> None:
    at_limit = encoded([PLAIN]).ljust(1024 * 1024)
    assert len(read_items(at_limit)) == 1
    assert "exceeded maximum allowed size: 1048577 bytes" in refusal(at_limit + b" ")
