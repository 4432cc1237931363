"""Archives and layouts that podman, buildah, skopeo and umoci write. A program that is missing is a failure."""

import io
import json
from pathlib import Path

import pytest

from tests.archive.programs import FILES, Programs
from tests.archive.reading import contents
from tests.image.documents import sha256
from unionfs.archive import Image, open_archive, parse_source
from unionfs.image import Platform
from unionfs.tar import Kind, Reader


def check(programs: Programs, image: Image, name: str = "localhost/app:2") -> None:
    """Check an image against what podman says of it, and the files in its layers."""
    known = programs.inspect(name)
    assert str(image.config_digest) == sha256(image.config.raw) == "sha256:" + known["Id"].removeprefix("sha256:")
    assert [str(layer.diff_id) for layer in image.layers] == known["RootFS"]["Layers"]
    assert "GREETING=hello" in image.config.execution.env
    assert image.config.execution.cmd == ("/bin/run",)
    assert image.config.execution.working_dir == "/work"
    assert image.config.platform.os == known["Os"]
    assert image.config.platform.architecture == known["Architecture"]
    assert Platform.host().matches(image.config.platform)
    check_layers(image)


def check_layers(image: Image) -> None:
    found = contents(image)
    for wanted, layer in zip(FILES, found, strict=False):
        assert wanted.items() <= files(layer).items()


def files(layer: bytes) -> dict[str, bytes]:
    """Return the content of a layer's files by path."""
    reader = Reader(io.BytesIO(layer))
    return {
        "/" + entry.name.decode(): b"".join(piece for _, piece in reader.chunks())
        for entry in reader
        if entry.kind is Kind.FILE
    }


def read(source: str) -> Image:
    path, selector = parse_source(source)
    with open_archive(path) as archive:
        image = archive.image(selector)
        # Layers are opened anew for each reading, which only works while the archive is open.
        check_layers(image)
    return image


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci-dir"])
def test_what_podman_saves_is_read(programs: Programs, form: str) -> None:
    target = programs.top / f"saved-{form}"
    programs.podman("save", "--quiet", "--format", form, "--output", str(target), "localhost/app:2")
    with open_archive(target) as archive:
        assert [image.names for image in archive.images] == [("localhost/app:2",)]
        check(programs, archive.image())
        check(programs, archive.image("localhost/app:2"))


def test_an_archive_of_several_images_by_podman_is_read(programs: Programs) -> None:
    target = programs.top / "several.tar"
    names = ("localhost/base:1", "localhost/app:2", "localhost/other/app:latest")
    programs.podman("save", "--quiet", "--multi-image-archive", "--output", str(target), *names)
    with open_archive(target) as archive:
        assert sorted(name for image in archive.images for name in image.names) == sorted(names)
        for name in names:
            check(programs, archive.image(name), name)
        for listed in archive.images:
            check(programs, archive.image(f"@{listed.index}"), listed.names[0])


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
def test_a_saved_archive_compressed_by_a_program_is_read(programs: Programs, program: str, form: str) -> None:
    target = programs.top / f"{program}-{form}.tar"
    programs.podman("save", "--quiet", "--format", form, "--output", str(target), "localhost/app:2")
    programs.run(program, "-q", "-f", str(target))
    (compressed,) = programs.top.glob(f"{target.name}?*")
    with open_archive(compressed) as archive:
        check(programs, archive.image())


def saved(programs: Programs) -> Path:
    """Return an archive for skopeo, which has no access to the storage."""
    target = programs.top / "for-skopeo.tar"
    if not target.exists():
        programs.podman("save", "--quiet", "--output", str(target), "localhost/app:2")
    return target


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--dest-compress-format", "zstd", "--dest-compress"),
        ("--dest-compress-format", "gzip", "--dest-compress", "--dest-compress-level", "9"),
        ("--dest-decompress",),
    ],
    ids=["plain", "zstd", "gzip", "uncompressed"],
)
@pytest.mark.parametrize("transport", ["oci", "oci-archive"])
def test_what_skopeo_copies_is_read(programs: Programs, transport: str, options: tuple[str, ...]) -> None:
    target = f"{transport}:{programs.top}/skopeo{len(list(programs.top.iterdir()))}:example.com/app:3"
    programs.run("skopeo", "copy", "--quiet", *options, f"docker-archive:{saved(programs)}", target)
    image = read(target)
    assert image.names == ("example.com/app:3",)
    assert [str(layer.diff_id) for layer in image.layers] == programs.inspect("localhost/app:2")["RootFS"]["Layers"]
    manifest_digest = programs.run("skopeo", "inspect", "--format", "{{.Digest}}", target)
    assert str(image.manifest_digest) == manifest_digest == sha256(image.manifest or b"")


