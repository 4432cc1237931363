"""The benchmark on small inputs: that it measures, says what it couldn't measure, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts overlayfs and drops caches")


def start(room: Path, *arguments: str, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tools.bench", "--quick", "--inputs", str(room.with_name("inputs")), *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "TMPDIR": str(room), **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def bench(room: Path, *arguments: str, environ: dict[str, str] | None = None) -> str:
    """Run the benchmark, and give what it prints."""
    process = start(room, *arguments, environ=environ)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


@pytest.fixture
def document(room: Path, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "figures.json"
    chosen = ["--only", "^untar$|^walk with stat, (warm|cold), read-only$", "--candidates", "unionfs-kernel"]
    bench(room, *chosen, "--repetitions", "2", "--json", str(file))
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_figures_are_written_for_each_workload_and_candidate(document: dict[str, Any]) -> None:
    assert set(document["versions"]) == {"overlayfs", "unionfs-kernel"}
    groups = {workload["name"]: workload["group"] for workload in document["rows"]}
    assert groups == {
        "walk with stat, warm, read-only": "read_only",
        "walk with stat, cold, read-only": "cold",
        "untar": "writing",
    }
    for workload in document["rows"]:
        assert workload["failures"] == {}
        base, ours = (workload["results"][name] for name in ("overlayfs", "unionfs-kernel"))
        assert len(ours["samples"]) == document["runs"][0]["repetitions"] == 2
        low, high = ours["quartiles"]
        assert 0 < low <= ours["median"] <= high
        assert ours["ratio"] == pytest.approx(ours["median"] / base["median"])
        assert base["ratio"] == 1
        assert ours["peak_memory"] > 1024 > base["peak_memory"] == 0
        assert base["daemon_seconds"] == 0
    untar = next(workload for workload in document["rows"] if workload["name"] == "untar")
    assert untar["results"]["unionfs-kernel"]["daemon_seconds"] > 0


def test_candidates_and_workloads_that_cannot_be_had_are_named(room: Path) -> None:
    output = bench(
        room,
        *("--only", "^python import, warm, writable$|^create$", "--candidates", "fuse-overlayfs-new,wrong"),
        *("--variant", "wrong:--transport kernel --no-such-option"),
        environ={"FUSE_OVERLAYFS": "/nowhere/fuse-overlayfs"},
    )
    assert "fuse-overlayfs-new: **not measured**: [Errno 2]" in output
    assert "python import, warm, writable: **not measured**: runs programs of a Debian system" in output
    assert "create: wrong **failed**: mounting failed: " in output


def test_an_interrupted_run_leaves_nothing(room: Path) -> None:
    process = start(room, "--only", "^untar$", "--candidates", "unionfs-kernel", "--repetitions", "1000000")
    assert process.stderr
    deadline = time.monotonic() + 60
    while not (daemons := children_called_unionfs(process.pid)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "bench: interrupted" in errors
    assert not any(Path(f"/proc/{pid}").exists() for pid in daemons)


def children_called_unionfs(pid: int) -> list[int]:
    """Give the daemons among the processes that descend from *pid*."""
    parents = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "stat").read_text().rpartition(")")[2].split()
            parents[int(directory.name)] = (int(words[1]), (directory / "cmdline").read_bytes())
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {pid}
    while more := {child for child, (parent, _) in parents.items() if parent in found} - found:
        found |= more
    return [child for child in found - {pid} if b"unionfs\0mount" in parents[child][1]]


def test_programs_that_unpack_are_compared_with_tar(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    # podman takes no path of more than 50 characters for what it keeps while it runs.
    with tempfile.TemporaryDirectory(prefix="b.", dir="/tmp") as outer:
        room = Path(outer, "r")
        room.mkdir()
        output = bench(room, "--only", "^unpack five gzip layers$", "--json", str(file))
        assert list(room.iterdir()) == []
    (row,) = json.loads(file.read_text())["rows"]
    assert row["failures"] == {}
    assert row["baseline"] == "tar -xzf"
    assert set(row["results"]) == {"tar -xzf", "umoci unpack", "podman load", "unionfs unpack", "unionfs load"}
    tar, ours = row["results"]["tar -xzf"], row["results"]["unionfs unpack"]
    assert ours["ratio"] == pytest.approx(ours["median"] / tar["median"])
    assert "| unpack five gzip layers | unionfs unpack |" in output
    assert "geometric means" not in output
