"""What is done with podman and buildah, and what came of it: values to compare between the programs."""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.clients import image
from tests.clients.client import Client
from tests.clients.image import NAME
from tests.clients.listing import entries

Result = Mapping[str, object]
Operation = Callable[[Client], Result]

CHANGES = """
set -e
echo more >> /etc/kept
rm /etc/removed
rm -r /gone
rm -r /replaced; mkdir /replaced; echo new > /replaced/new
rm -r /opaque; mkdir /opaque; rmdir /opaque
chmod 600 /dir/x
chown 1000:1000 /dir/sub/y
mv /dir/sub/z /dir/moved
mv /dir/middle /top/t
ln /hard/one /hard/three
ln -s ../etc /dir/new-link
rm /dir/link
mkfifo -m 640 /dir/new-pipe
cp /bin/busybox /bin/tool; chmod 4755 /bin/tool
mkdir -p /made/deep; echo one > /made/deep/one; chmod 2770 /made
echo more >> /dir/attributes
touch /dir/locked/in
truncate -s 100000 /big
umask 077; echo private > /made/private
"""
READING = """
set -e
cat /big /untouched/read > /dev/null
find / -xdev -type f > /dev/null
: >> /untouched/opened
chmod 644 /untouched/same-mode
mv /untouched/moved-back /untouched/elsewhere; mv /untouched/elsewhere /untouched/moved-back
echo x > /untouched/gone-again; rm /untouched/gone-again
"""
LOOK = "find / -xdev ! -path '/dev*' ! -path '/proc*' ! -path '/sys*' -exec stat -c '%n %A %u:%g' {} + | sort"
MAPPED = """cp /dir/owned /dir/copy; cp /dir/top /dir/theirs/copy; chown 7:8 /dir/theirs/copy
echo more >> /dir/owned; chown 1000:1000 /dir/x; chmod 4755 /dir/top; mkdir -p /made/deep; rm /dir/set-id"""
OUTSIDE = """
set -e
place=$(buildah mount "$2")
grep " $place " /proc/mounts
"$1" -c '
import os, sys
os.chdir(sys.argv[1])
os.setxattr("dir/x", "user.new", b"new")
os.removexattr("dir/attributes", "user.k")
os.setxattr("dir/top", "security.capability", bytes.fromhex("0100000202000000000000000000000000000000"))
os.utime("dir/middle", (1_000_000_001, 1_000_000_001))
os.symlink("x" * 300, "dir/long-link")
os.mkdir("made"); os.setxattr("made", "user.k", b"v")
open("made/sparse", "wb").truncate(1 << 20)
open("n" * 251, "wb").close()
os.chown("dir/owned", 0, 0)
' "$place"
buildah umount "$2" > /dev/null
"""
STEPS = f"""
FROM {NAME}
RUN grep ' / ' /proc/mounts && mkdir -p /made/deep && echo one > /made/deep/one
COPY tree /copied
COPY --chown=1000:1000 tree/file /dir/x
RUN chown -R 1000:1000 /dir/sub && chmod 4755 /bin/busybox
RUN rm -r /gone && rm /etc/removed
RUN rm -r /replaced && mkdir /replaced && echo new > /replaced/new
RUN ln -s ../made /etc/link && ln /hard/one /hard/three && mkfifo /dir/new-pipe
RUN echo more >> /dir/attributes && mv /dir/moved /opaque 2>/dev/null || mv /dir/locked/in /opaque/in
RUN rm -r /copied/inner /made/deep && mkdir /made/deep && ln /dir/capable /made/deep/capable
USER 1000:1000
RUN id > /tmp/id && rm /dir/theirs/none 2>/dev/null || echo mine > /dir/theirs/mine
"""


def change(client: Client) -> Result:
    """Change a container in many ways, and see it, its ``podman diff`` and the layer that a commit makes."""
    name = client.new_name()
    client.container(CHANGES, name=name)
    return {"diff": _diff(client, name), "shown": client.show("mount", name), "layer": client.commit(name)}


def look_without_changing(client: Client) -> Result:
    """Read, open for writing, set what is set, move away and back: nothing of it is a change."""
    name = client.new_name()
    client.container(READING, name=name)
    return {"diff": _diff(client, name), "shown": client.show("mount", name), "layer": client.commit(name)}


