"""Where the log goes."""

import logging
import logging.handlers
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from unionfs.mount import logs
from unionfs.mount.errors import MountError
from unionfs.mount.logs import start_logging


@pytest.fixture(autouse=True)
def _root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in [handler for handler in root.handlers if handler not in handlers]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def test_a_file_gets_every_line_after_what_it_held(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("before\n")
    start_logging(file=os.fsencode(log), foreground=False, debug=False)
    logging.getLogger("unionfs").info("served %r", b"\xff")
    logging.getLogger("unionfs").warning("a name: %s", "\udcff")
    logging.getLogger("unionfs").debug("not wanted")
    lines = log.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[1].endswith("INFO served b'\\xff'")
    assert lines[2].endswith("WARNING a name: \\udcff")
    assert len(lines) == 3


def test_debugging_logs_more(tmp_path: Path) -> None:
    start_logging(file=os.fsencode(tmp_path / "log"), foreground=False, debug=True)
    logging.getLogger("unionfs").debug("wanted")
    assert "DEBUG wanted" in (tmp_path / "log").read_text()


def test_a_file_that_cannot_be_written_is_an_error_by_name(tmp_path: Path) -> None:
    with pytest.raises(MountError, match=f"the log file {tmp_path}: Is a directory"):
        start_logging(file=os.fsencode(tmp_path), foreground=False, debug=False)


def test_a_foreground_mount_logs_to_its_terminal() -> None:
    code = "from unionfs.mount.logs import start_logging as s; import logging; "
    code += "s(file=None, foreground=True, debug=False); logging.info('hello')"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "unionfs: INFO: hello\n")


def test_a_daemon_logs_to_syslog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "SYSLOG_SOCKET", str(tmp_path / "log"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        syslog.settimeout(10)
        start_logging(file=None, foreground=False, debug=False)
        logging.getLogger("unionfs").error("broken")
        daemon_facility, error_severity = 3, 3
        expected = f"<{daemon_facility << 3 | error_severity}>unionfs[{os.getpid()}]: ERROR broken"
        assert syslog.recv(1000).rstrip(b"\0") == expected.encode()


def test_without_syslog_a_daemon_goes_on_without_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "SYSLOG_SOCKET", str(tmp_path / "absent"))
    start_logging(file=None, foreground=False, debug=False)
    logging.getLogger("unionfs").error("unheard")
    assert capsys.readouterr() == ("", "")
