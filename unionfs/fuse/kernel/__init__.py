"""The transport that speaks the kernel's FUSE protocol on /dev/fuse itself.

``abi`` has the numbers, ``codec`` the bytes, ``negotiation`` what is agreed on, ``device`` the connection, ``answers``
which operation of the union answers which request, ``session`` the loop, and ``workers`` the threads for what blocks.
"""
