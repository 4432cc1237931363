"""``unionfs save``: what it writes, where, and what it refuses."""

import gzip
import hashlib
import json
import os
import pty
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.archive import build
from tests.archive.reading import contents
from tests.image import documents
from tests.image.documents import sha256
from tests.ordinary_user import become
from tests.posix.processes import NOBODY, in_child
from tests.tarball import archive, file
from unionfs.archive import open_archive
from unionfs.cli import main
from unionfs.image import Reference
from unionfs.store.store import Store

PROGRAM = Path(sys.executable).with_name("unionfs")
SHARED = archive(file(b"shared", b"s" * 5000))
ONE = archive(file(b"one", b"1"))
TWO = archive(file(b"two", b"2"))
FORMS = ["docker-archive", "oci-archive", "oci-dir"]


@dataclass
class Stored:
    """A store with two images, ``one:1``, also called ``localhost/alias:2``, and ``two:1``, and the ids of both."""

    root: Path
    one: str
    two: str

    def save(self, *words: str | Path, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        """Run the command as users do, in a directory of its own."""
        done = subprocess.run(
            [PROGRAM, "save", *words], cwd=self.root.parent, env=self.environment, capture_output=True, check=False
        )
        assert not check or (done.returncode, done.stderr) == (0, b"")
        return done

    def refused(self, *words: str | Path) -> str:
        """Run the command, which writes nothing and says one line; give that."""
        before = sorted(self.root.parent.iterdir())
        done = self.save(*words, check=False)
        assert (done.returncode in (1, 2), done.stdout) == (True, b"")
        assert sorted(self.root.parent.iterdir()) == before
        (line,) = done.stderr.decode().splitlines()
        return line.removeprefix("unionfs: error: ")

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "UNIONFS_ROOT": str(self.root)}

    @property
    def here(self) -> Path:
        return self.root.parent


def packed(layer: bytes) -> bytes:
    """Give a layer as a blob, at any time the same."""
    return gzip.compress(layer, mtime=0)


def put(store: Store, path: Path, layers: list[bytes], *names: str) -> str:
    config = documents.config([sha256(layer) for layer in layers], author=path.name)
    image = build.OciImage(list(map(packed, layers)), config)
    with open_archive(build.tree(build.layout([image.entry()], image.blobs), path)) as source:
        store.load(source.image(), [Reference.parse(name) for name in names])
        return source.image().config_digest.hex


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    work = tmp_path / "work"
    work.mkdir()
    with Store(work / "store") as store:
        return Stored(work / "store", *fill(store, tmp_path))


def fill(store: Store, aside: Path) -> tuple[str, str]:
    """Put both images into a store, and give their ids."""
    one = put(store, aside / "one", [SHARED, ONE], "one:1", "localhost/alias:2")
    return one, put(store, aside / "two", [SHARED, TWO], "two:1")


def names(path: Path) -> list[tuple[str, ...]]:
    with open_archive(path) as read:
        return [image.names for image in read.images]


@pytest.mark.parametrize("form", FORMS)
def test_an_image_is_saved_under_the_name_it_is_asked_for_by(stored: Stored, form: str) -> None:
    stored.save("-o", "out", "--format", form, "one:1")
    assert names(stored.here / "out") == [("docker.io/library/one:1",)]
    with open_archive(stored.here / "out") as read, Store(stored.root) as store:
        image, kept = read.image(), store.find("one:1")
        assert image.config_digest.hex == stored.one
        assert image.manifest_digest == kept.manifest_digest
        assert contents(image) == [SHARED, ONE]


def test_the_default_is_a_docker_archive_on_standard_output(stored: Stored) -> None:
    (stored.here / "out").write_bytes(stored.save("one:1").stdout)
    with tarfile.open(stored.here / "out") as read:
        listed = read.extractfile("manifest.json")
        assert listed is not None
        assert [item["RepoTags"] for item in json.load(listed)] == [["one:1"]]
    assert stored.save("-o", "-", "one:1").stdout == (stored.here / "out").read_bytes()


def test_several_names_of_one_image_are_kept_and_its_id_adds_none(stored: Stored) -> None:
    stored.save("-o", "out", "localhost/alias:2", stored.one[:12], "one:1")
    assert names(stored.here / "out") == [("localhost/alias:2", "docker.io/library/one:1")]


@pytest.mark.parametrize("given", ["id", "short id", "digest"])
def test_an_image_given_without_a_name_is_saved_under_none(stored: Stored, given: str) -> None:
    with Store(stored.root) as store:
        by_digest = f"one@{store.find('one:1').manifest_digest}"
    argument = {"id": stored.one, "short id": stored.one[:8], "digest": by_digest}[given]
    stored.save("-o", "out", argument)
    assert names(stored.here / "out") == [()]


def test_images_are_saved_in_their_order_and_what_they_share_once(stored: Stored) -> None:
    stored.save("-o", "out", "two:1", "one:1")
    assert names(stored.here / "out") == [("docker.io/library/two:1",), ("docker.io/library/one:1",)]
    with tarfile.open(stored.here / "out") as read:
        members = read.getnames()
    assert len(members) == len(set(members)) == 3 + 2 + 2 + 3


