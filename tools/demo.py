"""``make demo``: the main job from end to end, on a real image.

An image is built with buildah, unpacked into layers, mounted, entered and changed; the layers stay as they were, and
the change is thrown away. Everything lies in one temporary directory, which is gone at the end even after a failure.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
UNIONFS = Path(sys.executable).with_name("unionfs")
CONTAINERFILE = """\
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY greeting draft /srv/
RUN rm /srv/draft && echo "signed in the last layer" > /srv/signed
"""


def main() -> int:
    """Show the demo, and give the exit code."""
    if os.geteuid() != 0:
        print("demo: this needs root, to build an image with owners of its own and to enter it", file=sys.stderr)
        return 1
    with ExitStack() as cleanup:
        room = Path(tempfile.mkdtemp(prefix="unionfs-demo."))
        cleanup.callback(shutil.rmtree, room)
        try:
            show(Demo(room), cleanup)
        except subprocess.CalledProcessError as error:
            print(f"demo: {shlex.join(map(str, error.cmd))} failed", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0


class Demo:
    """Tells what is done, and does it in one directory."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.lowerdir = ""

    def tell(self, text: str) -> None:
        """Say what the next commands are for."""
        print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)

    def run(self, *words: str, show_output: bool = False) -> str:
        """Print the command, run it, and give its output, which is printed too if asked for.

        Raises:
            CalledProcessError: it failed; its errors went to this program's stderr.
        """
        print("$", shlex.join(words), flush=True)
        command = [word.replace("LOWERDIR", self.lowerdir) for word in words]
        if words[0] == "unionfs":
            command[0] = str(UNIONFS)
        output = subprocess.run(command, cwd=self.room, stdout=subprocess.PIPE, text=True, check=True).stdout
        if show_output:
            print(output, end="", flush=True)
        return output

    def enter(self, script: str) -> None:
        """Run a shell script with the mount as its root file system, and show what it says."""
        self.run("chroot", "merged", "/bin/sh", "-c", script, show_output=True)


def show(demo: Demo, cleanup: ExitStack) -> None:
    """Do each step and tell it."""
    for directory in ("upper", "work", "merged"):
        (demo.room / directory).mkdir()

    demo.tell(f"Build an image of four layers, of which the last deletes /srv/draft. All happens in {demo.room}.")
    build_image(demo)

    demo.tell("Unpack it: one directory for each layer, checked against its digest.")
    unpacked = json.loads(demo.run("unionfs", "unpack", "image.tar", "layers", "--format", "json"))
    for layer in unpacked["layers"]:
        print(f"  chain id {layer['chain_id'].removeprefix('sha256:')[:12]}")
    demo.lowerdir = unpacked["lowerdir"]

    demo.tell("Mount the layers (LOWERDIR is their list), with an empty upper directory for the changes.")
    cleanup.callback(unmount, demo.room / "merged")
    demo.run("unionfs", "mount", "-o", "lowerdir=LOWERDIR,upperdir=upper,workdir=work", "merged")
    demo.run("unionfs", "mount", show_output=True)

    demo.tell("It is one root file system: run a program in it. What the last layer deleted isn't there.")
    demo.enter("cat /srv/greeting; ls /srv")

    demo.tell("Change a file, make one, delete one. All of it lands in the upper; the deletion is a whiteout.")
    demo.enter("echo 'and from the demo' >> /srv/greeting; echo new > /srv/new; rm /srv/signed; ls /srv")
    demo.run("ls", "-l", "upper/srv", show_output=True)

    demo.tell("Unmount and throw the upper away: the next mount shows the image as it was built.")
    demo.run("unionfs", "umount", "merged")
    demo.run("rm", "-r", "upper", "work")
    demo.run("unionfs", "mount", "-o", "lowerdir=LOWERDIR", "merged")
    demo.enter("cat /srv/greeting; ls /srv")
    demo.run("unionfs", "umount", "merged")
    demo.tell("Done. Nothing is left behind.")


def build_image(demo: Demo) -> None:
    """Build a docker-archive ``image.tar`` whose layers hold a busybox, some files, and a deletion."""
    context = demo.room / "context"
    context.mkdir()
    shutil.copy(BUSYBOX, context / "busybox")
    (context / "greeting").write_text("hello from the image\n")
    (context / "draft").write_text("not for everybody\n")
    (context / "Containerfile").write_text(CONTAINERFILE)
    os.environ["BUILDAH_ISOLATION"] = "chroot"
    os.environ["STORAGE_DRIVER"] = "vfs"
    storage = ("--root", f"{demo.room}/storage", "--runroot", f"{demo.room}/run")
    demo.run("buildah", *storage, "build", "--quiet", "--layers", "--tag", "demo", "context")
    demo.run("buildah", *storage, "push", "--quiet", "demo", "docker-archive:image.tar:demo:latest")


def unmount(merged: Path) -> None:
    """Take the mount away if a step failed before it did."""
    if os.path.ismount(merged):
        subprocess.run([UNIONFS, "umount", "--lazy", merged], check=True)


if __name__ == "__main__":
    sys.exit(main())
