"""What a command can't reach: the host's files, processes, devices and settings, whatever the image holds."""

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ordinary_user import ROOT
from tests.shell.box import MARK, SETUP, Box
from unionfs.shell.setup import Volume

DOCKERS_CAPABILITIES = "00000000a80425fb"
"""As podman and docker show them in /proc/self/status."""


def test_the_capabilities_are_dockers(of_root: Box) -> None:
    ran = of_root.sh("grep Cap /proc/self/status")
    found = dict(line.split(":\t") for line in ran.output.splitlines())
    assert found == {
        "CapInh": "0" * 16, "CapPrm": DOCKERS_CAPABILITIES, "CapEff": DOCKERS_CAPABILITIES,
        "CapBnd": DOCKERS_CAPABILITIES, "CapAmb": "0" * 16,
    }  # fmt: skip


def test_a_user_of_the_image_has_no_capability_and_no_group_of_the_callers(of_root: Box) -> None:
    ran = of_root.sh("grep -E 'Cap(Prm|Eff)|Groups' /proc/self/status", user="bob")
    assert ran.output.split() == ["Groups:", "10", "11", "CapPrm:", "0" * 16, "CapEff:", "0" * 16]


def test_a_set_id_program_of_the_image_works(of_root: Box) -> None:
    """One of this machine's, since busybox gives up what it gets so."""
    needed = subprocess.run(["ldd", "/usr/bin/id"], capture_output=True, text=True, check=True).stdout
    for path in ("/usr/bin/id", *re.findall(r"(/\S+) \(", needed)):
        target = of_root.layer / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    (of_root.layer / "usr/bin/id").chmod(0o4755)
    assert of_root.run(["/usr/bin/id", "-u"], user="bob").output == "0\n"


def test_no_descriptor_of_the_callers_is_left_open(anybody: Box) -> None:
    fd = os.open(anybody.directory, os.O_RDONLY)
    os.set_inheritable(fd, True)  # noqa: FBT003 - os takes it by position only
    try:
        ran = anybody.sh("ls /proc/self/fd")
    finally:
        os.close(fd)
    assert ran.output.split() == ["0", "1", "2", "3"]  # the last is that of the listing


def test_nothing_of_the_hosts_is_mounted(anybody: Box) -> None:
    ran = anybody.sh("cut -d' ' -f4,5 /proc/self/mountinfo")
    roots = {place: root for root, place in (line.split() for line in ran.output.splitlines())}
    shown = {place: root for place, root in roots.items() if not place.startswith(("/proc/", "/sys/", "/dev/"))}
    assert shown == {"/": "/", "/proc": "/", "/sys": "/", "/dev": "/"}


def test_process_1_is_closed_to_the_command(anybody: Box) -> None:
    script = (
        "cd /proc/1; for f in exe root cwd fd/0 fd/3; do readlink $f; done; cat fd/0 environ mem; kill -9 1; echo on"
    )
    ran = anybody.sh(script)
    assert [line for line in ran.output.splitlines() if "denied" not in line] == ["on"]


@pytest.mark.parametrize(
    "script",
    [
        "echo x >/proc/sys/kernel/hostname",
        "echo x >/proc/sys/kernel/core_pattern",
        "echo h >/proc/sysrq-trigger",
        "echo 0 >/proc/irq/default_smp_affinity",
        "mkdir /sys/x",
        "echo 0 >/sys/kernel/profiling",
        "mount -t tmpfs none /tmp",
        "mount -o remount,rw /proc/sys",
        "umount /proc/sys",
        "umount /dev",
        "hostname elsewhere",
        "mknod /tmp/d c 1 1 && cat /tmp/d",
        "mknod /dev/d c 1 1 && cat /dev/d",
        "mknod /dev/shm/d c 1 1 && cat /dev/shm/d",
    ],
)
def test_the_machine_cannot_be_changed_or_looked_into(anybody: Box, script: str) -> None:
    before = [Path(f"/proc/sys/kernel/{name}").read_text() for name in ("hostname", "core_pattern")]
    ran = anybody.sh(f"({script}) >/dev/null && echo did it")
    assert "did it" not in ran.output
    assert [Path(f"/proc/sys/kernel/{name}").read_text() for name in ("hostname", "core_pattern")] == before


def test_what_tells_of_the_machine_is_empty(anybody: Box) -> None:
    masked = [name for name in ("kcore", "keys", "timer_list", "interrupts") if Path(f"/proc/{name}").exists()]
    ran = anybody.sh("; ".join(f"wc -c </proc/{name}" for name in masked) + "; ls /proc/acpi /sys/firmware | wc -w")
    assert set(ran.output.split()[:-1]) == {"0"}
    assert int(ran.output.split()[-1]) <= 2  # the two headlines


def test_a_chroot_leads_nowhere_else(of_root: Box) -> None:
    """The known way out: a root beneath the working directory, and then up as far as there is."""
    ran = of_root.sh("mkdir /tmp/r; cp /bin/busybox /tmp/r; cd /; chroot /tmp/r /busybox ls ..; ls -d /proc/1/root/etc")
    assert "busybox" in ran.output
    assert str(of_root.directory.name) not in ran.output


@pytest.mark.parametrize("link", ["/../../../../../../etc/shadow", "/proc/1/root/etc/shadow", "/proc/self/fd/0"])
def test_a_link_for_the_passwd_file_leads_nowhere_out(of_root: Box, link: str) -> None:
    (of_root.layer / "etc/passwd").unlink()
    (of_root.layer / "etc/passwd").symlink_to(link)
    ran = of_root.run(["id", "-u"], user="root")
    assert ran.code == 125
    assert len(ran.told) == 1
    assert ran.told[0].startswith(("unable to find user", "/etc/passwd of the image"))


