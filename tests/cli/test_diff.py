"""``unionfs diff``: uppers and images, and how what differs is printed."""

from pathlib import Path

import pytest

from tests.cli.making import BASE, SECOND, fill_demo, make_upper
from tests.cli.stored import Captured, as_json, fill, printed, run, source
from tests.diff.test_lines import steps
from tests.tarball import archive, file


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    fill_demo(tmp_path / "store", "demo:1")
    return tmp_path / "store"


def test_an_upper_is_compared_with_its_image(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create etc/new", "unlink etc/second", "chmod bin/tool 700"))
    assert printed(capsys, "diff", "web") == [
        "C /bin", "C /bin/same", "C /bin/tool", "C /etc", "A /etc/new", "D /etc/second"
    ]  # fmt: skip


def test_an_upper_without_changes_prints_nothing(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1")
    assert printed(capsys, "diff", "web") == []


@pytest.mark.usefixtures("root")
def test_an_image_is_compared_with_its_own_layers_beneath_the_topmost(capsys: Captured) -> None:
    assert printed(capsys, "diff", "demo:1") == ["C /etc", "D /etc/motd", "A /etc/second"]


def test_of_an_image_of_one_layer_all_is_new(root: Path, capsys: Captured) -> None:
    fill(root, [archive(file(b"d/f"))], "one:1")
    assert printed(capsys, "diff", "one:1") == ["A /d", "A /d/f"]


def test_two_images_are_compared(root: Path, capsys: Captured) -> None:
    fill(root, [BASE, SECOND, archive(file(b"etc/third"), file(b"bin/.wh.link"))], "demo:2")
    assert printed(capsys, "diff", "demo:1", "demo:2") == ["C /bin", "D /bin/link", "C /etc", "A /etc/third"]
    assert printed(capsys, "diff", "demo:2", "demo:1") == ["C /bin", "A /bin/link", "C /etc", "D /etc/third"]


@pytest.mark.usefixtures("root")
def test_an_image_may_lie_in_a_file(capsys: Captured, tmp_path: Path) -> None:
    other = source(tmp_path / "other", [BASE])
    assert printed(capsys, "diff", f"oci:{other}", "demo:1") == ["C /etc", "D /etc/motd", "A /etc/second"]


def test_an_image_and_an_upper_are_compared(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create new", "write etc/second 2"))
    make_upper(root, "other", "demo:1", steps("create other"))
    assert printed(capsys, "diff", "demo:1", "web") == ["C /etc", "C /etc/second", "A /new"]
    assert printed(capsys, "diff", "web", "other") == ["C /etc", "C /etc/second", "D /new", "A /other"]


def test_an_upper_comes_before_an_image_of_the_same_name(root: Path, capsys: Captured) -> None:
    fill_demo(root, "web")
    make_upper(root, "web", "web:latest", steps("create new"))
    assert printed(capsys, "diff", "web") == ["A /new"]
    assert printed(capsys, "diff", "web:latest") == ["C /etc", "D /etc/motd", "A /etc/second"]


def test_the_image_of_an_upper_may_have_lost_its_name(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create new"))
    assert run(capsys, "rmi", "demo:1")[0] == 0
    assert printed(capsys, "diff", "web") == ["A /new"]


def test_programs_get_json_and_lines_of_their_own_form(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create etc/new"))
    assert as_json(capsys, "diff", "--format", "json", "web") == [
        {"Kind": "C", "Path": "/etc"}, {"Kind": "A", "Path": "/etc/new"}
    ]  # fmt: skip
    assert printed(capsys, "diff", "--format", "{{.Path}}", "web") == ["/etc", "/etc/new"]
    assert printed(capsys, "diff", "--format", "table", "web")[0].split() == ["KIND", "PATH"]


def test_control_characters_in_names_are_escaped(root: Path, capsys: Captured) -> None:
    make_upper(root, "web", "demo:1", steps("create a\x1b[2J\nb"))
    assert printed(capsys, "diff", "web") == [r"A /a\x1b[2J\x0ab"]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "Missing argument"),
        (["nothing"], 1, "no such image"),
        (["demo:1", "nothing"], 1, "no such image"),
        (["--format", "{{.Size}}", "demo:1"], 2, "Size"),
        (["demo:1", "demo:1", "demo:1"], 2, "unexpected extra argument"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(capsys: Captured, words: list[str], code: int, said: str) -> None:
    found, output, errors = run(capsys, "diff", *words)
    assert (found, output, errors.count("\n")) == (code, "", 1)
    assert said in errors