def test_docker_manifests_in_a_layout_by_skopeo_are_read(programs: Programs) -> None:
    """skopeo 1.9 writes such a layout, but then doesn't find the image in it by its name."""
    target = programs.top / "schema2"
    source = f"docker-archive:{saved(programs)}"
    programs.run("skopeo", "copy", "--quiet", "--format", "v2s2", source, f"oci:{target}:example.com/app:3")
    index = json.loads((target / "index.json").read_bytes())
    assert "docker" in json.loads(read(f"oci:{target}:example.com/app:3").manifest or b"")["mediaType"]
    assert str(read(f"oci:{target}").manifest_digest) == index["manifests"][0]["digest"]


def test_a_docker_archive_by_skopeo_is_read(programs: Programs) -> None:
    target = f"docker-archive:{programs.top}/skopeo.tar:library/app:3"
    programs.run("skopeo", "copy", "--quiet", f"docker-archive:{saved(programs)}", target)
    image = read(target)
    assert image.names == ("docker.io/library/app:3",)
    assert [str(layer.diff_id) for layer in image.layers] == programs.inspect("localhost/app:2")["RootFS"]["Layers"]


def test_a_layout_with_several_tags_by_skopeo_is_read(programs: Programs) -> None:
    for tag in ("one", "two"):
        programs.run("skopeo", "copy", "--quiet", f"docker-archive:{saved(programs)}", f"oci:{programs.top}/tags:{tag}")
    with open_archive(programs.top / "tags") as archive:
        (listed,) = archive.images
        assert (listed.names, listed.tags) == ((), ("one", "two"))
        assert archive.image("one").config_digest == archive.image("two").config_digest == archive.image().config_digest


def test_a_layout_by_umoci_is_read(programs: Programs) -> None:
    layout = programs.top / "umoci"
    programs.run("umoci", "init", "--layout", str(layout))
    programs.run("umoci", "new", "--image", f"{layout}:empty")
    with open_archive(layout) as archive:
        assert archive.image("empty").layers == ()
    (programs.top / "file").write_bytes(FILES[0]["/hello"])
    programs.run("umoci", "insert", "--image", f"{layout}:empty", "--tag", "full", str(programs.top / "file"), "/hello")
    with open_archive(layout) as archive:
        assert [listed.tags for listed in archive.images] == [("empty",), ("full",)]
        check_layers(archive.image("full"))
        assert len(archive.image("full").layers) == 1


def test_an_index_of_several_platforms_by_buildah_is_read(programs: Programs) -> None:
    for architecture in ("amd64", "arm64", "s390x"):
        programs.build(f"localhost/{architecture}", {"/arch": architecture.encode()}, "scratch", "--arch", architecture)
    programs.buildah("manifest", "create", "localhost/many")
    for architecture in ("amd64", "arm64", "s390x"):
        programs.buildah("manifest", "add", "localhost/many", f"containers-storage:localhost/{architecture}")
    programs.buildah("manifest", "push", "--quiet", "--all", "localhost/many", f"oci:{programs.top}/many:latest")
    with open_archive(programs.top / "many") as archive:
        assert [listed.tags for listed in archive.images] == [("latest",)]
        for architecture in ("amd64", "arm64", "s390x"):
            image = archive.image(platform=Platform("linux", architecture))
            assert image.config.platform.architecture == architecture
            assert files(contents(image)[0]) == {"/arch": architecture.encode()}
        with pytest.raises(ValueError, match='no image found in image index for architecture "riscv64"'):
            archive.image(platform=Platform("linux", "riscv64"))
