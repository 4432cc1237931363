"""Programs at work in a Debian root file system that is a mount: a package manager, git, a compiler, databases, pip.

They work in a mount of this program and in one of overlayfs, which shows that they are fair, over the same two lowers:
a root that mmdebstrap made, and above it what overlayfs left in an earlier upper, with its redirects and files without
content. Afterwards each shows the upper that the other wrote.
"""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.filesystems import KERNEL, TRANSPORTS, FileSystem, Mounted, scratch
from tests.oracles import changes_since, contradictions
from tests.snapshots import Snapshot, differences, snapshot
from tests.system import inputs
from tests.system.chores import CHORES, LAY_IN
from tests.system.chroot import run_in
from tests.system.debian_root import debian_root
from tests.system.on_disk import mounted_over

pytestmark = pytest.mark.timeout(900)
"""In seconds: making the root takes minutes where the cache holds none."""
OPTIONS = ("redirect_dir=on", "metacopy=on", "index=off")


@dataclass
class Lowers:
    """The layers below, topmost first, and what they held before any test."""

    paths: tuple[Path, ...]
    content: tuple[Snapshot, ...]


@dataclass
class Session:
    """What was done in one mount, and what it showed at its end."""

    stack: Mounted
    outcomes: Mapping[str, "subprocess.CompletedProcess[str]"]
    shown: Snapshot

    def shown_by(self, filesystem: FileSystem) -> Snapshot:
        """Mount the layers by ``filesystem``, look, and unmount."""
        self.stack.filesystem = filesystem
        self.stack.mount()
        try:
            return snapshot(self.stack.root)
        finally:
            self.stack.unmount()


@pytest.fixture(scope="module")
def lowers() -> Iterator[Lowers]:
    root, content = debian_root()
    with scratch() as directory, mounted_over(KERNEL, [root], options=OPTIONS) as stack:
        inputs.lay_out(stack.root / "srv", directory / "making")
        laid_in = run_in(stack.root, LAY_IN)
        assert laid_in.returncode == 0, laid_in.stdout
        stack.unmount()
        assert stack.upper is not None
        yield Lowers((stack.upper, root), (snapshot(stack.upper), content))


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest, lowers: Lowers) -> Iterator[Session]:
    with mounted_over(request.param, lowers.paths, options=OPTIONS) as stack:
        outcomes = {name: run_in(stack.root, script) for name, script in CHORES.items()}
        shown = snapshot(stack.root)
        stack.unmount()
        yield Session(stack, outcomes, shown)


def in_a_session_of(*filesystems: FileSystem) -> pytest.MarkDecorator:
    """Run the test after the chores were done in a mount by each of these."""
    return pytest.mark.parametrize(
        "session", filesystems, indirect=True, scope="module", ids=lambda system: f"written by {system.name}"
    )


@pytest.mark.parametrize("chore", CHORES)
@in_a_session_of(KERNEL, *TRANSPORTS)
def test_programs_do_their_work(session: Session, chore: str) -> None:
    outcome = session.outcomes[chore]
    assert outcome.returncode == 0, outcome.stdout


@in_a_session_of(KERNEL, *TRANSPORTS)
def test_the_lowers_are_what_they_were(session: Session, lowers: Lowers) -> None:
    assert session.outcomes
    for path, before in zip(lowers.paths, lowers.content, strict=True):
        assert differences(before, snapshot(path)) == []


@in_a_session_of(*TRANSPORTS)
def test_mounted_again_the_upper_shows_the_same_to_the_last_inode_number(session: Session) -> None:
    assert changes_since(session.shown, session.shown_by(session.stack.filesystem)) == []


@in_a_session_of(*TRANSPORTS)
def test_overlayfs_shows_the_upper_as_it_was_shown_here(session: Session) -> None:
    # Overlayfs without an index breaks the hard links of a lower: the name that wasn't changed is as it was.
    broken_link = {"usr/bin/perlbug": {"nlink"}, "usr/bin/perlthanks": {"nlink", "mode"}}
    assert contradictions(session.shown, session.shown_by(KERNEL), but_for=broken_link) == []


@pytest.mark.parametrize("viewer", TRANSPORTS, ids=lambda system: f"seen through {system.name}")
@in_a_session_of(KERNEL)
def test_what_overlayfs_wrote_is_shown_here(session: Session, viewer: FileSystem) -> None:
    assert contradictions(session.shown, session.shown_by(viewer)) == []
