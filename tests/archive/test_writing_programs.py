"""What is written is taken by podman, buildah, skopeo, umoci and containerd, and what they write is written again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.archive.build import OciImage, docker_image, layer, layout, tar
from tests.archive.programs import FILES, Programs
from tests.archive.reading import contents
from tests.archive.writing import ignore, resaved, saved
from tests.clients import image as bootable
from tests.clients.containerd import Containerd, containerd
from tests.filesystems import scratch
from tests.image import documents
from tests.image.documents import sha256
from unionfs.archive import Image, open_archive
from unionfs.archive.writing import Compression, Form, compressing, gathered, output, write_archive, write_layout
from unionfs.image import Reference

LAYERS = [layer("one"), layer("two")]
HISTORY = [{"created": "2001-09-09T01:46:40Z", "created_by": f"step {number}"} for number in range(len(LAYERS))]
"""buildah wants as many steps as there are layers."""
ONE = "docker.io/library/busybox:latest"
TWO = "localhost/app:2"
APP = "localhost/app:2"


@pytest.fixture
def elsewhere() -> Iterator[Programs]:
    """Give the programs with an empty storage, under a path as short as podman wants it."""
    with TemporaryDirectory() as top:
        made = Programs(Path(top))
        yield made
        made.podman("rmi", "--all", "--force")


def source(path: Path, *names: str, layers: list[bytes] = LAYERS) -> Path:
    """Write an image archive to read from."""
    config = documents.config([sha256(content) for content in layers], history=HISTORY[: len(layers)])
    made = OciImage(layers, config)
    path.write_bytes(tar(layout([made.entry(name) for name in names] or [made.entry()], made.blobs)))
    return path


def write(path: Path, images: list[Image], form: str, compression: Compression = Compression.NONE) -> Path:
    if form == "oci-dir":
        write_layout(str(path), gathered(images), ignore)
    else:
        with output(str(path)) as file, compressing(file, compression) as sink:
            write_archive(gathered(images), Form(form), sink, ignore)
    return path


def as_podman_names(name: str) -> str:
    """Return what podman 4 makes of a name in a manifest.json, where docker's short form means docker.io."""
    familiar = Reference.parse(name).familiar
    return familiar if "/" in familiar else f"localhost/{familiar}"


@pytest.mark.parametrize("names", [(ONE,), (TWO,), (ONE, TWO), ()])
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.ZSTD])
def test_podman_loads_a_docker_archive(
    tmp_path: Path, elsewhere: Programs, names: tuple[str, ...], compression: Compression
) -> None:
    with open_archive(source(tmp_path / "source", *names)) as archive:
        image = archive.image()
        path = write(tmp_path / "written", [image], "docker-archive", compression)
    elsewhere.podman("load", "--input", str(path))
    # podman lists it once for each name, with all of them.
    found = json.loads(elsewhere.podman("images", "--format", "json"))[0]
    assert found["Id"] == image.config_digest.hex
    # With one name podman takes it for an OCI archive, whose names are full ones.
    wanted = names if len(names) == 1 else tuple(as_podman_names(name) for name in names)
    assert sorted(found.get("Names") or ()) == sorted(wanted)
    (known,) = json.loads(elsewhere.podman("image", "inspect", found["Id"]))
    assert known["RootFS"]["Layers"] == [str(part.diff_id) for part in image.layers]


def test_podman_loads_an_archive_of_several_images(tmp_path: Path, elsewhere: Programs) -> None:
    (tmp_path / "docker").write_bytes(tar(docker_image("other", LAYERS[:1], ["localhost/other:1"])))
    with open_archive(source(tmp_path / "source", TWO)) as one, open_archive(tmp_path / "docker") as two:
        images = [one.image(), two.image()]
        path = write(tmp_path / "written", images, "docker-archive")
    elsewhere.podman("load", "--input", str(path))
    for image in images:
        (known,) = json.loads(elsewhere.podman("image", "inspect", image.names[0]))
        assert known["Id"] == image.config_digest.hex