@pytest.mark.parametrize("kind", ["fifo", "directory", "device", "huge"])
def test_a_passwd_file_that_is_none_is_refused_at_once(of_root: Box, kind: str) -> None:
    path = of_root.layer / "etc/passwd"
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "device":
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))
    else:
        with path.open("wb") as file:
            file.truncate(1 << 30)
    started = time.monotonic()
    ran = of_root.run(["id"], user="bob")
    assert time.monotonic() - started < 10
    assert ran.code == 125
    assert ran.told[0].startswith("/etc/passwd of the image")


def test_a_volume_has_no_devices_and_no_set_id_programs(of_root: Box) -> None:
    shared = of_root.directory / "shared"
    shared.mkdir()
    os.mknod(shared / "null", 0o666 | 0o020000, os.makedev(1, 3))
    program = shared / "id"
    program.write_bytes((of_root.layer / "bin/busybox").read_bytes())
    program.chmod(0o4755)
    setup = SETUP._replace(volumes=(Volume(str(shared), "/shared"),))
    ran = of_root.sh("cat /shared/null; /shared/id -u", user="bob", setup=setup)
    assert ran.output.splitlines()[0].endswith("Permission denied")
    assert ran.output.splitlines()[1] == "5"


def test_no_module_of_the_image_is_imported_by_process_1(of_root: Box) -> None:
    """Its paths of modules lead to files of the image, when that is its root."""
    with sleeping(of_root) as command:
        loaded = Path(f"/proc/{parent(command)}/maps").read_text()
    assert str(of_root.layer) not in loaded
    program = (
        "import sys; from unionfs.shell.init import _import_nothing_more; _import_nothing_more(); import antigravity"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError" in result.stderr


RUN = """
import os, sys
from unionfs.mount.options import MountOptions
from unionfs.shell.run import run
from unionfs.shell.setup import Process, Setup
low, upper, work = map(os.fsencode, sys.argv[1:4])
root = MountOptions(lowers=(low,), upper=upper, work=work)
process = Process(("sh", "-c", "echo ready; sleep 1000; exit 1"), {"PATH": "/bin", "BOX": os.path.dirname(sys.argv[1])})
sys.exit(run(root, Setup(process, "box"), None, print))
"""


@contextlib.contextmanager
def sleeping(box: Box) -> Iterator[int]:
    """Have a command that sleeps, run by a process of its own; give its id."""
    words = [sys.executable, "-c", RUN, str(box.layer), str(box.upper), str(box.work)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "ready\n"
        try:
            yield min(pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if is_command(pid, box))
        finally:
            caller.terminate()
    assert caller.returncode == 128 + 15


def is_command(pid: int, box: Box) -> bool:
    with contextlib.suppress(OSError):
        environment = Path(f"/proc/{pid}/environ").read_text(errors="replace").split("\0")
        return f"{MARK}={box.directory}" in environment
    return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_the_interpreters_file_cannot_be_changed_through_a_process_of_the_root(of_root: Box) -> None:
    """Of process 1, and so of the command before its exec, the program is on a mount that is read-only."""
    with sleeping(of_root) as command:
        program = f"/proc/{parent(command)}/exe"
        assert os.statvfs(program).f_flag & os.ST_RDONLY
        with pytest.raises(OSError, match="Read-only") as caught:
            os.chmod(program, os.stat(program).st_mode & 0o7777)
        assert caught.value.errno == errno.EROFS


def test_a_script_that_names_the_program_of_its_process_finds_that_mount(of_root: Box) -> None:
    """As in CVE-2019-5736: then what runs is this interpreter, in a root that has none of its library."""
    attack = of_root.layer / "bin/attack"
    attack.write_text("#!/proc/self/exe\n")
    attack.chmod(0o755)
    ran = of_root.run(["attack"])
    assert ran.code != 0
    assert "Fatal Python error" in ran.output or ran.told


def test_the_daemon_and_the_supervisor_are_not_seen_from_inside(of_root: Box) -> None:
    with sleeping(of_root) as command:
        inside = os.readlink(f"/proc/{command}/ns/pid")
        supervisor = parent(parent(command))
        assert os.readlink(f"/proc/{supervisor}/ns/pid") != inside
        assert os.readlink(f"/proc/{supervisor}/ns/mnt") != os.readlink(f"/proc/{command}/ns/mnt")
        # Nobody but the command's namespace has the mount.
        assert f" {of_root.layer} " not in Path(f"/proc/{supervisor}/mountinfo").read_text()
        assert " / rw,nosuid,nodev,noatime - fuse.unionfs" in Path(f"/proc/{command}/mountinfo").read_text()
        assert os.getsid(command) != os.getsid(supervisor) != os.getsid(0)


@pytest.mark.parametrize("who", ["supervisor", "process 1", "daemon"])
def test_when_one_process_is_killed_all_end(of_root: Box, who: str) -> None:
    words = [sys.executable, "-c", RUN, str(of_root.layer), str(of_root.upper), str(of_root.work)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "ready\n"
        command = min(pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if is_command(pid, of_root))
        supervisor = parent(parent(command))
        victims = {"supervisor": supervisor, "process 1": parent(command)}
        if who == "daemon":
            children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
            (victims["daemon"],) = {int(pid) for pid in children} - {victims["process 1"]}
        os.kill(victims[who], signal.SIGKILL)
        if who == "daemon":
            # Without its root it would sleep on, but die of what it looks at.
            with contextlib.suppress(ProcessLookupError):
                os.kill(command, signal.SIGKILL)
        try:
            assert caller.wait(20) in (128 + signal.SIGKILL, 128 + signal.SIGBUS)
        finally:
            caller.kill()
