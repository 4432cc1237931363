"""A command run in a root of its own: what it finds, what it leaves, and how it ends."""

import os
from pathlib import Path

import pytest

from tests.ordinary_user import FIRST_SUBORDINATE
from tests.posix.processes import NOBODY
from tests.shell.box import SETUP, Box


def test_a_command_runs_with_the_image_as_its_root(anybody: Box) -> None:
    ran = anybody.sh("pwd; ls /; cat /etc/passwd | head -1; hostname; echo $HOME")
    assert ran.told == []
    assert ran.output.splitlines() == [
        "/", "bin", "dev", "etc", "proc", "root", "sys", "tmp", "root:x:0:0:root:/root:/bin/sh", "box", "/root",
    ]  # fmt: skip
    assert ran.code == 0


def test_changes_go_to_the_upper_alone(anybody: Box) -> None:
    before = sorted(anybody.layer.rglob("*"))
    assert (
        anybody.sh("mkdir -p /data/html; echo hello >/data/html/index.html; rm /etc/group; ls /etc").output
        == "passwd\n"
    )
    assert sorted(anybody.layer.rglob("*")) == before
    assert anybody.changed() == ["data", "data/html", "data/html/index.html", "etc", "etc/group"]
    assert (anybody.upper / "data/html/index.html").read_text() == "hello\n"


def test_a_command_that_changes_nothing_leaves_nothing_in_the_upper(anybody: Box) -> None:
    for name in ("proc", "sys", "dev"):
        (anybody.layer / name).rmdir()
    before = anybody.layer.stat().st_mtime_ns
    setup = SETUP._replace(files=(("/etc/resolv.conf", "nameserver 192.0.2.1\n"),))
    ran = anybody.run(["cat", "/etc/resolv.conf"], setup=setup)
    assert (ran.output, ran.told) == ("nameserver 192.0.2.1\n", [])
    assert [name for name in anybody.changed() if name != "etc"] == []
    assert anybody.layer.stat().st_mtime_ns == before
    if (anybody.upper / "etc").exists():
        assert (anybody.upper / "etc").stat().st_mtime_ns == (anybody.layer / "etc").stat().st_mtime_ns


def test_the_command_sees_its_own_processes_only(anybody: Box) -> None:
    ran = anybody.sh(
        "ls -d /proc/[0-9]* | wc -l; echo $$; ls -d /sys/kernel /dev/null /dev/pts/ptmx; echo x >/dev/shm/x"
    )
    count, own, *paths = ran.output.split()
    assert int(count) <= 4  # process 1, the shell, and those of the pipe
    assert own == "2"
    assert paths == ["/dev/null", "/dev/pts/ptmx", "/sys/kernel"]


def test_processes_that_the_command_leaves_end_with_it(anybody: Box) -> None:
    ran = anybody.sh("setsid sleep 1000 & (sleep 1000 </dev/null >/dev/null 2>&1 &) ; nohup sleep 1000 & exit 3")
    assert (ran.code, ran.told) == (3, [])  # that none is left the box checks at its end


def test_process_1_waits_for_orphans(anybody: Box) -> None:
    ran = anybody.sh(
        "for i in 1 2 3; do (sh -c 'sleep 0.05 &' &); done; sleep 0.5; grep -l 'State:.Z' /proc/[0-9]*/status"
    )
    assert ran.output == ""


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["sh", "-c", "exit 7"], 7, []),
        (["true"], 0, []),
        (["sh", "-c", "kill -9 $$"], 137, []),
        (["sh", "-c", "kill -SEGV $$"], 139, []),
        (["absent"], 127, ["absent: not found in PATH"]),
        (["/absent"], 127, ["/absent: no such file"]),
        ([""], 127, ["'': not found in PATH"]),
        (["/etc/passwd"], 126, ["/etc/passwd: Permission denied"]),
        (["/etc"], 126, ["/etc: Permission denied"]),
        (["/bin/text"], 126, ["/bin/text: Exec format error"]),
    ],
    ids=str,
)
def test_the_exit_code_is_the_commands_or_says_why_there_is_none(
    of_root: Box, words: list[str], code: int, told: list[str]
) -> None:
    (of_root.layer / "bin/text").write_text("text")
    (of_root.layer / "bin/text").chmod(0o755)
    ran = of_root.run(words)
    assert (ran.code, ran.told) == (code, told)
    assert of_root.changed() == []