@pytest.mark.parametrize("form", ["oci-archive", "oci-dir"])
def test_podman_takes_an_oci_image_with_its_digest(tmp_path: Path, elsewhere: Programs, form: str) -> None:
    with open_archive(source(tmp_path / "source", ONE)) as archive:
        image = archive.image()
        path = write(tmp_path / "written", [image], form)
    elsewhere.podman("load", "--input", str(path))
    (known,) = json.loads(elsewhere.podman("image", "inspect", image.config_digest.hex))
    # What podman loads from a directory it names by the path.
    assert form == "oci-dir" or known["RepoTags"] == [ONE]
    assert known["Digest"] == str(image.manifest_digest)


@pytest.mark.parametrize("transport", ["oci-archive", "oci"])
@pytest.mark.parametrize("name", [ONE, TWO])
def test_buildah_pulls_one_image_of_several(tmp_path: Path, elsewhere: Programs, transport: str, name: str) -> None:
    with open_archive(source(tmp_path / "source", ONE, TWO)) as archive:
        image = archive.image()
        path = write(tmp_path / "written", [image], "oci-dir" if transport == "oci" else transport)
    assert elsewhere.buildah("pull", "--quiet", f"{transport}:{path}:{name}") == image.config_digest.hex


@pytest.mark.parametrize(
    ("form", "transport"),
    [("docker-archive", "oci-archive"), ("oci-archive", "oci-archive"), ("oci-dir", "oci")],
)
def test_skopeo_finds_an_image_by_its_full_name(tmp_path: Path, elsewhere: Programs, form: str, transport: str) -> None:
    other = source(tmp_path / "other", TWO, layers=LAYERS[:1])
    with open_archive(source(tmp_path / "source", ONE)) as one, open_archive(other) as two:
        images = [one.image(), two.image()]
        path = write(tmp_path / "written", images, form)
    for image in images:
        (name,) = image.names
        place = f"{transport}:{path}:{name}"
        assert elsewhere.run("skopeo", "inspect", "--raw", place).encode() == image.manifest
        assert elsewhere.run("skopeo", "inspect", "--config", "--raw", place).encode() == image.config.raw
        copied = tmp_path / f"copied-{len(image.layers)}"
        elsewhere.run("skopeo", "copy", "--quiet", place, f"oci:{copied}:{name}")
        with open_archive(copied) as archive:
            assert archive.image().config.raw == image.config.raw
            assert contents(archive.image()) == LAYERS[: len(image.layers)]


def test_skopeo_finds_an_image_in_a_docker_archive_by_its_short_name(tmp_path: Path, elsewhere: Programs) -> None:
    with open_archive(source(tmp_path / "source", ONE, TWO)) as archive:
        image = archive.image()
        path = write(tmp_path / "written", [image], "docker-archive")
    for name in ("busybox", "busybox:latest", ONE, TWO):
        place = f"docker-archive:{path}:{name}"
        assert elsewhere.run("skopeo", "inspect", "--config", "--raw", place).encode() == image.config.raw


def test_umoci_unpacks_a_layout(tmp_path: Path, elsewhere: Programs) -> None:
    with open_archive(source(tmp_path / "source", ONE, TWO)) as archive:
        path = write(tmp_path / "written", [archive.image()], "oci-dir")
    assert elsewhere.run("umoci", "ls", "--layout", str(path)).split() == [ONE, TWO]
    rootless = ("--rootless",) if os.geteuid() else ()
    elsewhere.run("umoci", "unpack", *rootless, "--image", f"{path}:{ONE}", str(tmp_path / "bundle"))
    assert (tmp_path / "bundle/rootfs/file").read_text() == "two"


@pytest.fixture(scope="module")
def running() -> Iterator[Containerd]:
    if os.geteuid() != 0:
        pytest.skip("containerd runs as root")
    with scratch() as directory, containerd(directory, None) as started:
        yield started


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_containerd_imports_an_archive(running: Containerd, form: str) -> None:
    top = running.directory
    (top / "docker").write_bytes(tar(docker_image("other", LAYERS[:1], ["other:1"])))
    with open_archive(source(top / "source", ONE, TWO)) as one, open_archive(top / "docker") as two:
        path = write(top / form, [one.image(), two.image()], form)
    with open_archive(path) as archive:
        wanted = {name: str(archive.image(name).manifest_digest) for name in (ONE, TWO, "docker.io/library/other:1")}
    running.ctr("images", "import", "--snapshotter=overlayfs", str(path))
    lines = [line.split() for line in running.ctr("images", "ls").splitlines()[1:]]
    assert wanted.items() <= {line[0]: line[2] for line in lines}.items()
    running.ctr("images", "rm", *wanted)


