"""The numbers and structures of the kernel's FUSE protocol (include/uapi/linux/fuse.h, major 7).

Owns nothing but them. Integers are in the machine's byte order, as the kernel writes them.
"""

import enum
import struct

MAJOR = 7
# The newest minor version whose messages are known here; the kernel speaks the lower of the two.
MINOR = 45
# The oldest that is served: all structures have had their present size since 7.23, and Linux 5.4 speaks 7.31.
OLDEST_MINOR = 31

# From this on (Linux 5.10; the change is in 5.8) the kernel writes what a close finds dirty even without FLUSH.
WRITES_BEFORE_FLUSH = 32
# From this on (Linux 5.14; the change is in 5.13) the kernel checks who sets inode flags, before it asks.
CHECKS_INODE_FLAGS = 34


class Opcode(enum.IntEnum):
    """What a request asks."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    IOCTL = 39
    BATCH_FORGET = 42
    FALLOCATE = 43
    READDIRPLUS = 44
    RENAME2 = 45
    LSEEK = 46
    COPY_FILE_RANGE = 47
    TMPFILE = 51
    STATX = 52


class Init(enum.IntFlag):
    """What the two sides of INIT offer and want, the second word of flags in the high half."""

    ASYNC_READ = 1 << 0
    ATOMIC_O_TRUNC = 1 << 3
    BIG_WRITES = 1 << 5
    DONT_MASK = 1 << 6
    HAS_IOCTL_DIR = 1 << 11
    DO_READDIRPLUS = 1 << 13
    READDIRPLUS_AUTO = 1 << 14
    ASYNC_DIO = 1 << 15
    WRITEBACK_CACHE = 1 << 16
    NO_OPEN_SUPPORT = 1 << 17
    PARALLEL_DIROPS = 1 << 18
    POSIX_ACL = 1 << 20
    MAX_PAGES = 1 << 22
    CACHE_SYMLINKS = 1 << 23
    NO_OPENDIR_SUPPORT = 1 << 24
    EXPLICIT_INVAL_DATA = 1 << 25
    HANDLE_KILLPRIV_V2 = 1 << 28
    SETXATTR_EXT = 1 << 29
    INIT_EXT = 1 << 30
    PASSTHROUGH = 1 << 37
    NO_EXPORT_SUPPORT = 1 << 38
    ALLOW_IDMAP = 1 << 40


class SetAttr(enum.IntFlag):
    """Which fields of SETATTR hold a new value."""

    MODE = 1 << 0
    UID = 1 << 1
    GID = 1 << 2
    SIZE = 1 << 3
    ATIME = 1 << 4
    MTIME = 1 << 5
    ATIME_NOW = 1 << 7
    MTIME_NOW = 1 << 8
    KILL_SUIDGID = 1 << 11


WRITE_CACHE = 1 << 0
WRITE_KILL_SUIDGID = 1 << 2
OPEN_KILL_SUIDGID = 1 << 0
OPEN_KEEP_CACHE = 1 << 1
OPEN_PASSTHROUGH = 1 << 7
FSYNC_CONTENT_ONLY = 1 << 0
SETXATTR_ACL_KILL_SGID = 1 << 0
STATX_BASIC_STATS = 0x7FF
STATX_BTIME = 0x800

# Requests. Every one begins with IN_HEADER; its last field holds the length of extensions, and padding.
IN_HEADER = struct.Struct("=IIQQIIIHH")  # length opcode unique nodeid uid gid pid extensions padding
INIT_IN = struct.Struct("=IIII")  # major minor max_readahead flags
INIT_IN_FLAGS2 = struct.Struct("=I")
FORGET_IN = struct.Struct("=Q")
FORGET_ONE = struct.Struct("=QQ")  # nodeid lookups
BATCH_FORGET_IN = struct.Struct("=II")  # count, unused
SETATTR_IN = struct.Struct("=IIQQQqqqIIIIIIII")
MKNOD_IN = struct.Struct("=IIII")  # mode rdev umask padding
MKDIR_IN = struct.Struct("=II")  # mode umask
RENAME_IN = struct.Struct("=Q")  # new parent
RENAME2_IN = struct.Struct("=QII")  # new parent, flags, padding
LINK_IN = struct.Struct("=Q")
OPEN_IN = struct.Struct("=II")
CREATE_IN = struct.Struct("=IIII")  # flags mode umask open_flags
READ_IN = struct.Struct("=QQIIQII")  # handle offset size read_flags lock_owner flags padding
RELEASE_IN = struct.Struct("=QIIQ")  # handle flags release_flags lock_owner
WRITE_IN = struct.Struct("=QQIIQII")  # handle offset size write_flags lock_owner flags padding
FSYNC_IN = struct.Struct("=QII")  # handle flags padding
SETXATTR_IN = struct.Struct("=II")  # size flags
SETXATTR_EXT_IN = struct.Struct("=II")  # with SETXATTR_EXT agreed, these follow: setxattr_flags padding
GETXATTR_IN = struct.Struct("=II")  # size padding
IOCTL_IN = struct.Struct("=QIIQII")  # handle flags command argument in_size out_size
FALLOCATE_IN = struct.Struct("=QQQII")  # handle offset length mode padding
LSEEK_IN = struct.Struct("=QQII")  # handle offset whence padding
COPY_FILE_RANGE_IN = struct.Struct("=QQQQQQQ")  # handle offset nodeid_out handle_out offset_out length flags

# Replies. Every one begins with OUT_HEADER, whose error is a negative errno or 0.
OUT_HEADER = struct.Struct("=IiQ")  # length error unique
INIT_OUT = struct.Struct("=IIIIHHIIHHII24x")
ENTRY_OUT = struct.Struct("=QQQQII" + "QQQqqqIIIIIIIIII")
ATTR_OUT = struct.Struct("=QII" + "QQQqqqIIIIIIIIII")
OPEN_OUT = struct.Struct("=QIi")  # handle open_flags backing_id
WRITE_OUT = struct.Struct("=II")
STATFS_OUT = struct.Struct("=QQQQQIIII24x")
GETXATTR_OUT = struct.Struct("=II")
IOCTL_OUT = struct.Struct("=iIII")
LSEEK_OUT = struct.Struct("=Q")
DIRENT = struct.Struct("=QQII")  # ino offset name_length type
# attr_valid, its nanoseconds, flags, two spare; then the structure of statx(2): mask blksize attributes nlink uid gid
# mode spare ino size blocks attributes_mask, the times of access, birth, status change and content, and both devices.
STATX_OUT = struct.Struct("=QII16x" + "IIQIIIHHQQQQ" + "qIi" * 4 + "IIII112x")

# Said without being asked: the header's error is one of these numbers, its unique 0.
NOTIFY_INVAL_INODE = 2
NOTIFY_INVAL_INODE_OUT = struct.Struct("=Qqq")  # nodeid offset length; a negative offset for attributes alone

# ioctl(2) on the device: _IOW(229, 1, struct fuse_backing_map) and _IOW(229, 2, uint32_t).
BACKING_OPEN = 0x4010E501
BACKING_CLOSE = 0x4004E502
BACKING_MAP = struct.Struct("=iIQ")  # descriptor, flags and padding of zeros
BACKING_ID = struct.Struct("=I")
