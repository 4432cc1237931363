"""``unionfs mount``: its command line, and the list of mounts. What is mounted is tested in ``tests.mount``."""

import os
from pathlib import Path

import pytest

from tests.mount.connections import mount_connection
from unionfs.cli import main
from unionfs.mount import session
from unionfs.mount.options import MountOptions
from unionfs.mount.session import OpenStack, ProcessOptions

Call = tuple[bytes, MountOptions, ProcessOptions]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Collect what would be mounted."""
    calls: list[Call] = []

    def run(mountpoint: bytes, options: MountOptions, process: ProcessOptions, _open_stack: OpenStack) -> int:
        calls.append((mountpoint, options, process))
        return 0

    monkeypatch.setattr(session, "run", run)
    return calls


def test_options_may_be_repeated_joined_and_stand_anywhere(asked: list[Call]) -> None:
    assert main(["mount", "-olowerdir=/a", "/mnt", "-o", "upperdir=/u,suid", "-o", "workdir=/w"]) == 0
    options = MountOptions(lowers=(b"/a",), upper=b"/u", work=b"/w", suid=True)
    assert asked == [(b"/mnt", options, ProcessOptions())]


def test_directories_given_as_arguments_have_no_escapes(asked: list[Call]) -> None:
    words = ["--lower", r"/a:b\c\:", "--lower=/caf\udce9", "--upper", '"/u,v', "--work", "/w"]
    assert main(["mount", *words, "/mnt"]) == 0
    lowers = (rb"/a:b\c" + rb"\:", b"/caf\xe9")
    assert asked[0][1] == MountOptions(lowers=lowers, upper=b'"/u,v', work=b"/w")


def test_lowers_keep_the_order_of_the_command_line(asked: list[Call]) -> None:
    assert main(["mount", "--lower", "/1", "-o", "lowerdir=/2:/3,lowerdir+=/4", "--lower", "/5", "/mnt"]) == 0
    assert asked[0][1].lowers == (b"/1", b"/2", b"/3", b"/4", b"/5")


def test_the_process_is_told_how_to_run(asked: list[Call]) -> None:
    for words in (["-f", "--log", "x.log", "--debug"], ["--foreground", "--log=x.log", "--debug"]):
        assert main(["mount", *words, "-o", "lowerdir=/a", "/mnt"]) == 0
    wanted = ProcessOptions(foreground=True, log_file=b"x.log", debug=True)
    assert [process for _, _, process in asked] == [wanted, wanted]


def test_reading_ahead_can_be_turned_off(asked: list[Call]) -> None:
    for words in ([], ["--prefetch=auto"], ["--prefetch", "off"]):
        assert main(["mount", *words, "-o", "lowerdir=/a", "/mnt"]) == 0
    assert [options.prefetch for _, options, _ in asked] == [True, True, False]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-o", "lowerdir=/a"], "the mountpoint is missing; 'unionfs mount --help' says more"),
        (["/mnt"], "nothing to mount: give lowerdir, or upperdir and workdir"),
        (["/mnt", "-o", "frobnicate"], "unknown option: frobnicate"),
        (["/mnt", "-o", "lowerdir=/a,in\x1bdex=on"], r"unknown option: in\x1bdex"),
        (["/mnt", "-o"], "argument -o: expected one argument; 'unionfs mount --help' says more"),
        (["a", "/mnt", "/mnt2", "-o", "ro"], "unexpected argument: /mnt2; 'unionfs mount --help' says more"),
        (["/mnt", "--lower", ""], "option lowerdir+ needs a value"),
    ],
)
def test_a_wrong_command_line_mounts_nothing(
    asked: list[Call], capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert main(["mount", *words]) == 2
    assert capsys.readouterr().err == f"unionfs: error: {line}\n"
    assert asked == []


def test_without_arguments_mounts_are_listed_as_mount_lists_them(
    mountpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = mountpoint / "a b\x1b"
    odd.mkdir()
    device_fd = mount_connection(odd)
    try:
        assert main(["mount"]) == 0
    finally:
        os.close(device_fd)
        main(["umount", "--lazy", str(odd)])
    shown = str(mountpoint / r"a b\x1b")
    assert f"unionfs on {shown} type fuse.unionfs (rw,relatime)\n" in capsys.readouterr().out
