"""``unionfs completion``: scripts by which shells complete command lines, and the answers they ask this program for.

Commands are loaded when a line names them, as ever; those whose arguments are read by the standard library are shown to
click as commands of its own.
"""

import argparse
import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from unionfs.cli import ALIASES, COMMANDS
from unionfs.cli.arguments import Parser
from unionfs.cli.click_command import run
from unionfs.cli.completion_scripts import SCRIPTS
from unionfs.cli.images import opened_store, store_path
from unionfs.store.store import Store

_HELP = """\
Print a script that makes SHELL complete the commands, options, files and image names of unionfs.

To use it at once, and in each shell to come:

\b
  bash   source <(unionfs completion bash)     in ~/.bashrc
  zsh    source <(unionfs completion zsh)      in ~/.zshrc, after compinit
  fish   unionfs completion fish | source      in ~/.config/fish/config.fish
"""
_METAVAR = re.compile(r"\W*([A-Z]+)")


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
        options = [click.Option(names, is_flag=True, help=about) for names, about in _OWN_OPTIONS]
        super().__init__("unionfs", params=[*options], add_help_option=False)

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


_OWN_OPTIONS = (
    (["-h", "--help"], "Show the commands."),
    (["-V", "--version"], "Show the version."),
    (["--debug"], "Show the traceback of an error."),
)


def _loaded(name: str) -> click.Command:
    """Give a command, each parameter that is a file or an image being completed as one."""
    module = importlib.import_module(COMMANDS[name][0])
    found = [value for value in vars(module).values() if isinstance(value, click.Command)]
    command = found[0] if found else _as_click(module.build_parser())
    for parameter in command.params:
        match = _METAVAR.match(parameter.metavar or (parameter.name or "").upper())
        if match and isinstance(parameter.type, click.types.StringParamType):
            parameter.type = _TYPES.get(match[1], parameter.type)
    return command


def _as_click(parser: Parser) -> click.Command:
    return click.Command(parser.prog, params=[_parameter(action) for action in parser.actions], add_help_option=False)


def _parameter(action: argparse.Action) -> click.Parameter:
    kind = click.Choice([str(choice) for choice in action.choices]) if action.choices else click.STRING
    metavar = action.metavar if isinstance(action.metavar, str) else None
    if not action.option_strings:
        many = action.nargs in ("+", "*")
        return click.Argument([action.dest], type=kind, metavar=metavar, required=False, nargs=-1 if many else 1)
    names = [f"given_{action.option_strings[-1].lstrip('-')}", *action.option_strings]
    if action.nargs == 0:
        return click.Option(names, is_flag=True, help=action.help)
    return click.Option(names, type=kind, metavar=metavar, help=action.help, multiple=True)


class _InStore(click.ParamType[str]):
    """What the store has names for; *names* gives them."""

    name = "name"

    def __init__(self, names: Callable[[Store], Iterable[str]], kinds: Sequence[str] = ()) -> None:
        self._names = names
        self._kinds = kinds

    def shell_complete(
        self, _context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem[str]]:
        files = [CompletionItem(incomplete, type=kind) for kind in self._kinds]
        if not store_path().is_dir():
            return files  # and opening one would make it
        with opened_store() as store:
            return [CompletionItem(name) for name in self._names(store) if name.startswith(incomplete)] + files


def _image_names(store: Store) -> list[str]:
    return [name.familiar for image in store.catalogue().images for name in image.names]


def _upper_names(store: Store) -> list[str]:
    with store.using():
        return [upper.name for upper in store.uppers]


_TYPES: Mapping[str, click.ParamType[str]] = {
    "ARCHIVE": click.Path(),
    "DIR": click.Path(file_okay=False),
    "FILE": click.Path(),
    "IMAGE": _InStore(_image_names),
    "MOUNTPOINT": click.Path(file_okay=False),
    "UPPER": _InStore(_upper_names, ["dir"]),
}
"""By the name under which a parameter is shown."""
