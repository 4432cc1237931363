"""Dockerfile instructions that change how an image is run."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image.documents import Fields
from unionfs.image import ImageError
from unionfs.image.instructions import _INSTRUCTIONS, changed

SHELL = ["/bin/sh", "-c"]


def refusal(*instructions: str) -> str:
    with pytest.raises(ImageError) as error:
        changed({"Env": ["A=1"]}, instructions)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("instruction", "expected"),
    [
        ('CMD ["/bin/httpd","-f","-h","/data/html"]', {"Cmd": ["/bin/httpd", "-f", "-h", "/data/html"]}),
        ('CMD [ "a", "b c" ] ', {"Cmd": ["a", "b c"]}),
        ('CMD a b "c"', {"Cmd": [*SHELL, 'a b "c"']}),
        ("cmd  $HOME/x ", {"Cmd": [*SHELL, "$HOME/x"]}),
        ("CMD=/bin/sh", {"Cmd": [*SHELL, "/bin/sh"]}),
        ('CMD ["a", b]', {"Cmd": [*SHELL, '["a", b]']}),
        ("CMD [ -e /x ] && y", {"Cmd": [*SHELL, "[ -e /x ] && y"]}),
        ("CMD []", {}),
        ("ENTRYPOINT echo x", {"Entrypoint": [*SHELL, "echo x"]}),
        ('ENTRYPOINT ["/init"]', {"Entrypoint": ["/init"]}),
        ("ENV=a=b", {"Env": ["a=b"]}),
        ("ENV a b  c", {"Env": ["a=b  c"]}),
        ('ENV a "b  c" d', {"Env": ["a=b  c d"]}),
        (r"""ENV c=d e="f g" h=i\ j k='$x "y"' l=""", {"Env": ["c=d", "e=f g", "h=i j", 'k=$x "y"', "l="]}),
        (r'ENV a="\"q\" \n \$x"', {"Env": [r'a="q" \n $x']}),
        ("ENV a=b=c", {"Env": ["a=b=c"]}),
        ("ENV a=b\\", {"Env": ["a=b"]}),
        ("LABEL a=b", {"Labels": {"a": "b"}}),
        ('LABEL a=b "c d"=e', {"Labels": {"a": "b", "c d": "e"}}),
        ("LABEL a b c", {"Labels": {"a": "b c"}}),
        ("EXPOSE 80", {"ExposedPorts": {"80/tcp": {}}}),
        ("EXPOSE 443/TCP 53/udp 9/sctp", {"ExposedPorts": {"443/tcp": {}, "53/udp": {}, "9/sctp": {}}}),
        ("EXPOSE 8000-8002/udp", {"ExposedPorts": {"8000/udp": {}, "8001/udp": {}, "8002/udp": {}}}),
        ("VOLUME /a /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ('VOLUME ["/c d"]', {"Volumes": {"/c d": {}}}),
        ("USER 1000:1000", {"User": "1000:1000"}),
        ("USER=nobody", {"User": "nobody"}),
        ("WORKDIR /a/../b c/", {"WorkingDir": "/b c"}),
        ("WORKDIR a", {"WorkingDir": "/a"}),
        ("WORKDIR /", {"WorkingDir": "/"}),
        ("WORKDIR //x", {"WorkingDir": "/x"}),
        ("STOPSIGNAL SIGTERM", {"StopSignal": "SIGTERM"}),
        ("STOPSIGNAL quit", {"StopSignal": "quit"}),
        ("STOPSIGNAL 9", {"StopSignal": "9"}),
        ("STOPSIGNAL SIGRTMIN+3", {"StopSignal": "SIGRTMIN+3"}),
        ("ONBUILD RUN make  all", {"OnBuild": ["RUN make  all"]}),
        ("onbuild copy . /x", {"OnBuild": ["copy . /x"]}),
    ],
)
def test_an_instruction_sets_its_field(instruction: str, expected: Fields) -> None:
    assert changed({}, [instruction]) == expected


@pytest.mark.parametrize(
    ("before", "instruction", "after"),
    [
        ({"Env": ["A=1", "B=2"]}, "ENV A=3 C=4", {"Env": ["A=3", "B=2", "C=4"]}),
        ({"Env": ["A=1", "A=2", "A"]}, "ENV A=3", {"Env": ["A=3"]}),
        ({"Env": ["PATH=/bin"]}, "ENV PATH=/opt:$PATH", {"Env": ["PATH=/opt:/bin"]}),
        ({"Labels": {"a": "1", "b": "2"}}, "LABEL b=3", {"Labels": {"a": "1", "b": "3"}}),
        ({"ExposedPorts": {"80/tcp": {}}}, "EXPOSE 80 81", {"ExposedPorts": {"80/tcp": {}, "81/tcp": {}}}),
        ({"Volumes": {"/a": {}}}, "VOLUME /b", {"Volumes": {"/a": {}, "/b": {}}}),
        ({"WorkingDir": "/a"}, "WORKDIR b", {"WorkingDir": "/a/b"}),
        ({"OnBuild": ["RUN a"]}, "ONBUILD RUN b", {"OnBuild": ["RUN a", "RUN b"]}),
        ({"Shell": ["/bin/bash", "-ec"]}, "CMD x", {"Shell": ["/bin/bash", "-ec"], "Cmd": ["/bin/bash", "-ec", "x"]}),
        ({"Cmd": ["old"]}, "ENTRYPOINT new", {"Entrypoint": [*SHELL, "new"]}),
        ({"Cmd": ["old"]}, "CMD []", {}),
        ({"Cmd": None, "Env": None}, "ENV a=b", {"Cmd": None, "Env": ["a=b"]}),
        ({"x.unknown": {"deep": [1]}, "User": "a"}, "USER b", {"x.unknown": {"deep": [1]}, "User": "b"}),
    ],
)
def test_an_instruction_adds_to_what_is_there_or_replaces_it(before: Fields, instruction: str, after: Fields) -> None:
    assert changed(before, [instruction]) == after


def test_an_entrypoint_keeps_a_cmd_that_is_given_with_it() -> None:
    expected = {"Cmd": ["new"], "Entrypoint": ["/e"]}
    assert changed({"Cmd": ["old"]}, ['CMD ["new"]', 'ENTRYPOINT ["/e"]']) == expected
    assert changed({"Cmd": ["old"]}, ['ENTRYPOINT ["/e"]', 'CMD ["new"]']) == expected


def test_instructions_apply_in_order_and_what_they_start_from_stays() -> None:
    before: Fields = {"Env": ["A=1"], "Labels": {"a": "b"}}
    after = changed(before, ["ENV B=$A", "ENV A=2 C=$A", "LABEL v=$B$C$A", "WORKDIR $A", "USER u$A"])
    assert after["Env"] == ["A=2", "B=1", "C=1"]
    assert (after["Labels"], after["WorkingDir"], after["User"]) == ({"a": "b", "v": "112"}, "/2", "u2")
    assert before == {"Env": ["A=1"], "Labels": {"a": "b"}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", "one"),
        ("${A}s", "ones"),
        ("$As", ""),
        ("$A-$B.", "one-."),
        ("${N:-x $A}", "x one"),
        ("${E:-x}${E-y}", "x"),
        ("${A:-x}${A:+y}${N:+z}${E+w}", "oneyw"),
        ("'$A'", "$A"),
        (r"\$A", "$A"),
        ('"$A"', "one"),
        ("$", "$"),
        ("$1 100$ ", "$1 100$ "),
        (r"a\b\\", "ab\\"),
    ],
)
def test_variables_are_replaced_as_docker_does_it(text: str, value: str) -> None:
    assert changed({"Env": ["A=one", "E=", "broken"]}, [f'LABEL l "$N"{text}"$N"'])["Labels"] == {"l": value}


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("RUN x", 'invalid change "RUN x": RUN is none of CMD, ENTRYPOINT, ENV,'),
        ("HEALTHCHECK NONE", "HEALTHCHECK is none of"),
        ("CMD", "CMD has no arguments"),
        ("ENV ", "ENV has no arguments"),
        ("", "one line"),
        ("= x", "one line"),
        ("LABEL a=b\nCMD c", "one line"),
        ("ENV A", "ENV takes NAME=VALUE ... or NAME VALUE"),
        ("ENV A=1 B", '"B" is not of the form NAME=VALUE'),
        ("ENV =x", '"=x" is not of the form NAME=VALUE'),
        ('ENV A="x', 'has no closing "'),
        ("LABEL A='x", "has no closing '"),
        ("ENV A=${B", "what follows ${ is not supported"),
        ("ENV A=${B?x}", "what follows ${ is not supported"),
        ("CMD [1]", '"list" must be a list of strings'),
        ("EXPOSE 0", "no range of ports"),
        ("EXPOSE 65536", "no range of ports"),
        ("EXPOSE 9-8", "no range of ports"),
        ("EXPOSE 80/foo", "is no PORT"),
        ("EXPOSE 8080:80", "is no PORT"),
        ("EXPOSE http", "is no PORT"),
        ('VOLUME [""]', "must not be empty"),
        ("VOLUME []", "must not be empty"),
        ("USER a b", "USER takes one argument"),
        ("USER $NONE", "USER's argument is empty"),
        ("STOPSIGNAL foo", 'there is no signal "foo"'),
        ("STOPSIGNAL 65", 'there is no signal "65"'),
        ("STOPSIGNAL RTMIN+90", "there is no signal"),
        ("ONBUILD ONBUILD RUN x", "ONBUILD is no instruction that ONBUILD may have"),
        ("ONBUILD FROM x", "FROM is no instruction"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_line(instruction: str, reason: str) -> None:
    assert reason in refusal("ENV OK=1", instruction)


def test_a_config_whose_fields_have_the_wrong_type_is_refused() -> None:
    with pytest.raises(ImageError, match='"OnBuild" must be a list'):
        changed({"OnBuild": 1}, ["ONBUILD RUN x"])


_PIECES = st.sampled_from([*"aA1 \t\n\"'\\$={}[],:-/.*é\0\udcff", "${A:-", "SIG", "RUN ", "80/tcp"])


@settings(derandomize=True, deadline=None, max_examples=500)
@given(st.sampled_from(sorted(_INSTRUCTIONS)), st.lists(_PIECES, max_size=20))
def test_any_text_is_understood_or_refused_in_one_line(name: str, pieces: list[str]) -> None:
    try:
        changed({"Env": ["A=b"]}, [f"{name} {''.join(pieces)}"])
    except ImageError as error:
        assert str(error).isprintable()  # noqa: PT017 - what is no error is right too
