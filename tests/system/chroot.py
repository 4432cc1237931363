"""Runs scripts with a directory as their root file system."""

import subprocess
from pathlib import Path

_LIMIT = 120.0


def run_in(root: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a shell script with ``root`` as its root and only /proc mounted in it; nothing of it goes on afterwards."""
    return subprocess.run(
        [
            # A mount and pid namespace of its own: what it mounts and starts ends with it.
            "unshare", "--mount", "--pid", "--fork", "--kill-child", f"--root={root}", "--mount-proc",
            "/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8",
            "/bin/sh", "-euc", script,
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="backslashreplace", check=False, timeout=_LIMIT,
    )  # fmt: skip
