"""The upper of a container of podman, read by this program: the same changes, and the same layer.

With a mount program podman compares what the image and the container show; over the kernel's overlayfs it takes what is
in the upper, as this program does.
"""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.clients.client import FUSE_OVERLAYFS, KERNEL, OURS, Client, Program
from tests.clients.layers import of_archive
from tests.clients.operations import CHANGES, READING
from tests.diff.layering import Made, layer_of

PODMANS_OWN = {"/etc/hostname", "/etc/hosts", "/etc/mtab", "/run", "/run/.containerenv"}
"""What podman puts into every container, and leaves out of what it tells."""
EQUAL = {"C /untouched", "C /untouched/moved-back", "C /untouched/opened", "C /untouched/same-mode"}
"""What was written without a change is in the upper, and so is told here."""
OTHERWISE: Mapping[tuple[str, Program], set[str]] = {
    # A further name was made of a file, whose other names show it: they are one file, and remain so in the layer.
    (CHANGES, OURS): {"C /hard/one", "C /hard/two"},
    # What was removed with a directory that was made anew comes back there sometimes.
    (CHANGES, FUSE_OVERLAYFS): {"C /hard/two", "D /replaced/old"},
    # podman tells of no directory that has changed by what is in it alone, and takes one made anew for deleted.
    (CHANGES, KERNEL): {"C /dir/locked", "C /replaced", "D /replaced", "D /replaced/old"},
    (READING, OURS): EQUAL,
    (READING, FUSE_OVERLAYFS): EQUAL,
    (READING, KERNEL): set(),
}


@pytest.fixture
def of_root(clients: list[Client]) -> list[Client]:
    """Give root's clients."""
    if clients[0].uid != 0:
        pytest.skip("the owners in a user's uppers are those of its namespace")
    return clients


@pytest.mark.parametrize("script", [CHANGES, READING], ids=["changes", "reading"])
def test_what_podman_tells_of_an_upper_is_told_here_too(of_root: list[Client], script: str) -> None:
    for client in of_root:
        name = client.new_name()
        client.container(script, name=name)
        theirs = set(client.podman("diff", name).splitlines())
        ours = {line for line in made_of(client, name).lines if line[2:] not in PODMANS_OWN}
        assert theirs ^ ours <= OTHERWISE[script, client.program], client.program.name


def test_the_layer_is_the_one_that_podman_commits(of_root: list[Client]) -> None:
    """But for the time of the root, of which podman's layers tell nothing."""
    client = next(client for client in of_root if client.program is KERNEL)
    name = client.new_name()
    client.container(CHANGES, name=name)
    ours = dict(of_archive(made_of(client, name).archive))
    assert ours.pop("/.").startswith("dir 0555 0:0 ")
    assert ours == client.commit(name)


def made_of(client: Client, name: str) -> Made:
    """Make the layer of a container's upper."""
    places = client.podman("inspect", "--format", "{{.GraphDriver.Data.LowerDir}} {{.GraphDriver.Data.UpperDir}}", name)
    lowers, upper = places.split()
    return layer_of([Path(lower) for lower in lowers.split(":")], Path(upper), Path(upper).with_name("work"))
