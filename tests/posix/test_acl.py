"""POSIX ACLs: stored, obeyed, inherited, kept in step with the mode.

Sources: acl(5); POSIX 1003.1e draft 17, section 23.
"""

import os
import stat
from errno import EACCES, EINVAL, ENODATA, EOPNOTSUPP, EPERM
from functools import partial

from tests.posix.acl import ACCESS, DEFAULT, EXECUTE, READ, WRITE, acl
from tests.posix.place import Place
from tests.posix.processes import as_user, umask
from tests.posix.table import OURS, errno_of, row
from tests.stacks import Directory, File

FRIEND, GROUP, STRANGER = 1000, 2000, 3000
RW = READ | WRITE
ALL = READ | WRITE | EXECUTE
FILE_ACL = acl(owner=RW, users={FRIEND: RW}, group=READ, groups={GROUP: READ}, mask=RW, other=0)
DIRECTORY_ACL = acl(owner=ALL, users={FRIEND: ALL}, group=READ | EXECUTE, mask=ALL, other=READ | EXECUTE)


@row(bottom={"low": File(b"x", xattrs={ACCESS: FILE_ACL})}, upper={"up": File(b"x", xattrs={ACCESS: FILE_ACL})})
def test_the_acl_of_a_layers_file_is_shown_and_obeyed(place: Place) -> None:
    for name in ("low", "up"):
        path = place / name
        assert os.getxattr(path, ACCESS) == FILE_ACL
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert as_user(partial(errno_of, os.open, path, os.O_RDWR), uid=FRIEND) == 0
        assert as_user(partial(errno_of, os.open, path, os.O_RDONLY), gid=GROUP) == 0
        assert as_user(partial(errno_of, os.open, path, os.O_RDWR), gid=GROUP) == EACCES
        assert as_user(partial(errno_of, os.open, path, os.O_RDONLY), uid=STRANGER) == EACCES


