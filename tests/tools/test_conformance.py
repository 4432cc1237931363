"""The runner of others' suites, on a suite that is made here: what it counts, compares, and refuses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.conformance.outcome import Outcome, held_against
from tools.conformance.pjdfstest import read_protocol

CHECKOUT = Path(__file__).resolve().parents[2]
TEST = """
echo 1..3
kind=$(df --output=fstype . | tail -n 1)
echo "ok 1"
{ echo content >file && mv file other && echo "ok 2"; } || echo "not ok 2"
{ [ "$kind" != "$FAILS_ON" ] && echo "ok 3"; } || echo "not ok 3 - on $kind"
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A checkout that looks as pjdfstest's does when it is compiled."""
    (tmp_path / "suite/tests/open").mkdir(parents=True)
    (tmp_path / "suite/pjdfstest").touch()
    (tmp_path / "suite/tests/misc.sh").touch()
    (tmp_path / "suite/tests/open/00.t").write_text(TEST)
    return tmp_path / "suite"


def run(room: Path, *words: str | Path, fails_on: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "tools.conformance", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False,
        env={**os.environ, "TMPDIR": str(room), "FAILS_ON": fails_on},
    )  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts overlayfs and drops caches")
def test_each_candidate_is_counted_with_what_shows_whose_mount_it_was(room: Path, suite: Path) -> None:
    done = run(room, "--pjdfstest", suite)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line[2:20].rstrip() for line in lines if line.endswith(" 3 passed     0 failed")] == [
        "overlayfs", "unionfs kernel", "unionfs pyfuse3", "unionfs-overlay",
    ]  # fmt: skip
    kinds = [line.split()[4] for line in lines if "mount table:" in line]
    assert kinds == ["overlay", "fuse.unionfs", "fuse.unionfs", "fuse.unionfs-overlay"]
    assert lines[-1] == "0 in all pass on overlayfs and fail here"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts overlayfs and drops caches")
def test_what_overlayfs_passes_and_we_fail_is_an_error_that_names_it(room: Path, suite: Path) -> None:
    done = run(room, "--pjdfstest", suite, fails_on="fuse.unionfs-overlay")
    assert done.returncode == 1, done.stderr
    named = "pjdfstest, unionfs-overlay: open/00.t 3 - on fuse.unionfs-overlay"
    assert done.stdout.splitlines()[-2:] == [
        f"passes on overlayfs and fails here: {named}", "1 in all pass on overlayfs and fail here",
    ]  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts overlayfs and drops caches")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no suite"),
        (("--pjdfstest", "/"), "/ isn't a checkout of pjdfstest"),
        (("--unionmount", "/"), "/ isn't a checkout of unionmount-testsuite"),
    ],
)
def test_what_is_no_suite_is_refused_in_one_line(room: Path, words: tuple[str, ...], said: str) -> None:
    done = run(room, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"conformance: {said}")
    assert done.stderr.count("\n") == 1


def test_a_suite_that_was_not_compiled_is_refused_with_how_to(room: Path, suite: Path) -> None:
    (suite / "pjdfstest").unlink()
    assert "./configure && make pjdfstest" in run(room, "--pjdfstest", suite).stderr


@pytest.mark.parametrize(
    ("said", "passed", "failed"),
    [
        ("1..2\nok 1\nok 2\n", 2, []),
        ("1..2\nok 1\nnot ok 2 - tried 'x', got EPERM\n", 1, ["2 - tried 'x', got EPERM"]),
        ("1..2\nnot ok 1 # TODO known\nok 2\n", 2, []),
        ("1..3\nok 1\n", 1, ["ended early", "ended early"]),
        ("ok 1\n", 1, ["ended early"]),
    ],
)
def test_checks_are_counted_by_the_test_anything_protocol(said: str, passed: int, failed: list[str]) -> None:
    assert read_protocol(said) == (passed, failed)


def test_what_fails_on_overlayfs_too_is_not_held_against_us() -> None:
    reference, ours = Outcome("overlayfs", 1, ["a"], []), Outcome("ours", 1, ["a", "b"], [])
    assert held_against(reference, ours) == ["b"]
