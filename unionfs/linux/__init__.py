"""System calls that Python's ``os`` lacks: one function each, raising ``OSError``.

Owns the numbers and structures of the kernel's interface. Knows nothing of layers, mounts or images.
"""
