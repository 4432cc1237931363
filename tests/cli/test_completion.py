"""Completing command lines: what is answered, and that shells take it."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from tests.store import images
from unionfs.archive import open_archive
from unionfs.cli import main
from unionfs.cli.commands import ALIASES, COMMANDS
from unionfs.cli.completion import completions
from unionfs.cli.completion_scripts import SCRIPTS
from unionfs.image import Reference
from unionfs.store.store import Store

PROGRAMS = Path(sys.executable).parent
SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
LOADING = {
    "bash": "source <(unionfs completion bash)",
    "zsh": "bindkey -e; autoload -U compinit; compinit -u -D; source <(unionfs completion zsh)",
    "fish": "unionfs completion fish | source",
}
SLASH = {"bash": "/", "zsh": "", "fish": "/"}
"""After a directory: zsh takes its own away where the next key is a command."""
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the store of images is, unless a test makes one there is none."""
    path = tmp_path / "store"
    monkeypatch.setenv("UNIONFS_ROOT", str(path))
    return path


def fill(root: Path, *names: str) -> None:
    with Store(root) as store, open_archive(images.layout(root.with_name("image"), images.BOTTOM)) as source:
        store.load(source.image(), [Reference.parse(name) for name in names])


def answers(line: str) -> list[str]:
    return [item.value for item in completions(line)]


def test_every_command_and_alias_is_offered_with_what_it_does() -> None:
    found = {item.value: item.help for item in completions("unionfs ")}
    assert found.keys() == COMMANDS.keys() | ALIASES.keys()
    assert all(found.values())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_offers_its_options(command: str) -> None:
    assert {"--help", "--debug"} <= set(answers(f"unionfs {command} -"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("unionfs mo", ["mount"]),
        ("/usr/bin/unionfs unm", ["unmount"]),
        ("unionfs --de", ["--debug"]),
        ("unionfs --debug fla", ["flatten"]),
        ("unionfs mount --tr", ["--transport"]),
        ("unionfs mount --transport ", ["auto", "kernel", "pyfuse3"]),
        ("unionfs mount --transport k", ["kernel"]),
        ("unionfs mount --transport=k", ["kernel"]),
        ("unionfs mount --transport kernel --wri", ["--writeback"]),
        ("unionfs mount -f --lower a --lower b --upp", ["--upper"]),
        ("unionfs unpack 'a file' dir --format ", ["text", "json"]),
        ("unionfs unpack 'unfinished", [""]),
        ("unionfs unmount --la", ["--lazy"]),
        ("unionfs completion f", ["fish"]),
        ("unionfs mount --nonsense", []),
        ("unionfs nonsense --no", []),
    ],
)
def test_a_line_is_completed_from_its_last_word(line: str, expected: list[str]) -> None:
    assert [value if value != "unfinished" else "" for value in answers(line)] == expected


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("unionfs mount ", "dir"),
        ("unionfs mount --lower ", "dir"),
        ("unionfs mount --log x", "file"),
        ("unionfs umount ", "dir"),
        ("unionfs unpack ", "file"),
        ("unionfs unpack a ", "dir"),
        ("unionfs flatten ", "dir"),
    ],
)
def test_the_shell_is_left_to_find_files(line: str, kind: str) -> None:
    assert [item.type for item in completions(line)] == [kind]


def test_names_of_the_store_are_completed_where_an_image_is_meant(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS, "look", (__name__, "look at an image"))
    assert answers("unionfs look ") == []
    assert not root.exists()
    fill(root, "app:1.2", "app:2", "me/other", "localhost:5000/app")
    assert answers("unionfs look app:") == ["app:1.2", "app:2"]
    assert answers("unionfs look app:1.2 lo") == ["localhost:5000/app:latest"]
    assert answers("unionfs look --beside=me") == ["me/other:latest"]


@click.command
@click.argument("images", metavar="IMAGE...", nargs=-1)
@click.option("--beside", metavar="IMAGE")
def look(**_: object) -> None: ...


