"""Programs started without standard input, output or error, as some daemons start them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.archive import build
from tests.mounts import is_mounted
from tests.store.images import BOTTOM

PROGRAM = Path(sys.executable).with_name("unionfs")
CLOSED = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"]


def run(closed: str, *words: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the program by a shell that closes some of its streams."""
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', PROGRAM, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(build.tar(build.docker_image("img", [BOTTOM], ["demo:1"])))
    return path


@pytest.mark.parametrize("closed", CLOSED)
def test_an_image_is_unpacked_without_them(tmp_path: Path, source: Path, closed: str) -> None:
    result = run(closed, "unpack", source, tmp_path / "layers")
    assert (result.returncode, result.stderr) == (0, "")
    assert len(os.listdir(tmp_path / "layers")) == 2


def test_an_archive_on_no_standard_input_is_an_empty_one(tmp_path: Path) -> None:
    result = run("<&-", "unpack", "-", tmp_path / "layers")
    assert result.returncode == 1
    assert result.stderr.startswith('unionfs: error: "standard input": payload does not match')


@pytest.mark.parametrize("transport", ["pyfuse3", "kernel"])
@pytest.mark.parametrize("closed", CLOSED)
def test_a_mount_is_served_without_them(tmp_path: Path, mountpoint: Path, closed: str, transport: str) -> None:
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower/file").write_text("content")
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    result = run(closed, "mount", "--transport", transport, "-o", options, mountpoint)
    try:
        assert (result.returncode, result.stderr) == (0, "")
        assert (mountpoint / "file").read_text() == "content"
        (mountpoint / "file").write_text("changed")
        assert (tmp_path / "upper/file").read_text() == "changed"
    finally:
        run(closed, "umount", mountpoint)
    assert not is_mounted(mountpoint)
