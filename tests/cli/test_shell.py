"""``unionfs shell``: a command in an image of the store, run as a user would run it."""

import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.program import PROGRAM
from tests.cli.shelling import PATIENCE, Place, wait_for
from tests.shell.image import busybox_layout
from unionfs.store.store import Store


def test_the_image_says_user_environment_and_directory(place: Place) -> None:
    assert place.output("--", "sh", "-c", "id -un; id -Gn; pwd; echo $COLOUR $HOME").splitlines() == [
        "bob",
        "bob wheel last",
        "/home/bob",
        "blue /home/bob",
    ]


def test_the_caller_says_otherwise(place: Place) -> None:
    words = ["-u", "0:10", "-w", "/tmp", "-e", "COLOUR=red", "-e", "HOME", "--hostname", "elsewhere"]
    script = "id -u; id -G; pwd; echo $COLOUR $HOME; hostname; cat /etc/hostname; grep -c elsewhere /etc/hosts"
    found = place.output(*words, "--", "sh", "-c", script).splitlines()
    assert found == ["0", "10", "/tmp", f"red {os.environ['HOME']}", "elsewhere", "elsewhere", "1"]


def test_without_a_command_it_is_a_shell_that_reads_standard_input(place: Place) -> None:
    result = place.run("--", stdin="echo $((6 * 7)); exit 5\n")
    assert (result.stdout, result.stderr, result.returncode) == ("42\n", "", 5)


def test_options_after_the_image_are_the_commands(place: Place) -> None:
    assert place.output("--", "echo", "-e", "a", "--keep", "b") == "a --keep b\n"


def test_what_it_changes_is_thrown_away(place: Place) -> None:
    place.output("-u", "root", "--", "sh", "-c", "rm -r /home; echo x >/etc/new; ls /")
    assert place.output("-u", "root", "--", "sh", "-c", "ls -d /home; ls /etc").split()[0] == "/home"


def test_an_upper_with_a_name_is_kept_and_gone_on_with(place: Place) -> None:
    place.output("-u", "root", "--keep", "mine", "--", "sh", "-c", "echo one >/etc/new")
    assert (
        place.output("-u", "root", "--keep", "mine", "--", "sh", "-c", "cat /etc/new; echo two >>/etc/new") == "one\n"
    )
    with Store(place.store) as store:
        upper = store.uppers.require("mine")
    assert (upper.upper / "etc/new").read_text() == "one\ntwo\n"
    assert sorted(path.name for path in upper.upper.rglob("*")) == ["etc", "new"]


def test_changes_become_an_image(place: Place) -> None:
    result = place.run("-u", "root", "--commit", "web:1", "--", "sh", "-c", "echo hello >/etc/page; exit 0")
    assert (result.returncode, result.stdout) == (0, "")
    with Store(place.store) as store:
        image = store.find("web:1")
        assert list(store.uppers) == []
    assert result.stderr == f"unionfs: committed as web:1, {image.id}\n"
    assert image.config.history[-1].created_by == "unionfs shell sh -c 'echo hello >/etc/page; exit 0'"
    assert image.config.execution.user == "bob"
    shown = subprocess.run(
        [PROGRAM, "shell", "web:1", "cat", "/etc/page"],
        capture_output=True,
        text=True,
        env=place.environment,
        check=True,
    )
    assert shown.stdout == "hello\n"


@pytest.mark.parametrize(("code", "made"), [(0, True), (3, False)])
def test_a_command_that_fails_makes_no_image_and_its_changes_are_gone(place: Place, code: int, made: bool) -> None:
    result = place.run("--commit", "web:1", "--", "sh", "-c", f"echo x >/tmp/x; exit {code}")
    assert result.returncode == code
    assert ("no image is made, since the command ended with 3" in result.stderr) != made
    with Store(place.store) as store:
        assert len(store.catalogue().images) == 1 + made
        assert list(store.uppers) == []


def test_what_a_shell_changed_becomes_an_image_whatever_its_last_line_came_to(place: Place) -> None:
    assert place.run("--commit", "web:1", "--", stdin="echo x >/tmp/x; false\n").returncode == 1
    with Store(place.store) as store:
        assert len(store.find("web:1").config.diff_ids) == 2


def test_changes_that_become_an_image_are_kept_too_where_that_is_wanted(place: Place) -> None:
    place.run("--keep", "mine", "--commit", "web:1", "--", "sh", "-c", "echo x >/tmp/x")
    assert place.output("--keep", "mine", "--", "cat", "/tmp/x") == "x\n"


