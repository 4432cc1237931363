"""A commit contains the files that were changed and no others."""

from tests.clients import image
from tests.clients.client import Client
from tests.clients.operations import CHANGES, READING

MADE_BY_PODMAN = {"/etc", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/run", "/run/.containerenv"}
"""What podman puts into every container to mount its own files there."""
CHANGED = {
    "/.wh.gone", "/.wh.opaque", "/big", "/bin", "/bin/tool", "/dir", "/dir/.wh.link", "/dir/.wh.middle",
    "/dir/attributes", "/dir/locked", "/dir/locked/in", "/dir/moved", "/dir/new-link", "/dir/new-pipe", "/dir/sub",
    "/dir/sub/.wh.z", "/dir/sub/y", "/dir/x", "/etc/.wh.removed", "/etc/kept", "/hard", "/hard/three", "/made",
    "/made/deep", "/made/deep/one", "/made/private", "/replaced", "/replaced/.wh.old", "/replaced/new", "/top",
    "/top/t",
}  # fmt: skip
"""What CHANGES changes, makes or removes, and the directories of these."""


def test_commit_holds_the_files_that_were_changed_and_no_others(ours: Client) -> None:
    name = ours.new_name()
    ours.container(CHANGES, name=name)
    assert set(ours.commit(name)) == CHANGED | MADE_BY_PODMAN


def test_commit_of_what_only_looked_around_holds_no_file_of_the_image(ours: Client) -> None:
    name = ours.new_name()
    ours.container(READING, name=name)
    assert set(ours.commit(name)) == MADE_BY_PODMAN


def test_commit_keeps_what_a_changed_file_had(ours: Client) -> None:
    name = ours.new_name()
    ours.container("echo more >> /dir/owned; chmod 4711 /dir/set-id; mv /dir/capable /dir/moved", name=name)
    layer = ours.commit(name)
    assert layer["/dir/owned"].startswith("file 0640 1000:1000 14 ")
    assert layer["/dir/set-id"].startswith("file 4711 1000:1000 10 ")
    assert layer["/dir/set-id"].endswith(f" mtime={image.MADE}")
    assert " security.capability=" in layer["/dir/moved"]


def test_files_removed_with_their_directory_stay_gone_in_the_image(ours: Client) -> None:
    name = ours.new_name()
    script = "rm -r /replaced /opaque; mkdir /replaced /opaque; rmdir /opaque; echo new > /replaced/new"
    ours.container(script, name=name)
    ours.podman("commit", "--quiet", name, f"localhost/{name}")
    assert ours.container("ls /replaced; ls /", image_name=f"localhost/{name}").split() == [
        "new", *(entry for entry in ours.container("ls /").split() if entry != "opaque")
    ]  # fmt: skip


def test_second_commit_holds_what_came_after_the_first(ours: Client) -> None:
    name, next_name = ours.new_name(), ours.new_name()
    ours.container("echo first > /dir/x; rm /dir/top", name=name)
    ours.podman("commit", "--quiet", name, f"localhost/{name}")
    ours.container("echo second > /dir/top; rm /dir/x", name=next_name, image_name=f"localhost/{name}")
    changed = {"/dir", "/dir/.wh.x", "/dir/top"}
    assert changed <= set(ours.commit(next_name)) <= changed | MADE_BY_PODMAN
