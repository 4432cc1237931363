"""Looking into images as somebody who isn't root: what shows are the owners that the image says."""

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, redirect_stdout
from functools import partial
from pathlib import Path

import pytest

from tests.cli.stored import fill
from tests.ordinary_user import Somebody, ordinary_user, user_namespace
from tests.tarball import archive, char, directory, file, hardlink
from unionfs.cli import main

USERS: dict[str, Callable[[], AbstractContextManager[Somebody]]] = {
    "ordinary": ordinary_user,
    "alone": user_namespace,
    "mapped": partial(user_namespace, subordinate=1000),
}
BASE = archive(
    directory(b"etc", mode=0o755, uid=0, gid=0),
    file(b"etc/shadow", b"secret", mode=0, uid=0, gid=42),
    directory(b"closed", mode=0, uid=12345, gid=12345),
    file(b"closed/in", b"in", mode=0o640, uid=3, gid=4),
    file(b"tool", b"t", mode=0o4755, uid=5),
    hardlink(b"tool-too", b"tool"),
    char(b"dev/null", 1, 3, mode=0o666),
)
TOP = archive(file(b"etc/.wh.shadow"), file(b"tool", b"T", mode=0o4755, uid=6))
EXPECTED = {
    "/etc": (0o755, 0, 0), "/closed": (0, 12345, 12345), "/closed/in": (0o640, 3, 4), "/dev": (0o755, 0, 0),
    "/tool": (0o4755, 6, 0), "/tool-too": (0o4755, 5, 0), "/dev/null": (0o666, 0, 0),
}  # fmt: skip


@pytest.fixture(params=list(USERS))
def somebody(request: pytest.FixtureRequest) -> Iterator[Somebody]:
    with USERS[request.param]() as user:
        (user.directory / "data").mkdir()
        os.chown(user.directory / "data", *user.directory.stat()[4:6])
        yield user


def printed(*words: str, code: int = 0) -> str:
    with redirect_stdout(io.StringIO()) as output:
        assert main(words) == code, words
    return output.getvalue()


def in_store(home: Path) -> None:
    """Use a store of one's own, with one image."""
    os.environ["UNIONFS_ROOT"] = str(home / "store")
    if not (home / "store").exists():
        fill(home / "store", [BASE, TOP], "app:1")


def test_owners_and_devices_are_those_of_the_image(somebody: Somebody) -> None:
    home = somebody.directory / "data"

    def look() -> dict[str, tuple[int, int, int]]:
        in_store(home)
        found = json.loads(printed("ls", "-R", "--format", "json", "app:1"))
        assert [entry["path"] for entry in found if entry["device"] == "1:3"] == ["/dev/null"]
        return {entry["path"]: (int(entry["mode"], 8), entry["uid"], entry["gid"]) for entry in found}

    assert somebody.do(look) == EXPECTED


def test_where_it_comes_from_and_what_is_wasted_is_said(somebody: Somebody) -> None:
    home = somebody.directory / "data"

    def look() -> tuple[str, str]:
        in_store(home)
        why = printed("why", "--format", "{{.Layer}} {{.Action}} {{.What}}", "app:1", "/tool")
        return why, printed("waste", "--format", "{{.Path}} {{.Bytes}}", "app:1")

    assert somebody.do(look) == ("1 adds \n2 changes content, owner\n", "/etc/shadow 6\n")


def test_a_copy_belongs_to_who_made_it_and_an_export_has_all_owners(somebody: Somebody) -> None:
    home = somebody.directory / "data"

    def copy() -> dict[str, tuple[int, int, int]]:
        in_store(home)
        # The device is left out.
        printed("cp", "app:1:/", str(home / "copy"), code=1)
        found = {}
        for path in sorted((home / "copy").iterdir()):
            status = path.lstat()
            assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
            found[path.name] = status.st_mode & 0o7777
        assert found == {"closed": 0, "dev": 0o755, "etc": 0o755, "tool": 0o755, "tool-too": 0o755}
        os.chmod(home / "copy/closed", 0o700)
        assert (home / "copy/closed/in").read_text() == "in"
        printed("export", "-o", str(home / "root.tar"), "app:1")
        with tarfile.open(home / "root.tar") as tar:
            return {f"/{member.name}": (member.mode, member.uid, member.gid) for member in tar if member.name != "."}

    assert somebody.do(copy) == EXPECTED
