"""The manual pages: well-formed, and in step with the programs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from unionfs.cli.commands import COMMANDS
from unionfs.mount import options, overlay_options

MAN = Path(__file__).resolve().parents[2] / "docs/man"


@pytest.mark.parametrize("page", sorted(MAN.glob("*.1")), ids=lambda page: page.name)
def test_a_page_is_formatted_without_a_warning(page: Path) -> None:
    result = subprocess.run(["groff", "-ww", "-man", "-Tutf8", "-z", page], capture_output=True, text=True, check=True)
    assert result.stderr == ""


def text_of(command: str) -> str:
    """Give a page's source with dashes as they are typed."""
    return (MAN / f"unionfs-{command}.1").read_text().replace("\\-", "-")


@pytest.mark.parametrize("command", sorted(path.stem.removeprefix("unionfs-") for path in MAN.glob("unionfs-*.1")))
def test_a_page_names_every_option_of_its_command(command: str) -> None:
    program = Path(sys.executable).with_name("unionfs")
    words = [f"{program}-overlay"] if command == "overlay" else [program, command]
    shown = subprocess.run([*words, "--help"], capture_output=True, text=True, check=True).stdout
    flags = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", shown))
    assert {flag for flag in flags if flag not in text_of(command)} == set()


def test_the_page_of_mount_names_every_mount_option() -> None:
    page = text_of("mount")
    names = {*options.FLAGS, *options._CHOICES, *options._ALREADY_SO, *options._REFUSED}
    names |= {"lowerdir", "upperdir", "workdir", "lowerdir+", "fsname"}
    assert {name for name in names if not re.search(rf"[ ,]{re.escape(name)}(?!\w)", page)} == set()


def test_the_page_of_the_drop_in_names_every_mount_option() -> None:
    page = text_of("overlay")
    names = {*overlay_options._FLAGS, *overlay_options._READERS, *overlay_options._REFUSED}
    assert {name for name in names if not re.search(rf"[ ,]{re.escape(name)}(?!\w)", page)} == set()


def test_every_command_has_a_line_in_the_main_page_and_in_the_readme() -> None:
    main_page = (MAN / "unionfs.1").read_text()
    readme = (MAN.parents[1] / "README.md").read_text()
    assert {name for name in COMMANDS if not re.search(rf"^\.BR? {name}\b", main_page, re.MULTILINE)} == set()
    assert {name for name in COMMANDS if f"`unionfs {name} " not in readme} == set()


def test_the_readme_names_the_test_command_that_ci_runs() -> None:
    root = MAN.parents[1]
    assert "\nmake test\n" in (root / "README.md").read_text()
    assert (root / ".ci/run").read_text().splitlines()[-1] == "exec make test"
