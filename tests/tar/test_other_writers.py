"""Archives that other programs write: GNU tar in all its formats, and Python's tarfile."""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.tar.reading import content, only
from unionfs.tar import Entry, Kind, Reader

LONG = "a-longish-name/" * 14 + "file"
HOLES = [(0, b"first"), (1 << 20, b"x" * 5000), ((3 << 20) + 512, b"y"), ((5 << 20) - 1, b"z")]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    (root / LONG).parent.mkdir(parents=True)
    (root / LONG).write_bytes(b"long")
    (root / "empty").touch()
    (root / "odd\nname\xff".encode("latin-1").decode("utf-8", "surrogateescape")).write_bytes(b"odd")
    (root / ("n" * 100)).write_bytes(b"n" * 511)
    (root / ("n" * 101)).write_bytes(b"n" * 512)
    (root / ("n" * 255)).write_bytes(b"n" * 513)
    (root / "big").write_bytes(bytes(range(256)) * 10_000)
    (root / "link").symlink_to("../dangling")
    (root / "long-link").symlink_to("t" * 300)
    os.link(root / "big", root / "hard")
    os.link(root / LONG, root / "hard-long")
    os.mkfifo(root / "fifo")
    os.chmod(root / "empty", 0o6711)
    os.utime(root / "empty", ns=(1_000_000_000_123_456_789, 987_654_321_000_000_001))
    os.utime(root / "link", ns=(5_000_000_000, 5_000_000_000), follow_symlinks=False)
    return root


def gnu_tar(root: Path, *options: str, name: str = ".") -> bytes:
    command = ["tar", "--create", "--file=-", "--directory", str(root), "--sort=name", *options, name]
    return subprocess.run(command, check=True, capture_output=True).stdout


def read(archive: bytes) -> dict[bytes, tuple[Entry, bytes]]:
    stream = io.BytesIO(archive)
    reader = Reader(stream)
    found = {os.path.normpath(entry.name): (entry, content(entry, reader.chunks())) for entry in reader}
    assert stream.tell() == len(archive)
    return found


def type_of(mode: int) -> Kind:
    types = {stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFDIR: Kind.DIR, stat.S_IFIFO: Kind.FIFO}
    return types[stat.S_IFMT(mode)]


def check(root: Path, found: dict[bytes, tuple[Entry, bytes]], grain: int) -> None:
    # Not Path.rglob, which asks behind each symbolic link and fails at one whose target is too long a name.
    walked = [(Path(above), name) for above, directories, files in os.walk(root) for name in directories + files]
    paths = [b".", *(os.fsencode((above / name).relative_to(root)) for above, name in walked)]
    assert sorted(found) == sorted(os.path.normpath(path) for path in paths)
    for name, (entry, data) in found.items():
        path = os.path.join(os.fsencode(root), name)
        is_ = os.lstat(path)
        assert (entry.mode, entry.uid, entry.gid) == (stat.S_IMODE(is_.st_mode), is_.st_uid, is_.st_gid)
        assert entry.mtime_ns == is_.st_mtime_ns // grain * grain
        if entry.kind is Kind.HARDLINK:
            assert os.path.samefile(path, os.path.join(os.fsencode(root), entry.linkname))
            continue
        assert entry.kind is type_of(is_.st_mode)
        assert entry.linkname == (os.readlink(path) if entry.kind is Kind.SYMLINK else b"")
        assert data == (Path(os.fsdecode(path)).read_bytes() if entry.kind is Kind.FILE else b"")


@pytest.mark.parametrize("form", ["gnu", "oldgnu", "pax"])
def test_a_tree_packed_by_gnu_tar_is_read_exactly(tree: Path, form: str) -> None:
    check(tree, read(gnu_tar(tree, f"--format={form}")), 1 if form == "pax" else 1_000_000_000)


@pytest.mark.parametrize("form", ["ustar", "v7"])
def test_the_older_formats_hold_a_tree_of_shorter_names(tree: Path, form: str) -> None:
    short = ["--exclude=nnn*", "--exclude=long-link", "--exclude=hard-long"]
    if form == "v7":
        short += ["--exclude=a-longish-name", "--exclude=fifo"]
    found = read(gnu_tar(tree, f"--format={form}", *short))
    for name, (entry, data) in found.items():
        path = tree / os.fsdecode(name)
        assert entry.mtime_ns == path.lstat().st_mtime_ns // 1_000_000_000 * 1_000_000_000
        if entry.kind is Kind.FILE:
            assert data == path.read_bytes()
    assert (os.fsencode(LONG) in found) == (form == "ustar")
    assert {b"empty", b"link", b"big", b"hard", b"odd\nname\xff"} <= set(found)


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("holes")
    with (root / "holes").open("wb") as file:
        for offset, data in HOLES:
            os.pwrite(file.fileno(), data, offset)
        file.truncate(6 << 20)
    with (root / "fragments").open("wb") as file:
        for n in range(100):
            os.pwrite(file.fileno(), b"%04d" % n, n * 16384 + 8192)
    with (root / "hollow").open("wb") as file:
        file.truncate(1 << 40)
    return root


SPARSE = [
    ("--format=oldgnu",),
    ("--format=gnu",),
    ("--format=pax", "--sparse-version=0.0"),
    ("--format=pax", "--sparse-version=0.1"),
    ("--format=pax", "--sparse-version=1.0"),
]


