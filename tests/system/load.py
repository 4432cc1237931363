"""Many programs at once in one directory, whose files at the end don't depend on who was faster."""

import os
import signal
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.stacks import OPAQUE, WHITEOUT, Directory, File, HardLink, Layer, Symlink, write
from tests.system.inputs import GIT_ENVIRONMENT, build_git_repository, write_c_program

_LIMIT = 120.0
_GIT = r"""
git clone --quiet "$INPUTS/project.git" cloned
cd cloned
for round in 1 2 3; do
    git checkout --quiet side
    git checkout --quiet main
    echo $round >>part1/file1
    git mv part4 part4$round
    git commit --quiet --all --message=$round
    git mv part4$round part4
    git commit --quiet --all --message=back
done
git merge --quiet --message=merged side
git gc --quiet
git fsck --strict
test -z "$(git status --porcelain)"
rm -r .git/index .git/logs
"""
_GIT_OF_THE_LOWERS = r"""
cd project
git checkout --quiet side
git rm -r --quiet part8
git commit --quiet --message=less
git checkout --quiet main
git clean --quiet -fdx
git stash list
git repack -adq
git fsck --strict
rm -r .git/index .git/logs
"""
_UNTAR = r"""
for round in 1 2 3; do
    mkdir unpacked
    tar -xf "$INPUTS/many.tar" -C unpacked
    test $round = 3 || rm -r unpacked
done
mkdir again
tar -cf - -C unpacked . | tar -xf - -C again
diff -r unpacked again
"""
_COMPILE = r"""
cd program
test "$(./build | sort -u)" = 66
cp -r . ../program-copy
cd ../program-copy
rm ./*.o
test "$(./build | sort -u)" = 66
"""
_REMOVE = r"""
for number in 0 1 2 3 4 5 6 7; do
    rm -r many/part$number
    mkdir many/part$number
    echo $number >many/part$number/new
    mv many/part1$number many/moved$number
    mv many/moved$number/file1 many/part1$number
    chmod -R g+w many/moved$number
done
rm -r many/part2?
rmdir many/merged/empty
rm many/merged/a
rm -r many/merged
mkdir many/merged
"""
_SHARE = r"""
mkdir -p shared
mkdir mine$N
for number in $(seq 150); do
    echo $N $number >mine$N/$number
    mv mine$N/$number shared/$N-$number
    ln shared/$N-$number shared/link-$N-$number
    test $((number % 3)) != 0 || rm shared/$N-$number
done
rmdir mine$N
"""
_PATCH = r"""
for block in $(seq $N 4 255); do
    printf "%s %s" $N $block | dd of=big bs=16k seek=$block conv=notrunc status=none
done
"""
_LINK = r"""
echo more >>links/one
chmod 600 links/two
ln links/one links/three
mv links/two links/moved
test "$(stat -c %h links/moved)" = 3
rm links/one
"""
_LOOK = r"""
while [ ! -e "$STOP" ]; do
    # What vanishes meanwhile, or becomes a file, is no error; any other is.
    find . -ls -type f -exec cat {} + 2>&1 >/dev/null | grep -v -e 'No such file or dir' -e 'Not a dir' >&2 && exit 1
done
true
"""
JOBS: Mapping[str, str] = {
    "git": _GIT,
    "git of the lowers": _GIT_OF_THE_LOWERS,
    "untar": _UNTAR,
    "compile": _COMPILE,
    "remove": _REMOVE,
    "link": _LINK,
    **{f"share {number}": f"N={number}\n{_SHARE}" for number in range(3)},
    **{f"patch {number}": f"N={number}\n{_PATCH}" for number in range(4)},
}
_BASE: Layer = {
    **{f"many/part{part}/file{number}": File(b"%d " % number * 300) for part in range(30) for number in range(25)},
    "many/merged/a": File(b"a"),
    "many/merged/empty/gone": File(),
    "many/merged/hidden/gone": File(),
    "big": File(b"big " * (1 << 20)),
    "links/one": File(b"linked"),
    "links/two": HardLink("links/one"),
}
_TOP: Layer = {
    "many/part20/file3": WHITEOUT,
    "many/part3": Directory(mode=0o700),
    "many/part3/top": File(b"top"),
    "many/merged/empty": OPAQUE,
    "many/merged/hidden": WHITEOUT,
    "many/merged/b": Symlink("a"),
}


def write_layers(base: Path, top: Path, scratch: Path) -> None:
    """Write two lowers that the load works on."""
    write(base, _BASE)
    write(top, _TOP)
    write_c_program(base / "program")
    build_git_repository(scratch / "base.git", scratch / "base-repository", files=200)
    subprocess.run(["git", "clone", "--quiet", scratch / "base.git", base / "project"], check=True)
    subprocess.run(["git", "-C", base / "project", "branch", "--quiet", "side", "origin/side"], check=True)


def write_inputs(directory: Path) -> None:
    """Write what the jobs read from outside."""
    directory.mkdir()
    build_git_repository(directory / "project.git", directory / "repository", files=600)
    content = {f"{part}/{number}": File(b"%d\n" % number * 100) for part in range(40) for number in range(30)}
    write(directory / "many", content)
    with tarfile.open(directory / "many.tar", "w") as archive:
        archive.add(directory / "many", ".")


def run(directory: Path, inputs: Path, stop: Path, jobs: Iterable[str] = JOBS) -> None:
    """Do the jobs in ``directory`` at once while somebody looks at everything in it.

    Raises:
        CalledProcessError: a program failed; what it said is among the notes.
    """
    environment = {**os.environ, **GIT_ENVIRONMENT, "INPUTS": str(inputs), "STOP": str(stop), "LC_ALL": "C.UTF-8"}
    stop.unlink(missing_ok=True)
    with ExitStack() as started:
        processes = {name: _start(JOBS[name], directory, environment, started) for name in jobs}
        looking = _start(_LOOK, directory, environment, started)
        for name, process in processes.items():
            _finish(name, process)
        stop.touch()
        _finish("look", looking)


def _start(script: str, directory: Path, environment: Mapping[str, str], started: ExitStack) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        ["/bin/sh", "-euc", script],
        cwd=directory, env=environment, process_group=0,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    started.enter_context(process)
    started.callback(_end, process)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    """Kill a job that was given up, with the programs it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _finish(name: str, process: "subprocess.Popen[str]") -> None:
    said, _ = process.communicate(timeout=_LIMIT)
    if process.returncode:
        error = subprocess.CalledProcessError(process.returncode, name)
        error.add_note(said)
        raise error
