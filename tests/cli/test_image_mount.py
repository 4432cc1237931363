"""``unionfs load`` and ``unionfs mount IMAGE``, as a user runs them."""

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.store import images

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="there is no /dev/fuse")


class Machine(Program):
    """A store and a mountpoint of its own."""

    def __init__(self, top: Path) -> None:
        super().__init__(top)
        self.top = top
        self.mountpoint = top / "mnt"
        self.mountpoint.mkdir()
        self.image = images.layout(top / "image", images.BOTTOM, images.MIDDLE)

    def mounts_in_use(self) -> list[str]:
        """Give the records of mounts, once the daemons that end have had their time."""
        until = time.monotonic() + 10
        while (found := os.listdir(self.store / "mounts")) and time.monotonic() < until:
            time.sleep(0.05)
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path)
    try:
        yield made
    finally:
        if made.mountpoint.is_mount():
            made.run("umount", "--lazy", made.mountpoint)


def test_an_image_that_was_loaded_is_mounted_by_name(machine: Machine) -> None:
    assert machine.run("load", "-i", machine.image) == "Loaded image: demo:1\n"
    machine.run("mount", "demo:1", machine.mountpoint)
    assert sorted(os.listdir(machine.mountpoint)) == ["etc", "opt"]
    assert (machine.mountpoint / "opt/m").read_bytes() == b"M"
    machine.run("umount", machine.mountpoint)
    assert machine.mounts_in_use() == []


def test_an_archive_is_mounted_by_one_command(machine: Machine) -> None:
    machine.run("mount", f"oci:{machine.image}", machine.mountpoint)
    assert (machine.mountpoint / "opt/m").read_bytes() == b"M"
    assert f"oci:{machine.image} on {machine.mountpoint}" in machine.run("mount")


def test_a_mount_without_rw_takes_no_changes(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    machine.run("mount", "demo:1", machine.mountpoint)
    with pytest.raises(OSError, match="Read-only"):
        (machine.mountpoint / "new").touch()


def test_what_is_written_without_a_name_is_discarded_at_umount(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    machine.run("mount", "--rw", "demo:1", machine.mountpoint)
    (machine.mountpoint / "new").write_bytes(b"x" * 100)
    machine.run("umount", machine.mountpoint)
    assert machine.mounts_in_use() == []
    machine.run("mount", "--rw", "demo:1", machine.mountpoint)
    assert not (machine.mountpoint / "new").exists()


def test_what_is_written_with_a_name_stays(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    for text in ("one", "two"):
        machine.run("mount", "--rw=web", "demo:1", machine.mountpoint)
        with (machine.mountpoint / "page").open("a") as page:
            page.write(text)
        machine.run("umount", machine.mountpoint)
    machine.run("mount", "--rw=web", "demo:1", machine.mountpoint)
    assert (machine.mountpoint / "page").read_text() == "onetwo"


def test_an_upper_of_another_image_is_refused(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    machine.run("mount", "--rw=web", "demo:1", machine.mountpoint)
    machine.run("umount", machine.mountpoint)
    other = images.layout(machine.top / "other", images.TOP)
    refusal = machine.run("mount", "--rw=web", f"oci:{other}", machine.mountpoint, code=1)
    assert refusal.startswith("unionfs: error: the upper web is one of demo:1, and oci:")


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["mount", "absent", "/"], 1, 'no such image: "absent"'),
        (["mount", "demo:1", "/nonexistent"], 1, "the mountpoint /nonexistent does not exist"),
        (["mount", "-o", "lowerdir=/", "demo:1", "/"], 2, "an image brings its layers"),
        (["mount", "--rw", "/mnt"], 2, "--rw goes with an image"),
        (["mount", "--rw=../x", "demo:1", "/mnt"], 1, "invalid name of an upper"),
        (["mount", "a", "b", "c"], 2, "unexpected argument: c"),
        (["load", "-i", "/nonexistent"], 1, "/nonexistent: No such file"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_leaves_nothing(
    machine: Machine, words: list[str], code: int, says: str
) -> None:
    machine.run("load", "-i", machine.image)
    refusal = machine.run(*words, code=code)
    assert says in refusal
    assert refusal.count("\n") == 1
    assert os.listdir(machine.store / "mounts") == []


def test_the_upper_of_a_daemon_that_was_killed_is_swept(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    machine.run("mount", "--rw", "demo:1", machine.mountpoint)
    (machine.mountpoint / "new").touch()
    daemons = subprocess.run(["pgrep", "-f", str(machine.mountpoint)], capture_output=True, text=True, check=True)
    subprocess.run(["kill", "-9", *daemons.stdout.split()], check=True)
    machine.run("umount", machine.mountpoint)
    machine.run("load", "-i", machine.image)
    machine.run("mount", "--rw", "demo:1", machine.mountpoint)
    assert not (machine.mountpoint / "new").exists()


def test_uppers_are_listed_and_removed_but_not_while_mounted(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    machine.run("mount", "--rw=web", "demo:1", machine.mountpoint)
    assert (
        machine.run("uppers", "--format", "{{.Name}} {{.Image}} {{.Mountpoint}}")
        == f"web demo:1 {machine.mountpoint}\n"
    )
    assert "is mounted at" in machine.run("uppers", "--rm", "web", code=1)
    machine.run("umount", machine.mountpoint)
    assert machine.run("uppers", "--rm", "web") == "web\n"
    assert machine.run("uppers", "-q") == ""
    assert "no such upper: web" in machine.run("uppers", "--rm", "web", code=1)


def test_a_damaged_store_is_told_by_the_exit_code(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    assert machine.run("check") == ""
    layer = next(path for path in (machine.store / "layers").iterdir() if (path / "opt").exists())
    (layer / "opt/m").write_bytes(b"changed")
    assert "opt/m was changed" in machine.run("check", code=1)
    machine.run("check", "--repair")
    assert machine.run("check") == ""


def test_an_image_can_be_removed_as_soon_as_it_was_unmounted(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    machine.run("mount", "--rw", "demo:1", machine.mountpoint)
    assert "is mounted at" in machine.run("rmi", "demo:1", code=1)
    machine.run("umount", machine.mountpoint)
    assert machine.run("rmi", "demo:1").startswith("Untagged: demo:1\n")


def test_umount_waits_for_the_daemon_also_where_a_link_led_to_the_mountpoint(machine: Machine) -> None:
    machine.run("load", "-i", machine.image)
    (machine.top / "link").symlink_to(machine.top)
    machine.run("mount", "--rw", "demo:1", machine.top / "link" / "mnt")
    machine.run("umount", machine.mountpoint)
    assert os.listdir(machine.store / "mounts") == []