def test_names_come_from_the_store_that_the_line_names(root: Path, tmp_path: Path) -> None:
    fill(root, "here:1")
    fill(tmp_path / "other", "there:1")
    assert answers("unionfs inspect ") == ["here:1"]
    assert answers(f"unionfs --root {tmp_path}/other inspect ") == ["there:1"]
    assert answers(f"unionfs --debug --root={tmp_path}/other rmi here:1 th") == ["there:1"]


def test_a_mount_is_of_an_image_or_at_a_directory(root: Path) -> None:
    fill(root, "app:1")
    for line in ("unionfs mount ", "unionfs mount --rw ", "unionfs mount --rw=work "):
        assert [(item.type, item.value) for item in completions(line)] == [("plain", "app:1"), ("dir", "")]


def test_names_of_uppers_are_completed_beside_directories(root: Path) -> None:
    fill(root, "app:1")
    with Store(root) as store, store.using():
        stacked = store.stack(store.find("app:1"))
        store.uppers.make("work", stacked.use, stacked.lowers[0])
    assert [(item.type, item.value) for item in completions("unionfs flatten w")] == [("plain", "work"), ("dir", "w")]


def test_an_answer_is_a_line_of_kind_word_and_meaning(capsys: Captured) -> None:
    assert main(["completion", "--line", "unionfs umo", "bash"]) == 0
    assert capsys.readouterr().out == "plain\tumount\tunmount\n"


@pytest.mark.parametrize("words", [[], ["csh"], ["bash", "zsh"]])
def test_another_shell_is_an_error_of_usage(words: list[str], capsys: Captured) -> None:
    assert main(["completion", *words]) == 2
    assert capsys.readouterr().err.startswith("unionfs: error: ")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_what_its_shell_can_read(shell: str, tmp_path: Path, capsys: Captured) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    result = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


class Terminal:
    """A shell at a terminal, which has loaded its script."""

    def __init__(self, descriptor: int, shell: str) -> None:
        self._descriptor = descriptor
        self._type(f"{LOADING[shell]}; printf '%s%s' rea dy\r")
        self._until("ready")

    def completed(self, typed: str, expected: str) -> None:
        """Type a line and a tab, have its words printed instead of run, and wait until they are what is expected."""
        self._type(f"{typed}\t\x01printf '[%s]' \x05\r")
        self._until("".join(f"[{word}]" for word in expected.split()))

    def _type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def _until(self, text: str) -> None:
        seen = ""
        end = time.monotonic() + 30
        while text not in seen:
            ready, _, _ = select.select([self._descriptor], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} didn't come, but {seen!r}"
            seen += os.read(self._descriptor, 65536).decode(errors="replace")


@contextmanager
def terminal(shell: str, home: Path) -> Iterator[Terminal]:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    environment = {"HOME": str(home), "PATH": f"{PROGRAMS}:{os.environ['PATH']}", "TERM": "xterm", "LANG": "C.UTF-8"}
    environment["UNIONFS_ROOT"] = os.environ["UNIONFS_ROOT"]
    process, descriptor = pty.fork()
    if process == 0:
        os.chdir(home)
        os.execvpe(SHELLS[shell][0], SHELLS[shell], environment)  # noqa: S606 - the shell is what is run
    try:
        yield Terminal(descriptor, shell)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(descriptor)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_what_is_typed(shell: str, root: Path, tmp_path: Path) -> None:
    (tmp_path / "only-directory").mkdir()
    fill(root, "app:1.2", "me/app:latest")
    with terminal(shell, tmp_path) as typing:
        typing.completed("unionfs umo", "unionfs umount")
        typing.completed("unionfs mount --transport k", "unionfs mount --transport kernel")
        typing.completed("unionfs mount --transport=k", "unionfs mount --transport=kernel")
        typing.completed("unionfs inspect ap", "unionfs inspect app:1.2")
        typing.completed("unionfs inspect app:", "unionfs inspect app:1.2")
        typing.completed("unionfs inspect me/app:la", "unionfs inspect me/app:latest")
        typing.completed("unionfs mount --lower onl", f"unionfs mount --lower only-directory{SLASH[shell]}")
