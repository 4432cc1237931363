"""Keeping this interpreter's own file out of the command's reach.

A process of the root can be made to run the file that it was started from (``/proc/self/exe`` as an interpreter in a
script's first line), and then it holds a way to that file, which is one of the host. Where its ids could change the
file, process 1 is therefore started anew from a mount of that one file that is read-only.
"""

import os
from typing import NoReturn

from unionfs.linux.mounts import MOUNT_ATTR_RDONLY, attach_tree, clone_tree, set_mount_attributes
from unionfs.shell.setup import Spec

_OURS = "/proc/self/exe"
_PROGRAM = "import sys; sys.path.insert(0, {path!r}); from unionfs.shell.init import start; start({fd})"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def can_be_changed() -> bool:
    """Tell whether this process may change the interpreter's file, or let itself do so."""
    return os.stat(_OURS).st_uid == os.geteuid() or os.access(_OURS, os.W_OK, effective_ids=True)


def start_again(spec: Spec) -> NoReturn:
    """Become the interpreter anew, from a read-only mount, and go on with ``init.start``; needs mounts of its own.

    Raises:
        OSError: the file is gone (an update has replaced it), or the kernel refused.
    """
    path = os.readlink(_OURS)
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    tree = clone_tree(place)
    set_mount_attributes(tree, set_=MOUNT_ATTR_RDONLY)
    attach_tree(tree, place)
    fd = spec.to_file()
    for kept in (fd, *spec.descriptors):
        os.set_inheritable(kept, True)  # noqa: FBT003 - os takes it by position only
    # -I: nothing of the caller's environment counts; -S: nothing is used but the standard library and this package.
    words = [path, "-I", "-S", "-c", _PROGRAM.format(path=_PACKAGE, fd=fd)]
    os.execve(path, words, {})  # noqa: S606 - this very interpreter, without a shell
