"""What a process gives up or asks of the kernel: capabilities, dumps, privileges gained by exec."""

import ctypes
from collections.abc import Iterable

from unionfs.linux.libc import LIBC, check

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_SET_IO_FLUSHER = 57
_CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = {
    "chown": 0, "dac_override": 1, "dac_read_search": 2, "fowner": 3, "fsetid": 4, "kill": 5, "setgid": 6,
    "setuid": 7, "setpcap": 8, "net_bind_service": 10, "net_raw": 13, "sys_chroot": 18, "sys_admin": 21,
    "sys_nice": 23, "sys_resource": 24, "mknod": 27, "audit_write": 29, "setfcap": 31,
}  # fmt: skip
_MOST_CAPABILITIES = 64


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _prctl(option: int, value: int) -> None:
    check(LIBC.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def set_dumpable(dumpable: bool) -> None:
    """Allow or forbid core dumps and tracing by other processes of the same user."""
    _prctl(PR_SET_DUMPABLE, int(dumpable))


def set_no_new_privs() -> None:
    """Let no later exec gain privileges."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def set_io_flusher() -> None:
    """Tell the kernel that its memory reclaim may wait for this process (a file system's daemon).

    Raises:
        OSError: EPERM without CAP_SYS_RESOURCE.
    """
    _prctl(PR_SET_IO_FLUSHER, 1)


def set_parent_death_signal(number: int) -> None:
    """Have the kernel send this process the signal *number* when the thread that started it ends; 0 for none.

    It is forgotten where the process becomes another user or gains capabilities (prctl(2)).
    """
    _prctl(PR_SET_PDEATHSIG, number)


def limit_capabilities(names: Iterable[str]) -> None:
    """Let neither this process nor what it starts ever gain another capability than *names* (the bounding set).

    Raises:
        KeyError: a name that isn't in ``CAPABILITIES``.
        OSError: EPERM without CAP_SETPCAP.
    """
    keep = {CAPABILITIES[name] for name in names}
    for number in set(range(_MOST_CAPABILITIES)) - keep:
        if LIBC.prctl(PR_CAPBSET_READ, ctypes.c_ulong(number), *[ctypes.c_ulong(0)] * 3) == 1:
            _prctl(PR_CAPBSET_DROP, number)


def keep_capabilities(names: Iterable[str]) -> None:
    """Give up every capability but those in *names* that the process has; none is ever gained.

    Raises:
        KeyError: a name that isn't in ``CAPABILITIES``.
        OSError: the kernel refused.
    """
    keep = sum(1 << CAPABILITIES[name] for name in names)
    header = _Header(_CAPABILITY_VERSION_3, 0)
    sets = (_Sets * 2)()
    check(LIBC.capget(ctypes.byref(header), sets))
    for word, half in enumerate(sets):
        mask = (keep >> (32 * word)) & 0xFFFFFFFF
        half.effective &= mask
        half.permitted &= mask
        half.inheritable = 0
    check(LIBC.capset(ctypes.byref(header), sets))


def effective_capabilities(pid: int | None = None) -> int:
    """Give the effective capabilities of *pid*, or of this process, as a bit set.

    Raises:
        OSError: there is no such process.
    """
    with open(f"/proc/{'self' if pid is None else pid}/status", "rb") as status:
        for line in status:
            if line.startswith(b"CapEff:"):
                return int(line.split()[1], 16)
    raise OSError(f"process {pid} shows no capabilities")


def has_capability(name: str, pid: int | None = None) -> bool:
    """Tell whether *pid*, or this process, holds the capability *name* in this process's user namespace.

    A process that is gone, or hidden, holds none. One of a namespace within, which may hold all of them there, is told
    by the ids that exist there: who may not trace a process isn't told its namespace.
    """
    try:
        if not effective_capabilities(pid) >> CAPABILITIES[name] & 1:
            return False
        return pid is None or _uid_map(pid) == _uid_map("self")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _uid_map(process: int | str) -> bytes:
    with open(f"/proc/{process}/uid_map", "rb") as ids:
        return ids.read()
