"""What is run, from an image's config and the caller's wishes."""

import json
from collections.abc import Mapping

import pytest

from unionfs.image import Config
from unionfs.shell.error import ShellError
from unionfs.shell.process import Wishes, process_of
from unionfs.shell.setup import DEFAULT_PATH, Process


def of(
    config: Mapping[str, object], *command: str, caller: Mapping[str, str] | None = None, **wishes: object
) -> Process:
    """Read *config* as an image's and ask for *command* with *wishes*."""
    document = {"architecture": "amd64", "os": "linux", "config": config}
    execution = Config.read(json.dumps(document).encode()).execution
    return process_of(execution, Wishes(command, **wishes), caller or {})  # type: ignore[arg-type] # of any field


def test_without_a_command_it_is_the_shell() -> None:
    assert of({}).arguments == ("/bin/sh",)
    assert of({"Shell": ["/bin/bash", "-o", "pipefail", "-c"]}).arguments == ("/bin/bash",)


def test_a_command_is_run_as_it_was_typed_whatever_entrypoint_and_cmd_are() -> None:
    config = {"Entrypoint": ["/entry", "-x"], "Cmd": ["serve"], "Shell": ["/bin/bash", "-c"]}
    assert of(config, "ls", "-l").arguments == ("ls", "-l")
    assert of(config).arguments == ("/bin/bash",)


def test_the_environment_is_the_images_with_a_path() -> None:
    assert of({"Env": ["A=1", "B=x=y", "C="]}).environment == {"PATH": DEFAULT_PATH, "A": "1", "B": "x=y", "C": ""}
    assert of({"Env": ["PATH=/opt"]}).environment == {"PATH": "/opt"}


def test_what_is_no_variable_has_no_effect() -> None:
    assert of({"Env": ["A", "=b", ""]}).environment == {"PATH": DEFAULT_PATH}


def test_the_last_of_two_values_counts() -> None:
    assert of({"Env": ["A=1", "A=2"]}, environment=("A=3", "A=4")).environment["A"] == "4"


def test_the_caller_sets_takes_over_and_drops_variables() -> None:
    caller = {"HERE": "there", "SECRET": "s"}
    found = of({"Env": ["A=1", "GONE=x"]}, caller=caller, environment=("A=2", "HERE", "GONE", "NEW=n")).environment
    assert found == {"PATH": DEFAULT_PATH, "A": "2", "HERE": "there", "NEW": "n"}


def test_the_terminal_is_passed_on_unless_the_image_names_one() -> None:
    assert of({}, caller={"TERM": "xterm"}).environment["TERM"] == "xterm"
    assert of({"Env": ["TERM=dumb"]}, caller={"TERM": "xterm"}).environment["TERM"] == "dumb"


@pytest.mark.parametrize(
    ("image", "wish", "expected"),
    [
        ("", None, "/"),
        ("/srv", None, "/srv"),
        ("/srv", "/opt/", "/opt"),
        ("/a/../../b", None, "/b"),
        ("//x", None, "/x"),
    ],
)
def test_the_working_directory_is_the_callers_or_the_images(image: str, wish: str | None, expected: str) -> None:
    assert of({"WorkingDir": image}, directory=wish).directory == expected


@pytest.mark.parametrize(("image", "wish"), [("srv", None), ("../..", None), ("/", "srv"), ("/", "")])
def test_a_working_directory_that_is_relative_is_refused(image: str, wish: str | None) -> None:
    with pytest.raises(ShellError, match="isn't an absolute path"):
        of({"WorkingDir": image}, directory=wish)


def test_the_user_is_the_callers_or_the_images() -> None:
    assert of({}).user == ""
    assert of({"User": "bob:wheel"}).user == "bob:wheel"
    assert of({"User": "bob"}, user="0").user == "0"


@pytest.mark.parametrize("entry", ["=x", ""])
def test_a_variable_without_a_name_is_refused(entry: str) -> None:
    with pytest.raises(ShellError, match="has no name"):
        of({}, environment=(entry,))


@pytest.mark.parametrize(
    "config", [{"Env": ["A=\0"]}, {"User": "a\0"}, {"WorkingDir": "/\0"}, {"Shell": ["/bin/\0"]}], ids=str
)
def test_a_nul_character_is_refused(config: Mapping[str, object]) -> None:
    with pytest.raises(ShellError, match="NUL character"):
        of(config)