@row(bottom={"f": File(b"x", mode=0o600)})
def test_an_acl_is_set_read_and_removed(place: Place) -> None:
    path = place / "f"
    assert errno_of(os.getxattr, path, ACCESS) == ENODATA
    os.setxattr(path, ACCESS, FILE_ACL)
    assert os.getxattr(path, ACCESS) == FILE_ACL
    assert ACCESS in os.listxattr(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert as_user(partial(errno_of, os.open, path, os.O_RDWR), uid=FRIEND) == 0
    os.removexattr(path, ACCESS)
    assert errno_of(os.getxattr, path, ACCESS) == ENODATA
    assert as_user(partial(errno_of, os.open, path, os.O_RDWR), uid=FRIEND) == EACCES


@row(upper={"d/f": File(b"x")})
def test_an_acl_that_is_not_there_can_be_removed(place: Place) -> None:
    assert errno_of(os.removexattr, place / "d/f", ACCESS) == 0
    assert errno_of(os.removexattr, place / "d", DEFAULT) == 0


@row(bottom={"f": File(b"x", xattrs={ACCESS: FILE_ACL})})
def test_chmod_changes_the_mask_and_the_mask_limits_the_acl(place: Place) -> None:
    (place / "f").chmod(0o640)
    changed = acl(owner=RW, users={FRIEND: RW}, group=READ, groups={GROUP: READ}, mask=READ, other=0)
    assert os.getxattr(place / "f", ACCESS) == changed
    assert as_user(partial(errno_of, os.open, place / "f", os.O_RDONLY), uid=FRIEND) == 0
    assert as_user(partial(errno_of, os.open, place / "f", os.O_RDWR), uid=FRIEND) == EACCES


@row(bottom={"f": File(b"x", mode=0o600)})
def test_an_acl_that_says_no_more_than_the_mode_is_only_a_mode(place: Place) -> None:
    os.setxattr(place / "f", ACCESS, acl(owner=ALL, group=READ, other=EXECUTE))
    assert stat.S_IMODE((place / "f").stat().st_mode) == 0o741
    assert errno_of(os.getxattr, place / "f", ACCESS) == ENODATA


@row(bottom={"f": File(uid=FRIEND), "d": Directory(), "other": File()})
def test_an_acl_that_is_malformed_or_of_another_is_refused(place: Place) -> None:
    assert errno_of(os.setxattr, place / "f", ACCESS, b"garbage") == EOPNOTSUPP
    assert errno_of(os.setxattr, place / "f", ACCESS, FILE_ACL[:-1]) == EINVAL
    assert errno_of(os.setxattr, place / "f", DEFAULT, DIRECTORY_ACL) == EACCES
    assert as_user(partial(errno_of, os.setxattr, place / "other", ACCESS, FILE_ACL), uid=FRIEND) == EPERM
    assert as_user(partial(errno_of, os.setxattr, place / "f", ACCESS, FILE_ACL), uid=FRIEND) == 0


@row(bottom={"d": Directory(xattrs={DEFAULT: DIRECTORY_ACL})})
def test_a_default_acl_is_handed_down(place: Place) -> None:
    with umask(0):
        (place / "d/sub").mkdir(mode=0o777)
        os.close(os.open(place / "d/f", os.O_CREAT | os.O_WRONLY, 0o666))
    assert os.getxattr(place / "d/sub", DEFAULT) == DIRECTORY_ACL
    assert os.getxattr(place / "d/sub", ACCESS) == DIRECTORY_ACL
    inherited = acl(owner=RW, users={FRIEND: ALL}, group=READ | EXECUTE, mask=RW, other=READ)
    assert os.getxattr(place / "d/f", ACCESS) == inherited
    assert errno_of(os.getxattr, place / "d/f", DEFAULT) == ENODATA
    (place / "d/sub/deep").mkdir(mode=0o777)
    assert os.getxattr(place / "d/sub/deep", DEFAULT) == DIRECTORY_ACL


@row(
    bottom={"d": Directory(xattrs={DEFAULT: DIRECTORY_ACL})},
    expected={"pyfuse3": (0o700, 0o600), "default": (0o775, 0o664)},
    because="the kernel applies the umask before asking, unless told otherwise, which pyfuse3 can't",
)
def test_a_default_acl_replaces_the_umask(place: Place) -> None:
    with umask(0o077):
        (place / "d/sub").mkdir(mode=0o777)
        os.close(os.open(place / "d/f", os.O_CREAT | os.O_WRONLY, 0o666))
    modes = tuple(stat.S_IMODE((place / name).stat().st_mode) for name in ("d/sub", "d/f"))
    assert modes == place.expected


@row(
    bottom={"f": File(b"x", xattrs={ACCESS: FILE_ACL}), "d": Directory(xattrs={DEFAULT: DIRECTORY_ACL}), "d/f": File()}
)
def test_acls_are_copied_up(place: Place) -> None:
    with (place / "f").open("ab") as file:
        file.write(b"y")
    (place / "d/f").unlink()
    assert os.getxattr(place / "f", ACCESS) == FILE_ACL
    assert os.getxattr(place / "d", DEFAULT) == DIRECTORY_ACL
    assert as_user(partial(errno_of, os.open, place / "f", os.O_RDWR), uid=FRIEND) == 0


@row(own=True, options=("noacl",), bottom={"f": File(b"x", xattrs={ACCESS: FILE_ACL})}, on=OURS)
def test_noacl_leaves_the_mode_alone_to_decide(place: Place) -> None:
    """An option of fuse-overlayfs; overlayfs has none."""
    assert errno_of(os.getxattr, place / "f", ACCESS) in {EOPNOTSUPP, ENODATA}
    assert errno_of(os.setxattr, place / "f", ACCESS, FILE_ACL) == EOPNOTSUPP
    assert ACCESS not in os.listxattr(place / "f")
