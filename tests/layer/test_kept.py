"""Times and capabilities that outlast a change, and a process that is killed in the middle of it."""

import os
import signal
from pathlib import Path

import pytest

from tests.layer.opened import opened_upper
from unionfs.layer.kept import kept
from unionfs.layer.private_xattrs import TRUSTED, USER

CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")
TIMES = (1_234_567_890_123_456_789, -987_654_321)
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="trusted.* attributes and capabilities are root's")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give an upper with a directory and a program in it, whose times are old."""
    place = tmp_path / "upper"
    (place / "d").mkdir(parents=True)
    (place / "program").write_bytes(b"program")
    os.setxattr(place / "program", "security.capability", CAPABILITY)
    for path in (place / "d", place / "program"):
        os.utime(path, ns=TIMES)
    return place


def times(path: Path) -> tuple[int, int]:
    return path.stat().st_atime_ns, path.stat().st_mtime_ns


@pytest.mark.parametrize("namespace", [TRUSTED, USER])
def test_a_directory_keeps_its_times_over_a_change_of_names(place: Path, namespace: bytes) -> None:
    with opened_upper(place.parent) as upper, kept(namespace, upper.root.child(b"d")):
        (place / "d/new").touch()
        assert times(place / "d") != TIMES
    assert times(place / "d") == TIMES
    assert os.listxattr(place / "d") == []


def test_a_file_keeps_its_times_and_capabilities_over_a_change_of_content(place: Path) -> None:
    with opened_upper(place.parent) as upper, kept(TRUSTED, upper.root, b"program"):
        (place / "program").write_bytes(b"changed")
        assert "security.capability" not in os.listxattr(place / "program")
    assert times(place / "program") == TIMES
    assert os.getxattr(place / "program", "security.capability") == CAPABILITY
    assert os.listxattr(place / "program") == ["security.capability"]


def test_within_another_block_for_the_same_entry_nothing_is_kept_anew(place: Path) -> None:
    with opened_upper(place.parent) as upper:
        directory = upper.root.child(b"d")
        with kept(TRUSTED, directory):
            (place / "d/new").touch()
            with kept(TRUSTED, directory):
                (place / "d/newer").touch()
            assert times(place / "d") != TIMES
    assert times(place / "d") == TIMES


def test_an_error_in_the_block_is_passed_on_and_the_times_are_kept(place: Path) -> None:
    def change() -> None:
        (place / "d/new").touch()
        raise KeyError("given up")

    with opened_upper(place.parent) as upper, pytest.raises(KeyError), kept(TRUSTED, upper.root.child(b"d")):
        change()
    assert times(place / "d") == TIMES


def test_what_a_killed_process_left_is_brought_back_when_the_upper_is_opened(place: Path) -> None:
    with opened_upper(place.parent) as upper:
        upper.workdir.begin_flattening()
        child = os.fork()
        if child == 0:
            with kept(TRUSTED, upper.root.child(b"d")), kept(TRUSTED, upper.root, b"program"):
                (place / "d/new").touch()
                (place / "program").write_bytes(b"changed")
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
    assert times(place / "d") != TIMES
    with opened_upper(place.parent) as upper:
        assert not upper.workdir.is_flattening
    assert times(place / "d") == times(place / "program") == TIMES
    assert os.getxattr(place / "program", "security.capability") == CAPABILITY
    assert os.listxattr(place / "d") == []


def test_without_a_flattening_under_way_no_mark_is_looked_for(place: Path) -> None:
    os.setxattr(place / "d", "trusted.overlay.unionfs.kept", b"1:2")
    with opened_upper(place.parent):
        pass
    assert times(place / "d") == TIMES
