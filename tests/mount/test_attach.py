"""What is asked of the kernel and of fusermount3 when mounting."""

import os

import pytest

from unionfs.mount.attach import connection_parameters, fusermount_options, mount_flags
from unionfs.mount.errors import MountError
from unionfs.mount.options import MountOptions

RDONLY, NOSUID, NODEV, NOEXEC, NOATIME = 1, 2, 4, 8, 1024
LOWERS = (b"/lower",)
WRITABLE = MountOptions(lowers=LOWERS, upper=b"/u", work=b"/w")


@pytest.mark.parametrize(
    ("options", "flags"),
    [
        (WRITABLE, NOSUID | NODEV | NOATIME),
        (MountOptions(lowers=LOWERS), RDONLY | NOSUID | NODEV | NOATIME),
        (MountOptions(lowers=LOWERS, upper=b"/u", work=b"/w", read_only=True), RDONLY | NOSUID | NODEV | NOATIME),
        (MountOptions(lowers=LOWERS, suid=True, dev=True), RDONLY | NOATIME),
        (MountOptions(lowers=LOWERS, exec_=False), RDONLY | NOSUID | NODEV | NOEXEC | NOATIME),
    ],
)
def test_flags_follow_the_options(options: MountOptions, flags: int) -> None:
    assert mount_flags(options) == flags


@pytest.mark.parametrize(
    ("uid", "asked", "allowed"),
    [(0, None, True), (0, False, False), (1000, None, False), (1000, True, True)],
)
def test_other_users_are_let_in_by_root_or_on_request(
    monkeypatch: pytest.MonkeyPatch, uid: int, asked: bool | None, allowed: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    words = connection_parameters(5, MountOptions(lowers=LOWERS, allow_other=asked)).split(b",")
    assert words[0] == b"fd=5"
    assert b"user_id=%d" % uid in words
    assert b"default_permissions" in words
    assert (b"allow_other" in words) == allowed


def test_the_source_adds_no_option_for_fusermount() -> None:
    options = MountOptions(lowers=LOWERS, fsname=b"a\\,allow_other,suid", exec_=False)
    assert fusermount_options(options) == (
        b"ro,nosuid,nodev,noatime,default_permissions,noexec,subtype=unionfs,fsname=a\\\\\\,allow_other\\,suid"
    )


def test_fusermount_is_asked_to_let_others_in_only_on_request() -> None:
    assert b"allow_other" not in fusermount_options(WRITABLE)
    asked = MountOptions(lowers=LOWERS, allow_other=True)
    assert b"allow_other" in fusermount_options(asked).split(b",")


@pytest.mark.parametrize("name", ["suid", "dev"])
def test_what_fusermount_never_grants_is_an_error_by_name(name: str) -> None:
    with pytest.raises(MountError, match=f"option {name} needs the right to mount"):
        fusermount_options(MountOptions(lowers=LOWERS, suid=name == "suid", dev=name == "dev"))
