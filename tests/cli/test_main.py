"""The program: choosing a command, and what it prints and exits with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from unionfs import __version__
from unionfs.cli import main
from unionfs.cli.commands import COMMANDS


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert main([flag]) == 0
    assert capsys.readouterr() == (f"unionfs {__version__}\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h", "help"])
def test_help_names_every_command_with_an_example(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    assert main([flag]) == 0
    output, errors = capsys.readouterr()
    assert errors == ""
    for command in COMMANDS:
        assert f"\n  {command} " in output
    assert "examples:\n  unionfs load" in output


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "no command is given; 'unionfs --help' lists them"),
        (["--debug"], "no command is given; 'unionfs --help' lists them"),
        (["--root"], "--root needs a directory"),
        (["frob\x1bnicate"], r"unknown command: frob\x1bnicate; 'unionfs --help' lists them"),
        (["umount"], "the following arguments are required: MOUNTPOINT; 'unionfs umount --help' says more"),
        (["umount", "--frob", "/mnt"], "unrecognized arguments: --frob; 'unionfs umount --help' says more"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert main(words) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.splitlines()[-1] == f"unionfs: error: {line}"
    assert len(errors.splitlines()) == 1 or "--debug" in words


@pytest.mark.parametrize("words", [["--debug", "umount", "/proc"], ["umount", "/proc", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("Traceback")
    assert errors.endswith("unionfs: error: /proc is not a unionfs but a mount of type proc: left alone\n")


def test_without_debug_no_traceback_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["umount", "/proc"]) == 1
    assert capsys.readouterr().err == "unionfs: error: /proc is not a unionfs but a mount of type proc: left alone\n"


def test_output_that_nobody_reads_ends_the_program_quietly() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = subprocess.run(
        [sys.executable, "-c", "import sys; from unionfs.cli import main; sys.exit(main(['--help']))"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write_end)
    assert (result.returncode, result.stderr) == (1, b"")


def test_the_installed_program_runs() -> None:
    program = Path(sys.executable).with_name("unionfs")
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout == f"unionfs {__version__}\n"


def test_choosing_a_command_imports_nothing_heavy() -> None:
    code = (
        "import sys; from unionfs.cli import main; main(['umount', '/proc']); "
        "print(sorted({'click', 'rich', 'trio', 'pyfuse3', 'httpx'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
