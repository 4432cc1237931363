"""Which answer belongs to which opcode. A request of another opcode is answered with ENOSYS."""

from collections.abc import Callable, Mapping

from unionfs.fuse.kernel.abi import Opcode
from unionfs.fuse.kernel.answers import Answer, Answers
from unionfs.fuse.kernel.codec import Request

Handler = Callable[[Answers, Request], Answer]
UNANSWERED = frozenset((Opcode.FORGET, Opcode.BATCH_FORGET, Opcode.INTERRUPT))
"""Requests to which nothing is replied, not even an error."""
HANDLERS: Mapping[int, Handler] = {
    Opcode.INIT: Answers.init,
    Opcode.DESTROY: Answers.nothing,
    Opcode.LOOKUP: Answers.lookup,
    Opcode.FORGET: Answers.forget,
    Opcode.BATCH_FORGET: Answers.batch_forget,
    Opcode.INTERRUPT: Answers.nothing,
    Opcode.GETATTR: Answers.getattr,
    Opcode.STATX: Answers.statx,
    Opcode.SETATTR: Answers.setattr,
    Opcode.READLINK: Answers.readlink,
    Opcode.SYMLINK: Answers.symlink,
    Opcode.MKNOD: Answers.mknod,
    Opcode.MKDIR: Answers.mkdir,
    Opcode.UNLINK: Answers.unlink,
    Opcode.RMDIR: Answers.rmdir,
    Opcode.RENAME: Answers.rename,
    Opcode.RENAME2: Answers.rename2,
    Opcode.LINK: Answers.link,
    Opcode.OPEN: Answers.open,
    Opcode.OPENDIR: Answers.unknown,
    Opcode.RELEASE: Answers.release,
    Opcode.CREATE: Answers.create,
    Opcode.TMPFILE: Answers.tmpfile,
    Opcode.READ: Answers.read,
    Opcode.WRITE: Answers.write,
    Opcode.FLUSH: Answers.flush,
    Opcode.FSYNC: Answers.fsync,
    Opcode.FSYNCDIR: Answers.fsyncdir,
    Opcode.FALLOCATE: Answers.fallocate,
    Opcode.LSEEK: Answers.lseek,
    Opcode.COPY_FILE_RANGE: Answers.copy_file_range,
    Opcode.READDIR: Answers.readdir,
    Opcode.READDIRPLUS: Answers.readdirplus,
    Opcode.STATFS: Answers.statfs,
    Opcode.GETXATTR: Answers.getxattr,
    Opcode.LISTXATTR: Answers.listxattr,
    Opcode.SETXATTR: Answers.setxattr,
    Opcode.REMOVEXATTR: Answers.removexattr,
    Opcode.IOCTL: Answers.ioctl,
}
