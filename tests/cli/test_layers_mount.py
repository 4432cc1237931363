"""``unionfs mount --layers``: the whole image, each of its layers alone, and each step on the way, in one mount."""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.cli.program import Program
from tests.cli.stored import fill
from tests.snapshots import Snapshot, differences, snapshot
from tests.tarball import archive, directory, file, hardlink, opaque, symlink, whiteout
from unionfs.store.store import Store

BASE = archive(
    directory(b"etc", mode=0o755),
    file(b"etc/passwd", b"root", mtime=1000, pax={"SCHILY.xattr.user.a": "b"}),
    file(b"etc/gone", b"gone"),
    directory(b"o", mode=0o755),
    file(b"o/a", b"a"),
    file(b"o/b", b"b"),
    file(b"bin/tool", b"tool" * 5000, mode=0o4755),
    hardlink(b"bin/same", b"bin/tool"),
    symlink(b"lib", b"usr/lib"),
    file(b"t", b"t"),
)
SECOND = archive(
    whiteout(b"etc/gone"),
    opaque(b"o"),
    file(b"o/a", b"A"),
    file(b"t/inner", b"inner"),
    file(b"lib/libc", b"libc"),
)
THIRD = archive(whiteout(b"o"), whiteout(b"bin/same"), file(b"etc/passwd", b"ROOT"), file(b"t", b"T"))
LAYERS = [BASE, SECOND, THIRD]

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="there is no /dev/fuse")


class Machine(Program):
    """A store with an image, and mountpoints."""

    def __init__(self, top: Path, transport: str) -> None:
        super().__init__(top)
        self.transport = transport
        self.mountpoint = top / "mnt"
        self.other = top / "other"
        for path in (self.mountpoint, self.other):
            path.mkdir()

    def mount(self, *words: str | Path, within: Sequence[str] = ()) -> None:
        self.run("mount", "--transport", self.transport, *words, within=within)

    def mount_layers(self, layers: Sequence[bytes] = LAYERS, *, within: Sequence[str] = ()) -> Path:
        """Put an image of *layers* into the store, mount it, and give where."""
        fill(self.store, layers, "app:1")
        self.mount("--layers", "app:1", self.mountpoint, within=within)
        return self.mountpoint

    def directories(self) -> list[str]:
        """Give where the store has the layers of the image, the lowest first."""
        with Store(self.store) as store, store.using():
            return list(map(str, store.stack(store.find("app:1")).layers))

    def plain(self, *words: str) -> Snapshot:
        """Mount something as ever, and give what shows."""
        self.mount(*words, self.other)
        try:
            return snapshot(self.other)
        finally:
            self.run("umount", self.other)


@pytest.fixture(params=["kernel", "pyfuse3"])
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    made = Machine(tmp_path, request.param)
    try:
        yield made
    finally:
        for path in (made.mountpoint, made.other):
            if path.is_mount():
                made.run("umount", "--lazy", path)


def printed(*words: str | Path, code: int = 0) -> list[str]:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, ""), words
    return done.stdout.splitlines()


def test_there_are_the_whole_image_each_layer_and_each_step(machine: Machine) -> None:
    top = machine.mount_layers()
    assert sorted(os.listdir(top)) == ["layers", "rootfs", "steps"]
    assert sorted(os.listdir(top / "steps")) == ["1", "2", "3"]
    config = machine.run("inspect", "--format", "{{json .RootFS.Layers}}", "app:1")
    digests = re.findall(r"sha256:([0-9a-f]{12})", config)
    assert sorted(os.listdir(top / "layers")) == [f"{number}-{digest}" for number, digest in enumerate(digests, 1)]


def test_the_whole_image_is_what_a_mount_of_it_shows_with_the_same_inode_numbers(machine: Machine) -> None:
    top = machine.mount_layers()
    assert differences(machine.plain("app:1"), snapshot(top / "rootfs"), frozenset({"ino"})) == []
    # The root's own number is that of every mount's root.
    numbers = {path: entry.ino for path, entry in machine.plain("app:1").items() if path != "."}
    assert {path: entry.ino for path, entry in snapshot(top / "rootfs").items() if path != "."} == numbers


