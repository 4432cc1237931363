"""The uppers that users give a name: made when they are first asked for."""

from unionfs.store import StoreError
from unionfs.store.store import StackedImage, Store
from unionfs.store.uppers import Upper


def named_upper(store: Store, name: str, stacked: StackedImage) -> Upper:
    """Give the upper *name* of an image, new if there is none. The store is being used.

    Raises:
        StoreError: that is no name, or the upper has other layers beneath it.
    """
    upper = store.uppers.get(name) or store.uppers.make(name, stacked.use, stacked.lowers[0])
    if upper.use.layers != stacked.use.layers:
        raise StoreError(f"the upper {name} is one of {upper.use.image}, and {stacked.use.image} has other layers")
    return upper
