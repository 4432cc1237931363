"""The store of somebody who isn't root, and the commands on it."""

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, redirect_stdout
from functools import partial
from pathlib import Path

import pytest

from tests.cli.stored import fill
from tests.ordinary_user import Somebody, ordinary_user, user_namespace
from tests.tarball import archive, directory, file
from unionfs.cli import main
from unionfs.cli.store_path import store_path

USERS: dict[str, Callable[[], AbstractContextManager[Somebody]]] = {
    "ordinary": ordinary_user,
    "alone": user_namespace,
    "mapped": partial(user_namespace, subordinate=1000),
}
LAYER = archive(
    directory(b"closed", mode=0), file(b"closed/in", b"x" * 10_000, mode=0), file(b"tool", b"t", mode=0o4755)
)


@pytest.fixture(params=list(USERS))
def somebody(request: pytest.FixtureRequest) -> Iterator[Somebody]:
    with USERS[request.param]() as user:
        yield user


def printed(*words: str) -> str:
    with redirect_stdout(io.StringIO()) as output:
        assert main(words) == 0, words
    return output.getvalue()


def session(home: Path) -> list[str]:
    """Do with images what there is to do, and tell what was printed last of each."""
    os.environ["UNIONFS_ROOT"] = str(home / "store")
    fill(home / "store", [LAYER], "app:1")
    told = [printed("tag", "app:1", "app:2"), printed("images", "--format", "{{.Repository}}:{{.Tag}}")]
    layers = json.loads(printed("df", "--format", "json"))[1]
    told += [str(layers["Total"]), str(layers["Bytes"] >= 10_000)]
    told += [printed("rmi", "app:1"), printed("rmi", "app:2").splitlines()[0], printed("prune", "--force")]
    return told


def test_an_ordinary_users_images_come_and_go(somebody: Somebody) -> None:
    (somebody.directory / "data").mkdir()
    os.chown(somebody.directory / "data", *somebody.directory.stat()[4:6])
    assert somebody.do(lambda: session(somebody.directory / "data")) == [
        "",
        "app:1\napp:2\n",
        "1",
        "True",
        "Untagged: app:1\n",
        "Untagged: app:2",
        "Removed 0 images, 0 blobs (0B) and 0 unpacked layers\n",
    ]


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"UNIONFS_ROOT": "/a", "XDG_DATA_HOME": "/b"}, "/a"),
        ({"XDG_DATA_HOME": "/b"}, "/b/unionfs"),
        ({"HOME": "/c"}, "/c/.local/share/unionfs"),
    ],
)
def test_an_ordinary_users_store_is_where_the_environment_says(environment: dict[str, str], place: str) -> None:
    def found() -> str:
        for name in ("UNIONFS_ROOT", "XDG_DATA_HOME"):
            os.environ.pop(name, None)
        os.environ.update(environment)
        return str(store_path())

    with ordinary_user() as user:
        assert user.do(found) == place


def test_root_of_a_namespace_that_is_nobody_to_the_machine_has_a_store_of_their_own() -> None:
    with user_namespace() as somebody:

        def where() -> str:
            os.environ.pop("UNIONFS_ROOT", None)
            os.environ["XDG_DATA_HOME"] = "/home/ann/data"
            return f"{os.geteuid()} {store_path()}"

        assert somebody.do(where) == "0 /home/ann/data/unionfs"