def test_a_step_is_a_mount_of_the_layers_up_to_it_and_a_layer_one_of_itself(machine: Machine) -> None:
    top = machine.mount_layers()
    directories = machine.directories()
    for count, layer in enumerate(sorted((top / "layers").iterdir()), start=1):
        alone = machine.plain("--lower", directories[count - 1])
        assert differences(alone, snapshot(layer), frozenset({"ino"})) == []
        lowers = [f"--lower={path}" for path in directories[:count][::-1]]
        assert differences(machine.plain(*lowers), snapshot(top / f"steps/{count}"), frozenset({"ino"})) == []


def test_a_layer_alone_has_its_own_files_and_no_whiteouts(machine: Machine) -> None:
    top = machine.mount_layers()
    shown = [
        sorted(path for path, entry in snapshot(layer).items() if entry.content)
        for layer in sorted((top / "layers").iterdir())
    ]
    assert shown == [
        ["bin/same", "bin/tool", "etc/gone", "etc/passwd", "lib", "o/a", "o/b", "t"],
        ["lib/libc", "o/a", "t/inner"],
        ["etc/passwd", "t"],
    ]


def test_two_steps_differ_by_what_a_layer_did(machine: Machine) -> None:
    steps = machine.mount_layers() / "steps"
    compare = ("diff", "--recursive", "--brief", "--no-dereference")
    assert printed(*compare, steps / "1", steps / "2", code=1) == [
        f"Only in {steps}/1/etc: gone",
        f"File {steps}/1/lib is a symbolic link while file {steps}/2/lib is a directory",
        f"Files {steps}/1/o/a and {steps}/2/o/a differ",
        f"Only in {steps}/1/o: b",
        f"File {steps}/1/t is a regular file while file {steps}/2/t is a directory",
    ]
    assert printed(*compare, steps / "2", steps / "3", code=1) == [
        f"Only in {steps}/2/bin: same",
        f"Files {steps}/2/etc/passwd and {steps}/3/etc/passwd differ",
        f"Only in {steps}/2: o",
        f"File {steps}/2/t is a directory while file {steps}/3/t is a regular file",
    ]
    assert printed(*compare, steps / "3", steps.parent / "rootfs") == []


def test_programs_tell_files_apart_and_find_those_that_are_one(machine: Machine) -> None:
    top = machine.mount_layers()
    found = printed("find", top, "-printf", "%P %i\n")
    assert len(found) == len(set(found)) > 40
    by_number: dict[str, list[str]] = {}
    for line in found:
        path, _, number = line.rpartition(" ")
        by_number.setdefault(number, []).append(path)
    shared = sorted(paths for paths in map(sorted, by_number.values()) if len(paths) > 1)
    first = next(iter(sorted(os.listdir(top / "layers"))))
    places = [f"layers/{first}", "steps/1", "steps/2"]
    assert shared == [[f"{place}/bin/same", f"{place}/bin/tool"] for place in places]
    assert sorted(printed("find", top, "-samefile", top / "steps/2/bin/tool")) == [
        str(top / f"steps/2/bin/{name}") for name in ("same", "tool")
    ]


def test_an_archive_of_the_mount_holds_each_content_once_in_a_step(machine: Machine, tmp_path: Path) -> None:
    top = machine.mount_layers()
    printed("tar", "--create", "--file", tmp_path / "all.tar", "--directory", top, ".")
    links = [line for line in printed("tar", "-tvf", tmp_path / "all.tar") if " link to " in line]
    assert len(links) == 3
    copy = tmp_path / "copy"
    copy.mkdir()
    printed("tar", "--extract", "--file", tmp_path / "all.tar", "--directory", copy)
    assert printed("diff", "--recursive", "--no-dereference", top, copy) == []
    (total,) = printed("du", "--summarize", "--apparent-size", "--block-size=1", top / "steps/1/bin")
    assert int(total.split()[0]) < 40_000, "it has one file of 20 000 bytes with two names"


def test_what_is_searched_for_is_found_in_the_layer_that_has_it(machine: Machine) -> None:
    top = machine.mount_layers()
    found = printed("grep", "--recursive", "--files-with-matches", "ROOT", top)
    assert {Path(path).relative_to(top).as_posix().partition("-")[0] for path in found} == {
        "layers/3",
        "rootfs/etc/passwd",
        "steps/3/etc/passwd",
    }