def build(client: Client) -> Result:
    """Build an image of ten steps, each of which is a layer."""
    context = _tree(client)
    (context / "Containerfile").write_text(STEPS)
    name = f"localhost/{client.new_name()}"
    output = client.buildah("build", "--layers", "--network=host", "--tag", name, str(context))
    client.is_mine(next(line for line in output.splitlines() if re.match(r"\S+ / ", line)))
    return {"layer": client.layers(name)[image.LAYERS :], "shown": client.show("image", "mount", name)}


def run_read_only(client: Client) -> Result:
    """Run with ``--read-only``: nothing can be written but what is mounted into it."""
    script = "echo x > /dir/new; rm /dir/x; chmod 700 /dir; touch /dir/x; echo x > /tmp/new && cat /tmp/new; cat /dir/x"
    name = client.new_name()
    said = client.container(f"exec 2>&1; {script}; {LOOK}", "--read-only", name=name)
    return {"said": said.splitlines(), "diff": _diff(client, name), "layer": client.commit(name)}


def copy(client: Client) -> Result:
    """Copy into a container and out of it with ``podman cp``, while it runs and when it has ended."""
    name = client.new_name()
    tree = _tree(client)
    client.podman("run", "--detach", "--name", name, NAME, "/bin/sleep", "1000")
    client.is_mine(client.podman("exec", name, "/bin/grep", " / ", "/proc/mounts"))
    client.podman("cp", f"{tree}/tree", f"{name}:/copied")
    client.podman("cp", f"{tree}/tree/file", f"{name}:/dir/x")
    client.podman("stop", "--time", "0", name)  # which returns when the container is unmounted, as kill does not
    client.podman("cp", f"{tree}/tree/.", f"{name}:/dir/sub")
    client.podman("cp", f"{name}:/dir", str(tree / "out"))
    return {
        "diff": _diff(client, name), "shown": client.show("mount", name), "layer": client.commit(name),
        "out": dict(entries(str(tree / "out"))),
    }  # fmt: skip


def mount_volume_with_overlay(client: Client) -> Result:
    """Mount a directory with ``:O``: what the container changes in it isn't there afterwards."""
    tree = _tree(client) / "tree"
    script = f"""
    grep ' /volume ' /proc/mounts; echo more >> /volume/file; rm -r /volume/inner; echo new > /volume/new
    {LOOK.replace("/ -xdev", "/volume")}
    """
    first, *said = client.container(script, "--volume", f"{tree}:/volume:O").splitlines()
    client.is_mine(first)
    return {"said": said, "out": dict(entries(str(tree)))}


def mount_image(client: Client) -> Result:
    """Look at an image with ``podman image mount``."""
    shown = client.show("image", "mount", NAME)
    client.podman("image", "umount", NAME)
    return {"shown": shown}


def map_ids(client: Client) -> Result:
    """Run with ids of its own (for root), or with the ids of the user kept: the container sees its own everywhere."""
    options = ("--userns=keep-id",) if client.uid else ("--uidmap=0:100000:5000", "--gidmap=0:200000:5000")
    name = client.new_name()
    said = client.container(f"cat /proc/self/uid_map; {LOOK}", *options, name=name).splitlines()
    client.podman("rm", name)
    changed = client.new_name()
    script = f"set -e; {MAPPED}; {LOOK}"
    said += client.container(script, *options, "--user=0:0", name=changed).splitlines()
    return {"said": said, "diff": _diff(client, changed), "layer": client.commit(changed)}


def change_from_outside(client: Client) -> Result:
    """Change what ``buildah mount`` shows, with attributes and a device, and commit that."""
    name = client.buildah("from", "--pull-never", NAME)
    script = ("sh", "-c", OUTSIDE, "sh", os.path.realpath(sys.executable), name)
    client.is_mine(client.run(*client.unshared("buildah"), *script))
    made = f"localhost/{client.new_name()}"
    client.buildah("commit", "--quiet", name, made)
    client.buildah("rm", name)
    return {"layer": client.layers(made)[-1], "shown": client.show("image", "mount", made)}


def _tree(client: Client) -> Path:
    """Make a directory with a small tree in it, owned by root of the user namespace."""
    top = client.directory / "shared" / client.new_name()
    (top / "tree/inner").mkdir(parents=True)
    for name in ("file", "inner/file"):
        (top / "tree" / name).write_text(name)
    for path in [top, *top.rglob("*")]:
        os.utime(path, (image.MADE, image.MADE))
        os.chown(path, client.uid, client.uid)
    return top


def _diff(client: Client, name: str) -> Sequence[str]:
    return sorted(client.podman("diff", name).splitlines())
