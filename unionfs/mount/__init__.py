"""From a command's options to a daemon that serves: the ``-o`` language, the mount table, daemonising.

Prints nothing and never exits: that is for ``cli``. What the mount shows is for ``union``, the protocol is
for ``fuse``.
"""