def test_nothing_can_be_changed_and_what_it_needs_stays_until_umount(machine: Machine) -> None:
    top = machine.mount_layers()
    for place in (".", "steps", "steps/1", "rootfs/etc"):
        with pytest.raises(OSError, match="Read-only file system"):
            (top / place / "new").touch()
    assert "is mounted at" in machine.run("rmi", "app:1", code=1)
    machine.run("umount", top)
    assert machine.run("rmi", "app:1").startswith("Untagged: app:1\n")
    assert os.listdir(machine.store / "mounts") == []


def test_the_directories_around_look_alike_whoever_mounts(machine: Machine) -> None:
    top = machine.mount_layers(within=("sh", "-c", 'umask 077; exec "$@"', "sh"))
    for path in (top, top / "layers", top / "steps"):
        status = path.stat()
        assert (status.st_mode & 0o7777, status.st_mtime, status.st_uid) == (0o755, 0, os.geteuid())


def test_layers_and_steps_sort_by_their_numbers(machine: Machine) -> None:
    top = machine.mount_layers([archive(file(b"f%d" % number, b"x")) for number in range(11)])
    numbers = [f"{number:02}" for number in range(1, 12)]
    assert [name[:3] for name in sorted(os.listdir(top / "layers"))] == [f"{number}-" for number in numbers]
    assert sorted(os.listdir(top / "steps")) == numbers
    assert [len(os.listdir(top / f"steps/{number}")) for number in numbers] == list(range(1, 12))


def test_what_lies_beneath_an_opaque_root_shows_in_its_own_layer_and_step(machine: Machine) -> None:
    top = machine.mount_layers([archive(file(b"a")), archive(opaque(), file(b"b")), archive(file(b"c"))])
    first, *others = sorted(os.listdir(top / "layers"))
    assert os.listdir(top / "layers" / first) == os.listdir(top / "steps/1") == ["a"]
    assert [os.listdir(top / "layers" / name) for name in others] == [["b"], ["c"]]
    assert os.listdir(top / "steps/2") == ["b"]
    assert sorted(os.listdir(top / "steps/3")) == sorted(os.listdir(top / "rootfs")) == ["b", "c"]


def test_an_image_without_layers_has_none_to_show(machine: Machine) -> None:
    top = machine.mount_layers([])
    assert {name: os.listdir(top / name) for name in os.listdir(top)} == {"layers": [], "rootfs": [], "steps": []}


def test_a_hundred_layers_take_few_descriptors(machine: Machine) -> None:
    layers = [archive(file(b"d/last", b"%d" % number), file(b"d/f%d" % number, b"x")) for number in range(100)]
    top = machine.mount_layers(layers, within=("prlimit", "--nofile=256:256"))
    assert len(printed("find", top, "-name", "last")) == 201
    assert len(printed("grep", "--recursive", "x", top)) == 100 + 100 + sum(range(1, 101))
    assert (top / "steps/042/d/last").read_text() == "41"
    (daemon,) = printed("pgrep", "--full", "--", f"--layers app:1 {top}")
    assert len(os.listdir(f"/proc/{daemon}/fd")) < 256


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--layers", "/mnt"], "--layers goes with an image"),
        (["--layers"], "the mountpoint is missing"),
        (["--layers", "--rw", "app:1", "/mnt"], "--rw can't be given with it"),
        (["--layers", "--rw=web", "app:1", "/mnt"], "--rw can't be given with it"),
        (["--layers", "-o", "lowerdir=/", "app:1", "/mnt"], "an image brings its layers"),
        (["--layers", "-o", "upperdir=/u,workdir=/w", "app:1", "/mnt"], "an image brings its layers"),
    ],
)
def test_what_does_not_go_together_is_said_in_one_line(tmp_path: Path, words: list[str], says: str) -> None:
    machine = Machine(tmp_path, "auto")
    fill(machine.store, LAYERS, "app:1")
    refusal = machine.run("mount", *words, code=2)
    assert says in refusal
    assert refusal.count("\n") == 1
    assert os.listdir(machine.store / "mounts") == []
