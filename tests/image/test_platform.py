"""Platforms, and which of those on offer suits one best."""

import os

import pytest

from unionfs.image import ImageError, Platform


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm", "linux/arm"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/aarch64", "linux/arm64"),
        ("Linux/X86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/i686", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("windows/amd64", "windows/amd64"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_a_platform_is_read_under_any_of_its_names(text: str, expected: str) -> None:
    assert str(Platform.parse(text)) == expected


@pytest.mark.parametrize("text", ["", "linux", "linux/", "/amd64", "a/b/c/d", "linux/amd64/", "linux/amd 64", "l\n/a"])
def test_what_is_no_platform_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="invalid platform"):
        Platform.parse(text)


def test_the_host_is_what_the_kernel_says() -> None:
    host = Platform.host()
    assert host == Platform.parse(f"linux/{os.uname().machine}")
    assert host.os == "linux"


def chosen(wanted: str, *offers: str) -> str | None:
    split = [offer.split("/") for offer in offers]
    platforms = [Platform(parts[0], parts[1], "".join(parts[2:])) for parts in split]
    return Platform.parse(wanted).choose(zip(platforms, offers, strict=True))


@pytest.mark.parametrize(
    ("wanted", "offers", "expected"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64", "linux/s390x"], "linux/amd64"),
        ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64/v8", ["linux/arm64"], "linux/arm64"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm/v7"),
        ("linux/arm/v7", ["linux/arm", "linux/arm/v6"], "linux/arm/v6"),
        ("linux/arm/v6", ["linux/arm"], "linux/arm"),
        ("linux/arm", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("linux/amd64/v3", ["linux/amd64", "linux/amd64/v2", "linux/amd64/v4"], "linux/amd64/v2"),
        ("linux/amd64/v3", ["linux/amd64/v1"], "linux/amd64/v1"),
        ("linux/ppc64le/power9", ["linux/ppc64le"], "linux/ppc64le"),
        ("linux/amd64", ["linux/x86_64"], "linux/x86_64"),
    ],
)
def test_the_best_variant_that_runs_is_chosen(wanted: str, offers: list[str], expected: str) -> None:
    assert chosen(wanted, *offers) == expected


@pytest.mark.parametrize(
    ("wanted", "offers"),
    [
        ("linux/amd64", ["linux/arm64", "windows/amd64"]),
        ("linux/arm/v6", ["linux/arm/v7"]),
        ("linux/amd64", ["linux/amd64/v3"]),
        ("linux/arm64", ["linux/arm/v7"]),
        ("linux/amd64", []),
    ],
)
def test_what_does_not_run_is_never_chosen(wanted: str, offers: list[str]) -> None:
    assert chosen(wanted, *offers) is None


def test_of_two_equal_offers_the_first_is_chosen() -> None:
    amd64 = Platform("linux", "amd64")
    assert amd64.choose([(amd64, 1), (amd64, 2)]) == 1


def test_an_exact_version_and_exact_features_are_preferred() -> None:
    plain = Platform("windows", "amd64")
    versioned = Platform("windows", "amd64", os_version="10.0.14393")
    featured = Platform("windows", "amd64", os_features=("win32k",))
    offers = [(featured, "featured"), (versioned, "versioned"), (plain, "plain")]
    assert plain.choose(offers) == "plain"
    assert versioned.choose(offers) == "versioned"
    assert featured.choose(offers) == "featured"
    assert plain.choose(offers[:1]) == "featured"


@pytest.mark.parametrize(
    ("system", "architecture", "known"),
    [("linux", "amd64", True), ("unknown", "unknown", False), ("linux", "unknown", False), ("", "amd64", False)],
)
def test_an_attestations_platform_is_no_known_one(system: str, architecture: str, *, known: bool) -> None:
    assert Platform(system, architecture).known is known