def test_an_image_that_cannot_be_made_leaves_its_changes_as_an_upper(place: Place) -> None:
    """The blob of the layer beneath is damaged while the command runs."""
    place.output("--", "true")
    blobs = place.store / "blobs/sha256"
    with Store(place.store) as store:
        manifest = store.catalogue().images[0].manifest_digest.hex
    words = place.command("-u", "root", "--commit", "web:1", "--", "sh", "-c", "echo x >/etc/x; echo ready; cat")
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=place.environment
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        (blobs / manifest).rename(blobs / "gone")
        _, errors = shell.communicate("")
        (blobs / "gone").rename(blobs / manifest)
    assert shell.returncode == 125
    with Store(place.store) as store:
        (upper,) = store.uppers
    assert f"the changes are kept: 'unionfs commit {upper.name} web:1' tries again" in errors
    assert (upper.upper / "etc/x").read_text() == "x\n"


def test_a_command_that_is_not_run_leaves_no_upper(place: Place) -> None:
    assert place.run("--commit", "web:1", "--", "absent").returncode == 127
    with Store(place.store) as store:
        assert list(store.uppers) == []


def test_an_upper_of_other_layers_is_refused(place: Place) -> None:
    place.output("--keep", "mine", "--", "true")
    other = place.directory / "other"
    image = busybox_layout(other, bytes(1024))
    result = subprocess.run(
        [PROGRAM, "shell", "--keep", "mine", f"oci:{image}", "true"],
        capture_output=True,
        text=True,
        env=place.environment,
        check=False,
    )
    assert result.returncode == 125
    assert result.stderr.startswith("unionfs: error: the upper mine is one of oci:")


def test_an_upper_in_use_is_waited_for_and_then_refused(place: Place) -> None:
    first = subprocess.Popen(
        place.command("--keep", "mine", "--", "sh", "-c", "echo ready; cat"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=place.environment,
    )  # fmt: skip
    with first:
        assert first.stdout is not None
        assert first.stdout.readline() == "ready\n"
        result = place.run("--keep", "mine", "--", "true")
        assert result.returncode == 125
        assert "is in use by another mount" in result.stderr
        first.communicate("")
    assert first.returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--", "absent"], 127, "absent: not found in PATH"),
        (["--", "/etc/passwd"], 126, "/etc/passwd: Permission denied"),
        (["-u", "nobody-there", "--", "true"], 125, "unable to find user"),
        (["-u", "4294967296", "--", "true"], 125, "is no id"),
        (["-w", "relative", "--", "true"], 125, "isn't an absolute path"),
        (["-v", "/nonexistent:/mnt", "--", "true"], 125, "/nonexistent: No such file or directory"),
        (["-v", "/tmp", "--", "true"], 125, "SOURCE:DESTINATION"),
        (["-v", "/tmp:mnt", "--", "true"], 125, "SOURCE:DESTINATION"),
        (["-v", "/tmp:/mnt:rx", "--", "true"], 125, "SOURCE:DESTINATION"),
        (["-v", ":/mnt", "--", "true"], 125, "SOURCE:DESTINATION"),
        (["--hostname", "a b", "--", "true"], 125, "letters, digits"),
        (["--hostname", "", "--", "true"], 125, "letters, digits"),
        (["-e", "=x", "--", "true"], 125, "has no name"),
        (["--keep", "../x", "--", "true"], 125, "invalid name of an upper"),
        (["--commit", "UPPER", "--", "true"], 125, "must be lowercase"),
        (["--nonsense", "--", "true"], 125, "No such option"),
        (["--platform", "x", "--", "true"], 125, "platform"),
    ],
    ids=str,
)
def test_what_cannot_be_run_is_one_line_and_an_exit_code_of_its_own(
    place: Place, words: list[str], code: int, reason: str
) -> None:
    result = place.run(*words)
    assert result.returncode == code
    assert result.stdout == ""
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("unionfs: error: ")


def test_an_image_that_is_not_there_is_named(place: Place) -> None:
    result = subprocess.run(
        [PROGRAM, "shell", "absent"], capture_output=True, text=True, env=place.environment, check=False
    )
    assert result.returncode == 125
    assert 'no such image: "absent"' in result.stderr


def test_a_volume_shows_and_takes_what_is_outside(place: Place) -> None:
    shared = place.directory / "shared"
    shared.mkdir()
    (shared / "in").write_text("in\n")
    words = ["-u", "root", "-v", f"{shared}:/new/mnt", "-v", f"{shared}/in:/etc/group:ro", "--keep", "mine"]
    script = "cat /new/mnt/in /etc/group; echo out >/new/mnt/out; echo x >>/etc/group"
    result = place.run(*words, "--", "sh", "-c", script)
    assert result.stdout == "in\nin\n"
    assert "Read-only file system" in result.stderr
    assert (shared / "out").read_text() == "out\n"
    assert (shared / "in").read_text() == "in\n"
    with Store(place.store) as store:
        upper = store.uppers.require("mine").upper
    # A directory that something was made in for a while is copied up, as it was.
    assert [path.name for path in upper.rglob("*")] == ["etc"]
    (layer,) = (place.store / "layers").glob("sha256-*")
    assert (upper / "etc").stat().st_mtime_ns == (layer / "etc").stat().st_mtime_ns


