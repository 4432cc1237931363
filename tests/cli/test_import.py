"""``unionfs import``: a root's tar becomes an image, and nothing else does."""

import bz2
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.cli.making import BASE, fill_demo
from tests.cli.stored import Captured, printed, run
from tests.cli.test_commit import image
from tests.store.test_store import content
from tests.tarball import archive, directory, file, hardlink
from unionfs.diff import write_tree
from unionfs.image import Digest, Platform
from unionfs.store.store import Store
from unionfs.view import open_view

ROOT = archive(directory(b"./", mode=0o755), directory(b"./etc"), file(b"./etc/passwd", b"root"))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    fill_demo(tmp_path / "store", "demo:1")
    return tmp_path / "store"


def as_is(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize(
    "compress",
    [as_is, gzip.compress, bz2.compress, lzma.compress, zstandard.compress],
    ids=["plain", "gzip", "bzip2", "xz", "zstd"],
)
def test_the_archive_is_the_one_layer(
    root: Path, tmp_path: Path, capsys: Captured, compress: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "root.tar").write_bytes(compress(ROOT))
    (id_,) = printed(capsys, "import", str(tmp_path / "root.tar"), "base")
    new = image(root, "base:latest")
    assert (str(new.id), new.config.diff_ids) == (id_, (Digest.of(ROOT),))
    with Store(root) as store, store.using():
        assert (store.stack(new).layers[0] / "etc/passwd").read_bytes() == b"root"


def test_the_config_says_what_was_asked_for(root: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "root.tar").write_bytes(ROOT)
    words = ["-c", 'CMD ["/bin/sh"]', "-c", "ENV A=1", "-m", "the base", "--platform", "linux/arm/v7"]
    printed(capsys, "import", *words, str(tmp_path / "root.tar"), "base")
    found = json.loads(image(root, "base").config.raw)
    assert found["config"] == {"Cmd": ["/bin/sh"], "Env": ["A=1"]}
    assert (found["architecture"], found["os"], found["variant"]) == ("arm", "linux", "v7")
    assert [entry["comment"] for entry in found["history"]] == ["the base"]


def test_by_itself_the_image_is_for_this_machine_and_tells_where_it_is_from(
    root: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "root.tar").write_bytes(ROOT)
    printed(capsys, "import", str(tmp_path / "root.tar"), "base")
    config = image(root, "base").config
    assert config.platform.matches(Platform.host())
    assert config.history[0].comment == f"Imported from {tmp_path}/root.tar"


class _Input:
    """Standard input that isn't a terminal."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    @staticmethod
    def isatty() -> bool:
        return False


def test_standard_input_is_read(root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Input(gzip.compress(ROOT)))
    printed(capsys, "import", "-", "base")
    assert image(root, "base").config.diff_ids == (Digest.of(ROOT),)


def test_an_archive_that_holds_nothing_makes_an_empty_image(root: Path, tmp_path: Path, capsys: Captured) -> None:
    """As ``tar -c --files-from /dev/null | docker import -`` does."""
    (tmp_path / "root.tar").write_bytes(archive())
    printed(capsys, "import", str(tmp_path / "root.tar"), "scratched")
    assert image(root, "scratched").config.diff_ids == (Digest.of(archive()),)


@pytest.mark.usefixtures("root")
def test_a_root_with_files_named_as_an_archives_is_one(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "root.tar").write_bytes(archive(file(b"manifest.json", b"{}"), file(b"index.json"), file(b"bin/sh")))
    printed(capsys, "import", str(tmp_path / "root.tar"), "base")


def test_what_was_exported_is_what_is_imported(root: Path, tmp_path: Path, capsys: Captured) -> None:
    with Store(root) as store, store.using():
        lowers = store.stack(store.find("demo:1")).lowers
    with (tmp_path / "root.tar").open("wb") as archive_, open_view(lowers) as tree:
        write_tree(tree, archive_)
    printed(capsys, "import", str(tmp_path / "root.tar"), "demo:2")
    assert printed(capsys, "diff", "demo:1", "demo:2") == []


HINT = "it is an archive of images, not of a root file system; use 'unionfs load'"
OCI = archive(file(b"oci-layout", b"{}"), file(b"index.json", b"{}"), file(b"blobs/sha256/" + b"0" * 64))
DOCKER = archive(file(b"0" * 64 + b"/layer.tar", BASE), file(b"./manifest.json", b"[]"))


@pytest.mark.parametrize(
    ("content_", "said"),
    [
        (OCI, HINT),
        (gzip.compress(DOCKER), HINT),
        (b"", "no tar archive of a root file system: it is empty"),
        (b"#!/bin/sh\n" * 100, "no tar archive of a root file system"),
        (ROOT[:1000], "no tar archive of a root file system"),
        (gzip.compress(ROOT)[:-4], "no tar archive of a root file system"),
        (archive(file(b"../x")), "the name leads above the root"),
        (archive(hardlink(b"a", b"b")), "isn't there"),
    ],
    ids=["oci", "docker", "empty", "text", "cut", "gzip cut", "climbing", "dangling link"],
)
def test_what_is_no_roots_archive_is_refused_in_one_line_and_gives_no_image(
    root: Path, tmp_path: Path, capsys: Captured, content_: bytes, said: str
) -> None:
    (tmp_path / "x").write_bytes(content_)
    with Store(root) as store:
        before = content(store), store.catalogue()
        found, output, errors = run(capsys, "import", str(tmp_path / "x"), "base")
        assert (content(store), store.catalogue()) == before
        assert os.listdir(root / "ingest") == []
    assert (found, output, errors.count("\n")) == (1, "", 1)
    assert said in errors


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["absent"], 1, "absent: No such file or directory"),
        (["-c", "RUN x", "root.tar"], 1, "RUN is none of"),
        (["root.tar", "X"], 1, "must be lowercase"),
        (["--platform", "a/b/c/d", "root.tar"], 2, "platform"),
    ],
)
def test_what_is_wrong_is_told_in_one_line_and_changes_nothing(
    root: Path,
    tmp_path: Path,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "root.tar").write_bytes(ROOT)
    with Store(root) as store:
        before = content(store), store.catalogue()
        found, output, errors = run(capsys, "import", *words)
        assert (content(store), store.catalogue()) == before
    assert (found, output, errors.count("\n")) == (code, "", 1)
    assert said in errors