def test_a_program_is_looked_for_in_the_path_of_the_command(of_root: Box) -> None:
    tools = of_root.layer / "tools"
    tools.mkdir()
    (tools / "who").write_text("#!/bin/sh\necho $PATH\n")
    (tools / "who").chmod(0o755)
    assert of_root.run(["who"], environment={"PATH": "/absent:/etc/passwd:/tools:/bin"}).output.startswith("/absent:")


def test_what_is_read_and_written_goes_through_the_callers_pipes(anybody: Box) -> None:
    assert anybody.run(["tr", "a-z", "A-Z"], stdin=b"hello\n").output == "HELLO\n"


def test_a_working_directory_that_is_missing_is_made_for_root(of_root: Box) -> None:
    assert of_root.run(["pwd"], directory="/srv/app", user="bob").output == "/srv/app\n"
    made = (of_root.upper / "srv/app").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (0, 0o755)


def test_a_working_directory_is_resolved_in_the_root(of_root: Box) -> None:
    (of_root.layer / "away").symlink_to("../../../tmp/there")
    (of_root.layer / "tmp/there").mkdir()
    assert of_root.run(["sh", "-c", "cd -P .; pwd"], directory="/away").output == "/tmp/there\n"


@pytest.mark.parametrize("name", ["proc", "sys", "dev"])
def test_a_link_in_the_place_of_a_file_system_of_the_kernel_is_refused(of_root: Box, name: str) -> None:
    (of_root.layer / name).rmdir()
    (of_root.layer / name).symlink_to("/etc")
    ran = of_root.run(["true"])
    assert (ran.code, ran.told) == (125, [f"/{name} of the image is no directory"])


def test_with_more_ids_owners_are_ranges_of_the_user(of_mapped_user: Box) -> None:
    ran = of_mapped_user.sh("echo x >/tmp/x; chown 5:6 /tmp/x; stat -c %u:%g /tmp/x; su bob -c id")
    assert ran.output.splitlines()[0] == "5:6"
    found = (of_mapped_user.upper / "tmp/x").stat()
    assert (found.st_uid, found.st_gid) == (FIRST_SUBORDINATE + 4, FIRST_SUBORDINATE + 5)


def test_with_one_id_all_is_owned_by_root_and_belongs_to_the_user(of_user: Box) -> None:
    ran = of_user.sh("touch /tmp/x; stat -c %u:%g /tmp/x /etc/passwd; cat /proc/self/uid_map")
    first, second, ids = ran.output.splitlines()
    assert (first, second) == ("0:0", "0:0")
    assert ids.split() == ["0", str(NOBODY), "1"]
    assert (of_user.upper / "tmp/x").stat().st_uid == NOBODY


def test_with_one_id_another_user_is_refused(of_user: Box) -> None:
    ran = of_user.run(["id"], user="bob")
    assert ran.code == 125
    assert len(ran.told) == 1
    assert ran.told[0].startswith("the user 5:6 doesn't exist in this user namespace: ranges in /etc/subuid")


def test_root_needs_no_user_namespace(of_root: Box) -> None:
    ran = of_root.sh("readlink /proc/self/ns/user; for n in pid mnt uts ipc net; do readlink /proc/self/ns/$n; done")
    namespaces = dict(line.split(":") for line in ran.output.split())
    ours = {name: os.readlink(f"/proc/self/ns/{name}").split(":")[1] for name in namespaces}
    same = {name for name in namespaces if namespaces[name] == ours[name]}
    assert same == {"user", "net"}


def test_an_image_without_layers_has_nothing_to_run(of_root: Box) -> None:
    ran = of_root.run(["true"], options=of_root.options._replace(lowers=()))
    assert (ran.code, ran.told) == (125, ["the image has no layers, so there is nothing in it to run"])


def test_an_upper_in_use_is_refused_with_its_reason(of_root: Box) -> None:
    ran = of_root.run(["true"], options=of_root.options._replace(work=os.fsencode(of_root.upper / "work")))
    assert ran.code == 125
    assert len(ran.told) == 1
    assert "workdir" in ran.told[0] or "No such file" in ran.told[0]


def test_a_layer_that_is_missing_is_named(of_root: Box, tmp_path: Path) -> None:
    lowers = (*of_root.options.lowers, os.fsencode(tmp_path / "absent"))
    ran = of_root.run(["true"], options=of_root.options._replace(lowers=lowers))
    assert (ran.code, ran.told) == (125, [f"{tmp_path}/absent: No such file or directory"])
