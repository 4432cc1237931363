"""Image configs."""

import pytest

from tests.image.documents import Fields, config, encoded, sha256
from unionfs.image import Config, ImageError, Platform

DIFF_IDS = [sha256(b"one"), sha256(b"two"), sha256(b"one")]


def read(fields: Fields) -> Config:
    return Config.read(encoded(fields))


def test_the_bytes_are_kept_and_their_digest_is_the_images_id() -> None:
    content = b'{ "os":"linux",\t"architecture":"amd64", "x.unknown": {"deep": [1.50, null]} }\n'
    found = Config.read(content)
    assert found.raw == content
    assert str(found.digest) == sha256(content)


def test_layers_are_read_in_order_and_may_repeat() -> None:
    found = read(config(DIFF_IDS))
    assert [str(diff_id) for diff_id in found.diff_ids] == DIFF_IDS
    assert len(set(found.chain_ids)) == 3
    assert found.chain_ids[0] == found.diff_ids[0]


@pytest.mark.parametrize(
    "changes", [{"rootfs": None}, {"rootfs": {"type": "layers"}}, {"rootfs": {"type": "layers", "diff_ids": None}}]
)
def test_an_image_may_have_no_layers(changes: Fields) -> None:
    found = read({**config([]), **changes})
    assert found.diff_ids == ()
    assert found.chain_ids == ()


@pytest.mark.parametrize("kind", ["layers+base", "", None, "LAYERS"])
def test_another_type_of_rootfs_is_refused(kind: str | None) -> None:
    with pytest.raises(ImageError, match=r'rootfs\.type must be "layers"'):
        read({**config([]), "rootfs": {"type": kind, "diff_ids": []}})


@pytest.mark.parametrize("diff_id", ["", "sha256:x", "../../etc", "md5:" + "0" * 32, sha256(b"").upper()])
def test_a_diff_id_that_is_no_digest_is_refused(diff_id: str) -> None:
    with pytest.raises(ImageError, match="diff_ids: "):
        read(config([diff_id]))


def test_the_runtime_fields_are_as_they_are() -> None:
    found = read(
        config(
            [],
            created="2024-01-02T03:04:05.678Z",
            author="someone",
            variant="v8",
            **{"os.version": "1.2", "os.features": ["f"]},
            config={
                "User": "1000:1000",
                "Env": ["PATH=/bin", "NL=a\nb", "PATH=/again"],
                "Entrypoint": ["/e"],
                "Cmd": ["a", ""],
                "WorkingDir": "../..",
                "Volumes": {"/../../x": {}, "/v": {}},
                "ExposedPorts": {"80/tcp": {}},
                "Labels": {"l": "\u0000", "m": ""},
                "StopSignal": "SIGINT",
                "Shell": ["/bin/sh", "-c"],
                "Healthcheck": {"Test": ["CMD", "x"], "Interval": 1, "Timeout": 2, "StartPeriod": 3, "Retries": 4},
                "ArgsEscaped": True,
            },
        )
    )
    assert found.created == "2024-01-02T03:04:05.678Z"
    assert found.author == "someone"
    assert found.platform == Platform("linux", "amd64", "v8", "1.2", ("f",))
    run = found.execution
    assert run.user == "1000:1000"
    assert run.env == ("PATH=/bin", "NL=a\nb", "PATH=/again")
    assert (run.entrypoint, run.cmd) == (("/e",), ("a", ""))
    assert run.working_dir == "../.."
    assert run.volumes == ("/../../x", "/v")
    assert run.exposed_ports == ("80/tcp",)
    assert run.labels == {"l": "\0", "m": ""}
    assert run.stop_signal == "SIGINT"
    assert run.shell == ("/bin/sh", "-c")
    health = run.healthcheck
    assert health is not None
    assert (health.test, health.interval, health.timeout) == (("CMD", "x"), 1, 2)
    assert (health.start_period, health.retries) == (3, 4)


@pytest.mark.parametrize("runtime", [None, {}, {"Env": None, "Labels": None, "Volumes": None, "Healthcheck": None}])
def test_null_and_absent_runtime_fields_are_the_same(runtime: Fields | None) -> None:
    found = read(config([], config=runtime))
    assert found.execution == read(config([])).execution
    assert found.execution.env == ()
    assert found.execution.healthcheck is None


@pytest.mark.parametrize(
    ("runtime", "name"),
    [
        ({"Env": "A=b"}, "Env"),
        ({"Entrypoint": "/bin/sh"}, "Entrypoint"),
        ({"User": 0}, "User"),
        ({"Labels": {"a": 1}}, "Labels"),
        ({"Volumes": ["/v"]}, "Volumes"),
    ],
)
def test_a_runtime_field_of_another_type_is_refused(runtime: Fields, name: str) -> None:
    with pytest.raises(ImageError, match=f'"{name}" must be'):
        read(config([], config=runtime))


def test_history_need_not_fit_the_layers() -> None:
    found = read(
        config(
            DIFF_IDS,
            history=[
                {"created_by": "one", "comment": "c", "author": "a", "created": "2024-01-01T00:00:00Z"},
                {"created_by": "two", "empty_layer": True},
            ],
        )
    )
    assert [(step.created_by, step.empty_layer) for step in found.history] == [("one", False), ("two", True)]
    assert (found.history[0].comment, found.history[0].author) == ("c", "a")


def test_a_config_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(ImageError, match="image config exceeded maximum allowed size") as error:
        Config.read(b" " * (4 * 1024 * 1024 + 1))
    assert error.value.limit == "config"


@pytest.mark.parametrize("document", [b"null", b"[]", b"", b"not json"])
def test_what_is_no_config_is_refused(document: bytes) -> None:
    with pytest.raises(ImageError, match=r"^image config "):
        Config.read(document)