def test_a_destination_is_resolved_in_the_image(place: Place) -> None:
    victim = place.directory / "victim"
    victim.mkdir()
    shared = place.directory / "shared"
    shared.mkdir()
    (shared / "in").touch()
    place.output("-u", "root", "--keep", "mine", "--", "ln", "-s", f"../../../..{victim}", "/link")
    assert place.output("-u", "root", "--keep", "mine", "-v", f"{shared}:/link", "--", "ls", str(victim)) == "in\n"
    assert list(victim.iterdir()) == []


def test_with_read_only_nothing_is_changed(place: Place) -> None:
    result = place.run(
        "-u", "root", "--read-only", "--", "sh", "-c", "echo x >/etc/new; echo y >/dev/shm/y; cat /dev/shm/y"
    )
    assert result.stdout == "y\n"
    assert "Read-only file system" in result.stderr


def test_an_image_in_use_by_a_shell_stays(place: Place) -> None:
    words = place.command("--", "sh", "-c", "echo ready; cat; cat /etc/passwd")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, text=True, env=place.environment, **pipes) as shell:  # type: ignore[call-overload] # pipes
        assert shell.stdout is not None
        assert shell.stdout.readline() == "ready\n"
        with Store(place.store) as store:
            store.drop(store.catalogue().images[0])
            store.collect()
        output, _ = shell.communicate("")
    assert "root:x:0:0" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_is_passed_on_to_the_command(place: Place, number: signal.Signals) -> None:
    script = f"trap 'echo got; exit 9' {number.value}; echo ready; while :; do sleep 0.05; done"
    with subprocess.Popen(
        place.command("--", "sh", "-c", script), stdout=subprocess.PIPE, text=True, env=place.environment
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "ready\n"
        shell.send_signal(number)
        assert shell.communicate(timeout=PATIENCE)[0] == "got\n"
    assert shell.returncode == 9


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_a_signal_before_the_command_runs_ends_the_program_and_leaves_nothing(
    place: Place, number: signal.Signals, code: int
) -> None:
    """An upper that another shell has is waited for, so that the command doesn't run for long enough."""
    holder = subprocess.Popen(
        place.command("--keep", "mine", "--", "sh", "-c", "echo ready; cat"),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=place.environment,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with subprocess.Popen(place.command("--keep", "mine", "--", "true"), env=place.environment) as shell:
            wait_for(lambda: len(place.temporary()) == 2)
            time.sleep(0.3)
            shell.send_signal(number)
            assert shell.wait(PATIENCE) == code
        wait_for(lambda: len(place.temporary()) == 1)
        holder.communicate("")


def test_a_signal_that_ends_the_command_is_its_exit_code(place: Place) -> None:
    with subprocess.Popen(
        place.command("--", "sh", "-c", "echo ready; exec sleep 100"),
        stdout=subprocess.PIPE,
        text=True,
        env=place.environment,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "ready\n"
        shell.terminate()
        assert shell.wait(PATIENCE) == 128 + signal.SIGTERM


def test_killing_the_program_ends_everything_and_the_store_sweeps_what_is_left(place: Place) -> None:
    mark = f"MARK={place.directory}"
    with subprocess.Popen(
        place.command("-e", mark, "--", "sh", "-c", "setsid sleep 1000 & echo ready; sleep 1000"),
        stdout=subprocess.PIPE,
        text=True,
        env=place.environment,
    ) as shell:
        assert shell.stdout is not None
        assert shell.stdout.readline() == "ready\n"
        assert processes_with(mark)
        shell.kill()
        shell.stdout.read()
    wait_for(lambda: not processes_with(mark))
    with Store(place.store) as store:

        def is_swept() -> bool:
            store.collect()
            return place.temporary() == []

        wait_for(is_swept)


def processes_with(mark: str) -> list[str]:
    """Give the processes that have *mark* in their environment."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdecimal() and mark in (process / "environ").read_text(errors="replace").split("\0"):
                found.append(process.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def test_a_command_that_signals_its_process_group_reaches_nobody_outside(place: Place) -> None:
    command = shlex.join(place.command("--", "sh", "-c", "kill -9 0"))
    result = subprocess.run(
        ["/bin/bash", "-c", f"{command} | cat; echo ${{PIPESTATUS[@]}}"], capture_output=True, text=True,
        env=place.environment, check=True, start_new_session=True,
    )  # fmt: skip
    assert result.stdout == "137 0\n"


def test_what_inspects_the_store_sees_a_shell_as_a_mount(place: Place) -> None:
    with subprocess.Popen(
        place.command("--", "sh", "-c", "echo ready; cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=place.environment,
    ) as shell:  # fmt: skip
        assert shell.stdout is not None
        shell.stdout.readline()
        with Store(place.store) as store:
            (mount,) = store.mounted()
        assert mount.mountpoint == f"(unionfs shell, process {shell.pid})"
        shell.communicate("")
    assert json.loads((place.store / "index.json").read_text())