@pytest.mark.parametrize("form", ["oci-archive", "oci-dir"])
def test_what_podman_saves_is_written_with_its_manifest(programs: Programs, tmp_path: Path, form: str) -> None:
    target = tmp_path / "saved"
    programs.podman("save", "--quiet", "--format", form, "--output", str(target), APP)
    check_written_again(tmp_path, target)


def test_a_docker_archive_of_podman_is_written_with_its_layers(programs: Programs, tmp_path: Path) -> None:
    target = tmp_path / "saved"
    programs.podman("save", "--quiet", "--output", str(target), APP)
    (tmp_path / "again").write_bytes(resaved(target, Form.DOCKER_ARCHIVE))
    with open_archive(target) as before, open_archive(tmp_path / "again") as after:
        assert after.image().names == (APP,)
        assert after.image().config.raw == before.image().config.raw
        assert contents(after.image()) == contents(before.image())


@pytest.mark.parametrize("compression", ["zstd", "gzip", ""])
def test_what_skopeo_copies_is_written_with_its_manifest(programs: Programs, tmp_path: Path, compression: str) -> None:
    programs.podman("save", "--quiet", "--output", str(tmp_path / "docker"), APP)
    options = ("--dest-compress", "--dest-compress-format", compression) if compression else ("--dest-decompress",)
    target = tmp_path / "saved"
    docker, oci = f"docker-archive:{tmp_path}/docker", f"oci-archive:{target}:{APP}"
    programs.run("skopeo", "copy", "--quiet", *options, docker, oci)
    check_written_again(tmp_path, target)


def test_what_buildah_pushes_is_written_with_its_manifest(programs: Programs, tmp_path: Path) -> None:
    target = tmp_path / "saved"
    programs.buildah("push", "--quiet", APP, f"oci-archive:{target}:{APP}")
    check_written_again(tmp_path, target)


def test_what_umoci_makes_is_written_with_its_manifest(programs: Programs, tmp_path: Path) -> None:
    target = tmp_path / "saved"
    programs.run("umoci", "init", "--layout", str(target))
    programs.run("umoci", "new", "--image", f"{target}:made")
    (tmp_path / "file").write_bytes(FILES[0]["/hello"])
    programs.run("umoci", "insert", "--image", f"{target}:made", str(tmp_path / "file"), "/hello")
    check_written_again(tmp_path, target)


def check_written_again(tmp_path: Path, target: Path) -> None:
    """Check that an image of another program keeps every byte in each form, and is the same after that."""
    with open_archive(target) as archive:
        before = archive.image()
        layers = contents(before)
        for form in ("docker-archive", "oci-archive", "oci-dir"):
            again = write(tmp_path / form, [before], form)
            with open_archive(again) as read:
                after = read.image()
                assert after.names == before.names
                assert after.manifest == before.manifest
                assert after.config_digest == before.config_digest
                assert contents(after) == layers
            if form != "oci-dir":
                assert resaved(again, Form(form)) == again.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="podman runs containers here as root alone")
def test_podman_runs_what_is_written(tmp_path: Path, elsewhere: Programs) -> None:
    (tmp_path / "source").write_bytes(bootable.archive())
    with open_archive(tmp_path / "source") as archive:
        (tmp_path / "written").write_bytes(saved([archive.image()]))
    elsewhere.podman("load", "--input", str(tmp_path / "written"))
    limits = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096", "--network", "none")
    said = elsewhere.podman("--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "--rm", *limits,
                            bootable.NAME, "/bin/sh", "-c", "cat /etc/kept; echo; ls /opaque")  # fmt: skip
    assert said.split() == ["etc/kept", "new"]
