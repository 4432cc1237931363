"""podman and buildah with a storage of their own, for root and for a user who has subordinate ids.

They run among mounts of their own, which end with the test: there the user exists, and may let others into a mount.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.clients import image, layers, listing
from tests.clients.installation import INTERPRETER, install
from tests.safety.daemons import wait_for

USER = 4711
FIRST_SUBORDINATE = 200_000
# Root may itself lack the right to raise limits, and there may be no network to plug a container into.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{runtime}/engine"
"""
STORAGE_CONF = """
[storage]
driver = "overlay"
graphroot = "{directory}/storage"
runroot = "{runtime}/run"
rootless_storage_path = "{directory}/storage"
[storage.options.overlay]
"""
SHOW = 'place=$(podman "$@") && exec {python} {listing} "$place"'


@dataclass(frozen=True)
class Program:
    """What mounts the layers."""

    name: str
    type: str
    """The file system's type in /proc/mounts."""
    path: Path | None = None
    """None: the kernel does it."""


OURS = Program("unionfs-overlay", "fuse.unionfs-overlay", Path("/run/unionfs/unionfs-overlay"))
"""Installed in the ``/run`` that only the clients see."""
FUSE_OVERLAYFS = Program("fuse-overlayfs", "fuse.fuse-overlayfs", Path("/usr/bin/fuse-overlayfs"))
KERNEL = Program("kernel", "overlay")
PROGRAMS = (OURS, FUSE_OVERLAYFS, KERNEL)


