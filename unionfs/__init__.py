"""A FUSE union mount for container images.

Rooms, lowest first: ``linux`` (system calls), ``tar`` (tar streams), ``layer`` (one directory of the stack),
``union`` (the stack), ``fuse`` (transports), ``mount`` (options and daemon), ``image`` (documents),
``archive`` (image sources in files), ``store`` (unpacked layers on disk), ``cli`` (the commands).
"""

__version__ = "0.1.0"
