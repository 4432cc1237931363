"""``security.*`` attributes that can't be set are kept as fuse-overlayfs keeps them: ``user.containers.override_``."""

import os
from pathlib import Path

import pytest

from tests.stacks import File
from tests.unions import Kernel, Stack
from unionfs.layer.open_upper import UpperOptions
from unionfs.layer.ownership import OverrideForm
from unionfs.layer.private_xattrs import encoded, escape, unescape
from unionfs.union.settings import Settings
from unionfs.union.step import run
from unionfs.union.union import Change

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
NAME = b"security.capability"
KEPT = "user.containers.override_security.capability"


def stack(directory: Path) -> Stack:
    lower = {"f": File(b"x", xattrs={"security.capability": CAPABILITY}), "g": File(b"y", xattrs={KEPT: CAPABILITY})}
    return Stack(directory / "stack", [lower], Settings(), options=UpperOptions(override=OverrideForm.USER))


def names(kernel: Kernel, path: str) -> list[bytes]:
    return kernel.union.listxattr(kernel.number(path), lambda: True)


def test_what_a_layer_has_encoded_is_shown_and_not_its_encoding(tmp_path: Path) -> None:
    with stack(tmp_path).opened() as kernel:
        assert names(kernel, "g") == [NAME]
        assert kernel.union.getxattr(kernel.number("g"), NAME) == CAPABILITY
        with pytest.raises(OSError, match="No data"):
            kernel.union.getxattr(kernel.number("g"), KEPT.encode())


def test_copied_up_it_is_encoded_and_shown_as_before(tmp_path: Path) -> None:
    made = stack(tmp_path)
    with made.opened() as kernel:
        for name in ("f", "g"):
            run(kernel.union.setxattr(kernel.number(name), b"user.x", b"1", 0))
            assert kernel.union.getxattr(kernel.number(name), NAME) == CAPABILITY
            on_disk = os.listxattr(made.upper / name)
            assert KEPT in on_disk
            assert "security.capability" not in on_disk


def test_it_is_set_replaced_and_removed(tmp_path: Path) -> None:
    made = stack(tmp_path)
    with made.opened() as kernel:
        number = kernel.number("f")
        with pytest.raises(OSError, match="exists"):
            run(kernel.union.setxattr(number, NAME, b"", os.XATTR_CREATE))
        other = CAPABILITY[:-1] + b"\1"
        run(kernel.union.setxattr(number, NAME, other, os.XATTR_REPLACE))
        assert os.getxattr(made.upper / "f", KEPT) == other
        assert names(kernel, "f") == [NAME]
        run(kernel.union.removexattr(number, NAME))
        assert names(kernel, "f") == []
        run(kernel.union.setxattr(number, b"security.test", b"1", os.XATTR_CREATE))
        assert os.getxattr(made.upper / "f", "user.containers.override_security.test") == b"1"


def test_truncating_takes_capabilities_away(tmp_path: Path) -> None:
    with stack(tmp_path).opened() as kernel:
        run(kernel.union.setattr(kernel.number("f"), Change(size=0), keep_set_id=True))
        assert names(kernel, "f") == []


def test_a_programs_own_attribute_of_that_name_is_kept_escaped() -> None:
    own = KEPT.encode()
    assert escape(own) != own
    assert unescape(escape(own)) == own
    assert unescape(escape(escape(own))) == escape(own)
    assert encoded(b"user.x") is None
