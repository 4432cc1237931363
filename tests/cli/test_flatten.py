"""``unionfs flatten``: its command line and what it says. What becomes of an upper is tested in ``tests.union``."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.stacks import File
from tests.unions import EVERYTHING, Stack
from unionfs.cli import main


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """Give an upper beside its workdir that holds a metadata-only file and a renamed directory."""
    stack = Stack(tmp_path / "stack", ({"a,b": File(b"top")}, {"f": File(b"content"), "d/x": File(b"x")}), EVERYTHING)
    with stack.opened() as kernel:
        kernel.change("f", mode=0o600)
        kernel.rename("d", "moved")
    return stack


def lowers(stack: Stack) -> list[str]:
    """Name the lowers by options of their own."""
    return [word for place in range(2) for word in ("--lower", str(stack.lower(place)))]


def is_plain(stack: Stack) -> bool:
    return "trusted.overlay.metacopy" not in os.listxattr(stack.upper / "f") and (stack.upper / "moved/x").exists()


def test_the_options_of_the_mount_name_everything(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    layers = f"lowerdir={stack.lower(0)}:{stack.lower(1)},upperdir={stack.upper},workdir={stack.work}"
    assert main(["flatten", "-o", f"{layers},noexec,metacopy=on"]) == 0
    assert is_plain(stack)
    counts = "0 directories, 2 files (8 bytes), 0 links"
    assert capsys.readouterr().out == f"{stack.upper} is plain: {counts} came from the lower directories\n"


def test_the_workdir_beside_the_upper_needs_no_name(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flatten", str(stack.upper), *lowers(stack), "--format", "json"]) == 0
    assert is_plain(stack)
    assert json.loads(capsys.readouterr().out) == {
        "upper": str(stack.upper), "directories": 0, "files": 2, "bytes": 8, "links": 0,
    }  # fmt: skip


def test_an_upper_that_is_plain_needs_nothing_else(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    main(["flatten", str(stack.upper), *lowers(stack)])
    os.rename(stack.work, stack.directory / "other")
    before = sorted(os.listdir(stack.directory))
    assert main(["flatten", str(stack.upper)]) == 0
    assert sorted(os.listdir(stack.directory)) == before
    assert "0 directories, 0 files (0 bytes), 0 links" in capsys.readouterr().out


def test_a_directory_called_work_that_is_something_else_is_left_alone(stack: Stack) -> None:
    main(["flatten", str(stack.upper), *lowers(stack)])
    (stack.work / "mine").touch()
    assert main(["flatten", str(stack.upper)]) == 0
    assert sorted(os.listdir(stack.work)) == ["mine", "work"]
    assert sorted(os.listdir(stack.directory)) == ["lower0", "lower1", "upper", "work"]


def test_lowers_that_are_needed_are_asked_for_by_the_entry_that_needs_them(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flatten", str(stack.upper)]) == 1
    assert capsys.readouterr().err == (
        f"unionfs: error: {stack.upper}/f: a file whose content is in the lower layers;"
        " name those with --lower or -o lowerdir=\n"
    )
    assert not is_plain(stack)


def test_lowers_that_lack_something_are_told_by_the_entry_that_needs_it(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["flatten", str(stack.upper), "--lower", str(stack.lower(0))]) == 1
    line = rf"unionfs: error: {stack.upper}/(f|moved): .* isn't in the lower layers given: name all of them\n"
    assert re.fullmatch(line, capsys.readouterr().err)


def test_a_mounted_upper_is_refused(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    with stack.opened():
        assert main(["flatten", str(stack.upper), *lowers(stack)]) == 1
    assert capsys.readouterr().err == (
        f"unionfs: error: {stack.upper} is in use by another mount (process {os.getpid()}); unmount that first\n"
    )


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "the upper is missing; 'unionfs flatten --help' says more"),
        (["-o", "lowerdir=/a"], "the upper is missing; 'unionfs flatten --help' says more"),
        (["/u", "-o", "upperdir=/u"], "upperdir is given twice"),
        (["/u", "-o", "frobnicate"], "unknown option: frobnicate"),
        (
            ["/u", "--format", "xml"],
            "argument --format: invalid choice: 'xml' (choose from 'text', 'json'); 'unionfs flatten --help' says more",
        ),
    ],
)
def test_a_wrong_command_line_flattens_nothing(capsys: pytest.CaptureFixture[str], words: list[str], line: str) -> None:
    assert main(["flatten", *words]) == 2
    assert capsys.readouterr().err == f"unionfs: error: {line}\n"


def test_an_upper_that_is_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flatten", str(tmp_path / "absent")]) == 1
    assert capsys.readouterr().err == f"unionfs: error: {tmp_path}/absent: No such file or directory\n"
    assert os.listdir(tmp_path) == []
