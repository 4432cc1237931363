"""unionmount-testsuite: what overlayfs does, layer by layer. It mounts by itself, through mount(8)."""

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools import system
from tools.conformance.candidates import OURS, PROGRAMS, REFERENCE
from tools.conformance.mount_table import Watch
from tools.conformance.outcome import Outcome

OVERLAY = OURS[-1]
_FOUND_BY_MOUNT = "/usr/local/sbin"
_RENAMES = {"rename-dir", "rename-empty-dir", "rename-pop-dir", "rename-move-dir"}
"""The tests for directories of the layers that can be renamed; the one for those that can't is the next."""
_NO_RENAMES = {"rename-exdev"}
_TEST = re.compile(r"^\*\*\* \S+ .*?(\S+)$", re.MULTILINE)
_CHECK = re.compile(r"^TEST ", re.MULTILINE)


@dataclass(frozen=True)
class Variant:
    """A way to call the suite: how many layers it stacks, flags, mount options, and whether on one file system."""

    layers: int
    flags: tuple[str, ...]
    options: str = ""
    one_file_system: bool = False

    def title(self) -> str:
        """Name it as one would call the suite."""
        words = [f"--ov={self.layers}" if self.layers else "--ov"]
        words += ["--samefs"] * self.one_file_system + [*self.flags, self.options]
        return " ".join(word for word in words if word)


_REDIRECTS = "redirect_dir=on"
VARIANTS = (
    Variant(0, ("--xdev",)),
    Variant(0, ("--xdev", "--verify")),
    Variant(10, ("--xdev", "--verify")),
    Variant(0, ("--verify",), _REDIRECTS),
    Variant(0, ("--verify",), _REDIRECTS, one_file_system=True),
    Variant(10, ("--verify",), _REDIRECTS),
    Variant(10, ("--verify",), _REDIRECTS, one_file_system=True),
    Variant(10, ("--verify",), f"{_REDIRECTS},metacopy=on"),
)


def check_there(checkout: Path) -> None:
    """Tell whether it is a checkout of the suite.

    Raises:
        ValueError: it isn't.
    """
    if not (checkout / "run").is_file() or not (checkout / "mount_union.py").is_file():
        raise ValueError(f"{checkout} isn't a checkout of unionmount-testsuite")


def run(checkout: Path, variant: Variant, room: Path, *, ours: bool) -> Outcome:
    """Run the suite on overlayfs or our drop-in, in the empty directory *room*.

    A test ends at its first check that fails; then the next test is begun.

    Raises:
        OSError: the file systems for the layers can't be mounted.
    """
    candidate = OVERLAY if ours else REFERENCE
    mountpoint, environment = _places(variant, room)
    words = [f"--ov={variant.layers}" if variant.layers else "--ov"]
    words += [f"--fuse={OVERLAY.name}"] if ours else []
    words += variant.flags
    passed, failed = 0, []
    remaining = _tests(checkout, variant)
    with Watch(mountpoint) as watch:
        while remaining:
            result = subprocess.run(
                ["python3", checkout.resolve() / "run", *words, *remaining],
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            )  # fmt: skip
            checks = len(_CHECK.findall(result.stdout))
            if not result.returncode:
                passed += checks
                break
            passed += max(checks - 1, 0)
            begun = _TEST.findall(result.stdout)
            failing = begun[-1] if begun else remaining[0]
            failed.append(f"{failing}: {_last_lines(result.stdout.replace(str(room), ''))}")
            remaining = remaining[remaining.index(failing) + 1 :]
    if watch.kinds != {candidate.kind}:
        failed.append(f"the mounts were those of {', '.join(sorted(watch.kinds))}")
    subprocess.run(
        ["python3", checkout.resolve() / "run", "--clean-up"], env=environment, capture_output=True, check=True
    )
    return Outcome(candidate.name, passed, failed, watch.lines)


def _places(variant: Variant, room: Path) -> tuple[Path, dict[str, str]]:
    """Make the directories, and give the mountpoint and what tells the suite of them."""
    base = room / "base"
    base.mkdir()
    environment = {
        **os.environ,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "UNIONMOUNT_BASEDIR": str(base),
        "UNIONMOUNT_MNTOPTIONS": variant.options,
    }
    if variant.one_file_system:
        return base / "m", environment
    for name in ("lower", "merged"):
        (room / name).mkdir()
    system.mount("lower", str(room / "lower"), "tmpfs")
    places = {"UNIONMOUNT_LOWERDIR": str(room / "lower"), "UNIONMOUNT_MNTPOINT": str(room / "merged")}
    return room / "merged", environment | places


def install(room: Path) -> None:
    """Put our drop-in where mount(8) finds it: it passes no PATH on, so the shell that starts it has its own."""
    directory = room / "programs"
    directory.mkdir()
    (directory / OVERLAY.name).symlink_to(PROGRAMS / OVERLAY.name)
    system.mount(str(directory), _FOUND_BY_MOUNT, "none", system.MS_BIND)


def _tests(checkout: Path, variant: Variant) -> Sequence[str]:
    """Name the tests that the suite would run by itself; files that it doesn't name are left out there too."""
    known = set(re.findall(r'"([a-z0-9-]+)"', (checkout / "run").read_text()))
    left_out = _RENAMES if "--xdev" in variant.flags else _NO_RENAMES
    there = {file.stem for file in (checkout / "tests").glob("*.py")}
    return sorted(there & known - left_out)


def _last_lines(output: str) -> str:
    """Give what was done and what came of it."""
    return " / ".join(line.strip() for line in output.strip().splitlines()[-2:])
