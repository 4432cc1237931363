"""What is kept on disk: images, as an OCI image layout, and their layers, each unpacked once, under its chain id.

Owns what the names in the store's directory mean, who may write, what survives a crash, and that nothing of an image
appears there before all of it was verified. Prints nothing.
"""

from unionfs.store.error import StoreError
from unionfs.store.lowerdir import lowerdir_option
from unionfs.store.unpack import Progress, Unpacked, UnpackedLayer, unpack_image

__all__ = ["Progress", "StoreError", "Unpacked", "UnpackedLayer", "lowerdir_option", "unpack_image"]
