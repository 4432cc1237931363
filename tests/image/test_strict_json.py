"""JSON that means one thing only, whoever wrote it."""

import json

import pytest

from unionfs.image import ImageError
from unionfs.image.strict_json import MAX_DEPTH, Fields, parse


def refusal(data: bytes) -> str:
    with pytest.raises(ImageError) as error:
        parse(data, "document")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "data",
    [b"{}", b"[]", b"null", b' {"a": [1, -2.5, true, null, "\\u00e4\\ud83d\\ude00"]}\n', b'"\xc3\xa4"', b"1e308"],
)
def test_ordinary_json_is_read(data: bytes) -> None:
    assert parse(data, "document") == json.loads(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"{} {}", "not valid JSON: Extra data at character 3"),
        (b"{}\0", "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'["\n"]', "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"[\xa0]", "not UTF-8"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b"{\0}".decode().encode("utf-16"), "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"a": 1, "b": 2, "a": 3}', 'has the key "a" twice'),
        (b'[{"x": {"a": 1, "\\u0061": 1}}]', 'has the key "a" twice'),
        (b'{"\\u001b": 1, "\\u001b": 1}', r'has the key "\x1b" twice'),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\uDFFF": 1}', "lone surrogate"),
        (b'"\\ude00\\ud83d"', "lone surrogate"),
        (b"1e999", "out of range"),
        (b"[-1e999]", "out of range"),
        (b"9" * 10_000, "out of range"),
        (b"NaN", "holds NaN"),
        (b"[-Infinity]", "holds -Infinity"),
    ],
)
def test_what_readers_could_disagree_about_is_refused(data: bytes, reason: str) -> None:
    assert reason in refusal(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'["]]]]", ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"]",
    ],
)
def test_deep_nesting_is_refused_before_it_is_followed(data: bytes) -> None:
    assert "nested deeper than" in refusal(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * MAX_DEPTH + b"]" * MAX_DEPTH,
        json.dumps(["[[{" * 1000, '\\"[[' * 1000, {"k": "]"}]).encode(),
        b"[" + b",".join([b"[[]]"] * 1000) + b"]",
    ],
)
def test_brackets_that_do_not_nest_are_not_counted(data: bytes) -> None:
    assert parse(data, "document") == json.loads(data)


@pytest.mark.parametrize("data", [b'"' + b'\\"' * 2_000_000, b'"[' + b'"' * 2_000_000, b"[{" * 64 + b"\\" * 4_000_000])
@pytest.mark.timeout(20)
def test_an_unterminated_string_of_megabytes_is_refused_in_linear_time(data: bytes) -> None:
    assert "document is" in refusal(data)


FIELDS = Fields(
    {
        "text": "t",
        "number": 1,
        "true": True,
        "half": 0.5,
        "none": None,
        "list": ["a", 1],
        "object": {"a": "b", "c": 1},
        "huge": 2**63,
        "empty": "",
    },
    "document",
)


def test_null_and_absent_fields_are_the_same() -> None:
    for name in ("none", "absent"):
        assert not FIELDS.has(name)
        assert FIELDS.text(name) is None
        assert FIELDS.integer(name) is None
        assert FIELDS.fields(name) is None
        assert FIELDS.texts(name) == ()
        assert FIELDS.text_map(name) == {}
        assert FIELDS.keys(name) == ()
        assert FIELDS.list_of_fields(name) == ()
        assert FIELDS.flag(name) is False


@pytest.mark.parametrize(
    ("method", "name", "reason"),
    [
        ("text", "number", '"number" must be a string'),
        ("required_text", "empty", 'has no "empty"'),
        ("required_text", "absent", 'has no "absent"'),
        ("integer", "true", '"true" must be an integer'),
        ("integer", "half", '"half" must be an integer'),
        ("integer", "text", '"text" must be an integer'),
        ("integer", "huge", '"huge" must be an integer'),
        ("flag", "number", '"number" must be true or false'),
        ("fields", "text", '"text" must be a JSON object'),
        ("required_fields", "absent", '"absent" must be a JSON object'),
        ("texts", "list", '"list" must be a list of strings'),
        ("texts", "text", '"text" must be a list'),
        ("list_of_fields", "list", '"list" 0 must be a JSON object'),
        ("text_map", "object", '"object" must be an object of strings'),
        ("text_map", "list", '"list" must be an object'),
        ("keys", "list", '"list" must be an object'),
    ],
)
def test_a_field_of_another_type_is_refused_by_name(method: str, name: str, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        getattr(FIELDS, method)(name)
    assert str(error.value).startswith("document")
    assert reason in str(error.value)
