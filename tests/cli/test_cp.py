"""``unionfs cp`` and ``unionfs export``."""

import io
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.cli.looking import LAYERS
from tests.cli.stored import Captured, fill, printed, run, source
from tests.tarball import archive, char, file, symlink

UNIONFS = Path(sys.executable).with_name("unionfs")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the working directory."""
    monkeypatch.setenv("UNIONFS_ROOT", str(tmp_path / "store"))
    fill(tmp_path / "store", LAYERS, "app:1")
    directory = tmp_path / "place"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def tree(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.mark.parametrize(
    ("path", "target", "found"),
    [
        ("/etc/passwd", ".", ["passwd"]),
        ("/etc/passwd", "new", ["new"]),
        ("/etc", "new", ["new", "new/.hidden", "new/passwd"]),
        ("/etc", ".", ["etc", "etc/.hidden", "etc/passwd"]),
        ("/etc/", ".", ["etc", "etc/.hidden", "etc/passwd"]),
        ("/etc/.", ".", [".hidden", "passwd"]),
        ("/usr/bin/..", "new", ["new", "new/bin", "new/bin/same", "new/bin/tool", "new/bin/up"]),
        ("/usr/bin/../bin/..", ".", ["usr", "usr/bin", "usr/bin/same", "usr/bin/tool", "usr/bin/up"]),
        ("/bin", ".", ["bin"]),
        ("/bin/tool", ".", ["tool"]),
    ],
)
def test_a_copy_goes_where_docker_puts_it(
    place: Path, capsys: Captured, path: str, target: str, found: list[str]
) -> None:
    assert printed(capsys, "cp", f"app:1:{path}", target) == []
    assert tree(place) == found


def test_the_root_is_copied_whole(place: Path, capsys: Captured) -> None:
    printed(capsys, "cp", "app:1:/", ".")
    assert [path.name for path in sorted(place.iterdir())] == ["bin", "etc", "srv", "usr"]
    tool, same = place / "usr/bin/tool", place / "usr/bin/same"
    assert tool.samefile(same)
    assert tool.stat().st_mode & 0o7777 == 0o755
    assert (tool.stat().st_mtime, tool.stat().st_uid) == (1_000_000_000, os.geteuid())


def test_a_link_is_copied_or_what_it_leads_to(place: Path, capsys: Captured) -> None:
    printed(capsys, "cp", "app:1:/bin/up", ".")
    assert os.readlink(place / "up") == "../../../../etc/passwd"
    printed(capsys, "cp", "-L", "app:1:/bin/up", ".")
    assert (place / "up").read_text() == "root:x:0:0\nme:x:1:1\n"
    assert not (place / "up").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices are set by root alone")
def test_owners_and_devices_are_copied_when_all_is(place: Path, tmp_path: Path, capsys: Captured) -> None:
    layer = archive(char(b"dev/null", 1, 3, mode=0o666), file(b"dev/f", mode=0o4711, uid=5, gid=6))
    fill(tmp_path / "store", [layer], "dev:1")
    code, output, errors = run(capsys, "cp", "dev:1:/dev", ".")
    assert (code, output) == (1, "")
    assert errors == "unionfs: warning: dev:1:/dev/null is a device, which only -a copies; it is left out\n"
    assert tree(place) == ["dev", "dev/f"]
    printed(capsys, "cp", "-a", "dev:1:/dev", ".")
    found = os.lstat(place / "dev/null")
    assert (stat.S_ISCHR(found.st_mode), found.st_rdev) == (True, os.makedev(1, 3))
    assert (os.lstat(place / "dev/f").st_uid, os.lstat(place / "dev/f").st_mode & 0o7777) == (5, 0o4711)


def test_a_link_leads_where_it_leads_in_the_image(place: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "secret").write_text("of this machine")
    up = "/".join([".."] * 40)
    layer = archive(
        symlink(b"absolute", bytes(tmp_path)), symlink(b"up", f"{up}{tmp_path}".encode()),
        symlink(b"magic", b"/proc/self/root"), symlink(b"secret", bytes(tmp_path / "secret")),
    )  # fmt: skip
    fill(tmp_path / "store", [layer], "evil:1")
    for path in ("/absolute/secret", "/up/secret", f"/magic{tmp_path}/secret", "/../../secret"):
        for words in (["cp", "-L", f"evil:1:{path}", "."], ["cat", f"evil:1:{path}"]):
            code, output, errors = run(capsys, *words)
            assert (code, output) == (1, "")
            assert errors == f"unionfs: error: evil:1:{path}: No such file or directory\n"
    assert tree(place) == []


def test_a_failure_is_one_line_that_names_what_is_wrong(place: Path, capsys: Captured) -> None:
    (place / "file").touch()
    for words, said in (
        (["app:1:/nope", "."], "app:1:/nope: No such file or directory"),
        (["app:1:/etc", "file"], "file: a directory can't be copied over what is no directory"),
        (["app:1:/etc/passwd", "nope/"], "nope/: there is no such directory"),
        (["app:1:/etc/passwd/.", "."], "app:1:/etc/passwd/.: Not a directory"),
        (["nope:/etc", "."], 'no such image: "nope"'),
    ):
        code, output, errors = run(capsys, "cp", *words)
        assert (code, output, errors.count("\n")) == (1, "", 1)
        assert errors.startswith(f"unionfs: error: {said}")
    assert tree(place) == ["file"]


def test_wrong_arguments_are_refused(capsys: Captured) -> None:
    for words in (["app:1", "."], ["app:1:/etc", ""], ["app:1:/etc"]):
        assert run(capsys, "cp", *words)[0] == 2


def archived(*words: str) -> dict[str, tarfile.TarInfo]:
    written = subprocess.run([UNIONFS, *words], capture_output=True, check=True)
    assert written.stderr == b""
    with tarfile.open(fileobj=io.BytesIO(written.stdout)) as found:
        return {member.name: member for member in found}


def test_a_part_is_written_as_a_tar() -> None:
    found = archived("cp", "app:1:/usr/bin", "-")
    assert list(found) == ["bin", "bin/same", "bin/tool", "bin/up"]
    assert (found["bin/tool"].islnk(), found["bin/tool"].linkname, found["bin/same"].mode) == (True, "bin/same", 0o4755)
    assert list(archived("cp", "app:1:/etc/.", "-")) == [".", ".hidden", "passwd"]
    assert list(archived("cp", "app:1:/etc/passwd", "-")) == ["passwd"]
    assert list(archived("cp", "-L", "app:1:/bin", "-")) == ["bin", "bin/same", "bin/tool", "bin/up"]


def test_the_whole_root_is_exported(place: Path, capsys: Captured) -> None:
    names = [".", "bin", "etc", "etc/.hidden", "etc/passwd", "srv", "srv/a\x1b[31m", "srv/sub", "srv/sub/page",
             "usr", "usr/bin", "usr/bin/same", "usr/bin/tool", "usr/bin/up"]  # fmt: skip
    found = archived("export", "app:1")
    assert list(found) == names
    assert (found["etc/passwd"].uid, found["etc/passwd"].gid, found["etc/passwd"].mode) == (1, 2, 0o640)
    assert found["usr/bin/tool"].linkname == "usr/bin/same"
    printed(capsys, "export", "-o", "root.tar", "app:1")
    with tarfile.open(place / "root.tar") as written:
        assert written.getnames() == names
    first = (place / "root.tar").read_bytes()
    printed(capsys, "export", "-o", "root.tar", "app:1")
    assert (place / "root.tar").read_bytes() == first


def test_an_export_that_fails_leaves_what_was_there(place: Path, capsys: Captured) -> None:
    (place / "root.tar").write_text("mine")
    assert run(capsys, "export", "-o", "root.tar", "nope")[0] == 1
    assert run(capsys, "export", "-o", "", "app:1")[0] == 2
    assert (place / "root.tar").read_text() == "mine"
    assert tree(place) == ["root.tar"]


def test_an_image_in_a_file_is_copied_from_too(place: Path, tmp_path: Path, capsys: Captured) -> None:
    printed(capsys, "cp", f"oci:{source(tmp_path / 'layout', LAYERS)}:/srv/sub", ".")
    assert tree(place) == ["sub", "sub/page"]
