"""The transport that speaks the kernel's FUSE protocol on /dev/fuse itself.

``abi`` has the numbers, ``codec`` the bytes, ``negotiation`` what is agreed on, ``device`` the connection, ``answers``
and ``handlers`` which operation of the union answers which request, ``passthrough`` which files the kernel uses by
itself, ``session`` the loop, and ``workers`` the threads for what blocks.
"""
