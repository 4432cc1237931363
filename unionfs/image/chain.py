"""Chain ids: the identity of a layer together with everything below it."""

from collections.abc import Iterable

from unionfs.image.digest import Digest


def chain_ids(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """Return the chain id of each layer, lowest first.

    The image-spec's rule: the lowest layer's chain id is its diff_id, every other one is the sha256 of the
    chain id below, a space and the diff_id.
    """
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return tuple(chain)
