"""How a daemon's memory is allocated, and how often it is searched for what nobody needs.

CPython's own keeps memory in arenas of 1 MiB, each as a whole for as long as one object in it lives. After 100 000
inodes were known and forgotten again a daemon on it kept 40 % more than at its start, and 5 % on the C library's, which
gives back single pages; the difference in speed was within the noise.

``PYTHONMALLOC=malloc`` would choose that too, but only for a program that is started anew, which takes 20 ms.
"""

import ctypes
import gc
import os
import sys

from unionfs.linux.memory import share_one_heap

_VARIABLE = "PYTHONMALLOC"
# How many new objects may be there before the youngest are searched for cycles; by default 700.
_NEW_OBJECTS = 20_000
# The domains of PyMem_GetAllocator.
_RAW, _MEM, _OBJECT = range(3)


class _Allocator(ctypes.Structure):
    """PyMemAllocatorEx (The Python/C API, "Memory Management")."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free"))


def use_returning_allocator() -> None:
    """Let what is allocated from now on be on the C library's allocator, unless the caller has chosen one.

    CPython's own takes what is too large for it from there too. So when it is to free or resize what isn't in its
    arenas, it passes that on, whoever allocated it; and what is in them it frees as ever. All threads share the C
    library's one heap: the interpreter lets them allocate one after another anyway.
    """
    raw = _allocator(_RAW)
    others = [_allocator(domain) for domain in (_MEM, _OBJECT)]
    if _VARIABLE in os.environ or "t" in sys.abiflags or not all(_is_plain(found) for found in (raw, *others)):
        return
    for domain, own in zip((_MEM, _OBJECT), others, strict=True):
        mixed = _Allocator(None, raw.malloc, raw.calloc, own.realloc, own.free)
        ctypes.pythonapi.PyMem_SetAllocator(domain, ctypes.byref(mixed))
    share_one_heap()


def collect_rarely() -> None:
    """Search for cycles of objects that nobody needs less often, and never among those that are there now.

    Inodes and names are many, stay, and make none when they go; searching them took a quarter of the time of a scan.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def _is_plain(found: _Allocator) -> bool:
    """Tell whether *found* allocates by itself; one that traces or checks another's work remembers what it gave."""
    return found.context is None


def _allocator(domain: int) -> _Allocator:
    found = _Allocator()
    ctypes.pythonapi.PyMem_GetAllocator(domain, ctypes.byref(found))
    return found
