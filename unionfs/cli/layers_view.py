"""What ``unionfs mount --layers`` shows of an image: the whole, each layer alone, and each state on the way to it.

Owns the names in such a mount, and which layers show at each.
"""

import os
from collections.abc import Sequence

from unionfs.mount.options import GraftOption
from unionfs.store.store import StackedImage

_ID_LENGTH = 12
DIRECTORIES = ("rootfs", "layers", "steps")
"""They are there also where the image has no layer."""


def grafts_of(image: StackedImage) -> tuple[GraftOption, ...]:
    """Give what shows where; layers and steps are counted from 1, the lowest, with zeros in front so that they sort."""
    layers = [os.fsencode(layer) for layer in image.layers]
    digests = [layer.diff_id.hex[:_ID_LENGTH] for layer in image.image.layers]
    numbers = [f"{number:0{len(str(len(layers)))}}" for number in range(1, len(layers) + 1)]
    return (
        GraftOption(b"rootfs", tuple(map(os.fsencode, image.lowers))),
        *(
            _graft(f"layers/{number}-{digest}", [layer])
            for number, digest, layer in zip(numbers, digests, layers, strict=True)
        ),
        *(_graft(f"steps/{number}", layers[:count][::-1]) for count, number in enumerate(numbers, start=1)),
    )


def _graft(path: str, lowers: Sequence[bytes]) -> GraftOption:
    return GraftOption(path.encode(), tuple(lowers))
