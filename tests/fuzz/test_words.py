"""Random references, sources, documents and ``--format`` templates: understood, or refused with one line."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.budget import bounded, repeated
from unionfs.archive import ArchiveError, parse_source
from unionfs.cli.arguments import UsageError
from unionfs.cli.report import describe
from unionfs.cli.template import Template
from unionfs.image import Config, Digest, ImageError, Index, Manifest, Platform, Reference
from unionfs.image.docker_archive import read_items

EXAMPLES = 1500
PIECES = [
    "a",
    "Z",
    "0",
    "/",
    ":",
    "@",
    ".",
    "-",
    "_",
    "__",
    "[",
    "]",
    "sha256:",
    "f" * 64,
    "docker.io",
    "localhost",
    " ",
]
NAMES = st.one_of(
    st.lists(st.one_of(st.sampled_from(PIECES), st.characters()), max_size=12).map("".join),
    st.text(max_size=300),
)
TEMPLATES = st.lists(
    st.one_of(
        st.sampled_from(
            ["{{", "}}", "{{.", ".", "ID", "Labels", "json ", "table ", "\\t", "\\n", "{{.ID}}", "{{json .}}"]
        ),
        st.sampled_from(["{{.Labels.a}}", "{{.ID.x}}", "{{range .}}", "{{.Nope}}", " ", "|", "\x1b"]),
        st.text(max_size=5),
    ),
    max_size=8,
).map("".join)
FIELDS = [
    *("schemaVersion", "mediaType", "manifests", "layers", "config", "digest", "size", "platform", "annotations"),
    *("rootfs", "diff_ids", "type", "os", "architecture", "history", "created_by", "empty_layer"),
    *("Config", "Layers", "RepoTags", "Env", "Cmd", "Labels", "ExposedPorts"),
]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.one_of(
                st.text(max_size=8),
                st.sampled_from(FIELDS),
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=25,
)
BYTES = st.one_of(JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=60))


def exercise(strategy: st.SearchStrategy[Any], use: Callable[[Any], None]) -> None:
    @given(strategy)
    @bounded(EXAMPLES)
    def run(drawn: Any) -> None:
        use(drawn)

    repeated(run)


def refused(error: Exception) -> None:
    line = describe(error)
    assert line.isprintable()
    assert len(line) < 3000
    assert "internal error" not in line


def test_a_reference_in_its_full_form_is_itself() -> None:
    def parse(text: str) -> None:
        try:
            reference = Reference.parse(text)
        except ImageError as error:
            refused(error)
            return
        assert Reference.parse(str(reference)) == reference
        assert Reference.parse(reference.familiar) == reference
        assert str(reference).isascii()
        assert ".." not in str(reference).split("/")

    exercise(NAMES, parse)


def test_other_words_are_understood_or_refused() -> None:
    def parse(text: str) -> None:
        for understand in (Digest.parse, Platform.parse):
            try:
                found = understand(text)
                assert understand(str(found)) == found
            except ImageError as error:
                refused(error)
        try:
            path, _ = parse_source(text)
            assert path
        except ArchiveError as error:
            refused(error)

    exercise(NAMES, parse)


def test_a_template_is_filled_or_refused() -> None:
    value = {"ID": "x\x1b", "Labels": {"a": "b\n", "n": None}, "Names": ["a", 1, True]}

    def fill(text: str) -> None:
        try:
            template = Template(text)
            template.check(list(value))
            template.headed({"ID": "IMAGE ID"})
            template.filled(value)
        except UsageError as error:
            refused(error)

    exercise(TEMPLATES, fill)


def test_documents_are_read_or_refused() -> None:
    def read(content: bytes) -> None:
        for reader in (Config.read, Manifest.read, Index.read, read_items):
            try:
                reader(content)
            except ImageError as error:
                refused(error)

    exercise(BYTES, read)
