"""``unionfs images``: which images there are, and how they are chosen."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.stored import Captured, as_json, fill, printed, run
from tests.store.images import BOTTOM, MIDDLE, TOP
from unionfs.cli import main

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the ids of three images, made one after another, the last one without a name."""
    root = tmp_path / "store"
    monkeypatch.setenv("UNIONFS_ROOT", str(root))
    made = [(NOW - timedelta(hours=hours, minutes=1)).isoformat() for hours in (72, 3, 2)]
    return [
        fill(root, [BOTTOM], "app:1", "example.com:5000/me/app:2", created=made[0], config={"Labels": {"a": "1"}}),
        fill(root, [BOTTOM, TOP], "app:2", created=made[1], config={"Labels": {"a": "2", "b": ""}}),
        fill(root, [MIDDLE], created=made[2]),
    ]


def named(captured: Captured, *words: str) -> list[str]:
    return printed(captured, "images", "--format", "{{.Repository}}:{{.Tag}}", *words)


def test_there_is_a_line_for_each_name_the_newest_image_first(ids: list[str], capsys: Captured) -> None:
    short = [image.removeprefix("sha256:")[:12] for image in ids]
    assert printed(capsys, "images") == [
        "REPOSITORY                TAG       IMAGE ID       CREATED       SIZE",
        f"<none>                    <none>    {short[2]}   2 hours ago   2.56kB",
        f"app                       2         {short[1]}   3 hours ago   5.12kB",
        f"app                       1         {short[0]}   3 days ago    3.07kB",
        f"example.com:5000/me/app   2         {short[0]}   3 days ago    3.07kB",
    ]


def test_quiet_prints_each_id_once(ids: list[str], capsys: Captured) -> None:
    assert printed(capsys, "images", "-q") == [image.removeprefix("sha256:")[:12] for image in reversed(ids)]
    assert printed(capsys, "images", "-q", "--no-trunc") == ids[::-1]


def test_digests_are_shown_when_asked_for(capsys: Captured) -> None:
    heading, *lines = printed(capsys, "images", "--digests")
    assert heading.split()[:3] == ["REPOSITORY", "TAG", "DIGEST"]
    assert all(line.split()[2].startswith("sha256:") for line in lines)


def test_json_has_whole_ids_and_numbers(ids: list[str], capsys: Captured) -> None:
    found = as_json(capsys, "images", "--format", "json")
    assert [row["ID"] for row in found] == [ids[2], ids[1], ids[0], ids[0]]
    assert found[1]["Bytes"] == len(BOTTOM) + len(TOP)
    assert datetime.fromisoformat(found[1]["Created"]) == NOW - timedelta(hours=3, minutes=1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["app"], ["app:2", "app:1"]),
        (["app:1"], ["app:1"]),
        (["docker.io/library/app:1"], ["app:1"]),
        (["example.com:5000/*/app"], ["example.com:5000/me/app:2"]),
        (["*"], ["app:2", "app:1"]),
        (["a?p:[2-9]"], ["app:2"]),
        (["none"], []),
        (["--filter", "reference=app:1", "--filter", "reference=app:2"], ["app:2", "app:1"]),
        (["--filter", "dangling=true"], ["<none>:<none>"]),
        (["-f", "dangling=false", "app:2"], ["app:2"]),
        (["--filter", "label=a"], ["app:2", "app:1", "example.com:5000/me/app:2"]),
        (["--filter", "label=a=2"], ["app:2"]),
        (["--filter", "label=a", "--filter", "label=b="], ["app:2"]),
        (["--filter", "label=c"], []),
        (["-a", "app:1"], ["app:1"]),
    ],
)
def test_images_are_chosen_as_docker_does_it(words: list[str], expected: list[str], capsys: Captured) -> None:
    assert named(capsys, *words) == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--filter", "before=app:1"], "before=app:1 is none of reference=VALUE, dangling=VALUE, label=VALUE"),
        (["--filter", "label"], "label is none of"),
        (["--filter", "dangling=maybe"], "dangling is true or false, not maybe"),
        (["--format", "{{.Nope}}"], "there is no field Nope; there are ID, Repository,"),
        (["-q", "--format", "json"], "--quiet and --format exclude each other"),
    ],
)
def test_what_is_wrong_is_an_error_of_usage(words: list[str], reason: str, capsys: Captured) -> None:
    code, output, errors = run(capsys, "images", *words)
    assert (code, output) == (2, "")
    assert reason in errors
    assert len(errors.splitlines()) == 1


def test_an_empty_store_has_a_heading_and_an_empty_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "empty"))
    assert len(printed(capsys, "images")) == 1
    assert printed(capsys, "images", "-q") == []
    assert as_json(capsys, "images", "--format", "json") == []


def test_a_damaged_image_is_named_beside_the_others(ids: list[str], tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "store/blobs/sha256" / ids[1].removeprefix("sha256:")).write_bytes(b"{}")
    assert main(["images", "--format", "{{.ID}}"]) == 0
    output, errors = capsys.readouterr()
    assert ids[1].removeprefix("sha256:")[:12] not in output
    assert len(output.splitlines()) == 3
    assert errors.startswith("unionfs: warning: the image app:2 is damaged: ")
