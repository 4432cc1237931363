"""What is told of an image, and what instructions make of one, beside what podman tells and makes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.archive.programs import Programs
from tests.cli.stored import Captured, as_json, printed
from tests.tarball import archive, file

CHANGES = [
    'CMD ["/bin/httpd","-f","-h","/data/html"]',
    "ENTRYPOINT echo $HOME",
    "ENV A=b",
    "EXPOSE 80",
    "EXPOSE 53/udp",
    "LABEL a=b",
    "STOPSIGNAL 9",
    "USER 1000:1000",
    'VOLUME ["/one", "/two words"]',
    "VOLUME /three /four",
    "WORKDIR /work",
    "CMD=/x",
]
"""What podman 4.3 and docker understand alike."""


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    made = Programs(tmp_path_factory.mktemp("podman"))
    (made.top / "root.tar").write_bytes(archive(file(b"hello", b"hello\n")))
    yield made
    made.podman("rmi", "--all", "--force")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))


def made_by_podman(podman: Programs, target: Path) -> dict[str, Any]:
    """Have podman make an image and save it, and give what it tells of it."""
    options = [word for change in CHANGES for word in ("--change", change)]
    podman.podman("import", "--quiet", "--message", "a message", *options, "root.tar", "localhost/made:1")
    podman.podman("save", "--quiet", "--format", "oci-archive", "--output", str(target), "localhost/made:1")
    return podman.inspect("localhost/made:1")


def test_inspect_tells_what_podman_tells(podman: Programs, tmp_path: Path, capsys: Captured) -> None:
    theirs = made_by_podman(podman, tmp_path / "made.tar")
    printed(capsys, "load", "-q", "-i", str(tmp_path / "made.tar"))
    (ours,) = as_json(capsys, "inspect", theirs["Id"])
    assert ours["Id"] == f"sha256:{theirs['Id']}"
    assert {name: value for name, value in ours["Config"].items() if value} == theirs["Config"]
    # The manifest isn't the same one: podman compresses the layer when it saves.
    same = ("Architecture", "Author", "Comment", "Created", "History", "ManifestType", "Os", "RepoTags", "RootFS")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}


def test_history_tells_what_podman_tells(podman: Programs, tmp_path: Path, capsys: Captured) -> None:
    made_by_podman(podman, tmp_path / "made.tar")
    theirs = json.loads(podman.podman("history", "--format", "json", "localhost/made:1"))
    printed(capsys, "load", "-q", "-i", str(tmp_path / "made.tar"))
    ours = as_json(capsys, "history", "--format", "json", "localhost/made:1")
    assert [row["ID"] for row in ours] == [f"sha256:{row['id']}" for row in theirs]
    assert [row["CreatedBy"] for row in ours] == [row["CreatedBy"] for row in theirs]
    assert [row["Comment"] for row in ours] == [row["comment"] for row in theirs]


def test_instructions_make_what_podman_makes_of_them(podman: Programs, tmp_path: Path, capsys: Captured) -> None:
    theirs = made_by_podman(podman, tmp_path / "made.tar")
    options = [word for change in CHANGES for word in ("--change", change)]
    printed(capsys, "import", *options, str(podman.top / "root.tar"), "ours:1")
    (ours,) = as_json(capsys, "inspect", "ours:1")
    assert {name: value for name, value in ours["Config"].items() if value} == theirs["Config"]
    assert ours["RootFS"] == theirs["RootFS"]


def test_podman_takes_what_instructions_made(podman: Programs, tmp_path: Path, capsys: Captured) -> None:
    (id_,) = printed(
        capsys, "import", "-c", 'CMD ["/hello"]', "-c", "ENV A='b c'", str(podman.top / "root.tar"), "ours:2"
    )
    printed(capsys, "save", "-o", str(tmp_path / "ours.tar"), "ours:2")
    podman.podman("load", "--quiet", "--input", str(tmp_path / "ours.tar"))
    found = podman.inspect(id_.removeprefix("sha256:"))
    assert found["Config"] == {"Env": ["A=b c"], "Cmd": ["/hello"]}
    assert len(found["History"]) == len(found["RootFS"]["Layers"]) == 1