@dataclass
class Client:
    """Someone with a storage whose layers a program mounts; all of it is in the directory."""

    program: Program
    uid: int
    directory: Path
    holder: int
    """A process that sees the same mounts."""
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @property
    def runtime(self) -> Path:
        """The directory for sockets, in the holder's own ``/run``: conmon goes astray when its path is long."""
        return Path("/run", str(self.directory.stat().st_ino))

    def make_storage(self) -> None:
        """Write the configuration and load the image."""
        for path in (self._outside(self.runtime), *(self.directory / name for name in ("home", "tmp", "shared"))):
            path.mkdir(mode=0o700)
        os.chown(self._outside(self.runtime), self.uid, self.uid)
        self.choose_program()
        (self.directory / "containers.conf").write_text(CONTAINERS_CONF.format(runtime=self.runtime))
        (self.directory / "listing.py").write_text(Path(listing.__file__).read_text())
        (self.directory / "base.tar").write_bytes(image.archive())
        if self.uid == 0 and self.program is FUSE_OVERLAYFS:
            self._map_no_layers()
        for path in (self.directory, *self.directory.iterdir()):
            os.chown(path, self.uid, self.uid)
        self.podman("load", "--quiet", "--input", "base.tar")

    def choose_program(self) -> None:
        """Have the storage mounted by the program of this client from now on."""
        storage = STORAGE_CONF.format(directory=self.directory, runtime=self.runtime)
        if self.program.path is not None:
            storage += f'mount_program = "{self.program.path}"\n'
        (self.directory / "storage.conf").write_text(storage)

    def new_name(self) -> str:
        """Give a name that nothing in the storage has, and no id begins with."""
        return f"new-{next(self.numbers)}"

    def start(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end as this user, whatever it says."""
        return subprocess.run(
            [*self._within(), *command], cwd=self.directory, env=self._environment(), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    def run(self, *command: str) -> str:
        """Run a program and give what it prints. Raises AssertionError with its errors when it fails."""
        done = self.start(*command)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def podman(self, *words: str) -> str:
        """Run podman and give what it prints."""
        return self.run("podman", *words)

    def buildah(self, *words: str) -> str:
        """Run buildah and give what it prints."""
        return self.run("buildah", *words)

    def container(self, script: str, *options: str, name: str = "", image_name: str = image.NAME) -> str:
        """Run a script in a new container, after showing whose mount its root is; give what the script prints."""
        named = ("--name", name) if name else ("--rm",)
        output = self.podman(
            "run", *named, *options, image_name, "/bin/sh", "-c", f"grep ' / ' /proc/mounts; {script}"
        )  # fmt: skip
        first, _, rest = output.partition("\n")
        self.is_mine(first)
        return rest

    def is_mine(self, line: str) -> None:
        """Check that a line of /proc/mounts is about a mount by the program under test."""
        assert line.split(" ")[2:3] == [self.program.type], f"another file system serves this: {line}"

    def show(self, *words: str) -> Mapping[str, str]:
        """List what ``podman WORDS`` mounts and names, as those in its user namespace see it."""
        script = SHOW.format(python=INTERPRETER, listing=self.directory / "listing.py")
        answer = json.loads(self.run(*self.unshared("podman"), "sh", "-c", script, "sh", *words))
        assert answer["type"] == self.program.type, f"another file system serves {words}: {answer['type']}"
        entries: dict[str, str] = answer["entries"]
        return entries

    def unshared(self, client: str) -> Sequence[str]:
        """Give the words before a command that is to see what *client* mounts: a user's are among mounts of its own."""
        return (client, "unshare") if self.uid else ()

    def commit(self, container: str) -> Mapping[str, str]:
        """Commit a container and list the layer that this makes."""
        name = f"localhost/{self.new_name()}"
        self.podman("commit", "--quiet", container, name)
        return self.layers(name)[-1]

    def layers(self, name: str) -> Sequence[Mapping[str, str]]:
        """List what each layer of an image holds, the lowest first."""
        saved = self.directory / "shared" / self.new_name()
        self.podman("save", "--quiet", "--format", "oci-dir", "--output", str(saved), name)
        # The kernel's overlay of a user leaves its own attributes in what podman commits.
        private = "user.overlay." if self.program is KERNEL else None
        try:
            return layers.of_layout(saved, private)
        finally:
            shutil.rmtree(saved)

    def daemons(self) -> list[int]:
        """Give the processes that serve a mount of this storage."""
        return [pid for pid in self.processes() if b"lowerdir=" in _command_line(pid)]

    def processes(self) -> list[int]:
        """Give the processes that were started with something of this storage, or by this client."""
        return [pid for pid in _pids() if os.fsencode(self.directory) in _command_line(pid)]

    def mounts(self) -> list[str]:
        """Give the lines of every mount table in which something of this storage is mounted."""
        lines = {line for pid in _pids() for line in _mounts_of(pid)}
        return sorted(line for line in lines if f"{self.directory}/" in line)

    def remove_everything(self) -> None:
        """Remove containers and images."""
        self.podman("rm", "--all", "--force", "--time", "0")
        self.buildah("rm", "--all")
        self.podman("volume", "rm", "--all", "--force")
        self.podman("rmi", "--all", "--force")

    def end(self) -> None:
        """End what runs for this client, come what may; its mounts end with the holder."""
        self.start("podman", "rm", "--all", "--force", "--time", "0")
        waiting = self._outside(self.runtime / "engine/pause.pid")
        if waiting.exists():
            os.kill(int(waiting.read_text()), signal.SIGKILL)
        wait_for(lambda: not self._killed(), "the end of this client's processes")

    def _outside(self, path: Path) -> Path:
        """Give the way that leads from here to what is a path among the holder's mounts."""
        return Path(f"/proc/{self.holder}/root{path}")

    def _map_no_layers(self) -> None:
        """Let containers-storage know that the kernel can't map the ids of a layer.

        Before version 1.46 it has both the kernel and the program map them, where the kernel can, and with
        fuse-overlayfs nobody owns anything then; here it remembers.
        """
        known = self._outside(self.runtime / "run/overlay")
        known.mkdir(parents=True, mode=0o700)
        (known / "idmapped-lower-dir-false").touch()

    def _killed(self) -> list[int]:
        """Kill what there is, and give what that was."""
        killed = self.processes()
        for pid in killed:
            with suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, signal.SIGKILL)
        return killed

    def _within(self) -> Sequence[str]:
        return ("nsenter", f"--mount=/proc/{self.holder}/ns/mnt", f"--setgid={self.uid}", f"--setuid={self.uid}",
                f"--wdns={self.directory}", "--")  # fmt: skip

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.directory / "home"), "TMPDIR": str(self.directory / "tmp"),
            "XDG_RUNTIME_DIR": str(self.runtime), "LANG": "C.UTF-8",
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
        }  # fmt: skip


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""  # it has ended meanwhile


def _mounts_of(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/mounts").read_text().splitlines()
    except (OSError, ValueError):
        return []  # it has ended, or is ending, and sees none any more


@contextmanager
def mounts_of_ones_own(directory: Path) -> Iterator[int]:
    """Have a process with mounts of its own, among which the user exists and our program is; give its id."""
    for name, line in {
        "passwd": f"ship:x:{USER}:{USER}::{directory}:/bin/sh", "group": f"ship:x:{USER}:",
        "subuid": f"ship:{FIRST_SUBORDINATE}:65536", "subgid": f"ship:{FIRST_SUBORDINATE}:65536",
    }.items():  # fmt: skip
        known = Path("/etc", name).read_text() if name in {"passwd", "group"} else ""
        (directory / name).write_text(f"{known}{line}\n")
    binds = [f"mount --bind {directory}/{name} /etc/{name}" for name in ("passwd", "group", "subuid", "subgid")]
    hidden = ["mount -t tmpfs hidden /dev/shm", "mount -t tmpfs hidden /run", "mount -t tmpfs hidden /var/lib"]
    script = " && ".join(["mount --make-rshared /", *binds, *hidden, "echo ready", "exec sleep infinity"])
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"ready\n", "mounts of one's own can't be made here"
        assert OURS.path is not None
        install(OURS.path, Path(f"/proc/{holder.pid}/root"))
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