def test_the_same_images_become_the_same_bytes(stored: Stored, tmp_path: Path) -> None:
    """Also from another store, at another time."""
    again = Stored(tmp_path / "work/other", stored.one, stored.two)
    with Store(again.root) as store:
        put(store, tmp_path / "two", [SHARED, TWO], "two:1")
        put(store, tmp_path / "one", [SHARED, ONE], "one:1")
    assert again.save("one:1", "two:1").stdout == stored.save("one:1", "two:1").stdout


@pytest.mark.parametrize(
    ("words", "program"),
    [
        (("-o", "out.gz"), "gzip"),
        (("-o", "out.tar.gz"), "gzip"),
        (("-o", "out.tgz"), "gzip"),
        (("-o", "out.tar.zst"), "zstd"),
        (("-o", "out.tzst"), "zstd"),
        (("-o", "out.tar", "--compress", "gzip"), "gzip"),
        (("-o", "out.gz", "--compress", "zstd"), "zstd"),
        (("-o", "out.gz", "--compress", "none"), "cat"),
        (("-o", "out.tar"), "cat"),
    ],
)
def test_the_end_of_the_file_says_how_it_is_compressed_unless_an_option_does(
    stored: Stored, words: tuple[str, ...], program: str
) -> None:
    stored.save(*words, "one:1")
    command = ["cat"] if program == "cat" else [program, "-dc"]
    with (stored.here / words[1]).open("rb") as saved:
        plain = subprocess.run(command, stdin=saved, capture_output=True, check=True).stdout
    assert plain == stored.save("one:1").stdout
    assert names(stored.here / words[1]) == [("docker.io/library/one:1",)]


def test_standard_output_is_compressed_when_asked(stored: Stored) -> None:
    saved = stored.save("--compress", "gzip", "one:1").stdout
    assert subprocess.run(["gzip", "-dc"], input=saved, capture_output=True, check=True).stdout == (
        stored.save("one:1").stdout
    )


def test_images_are_added_to_a_layout_that_is_there(stored: Stored) -> None:
    for name in ("one:1", "two:1", "one:1"):
        stored.save("--format", "oci-dir", "-o", "layout", name)
    assert sorted(names(stored.here / "layout")) == [("docker.io/library/one:1",), ("docker.io/library/two:1",)]


def test_an_image_of_another_archive_is_saved_in_another_form(stored: Stored) -> None:
    stored.save("-o", "both.tar", "one:1", "localhost/alias:2", "two:1")
    stored.save("-o", "layout", "--format", "oci-dir", "docker-archive:both.tar:one:1", "docker-archive:both.tar:@2")
    assert names(stored.here / "layout") == [("docker.io/library/one:1",), ("docker.io/library/two:1",)]


@pytest.mark.parametrize("form", FORMS)
def test_an_image_that_is_not_there_is_told_before_anything_is_written(stored: Stored, form: str) -> None:
    line = stored.refused("-o", "out", "--format", form, "one:1", "nowhere:1")
    assert line.startswith('no such image: "nowhere:1"')


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--format", "oci-dir", "one:1"), "oci-dir is a directory: it takes -o DIR"),
        (("--format", "oci-dir", "-o", "-", "one:1"), "oci-dir is a directory: it takes -o DIR"),
        (("--format", "oci-dir", "-o", "x", "--compress", "gzip", "one:1"), "can't be compressed as a whole"),
        (("--format", "tar", "one:1"), "'tar' is not one of"),
        (("--compress", "xz", "one:1"), "'xz' is not one of"),
        (("-o", "", "one:1"), "the name of the file to write is empty"),
        ((), "Missing argument"),
        (("-o", "store", "one:1"), "store: Is a directory"),
        (("-o", "missing/out", "one:1"), "missing: No such file or directory"),
        (("--format", "oci-dir", "-o", ".", "one:1"), "it is a directory with other things in it"),
    ],
)
def test_what_cannot_be_done_is_one_line(stored: Stored, words: tuple[str, ...], reason: str) -> None:
    assert reason in stored.refused(*words)


def test_a_terminal_gets_no_archive(stored: Stored) -> None:
    here, there = pty.openpty()
    done = subprocess.run(
        [PROGRAM, "save", "one:1"], stdout=there, stderr=subprocess.PIPE, env=stored.environment, check=False
    )
    os.close(there)
    with suppress(OSError):  # reading from a terminal that nobody has open any more
        assert os.read(here, 1) == b""
    os.close(here)
    assert done.returncode == 2
    assert b"cowardly refusing to save to a terminal" in done.stderr


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_blob_is_an_error_and_leaves_what_was_there(stored: Stored, form: str) -> None:
    if form == "oci-dir":
        stored.save("-o", "out", "--format", form, "two:1")
    else:
        (stored.here / "out").write_bytes(b"old")
    before = everything(stored.here / "out")
    blob = stored.root / "blobs/sha256" / hashlib.sha256(packed(ONE)).hexdigest()
    content = blob.read_bytes()
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "does not match its digest" in stored.refused("-o", "out", "--format", form, "one:1")
    assert everything(stored.here / "out") == before


