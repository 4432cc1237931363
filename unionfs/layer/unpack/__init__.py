"""A tar stream becomes a layer: one directory in overlayfs format.

``unpack`` works without knowing the layers beneath, so that all layers of an image can be unpacked at once; ``settle``
does afterwards, from the lowest layer up, what depends on them. Owns nothing outside the staging directory it is given;
checking digests and naming layers is the store's business.
"""

from unionfs.layer.unpack.abilities import probe
from unionfs.layer.unpack.below import put_on
from unionfs.layer.unpack.descent import remove_tree
from unionfs.layer.unpack.errors import LayerError
from unionfs.layer.unpack.settle import settle
from unionfs.layer.unpack.staging import ROOT, Staging
from unionfs.layer.unpack.unpacker import unpack
from unionfs.layer.unpack.unsettled import Unsettled

__all__ = ["ROOT", "LayerError", "Staging", "Unsettled", "probe", "put_on", "remove_tree", "settle", "unpack"]
