"""``unionfs completion``: scripts by which shells complete command lines, and the answers they ask this program for.

Commands are loaded when a line names them, as ever; those whose arguments are read by the standard library are shown to
click as commands of its own.
"""

import argparse
import importlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from unionfs.cli.arguments import Parser
from unionfs.cli.click_command import run
from unionfs.cli.commands import ALIASES, COMMANDS
from unionfs.cli.completion_scripts import SCRIPTS
from unionfs.cli.images import opened_store
from unionfs.cli.store_path import store_path
from unionfs.store.store import Store

_HELP = """\
Print a script that makes SHELL complete the commands, options, files and image names of unionfs.

To use it at once, and in each shell to come:

\b
  bash   source <(unionfs completion bash)     in ~/.bashrc
  zsh    source <(unionfs completion zsh)      in ~/.zshrc, after compinit
  fish   unionfs completion fish | source      in ~/.config/fish/config.fish
"""


def main(arguments: Sequence[str]) -> int:
    """Print a script, or the completions of a line, as *arguments* say; raises UsageError where they can't be read."""
    return run(_command, arguments)


@click.command("completion", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
@click.option("--line", hidden=True, help="Print what completes this line, up to the cursor.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def _command(shell: str, line: str | None) -> None:
    if line is None:
        print(SCRIPTS[shell], end="")
        return
    for item in completions(line):
        about = (item.help or "").partition("\n")[0]
        print(f"{item.type}\t{item.value}\t{about}")


def completions(line: str) -> list[CompletionItem[str]]:
    """Give what the last word of *line*, a command line whose first word is the program, may become."""
    words = split_arg_string(line)
    last = words.pop() if words and not line[-1].isspace() else ""
    return ShellComplete(_Commands(), {}, "unionfs", "").get_completions(words[1:], last)


class _Commands(click.Group):
    """All commands, of which only the one that a line names is loaded."""

    def __init__(self) -> None:
        flags = [click.Option(names, is_flag=True, help=about) for names, about in _OWN_FLAGS]
        root = click.Option(["--root"], type=click.Path(file_okay=False), help="Where the store of images is.")
        super().__init__("unionfs", params=[*flags, root], add_help_option=False)

    def list_commands(self, _context: click.Context) -> list[str]:
        return [*COMMANDS, *ALIASES]

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        known = ALIASES.get(name, name)
        return _loaded(known) if known in COMMANDS else None

    def shell_complete(self, context: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        if incomplete.startswith("-"):
            return super().shell_complete(context, incomplete)
        found = {name: COMMANDS[ALIASES.get(name, name)][1] for name in self.list_commands(context)}
        return [CompletionItem(name, help=about) for name, about in found.items() if name.startswith(incomplete)]


_OWN_FLAGS = (
    (["-h", "--help"], "Show the commands."),
    (["-V", "--version"], "Show the version."),
    (["--debug"], "Show the traceback of an error."),
)


def _loaded(name: str) -> click.Command:
    """Give a command, each parameter that is a file or an image being completed as one."""
    module = importlib.import_module(COMMANDS[name][0])
    found = [value for value in vars(module).values() if isinstance(value, click.Command)]
    command = found[0] if found else _Described(module.build_parser())
    for parameter in command.params:
        words = re.findall(r"[A-Z]+", parameter.metavar or (parameter.name or "").upper())
        if isinstance(parameter.type, click.types.StringParamType):
            parameter.type = _Named(words)
    return command


class _Described(click.Command):
    """A command whose arguments the standard library reads."""

    def __init__(self, parser: Parser) -> None:
        super().__init__(parser.prog, params=[_parameter(action) for action in parser.actions], add_help_option=False)
        self._flags = {flag for action in parser.actions if action.nargs == "?" for flag in action.option_strings}

    def parse_args(self, context: click.Context, words: list[str]) -> list[str]:
        """Read the words; an option that may have a value is a flag to click, so its value isn't shown to it."""
        return super().parse_args(
            context, [name if (name := word.partition("=")[0]) in self._flags else word for word in words]
        )


def _parameter(action: argparse.Action) -> click.Parameter:
    kind = click.Choice([str(choice) for choice in action.choices]) if action.choices else click.STRING
    metavar = action.metavar if isinstance(action.metavar, str) else None
    if not action.option_strings:
        many = action.nargs in ("+", "*")
        return click.Argument([action.dest], type=kind, metavar=metavar, required=False, nargs=-1 if many else 1)
    names = [f"given_{action.option_strings[-1].lstrip('-')}", *action.option_strings]
    if action.nargs in (0, "?"):  # what may have a value has it after an equals sign
        return click.Option(names, is_flag=True, help=action.help)
    return click.Option(names, type=kind, metavar=metavar, help=action.help, multiple=True)


class _Named(click.ParamType[str]):
    """A parameter that is shown by *words*, each of which says what it may be."""

    name = "name"

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def shell_complete(
        self, context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        root = context.find_root().params.get("root")
        of_store = [_IN_STORE[word] for word in self._words if word in _IN_STORE]
        found = [
            CompletionItem(name)
            for name in _names_in(Path(root) if root else store_path(), of_store)
            if name.startswith(incomplete)
        ]
        return found + [CompletionItem(incomplete, type=_FILES[word]) for word in self._words if word in _FILES]


def _names_in(root: Path, kinds: Sequence[Callable[[Store], list[str]]]) -> list[str]:
    """Give the names of those kinds in the store at *root*; one that isn't there is not made."""
    if not kinds or not root.is_dir():
        return []
    with opened_store(root) as store:
        return [name for names in kinds for name in names(store)]


def _image_names(store: Store) -> list[str]:
    return [name.familiar for image in store.catalogue().images for name in image.names]


def _upper_names(store: Store) -> list[str]:
    with store.using():
        return [upper.name for upper in store.uppers]


_IN_STORE: Mapping[str, Callable[[Store], list[str]]] = {"IMAGE": _image_names, "UPPER": _upper_names}
_FILES: Mapping[str, str] = {
    "ARCHIVE": "file",
    "DEST": "file",
    "DIR": "dir",
    "FILE": "file",
    "MOUNTPOINT": "dir",
    "UPPER": "dir",
}
"""What the shell completes."""
