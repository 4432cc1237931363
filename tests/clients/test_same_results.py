"""Each operation has the same outcome with our program, with fuse-overlayfs and with the kernel, or a better one."""

import pytest

from tests.clients import operations as do
from tests.clients.client import Client
from tests.clients.differences import ROOT, USER, unexplained
from tests.clients.operations import Operation

OPERATIONS = (
    do.change, do.look_without_changing, do.build, do.run_read_only, do.copy, do.mount_volume_with_overlay,
    do.mount_image, do.map_ids, do.change_from_outside,
)  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
def test_outcome_is_that_of_fuse_overlayfs_and_of_the_kernel(operation: Operation, clients: list[Client]) -> None:
    ours, *others = [operation(client) for client in clients]
    user = USER if clients[0].uid else ROOT
    lines = [
        line
        for client, theirs in zip(clients[1:], others, strict=True)
        for line in unexplained(operation, user, client, ours, theirs)
    ]
    assert not lines, "\n".join(lines)
