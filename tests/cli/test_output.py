"""What commands print of lists and objects: tables, JSON and templates."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unionfs.cli.arguments import UsageError
from unionfs.cli.output import inspection, listing, shortened

HEADINGS = {"ID": "IMAGE ID", "Repository": "REPOSITORY", "Size": "SIZE", "Digest": "DIGEST"}
ROWS = [
    {"ID": "0123456789ab", "Repository": "registry.example.com/app", "Size": "4.26MB", "Digest": "sha256:1"},
    {"ID": "ba9876543210", "Repository": "a", "Size": "1.2GB", "Digest": "<none>"},
]
COLUMNS = ("Repository", "ID", "Size")
IMAGE = {
    "Id": "sha256:0",
    "RepoTags": ["a:1", "b:2"],
    "Config": {"Env": ["A=b", "C=d e"], "Labels": {"z": "1", "a": "2"}, "Tty": False, "Healthcheck": None},
    "RootFS": {"Layers": []},
    "Size": 42,
}


def refusal(form: str) -> str:
    with pytest.raises(UsageError) as error:
        listing(ROWS, HEADINGS, COLUMNS, form)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("form", [None, "table"])
def test_a_table_has_headings_and_aligned_columns(form: str | None) -> None:
    assert listing(ROWS, HEADINGS, COLUMNS, form).splitlines() == [
        "REPOSITORY                 IMAGE ID       SIZE",
        "registry.example.com/app   0123456789ab   4.26MB",
        "a                          ba9876543210   1.2GB",
    ]


def test_a_table_of_nothing_is_its_headings() -> None:
    assert listing([], HEADINGS, COLUMNS) == "REPOSITORY   IMAGE ID   SIZE"


def test_json_is_one_array_with_every_field() -> None:
    assert json.loads(listing(ROWS, HEADINGS, COLUMNS, "json")) == ROWS
    assert json.loads(listing([], HEADINGS, COLUMNS, "json")) == []


@pytest.mark.parametrize(
    ("form", "lines"),
    [
        ("{{.ID}}", ["0123456789ab", "ba9876543210"]),
        ("{{ .Repository }}:{{.Size}}", ["registry.example.com/app:4.26MB", "a:1.2GB"]),
        (r"x\t{{.Size}}\ny", ["x\t4.26MB", "y", "x\t1.2GB", "y"]),
        ("{{json .Size}}", ['"4.26MB"', '"1.2GB"']),
        ("{{json .}}", [json.dumps(row, separators=(",", ":")) for row in ROWS]),
        ("text", ["text", "text"]),
        ("tables", ["tables", "tables"]),
    ],
)
def test_a_template_is_filled_for_each_row(form: str, lines: list[str]) -> None:
    assert listing(ROWS, HEADINGS, COLUMNS, form).splitlines() == lines


def test_a_table_may_have_the_columns_of_a_template() -> None:
    assert listing(ROWS, HEADINGS, COLUMNS, r"table {{.ID}}\t{{.Repository}}/{{.Size}}").splitlines() == [
        "IMAGE ID       REPOSITORY/SIZE",
        "0123456789ab   registry.example.com/app/4.26MB",
        "ba9876543210   a/1.2GB",
    ]


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("{{.RepoTags}}", "[a:1 b:2]"),
        ("{{.Config.Env}}", "[A=b C=d e]"),
        ("{{.Config.Labels}}", "map[a:2 z:1]"),
        ("{{.Config.Labels.z}}", "1"),
        ("{{.Config.Tty}}", "false"),
        ("{{.Config.Healthcheck}}", "<nil>"),
        ("{{.RootFS}}", "map[Layers:[]]"),
        ("{{.RootFS.Layers}}", "[]"),
        ("{{json .RootFS.Layers}}", "[]"),
        ("{{.Size}} {{json .Size}}", "42 42"),
        ("{{json .Config.Env}}", '["A=b","C=d e"]'),
        ("{{json .Config.Healthcheck}}", "null"),
    ],
)
def test_values_are_printed_as_go_prints_them(form: str, value: str) -> None:
    assert inspection([IMAGE], form) == value


@pytest.mark.parametrize("form", [None, "json"])
def test_an_inspection_is_an_array_of_whole_objects(form: str | None) -> None:
    assert json.loads(inspection([IMAGE, IMAGE], form)) == [IMAGE, IMAGE]


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        (
            "{{range .ID}}x{{end}}",
            "{{range .ID}} is not supported; there are {{.FIELD}}, {{json .FIELD}} and {{json .}}",
        ),
        ("{{if .ID}}x{{end}}", "{{if .ID}} is not supported"),
        ("{{.ID | upper}}", "{{.ID | upper}} is not supported"),
        ("{{upper .ID}}", "{{upper .ID}} is not supported"),
        ("{{json}}", "{{json}} is not supported"),
        ("{{}}", "{{}} is not supported"),
        ('{{"x"}}', "is not supported"),
        ("{{$x := .ID}}", "is not supported"),
        ("{{- .ID -}}", "is not supported"),
        ("{{.ID\n}} {{\x1b}}", r"{{\x1b}} is not supported"),
        ("{{.ID", "has no other one"),
        ("x}}", "has no other one"),
        ("{{.Name}}", "there is no field Name; there are ID, Repository, Size, Digest"),
        ("{{json .Name}}", "there is no field Name"),
        ("table {{.Name}}", "there is no field Name"),
        ("{{.ID.Short}}", ".ID has no fields, so no Short"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(form: str, reason: str) -> None:
    assert reason in refusal(form)


def test_a_field_that_is_not_there_is_refused_though_there_is_no_row() -> None:
    with pytest.raises(UsageError, match="there is no field Name"):
        listing([], HEADINGS, COLUMNS, "{{.Name}}")


def test_a_nested_field_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="there is no field Cmd; there are Env, Labels, Tty, Healthcheck"):
        inspection([IMAGE], "{{.Config.Cmd}}")


def test_nothing_is_printed_that_a_terminal_would_act_on() -> None:
    row = {"ID": "a\tb\nc\x1b[31m\x9b", "Repository": "ü", "Size": "", "Digest": ""}
    text = r"a\x09b\x0ac\x1b[31m\x9b"
    assert listing([row], HEADINGS, ("ID", "Repository")).splitlines()[1].split() == [text, "ü"]
    assert listing([row], HEADINGS, COLUMNS, "{{.ID}}") == text
    for form in ("json", "{{json .}}"):
        shown = listing([row], HEADINGS, COLUMNS, form)
        assert all(character.isprintable() or character == "\n" for character in shown)
        assert row in (json.loads(shown), *json.loads(shown))


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.lists(st.sampled_from([*"{}.IDjson \\tn|\x1b", "{{", "}}", "{{.ID}}", "table "]), max_size=15))
def test_any_format_is_understood_or_refused_in_one_line(pieces: list[str]) -> None:
    try:
        listing(ROWS, HEADINGS, COLUMNS, "".join(pieces))
    except UsageError as error:
        assert str(error).isprintable()  # noqa: PT017 - what is no error is right too
