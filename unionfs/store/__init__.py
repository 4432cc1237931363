"""What is kept on disk: the layers of images, each unpacked once, under its chain id.

Owns the directory that holds them: what its names mean, who may write, what survives a crash, and that nothing of an
image appears there before all of it was verified. Prints nothing.
"""

from unionfs.store.error import StoreError
from unionfs.store.lowerdir import lowerdir_option
from unionfs.store.unpack import Progress, Unpacked, UnpackedLayer, unpack_image

__all__ = ["Progress", "StoreError", "Unpacked", "UnpackedLayer", "lowerdir_option", "unpack_image"]