def everything(path: Path) -> dict[str, bytes]:
    found = [path] if path.is_file() else [at for at in path.rglob("*") if at.is_file()]
    return {str(at.relative_to(path)): at.read_bytes() for at in found}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_save_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    stored = big(tmp_path)
    before = sorted(stored.here.iterdir())
    process = subprocess.Popen([PROGRAM, "save", "-o", "out.gz", "big:1"], cwd=stored.here, env=stored.environment)
    wait_for_writing(process)
    process.send_signal(number)
    assert process.wait() != 0
    assert sorted(stored.here.iterdir()) == before


def test_a_reader_that_leaves_is_no_traceback(tmp_path: Path) -> None:
    stored = big(tmp_path)
    process = subprocess.Popen(
        [PROGRAM, "save", "big:1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=stored.environment
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()


@pytest.mark.parametrize("form", FORMS[:2])
def test_saved_images_are_loaded_through_a_pipe(stored: Stored, tmp_path: Path, form: str) -> None:
    other = Stored(tmp_path / "other/store", stored.one, stored.two)
    command = '"$0" save --format "$1" one:1 two:1 localhost/alias:2 | UNIONFS_ROOT=$2 "$0" load'
    words = ["bash", "-o", "pipefail", "-c", command, str(PROGRAM), form, str(other.root)]
    done = subprocess.run(words, env=stored.environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "Loaded image: one:1",
        "Loaded image: localhost/alias:2",
        "Loaded image: two:1",
    ]
    assert digests(other) == digests(stored)


def test_saved_images_are_loaded_into_the_store_they_came_from(stored: Stored) -> None:
    """Also while they are being saved."""
    before = digests(stored), everything(stored.root / "blobs")
    words = ["bash", "-o", "pipefail", "-c", '"$0" save one:1 two:1 localhost/alias:2 | "$0" load', str(PROGRAM)]
    subprocess.run(words, env=stored.environment, capture_output=True, check=True)
    assert (digests(stored), everything(stored.root / "blobs")) == before


def test_a_file_brings_back_what_was_removed(stored: Stored) -> None:
    before = digests(stored)
    for words in (
        ("save", "-o", "images.gz", "one:1", "localhost/alias:2", "two:1"),
        ("rmi", "one:1", "localhost/alias:2", "two:1"),
        ("load", "-i", "images.gz"),
    ):
        subprocess.run([PROGRAM, *words], cwd=stored.here, env=stored.environment, capture_output=True, check=True)
    assert digests(stored) == before


def digests(stored: Stored) -> dict[str, str]:
    """Give the manifest's digest of each name in the store."""
    with Store(stored.root) as store:
        return {str(name): str(image.manifest_digest) for name, image in store.catalogue().by_name.items()}


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be two users")
@pytest.mark.parametrize("form", FORMS)
def test_an_ordinary_user_saves_what_root_saves(stored: Stored, form: str) -> None:
    stored.save("-o", "out", "--format", form, "one:1", "two:1")
    with TemporaryDirectory() as home:
        theirs = Stored(Path(home, "work/store"), stored.one, stored.two)
        os.chown(home, NOBODY, NOBODY)

        def saved() -> dict[str, bytes]:
            become(NOBODY)
            theirs.here.mkdir()
            with Store(theirs.root) as store:
                fill(store, theirs.here)
            os.environ["UNIONFS_ROOT"] = str(theirs.root)
            assert main(["save", "-o", f"{home}/out", "--format", form, "one:1", "two:1"]) == 0
            return everything(Path(home, "out"))

        assert in_child(saved) == everything(stored.here / "out")


def test_the_store_itself_is_no_place_to_save_to(stored: Stored) -> None:
    before = everything(stored.root)
    assert "is the store itself" in stored.refused("--format", "oci-dir", "-o", "store", "one:1")
    assert everything(stored.root) == before


def big(tmp_path: Path) -> Stored:
    """Give a store with an image that takes a while to save."""
    (tmp_path / "work").mkdir()
    with Store(tmp_path / "work/store") as store:
        content = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(500_000))
        identity = put(store, tmp_path / "big", [archive(file(b"big", content))], "big:1")
    return Stored(tmp_path / "work/store", identity, "")


def wait_for_writing(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the process has written some of its output."""
    while process.poll() is None:
        written = Path(f"/proc/{process.pid}/io").read_text().split("wchar: ")[1].split()[0]
        if int(written) > 1 << 20:
            return
        time.sleep(0.002)
    raise AssertionError("it ended too soon")


def test_progress_is_shown_on_a_terminal_unless_quiet(stored: Stored) -> None:
    for words, shown in (((), True), (("--quiet",), False)):
        here, there = pty.openpty()
        command = [PROGRAM, "save", "-o", "out", *words, "one:1"]
        subprocess.run(command, cwd=stored.here, stderr=there, env={**stored.environment, "TERM": "xterm"}, check=True)
        os.close(there)
        said = b""
        with suppress(OSError):  # the end of a terminal is an error
            while piece := os.read(here, 1000):
                said += piece
        os.close(here)
        assert (b"saving" in said) is shown
