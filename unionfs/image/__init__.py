"""Image documents: what the bytes of a manifest, an index, a config or a name mean.

It owns the grammar and the rules of the OCI image-spec and of docker's formats, and refuses what has more
than one meaning. It does no input or output and imports nothing else of this project.
"""

from unionfs.image.chain import chain_ids
from unionfs.image.config import Config, Execution, Healthcheck, History
from unionfs.image.descriptor import Descriptor
from unionfs.image.digest import Digest
from unionfs.image.error import ImageError, escaped, shown
from unionfs.image.index import Index, resolve
from unionfs.image.limits import Limits
from unionfs.image.manifest import Manifest
from unionfs.image.platform import Platform
from unionfs.image.reference import Reference

__all__ = [
    "Config",
    "Descriptor",
    "Digest",
    "Execution",
    "Healthcheck",
    "History",
    "ImageError",
    "Index",
    "Limits",
    "Manifest",
    "Platform",
    "Reference",
    "chain_ids",
    "escaped",
    "resolve",
    "shown",
]
