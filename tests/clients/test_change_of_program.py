"""A storage goes over from one program to another, with its images and its containers."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.client import FUSE_OVERLAYFS, KERNEL, OURS, Client, Program
from tests.clients.operations import CHANGES

NEXT = """
test ! -e /opaque; test ! -e /gone
echo more >> /dir/moved; rm /replaced/new; mkdir /gone; echo other > /gone/other; rm -r /made; mv /dir/sub/y /made
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [(FUSE_OVERLAYFS, OURS), (OURS, FUSE_OVERLAYFS), (KERNEL, OURS)],
    ids=lambda program: program.name,
)
def test_container_goes_on_with_another_program(
    before: Program, after: Program, clients: list[Client], holder: tuple[Path, int]
) -> None:
    directory, pid = holder
    one = Client(before, clients[0].uid, directory / f"{clients[0].directory.name}-{clients[0].new_name()}", pid)
    one.directory.mkdir()
    one.make_storage()
    other = replace(one, program=after)
    try:
        one.container(CHANGES, name="goes-on")
        seen = one.show("mount", "goes-on")
        one.run(*one.unshared("podman"), "podman", "umount", "goes-on")
        other.choose_program()
        assert without_known_faults(other.show("mount", "goes-on")) == without_known_faults(seen)
        other.run(*other.unshared("podman"), "podman", "umount", "goes-on")
        other.podman("commit", "--quiet", "goes-on", "localhost/gone-on")
        # A commit with fuse-overlayfs may bring a removed file back (see ``differences``).
        check = "" if after is FUSE_OVERLAYFS else "test ! -e /replaced/old"
        other.container(f"set -e; {check}{NEXT}", name="next", image_name="localhost/gone-on")
        changed = {"/dir/moved", "/replaced/.wh.new", "/gone", "/gone/other", "/made", "/dir/sub/.wh.y"}
        assert changed <= set(other.commit("next"))
    finally:
        other.end()


def without_known_faults(shown: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out what a program is known to show otherwise: the names of a file that has several."""
    return {path: line for path, line in shown.items() if not path.startswith("/hard/")}
