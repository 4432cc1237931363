"""Where the daemon's log goes: a file, the terminal of a foreground mount, or syslog."""

import logging
import os

from unionfs.mount.errors import MountError

SYSLOG_SOCKET = "/dev/log"
FILE_FORMAT = "%(asctime)s %(levelname)s %(message)s"
SYSLOG_FORMAT = "unionfs[%(process)d]: %(levelname)s %(message)s"
TERMINAL_FORMAT = "unionfs: %(levelname)s: %(message)s"


def start_logging(*, file: bytes | None, foreground: bool, debug: bool) -> None:
    """Send what is logged to *file*, else to stderr in the foreground, else to syslog.

    Where there is no syslog a daemon's log goes nowhere, as it would for any program.

    Raises:
        MountError: *file* can't be written.
    """
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if debug else logging.INFO)
    root.addHandler(_handler(file, foreground=foreground))


def _handler(file: bytes | None, *, foreground: bool) -> logging.Handler:
    handler: logging.Handler
    if file is not None:
        try:
            handler = logging.FileHandler(os.fsdecode(file), errors="backslashreplace")
        except OSError as error:
            raise MountError(f"the log file {os.fsdecode(file)}: {error.strerror}") from error
        layout = FILE_FORMAT
    elif foreground:
        handler, layout = logging.StreamHandler(), TERMINAL_FORMAT
    else:
        handler, layout = _syslog_handler(), SYSLOG_FORMAT
    handler.setFormatter(logging.Formatter(layout))
    return handler


def _syslog_handler() -> logging.Handler:
    if not os.path.exists(SYSLOG_SOCKET):
        return logging.NullHandler()  # --log FILE and -f are the other ways
    from logging.handlers import SysLogHandler  # noqa: PLC0415 - takes longer to load than all else about logs

    return SysLogHandler(SYSLOG_SOCKET, SysLogHandler.LOG_DAEMON)
