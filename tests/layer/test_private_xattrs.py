"""Which attributes belong to the layer, and how a user's own of the same name is kept apart (overlayfs, "Nesting")."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unionfs.layer.private_xattrs import escape, is_private, unescape

PREFIXES = [
    b"trusted.overlay.",
    b"user.overlay.",
    b"user.fuseoverlayfs.",
    b"security.fuseoverlayfs.",
    b"user.containers.",
]
# Pieces of which names are made that could be taken for one another.
PIECES = [b"overlay.", b"opaque", b"override_stat", b"x", b".", *PREFIXES]
NAMES = st.builds(
    lambda prefix, rest: prefix + b"".join(rest), st.sampled_from([b"", *PREFIXES]), st.lists(st.sampled_from(PIECES))
)


@pytest.mark.parametrize(
    "name",
    [
        b"trusted.overlay.opaque", b"trusted.overlay.", b"trusted.overlay.unionfs.origin", b"user.overlay.whiteout",
        b"user.fuseoverlayfs.opaque", b"security.fuseoverlayfs.x", b"user.containers.override_stat",
        b"trusted.overlay.overlay", b"trusted.overlay.overlayx",
    ],
)  # fmt: skip
def test_an_attribute_of_the_layer_is_hidden(name: bytes) -> None:
    assert is_private(name)
    assert unescape(name) is None


@pytest.mark.parametrize(
    "name",
    [
        b"user.mine", b"trusted.overlayfsrz", b"trusted.mine", b"security.capability", b"system.posix_acl_access",
        b"user.containers.other", b"user.containers.override_stat2", b"user.overlayx", b"user.containers.overlay.other",
        b"user.containers.overlay.overlay.x",
    ],
)  # fmt: skip
def test_an_ordinary_attribute_keeps_its_name(name: bytes) -> None:
    assert not is_private(name)
    assert unescape(name) == name
    assert escape(name) == name


@pytest.mark.parametrize(
    ("name", "on_disk"),
    [
        (b"trusted.overlay.opaque", b"trusted.overlay.overlay.opaque"),
        (b"trusted.overlay.overlay.opaque", b"trusted.overlay.overlay.overlay.opaque"),
        (b"user.overlay.redirect", b"user.overlay.overlay.redirect"),
        (b"user.fuseoverlayfs.opaque", b"user.fuseoverlayfs.overlay.opaque"),
        (b"user.containers.override_stat", b"user.containers.overlay.override_stat"),
        (b"user.containers.overlay.override_stat", b"user.containers.overlay.overlay.override_stat"),
    ],
)
def test_a_users_attribute_that_looks_like_the_layers_is_escaped(name: bytes, on_disk: bytes) -> None:
    assert escape(name) == on_disk
    assert unescape(on_disk) == name


@given(NAMES)
def test_whatever_a_user_calls_it_reads_back_and_is_never_the_layers(name: bytes) -> None:
    on_disk = escape(name)
    assert not is_private(on_disk)
    assert unescape(on_disk) == name


@given(NAMES)
def test_whatever_is_listed_can_be_asked_for(on_disk: bytes) -> None:
    shown = unescape(on_disk)
    assert shown is None or escape(shown) == on_disk
