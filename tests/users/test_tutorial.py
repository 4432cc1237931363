"""The session of docs/tutorial.md, as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mounts import unmount_or_detach

TUTORIAL = Path(__file__).resolve().parents[2] / "docs/tutorial.md"


def blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="there is no /dev/fuse")
def test_the_commands_of_the_tutorial_do_what_it_says(tmp_path: Path) -> None:
    programs = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "UNIONFS_ROOT": str(tmp_path / "store")}
    outputs = []
    try:
        for block in blocks():
            command = ["bash", "-euc", block]
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, block + done.stdout + done.stderr
            outputs.append(done.stdout)
    finally:
        unmount_or_detach(tmp_path / "page")
    _, loaded, changed, committed, described, brought, mounted, looked, cleaned = outputs
    assert loaded.startswith("Loaded image: busybox:latest\n")
    assert changed == "A /data\nA /data/html\nA /data/html/index.html\n"
    assert "Untagged: web:draft\n" in committed
    assert "Deleted" not in committed
    assert re.findall(r"^web +(\w+)", committed, re.MULTILINE) == ["1", "stable"]
    assert '["/bin/httpd","-f","-h","/data/html"]' in described
    assert brought.endswith("Loaded image: web:1\nLoaded image: web:2\n")
    assert brought.count("Deleted: ") == 3
    assert mounted == "<h1>Hello</h1>\n"
    assert looked.count("<h1>Hello</h1>") == 1
    assert (tmp_path / "copied/index.html").read_text() == mounted
    assert re.search(r"^Images +0 +0 +0B", cleaned, re.MULTILINE)
    assert os.listdir(tmp_path / "store/blobs/sha256") == []
