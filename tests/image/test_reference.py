"""Names of images, by the table of what docker does with them."""

import pytest

from unionfs.image import ImageError, Reference
from unionfs.image.reference import is_tag

HEX = "0123456789abcdef" * 4
SHA256 = "sha256:" + HEX
SHA512 = "sha512:" + HEX * 2
INVALID = "invalid reference format"


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("alpine:3.20", "docker.io/library/alpine:3.20"),
        ("library/alpine", "docker.io/library/alpine:latest"),
        ("docker.io/alpine", "docker.io/library/alpine:latest"),
        ("index.docker.io/alpine", "docker.io/library/alpine:latest"),
        ("user/app", "docker.io/user/app:latest"),
        ("docker.io/user/app:v1", "docker.io/user/app:v1"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app", "localhost:5000/app:latest"),
        ("localhost", "docker.io/library/localhost:latest"),
        ("localhost:5000", "docker.io/library/localhost:5000"),
        ("myhost/app", "docker.io/myhost/app:latest"),
        ("myhost:5000/app", "myhost:5000/app:latest"),
        ("Foo/bar", "Foo/bar:latest"),
        ("example.com/app", "example.com/app:latest"),
        ("example.com", "docker.io/library/example.com:latest"),
        ("example.com:5000", "docker.io/library/example.com:5000"),
        ("192.168.0.1:80/a/b/c:t", "192.168.0.1:80/a/b/c:t"),
        ("[2001:db8::1]:5000/repo:tag", "[2001:db8::1]:5000/repo:tag"),
        (f"alpine@{SHA256}", f"docker.io/library/alpine@{SHA256}"),
        (f"alpine:3@{SHA256}", f"docker.io/library/alpine:3@{SHA256}"),
        (HEX[:63], f"docker.io/library/{HEX[:63]}:latest"),
        ("a__b/c---d", "docker.io/a__b/c---d:latest"),
        ("docker.io/library/foo/bar", "docker.io/library/foo/bar:latest"),
        ("test_com/foo", "docker.io/test_com/foo:latest"),
        ("foo_bar.com:8080", "docker.io/library/foo_bar.com:8080"),
        (f"x@{SHA512}", f"docker.io/library/x@{SHA512}"),
        ("xn--n3h.com/i", "xn--n3h.com/i:latest"),
        (f"sha256:{HEX}", f"docker.io/library/sha256:{HEX}"),
        ("x:" + "t" * 128, "docker.io/library/x:" + "t" * 128),
        ("example.com/" + "a" * 255, "example.com/" + "a" * 255 + ":latest"),
        ("x:_T.a-9", "docker.io/library/x:_T.a-9"),
    ],
)
def test_a_name_is_brought_to_its_full_form(text: str, full: str) -> None:
    reference = Reference.parse(text)
    assert str(reference) == full
    assert Reference.parse(full) == reference


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Alpine", "repository name (library/Alpine) must be lowercase"),
        ("foo/Bar", "repository name (foo/Bar) must be lowercase"),
        ("Foo:1", "repository name (library/Foo) must be lowercase"),
        (f"alpine@sha256:{HEX.upper()}", "invalid checksum digest format"),
        (f"alpine@sha256:{HEX[:34]}", "invalid checksum digest length"),
        (f"alpine@md5:{HEX[:32]}", "unsupported digest algorithm"),
        (f"alpine@sha256:{HEX[:10]}", INVALID),
        (HEX, "cannot specify 64-byte hexadecimal strings"),
        ("[::1]", INVALID),
        ("fc00::1:5000/debian", INVALID),
        ("a___b/c", INVALID),
        ("a..b", INVALID),
        ("x-", INVALID),
        ("-x", INVALID),
        ("-rf", INVALID),
        ("x:", INVALID),
        ("x:-t", INVALID),
        ("x:.t", INVALID),
        ("x//y", INVALID),
        ("/x", INVALID),
        ("x/", INVALID),
        ("", INVALID),
        ("https://docker.io/x", INVALID),
        ("../../x", INVALID),
        ("x:" + "t" * 129, INVALID),
        ("x\n", INVALID),
        ("x:1\n", INVALID),
        ("x:\u0661", INVALID),
        ("foo_bar.com/x", INVALID),
        (f"x@{SHA256}:tag", INVALID),
        ("a" * 256, "repository name must not be more than 255 characters"),
        ("a/" * 5000 + "b", "repository name must not be more than 255 characters"),
    ],
)
def test_what_is_no_name_is_refused_as_docker_does(text: str, reason: str) -> None:
    with pytest.raises(ImageError) as error:
        Reference.parse(text)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_the_name_scratch_is_a_name() -> None:
    assert str(Reference.parse("scratch")) == "docker.io/library/scratch:latest"


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("alpine", "alpine:latest"),
        ("docker.io/library/alpine:1", "alpine:1"),
        ("user/app:1", "user/app:1"),
        ("docker.io/library/foo/bar", "library/foo/bar:latest"),
        ("localhost/library/app", "localhost/library/app:latest"),
        (f"alpine@{SHA256}", f"alpine@{SHA256}"),
    ],
)
def test_the_displayed_name_leaves_out_what_docker_leaves_out(text: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert reference.familiar == familiar
    assert Reference.parse(familiar) == reference


def test_the_repository_is_the_name_without_tag_and_digest() -> None:
    assert Reference.parse(f"localhost:5000/a/b:t@{SHA256}").repository == "localhost:5000/a/b"


def test_a_tag_is_told_from_a_name() -> None:
    assert is_tag("latest")
    assert is_tag("1.2-rc_3")
    assert not is_tag("foo:1")
    assert not is_tag("a/b")
    assert not is_tag(".hidden")
    assert not is_tag("")
