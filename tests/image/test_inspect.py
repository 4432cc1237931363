"""What there is to know of an image, in docker's form."""

import json

import pytest

from tests.image.documents import Fields, config, encoded, manifest, sha256
from unionfs.image import Config, Digest, Manifest, Platform, Reference
from unionfs.image import media_type as types
from unionfs.image.inspect import inspected

DIGEST = Digest.of(b"manifest")


def inspect(fields: Fields, *names: str, annotations: Fields | None = None) -> Fields:
    content = encoded(fields)
    found = Manifest.read(encoded(manifest(content, [], annotations=annotations)))
    return inspected([Reference.parse(name) for name in names], Config.read(content), found, DIGEST, 42)


def test_an_image_that_states_nothing_has_every_field_empty() -> None:
    content = config([])
    assert inspect(content) == {
        "Id": sha256(encoded(content)),
        "Digest": str(DIGEST),
        "RepoTags": [],
        "RepoDigests": [],
        "Comment": "",
        "Created": "",
        "Author": "",
        "Config": {
            "User": "",
            "ExposedPorts": {},
            "Env": [],
            "Entrypoint": [],
            "Cmd": [],
            "Healthcheck": None,
            "Volumes": {},
            "WorkingDir": "",
            "Labels": {},
            "OnBuild": [],
            "Shell": [],
            "StopSignal": "",
        },
        "Architecture": Platform.host().architecture,
        "Variant": "",
        "Os": "linux",
        "OsVersion": "",
        "Size": 42,
        "RootFS": {"Type": "layers", "Layers": []},
        "ManifestType": types.OCI_MANIFEST,
        "Annotations": {},
        "History": [],
    }


def test_all_that_an_image_states_is_there() -> None:
    diff_ids = [sha256(b"one"), sha256(b"two")]
    execution = {
        "User": "u",
        "Env": ["A=b"],
        "Cmd": ["/sh"],
        "Labels": {"l": "m"},
        "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": {"Test": ["NONE"]},
        "ArgsEscaped": True,
        "Volumes": None,
    }
    history = [{"created_by": "ADD", "comment": "first"}, {"comment": "last", "x.unknown": 1}]
    more = {"created": "2024-01-02T03:04:05Z", "author": "me", "variant": "v8", "os.version": "1"}
    found = inspect(config(diff_ids, config=execution, history=history, **more), annotations={"a": "b"})
    assert found["Config"].items() >= {**execution, "Volumes": {}}.items()
    assert found["RootFS"]["Layers"] == diff_ids
    assert [found[name] for name in ("Created", "Author", "Variant", "OsVersion")] == list(more.values())
    assert (found["Comment"], found["History"], found["Annotations"]) == ("last", history, {"a": "b"})
    json.dumps(found)


@pytest.mark.parametrize(
    ("names", "tags", "repositories"),
    [
        (["app"], ["app:latest"], ["app"]),
        (["app:1", "app:2", "me/app:3"], ["app:1", "app:2", "me/app:3"], ["app", "me/app"]),
        (["example.com:5000/x/y:z"], ["example.com:5000/x/y:z"], ["example.com:5000/x/y"]),
        ([f"app@{DIGEST}"], [], ["app"]),
        (["docker.io/library/a/b:1"], ["library/a/b:1"], ["library/a/b"]),
    ],
)
def test_names_are_shown_as_docker_shows_them(names: list[str], tags: list[str], repositories: list[str]) -> None:
    found = inspect(config([]), *names)
    assert found["RepoTags"] == tags
    assert found["RepoDigests"] == [f"{repository}@{DIGEST}" for repository in repositories]
