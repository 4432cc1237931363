"""What is compared: each candidate's name, and the command that mounts it."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BASELINE = "overlayfs"
UNIONFS = Path(sys.executable).with_name("unionfs")


@dataclass(frozen=True)
class Stack:
    """What is to be mounted: the lowers, the topmost first, and, unless it is read-only, an upper."""

    lowers: tuple[Path, ...]
    upper: Path | None
    work: Path | None

    def options(self, beneath: Path | None = None) -> str:
        """Give the mount options that overlayfs, fuse-overlayfs and unionfs have in common.

        The lowers are named by their paths from the directory *beneath*, where one is given.
        """
        names = [str(lower if beneath is None else lower.relative_to(beneath)) for lower in self.lowers]
        lowerdir = "lowerdir=" + ":".join(names)
        return lowerdir if self.upper is None else f"{lowerdir},upperdir={self.upper},workdir={self.work}"


@dataclass(frozen=True)
class Candidate:
    """A way to mount a stack.

    ``command`` gives the command that mounts a stack at a directory and returns when the mount answers; ``version``
    the one that says which version it is, or
    nothing where the caller names no program. ``ours`` tells this project's candidates.
    """

    name: str
    version: tuple[str, ...]
    command: Callable[[Stack, Path], list[str]]
    ours: bool = False

    def described(self) -> str:
        """Say which version it is.

        Raises:
            OSError: the program isn't there, or isn't known.
            CalledProcessError: it doesn't run.
        """
        if not self.version:
            raise FileNotFoundError("FUSE_OVERLAYFS=PATH names no program")
        output = subprocess.run(self.version, capture_output=True, text=True, check=True).stdout
        # The programs that use libfuse also name its version, and that of fusermount3.
        lines = [line for line in output.splitlines() if not line.lower().startswith(("fuse", "using"))]
        own = [line for line in output.splitlines() if line.startswith("fuse-overlayfs")]
        return (own + lines + [self.version[0]])[0]


def all_candidates(environ: Mapping[str, str], variants: Sequence[str]) -> list[Candidate]:
    """Give every candidate, whether its program is there or not.

    *variants* are texts ``NAME:ARGUMENTS``: further ones of this project, with these arguments of ``unionfs mount``.

    Raises:
        ValueError: a variant without a colon, or with a name that another candidate has.
    """
    candidates = [
        Candidate(BASELINE, ("uname", "-sr"), _overlayfs),
        _fuse_overlayfs("fuse-overlayfs", "/usr/bin/fuse-overlayfs"),
        _fuse_overlayfs("fuse-overlayfs-new", environ.get("FUSE_OVERLAYFS")),
        Candidate("unionfs-fuse", ("/usr/bin/unionfs", "--version"), _unionfs_fuse),
        _unionfs("unionfs-pyfuse3", ["--transport", "pyfuse3"]),
        _unionfs("unionfs-kernel", ["--transport", "kernel"]),
    ]
    for variant in variants:
        name, colon, arguments = variant.partition(":")
        if not colon or not name or name in {candidate.name for candidate in candidates}:
            raise ValueError(f"a variant is a new name, a colon and arguments of 'unionfs mount', not {variant!r}")
        candidates.append(_unionfs(name, shlex.split(arguments)))
    return candidates


def _overlayfs(stack: Stack, mountpoint: Path) -> list[str]:
    # Newer versions of mount(8) pass each option to fsconfig(2), which takes 255 bytes: so names, not paths.
    directory = stack.lowers[0].parent
    script = 'cd "$1" && exec mount -t overlay -o "$2" overlay "$3"'
    return ["sh", "-c", script, "sh", str(directory), stack.options(beneath=directory), str(mountpoint)]


def _fuse_overlayfs(name: str, program: str | None) -> Candidate:
    def command(stack: Stack, mountpoint: Path) -> list[str]:
        return [str(program), "-o", stack.options(), str(mountpoint)]

    return Candidate(name, (program, "--version") if program else (), command)


def _unionfs_fuse(stack: Stack, mountpoint: Path) -> list[str]:
    branches = [f"{lower}=RO" for lower in stack.lowers]
    if stack.upper is None:
        return ["/usr/bin/unionfs", "-o", "allow_other", ":".join(branches), str(mountpoint)]
    branches.insert(0, f"{stack.upper}=RW")
    return ["/usr/bin/unionfs", "-o", "cow,allow_other", ":".join(branches), str(mountpoint)]


def _unionfs(name: str, arguments: list[str]) -> Candidate:
    def command(stack: Stack, mountpoint: Path) -> list[str]:
        return [str(UNIONFS), "mount", *arguments, "-o", stack.options(), str(mountpoint)]

    return Candidate(name, (str(UNIONFS), "--version"), command, ours=True)