@pytest.mark.parametrize("options", SPARSE)
@pytest.mark.parametrize("detection", ["seek", "raw"])
@pytest.mark.parametrize("name", ["holes", "fragments"])
def test_sparse_files_packed_by_gnu_tar_keep_their_holes(
    holes: Path, options: tuple[str, ...], detection: str, name: str
) -> None:
    archive = gnu_tar(holes, "--sparse", f"--hole-detection={detection}", *options, name=name)
    ((entry, data),) = read(archive).values()
    assert entry.name == name.encode()
    assert data == (holes / name).read_bytes()
    assert entry.sparse is not None
    assert sum(length for _, length in entry.sparse) < entry.size // 2


@pytest.mark.parametrize("options", SPARSE)
def test_a_tebibyte_of_nothing_packed_by_gnu_tar_is_small(holes: Path, options: tuple[str, ...]) -> None:
    entry = only(gnu_tar(holes, "--sparse", *options, name="hollow"))
    assert (entry.name, entry.size, entry.sparse) == (b"hollow", 1 << 40, ())


def test_xattrs_packed_by_gnu_tar_are_exact(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.touch()
    values = {"user.text": b"plain", "user.binary": b"\x01\n\xff\0=", "user.empty": b""}
    for key, value in values.items():
        os.setxattr(file, key, value)
    entry = only(gnu_tar(tmp_path, "--format=pax", "--xattrs", name="f"))
    assert {os.fsdecode(key): value for key, value in entry.xattrs.items()} == values


def written_by_tarfile(form: int, *members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def tar_info(name: str, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(member, field, value)
    return member


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_of_tarfile_is_read_exactly(form: int) -> None:
    found = read(
        written_by_tarfile(
            form,
            (tar_info("d", type=tarfile.DIRTYPE, mode=0o1777, mtime=5), b""),
            (tar_info("d/\xe9\udcff", size=700, mode=0o4755, uid=7, gid=8, mtime=9), b"x" * 700),
            (tar_info("d/l", type=tarfile.SYMTYPE, linkname="\xe9"), b""),
            (tar_info("d/h", type=tarfile.LNKTYPE, linkname="d/\xe9\udcff"), b""),
            (tar_info("d/c", type=tarfile.CHRTYPE, devmajor=5, devminor=1), b""),
            (tar_info("d/b", type=tarfile.BLKTYPE, devmajor=300, devminor=70000), b""),
            (tar_info("d/f", type=tarfile.FIFOTYPE), b""),
            (tar_info("p" * 90 + "/" + "n" * 90, size=3), b"abc"),
        )
    )
    odd = b"d/\xc3\xa9\xff"
    assert [
        (entry.name, entry.kind, entry.linkname, entry.devmajor, entry.devminor, data) for entry, data in found.values()
    ] == [
        (b"d/", Kind.DIR, b"", 0, 0, b""),
        (odd, Kind.FILE, b"", 0, 0, b"x" * 700),
        (b"d/l", Kind.SYMLINK, b"\xc3\xa9", 0, 0, b""),
        (b"d/h", Kind.HARDLINK, odd, 0, 0, b""),
        (b"d/c", Kind.CHAR, b"", 5, 1, b""),
        (b"d/b", Kind.BLOCK, b"", 300, 70000, b""),
        (b"d/f", Kind.FIFO, b"", 0, 0, b""),
        (b"p" * 90 + b"/" + b"n" * 90, Kind.FILE, b"", 0, 0, b"abc"),
    ]
    assert [(entry.mode, entry.uid, entry.gid, entry.mtime_ns) for entry, _ in list(found.values())[:2]] == [
        (0o1777, 0, 0, 5_000_000_000),
        (0o4755, 7, 8, 9_000_000_000),
    ]


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_large_numbers_and_long_names_of_tarfile_are_exact(form: int) -> None:
    member = tar_info("d/" * 500 + "f", size=1, uid=4000000000, gid=3000000, mtime=-7)
    link = tar_info("l" * 300, type=tarfile.SYMTYPE, linkname="t" * 4000)
    found = list(read(written_by_tarfile(form, (member, b"x"), (link, b""))).values())
    assert found[0][1] == b"x"
    assert found[0][0].name == b"d/" * 500 + b"f"
    assert (found[0][0].uid, found[0][0].gid, found[0][0].mtime_ns) == (4000000000, 3000000, -7_000_000_000)
    assert (found[1][0].name, found[1][0].linkname) == (b"l" * 300, b"t" * 4000)


def test_a_fraction_of_a_second_of_tarfile_is_exact() -> None:
    archive = written_by_tarfile(tarfile.PAX_FORMAT, (tar_info("a", mtime=-1.5), b""), (tar_info("b", mtime=0.25), b""))
    assert [entry.mtime_ns for entry, _ in read(archive).values()] == [-1_500_000_000, 250_000_000]


def test_global_records_of_tarfile_have_no_effect() -> None:
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "evil", "mtime": "9"}
    ) as archive:
        archive.addfile(tarfile.TarInfo("a"))
    entry = only(out.getvalue())
    assert (entry.name, entry.mtime_ns) == (b"a", 0)
