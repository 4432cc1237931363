"""An image that buildah built, unpacked here and by umoci: both show the same tree."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mounts import mount, unmount_or_detach
from tests.snapshots import differences, snapshot
from unionfs.archive import open_archive
from unionfs.store import unpack_image

BUSYBOX = Path("/bin/busybox")
NEEDED = ("buildah", "skopeo", "umoci", "setcap", "setfattr")
CONTAINERFILE = r"""
FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
COPY --chown=7:8 context /srv/context
COPY tricky /
RUN mkdir -p /var/spool/deep/er && mkfifo -m 0640 /var/fifo && chmod 1777 /var/spool \
    && ln /bin/busybox /var/hard && ln -s ../nowhere /var/dangling && touch -d @1234567890 /var/old \
    && chmod 6755 /bin/busybox && chown -h 3:4 /var/dangling
RUN rm -r /srv/context/dir && rm /srv/context/file && mkdir /srv/context/dir && echo new > /srv/context/dir/new
RUN rm -r /var/spool && echo file > /var/spool && mkdir "/srv/with space" && rm /var/old && mkdir /var/old
RUN mv /srv/context /srv/moved && chown -R 11:12 /srv/moved && touch "/srv/moved/$(printf 'new\nline')"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Build an image of many kinds of files and changes, as an OCI layout; give the directory that holds it."""
    if os.geteuid() != 0:
        pytest.skip("buildah builds with owners as root alone")
    missing = [tool for tool in NEEDED if shutil.which(tool) is None]
    if missing or not BUSYBOX.exists():
        pytest.skip(f"not installed: {missing or BUSYBOX}")
    room = tmp_path_factory.mktemp("real")
    fill_context(room / "context")
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs"}
    buildah = ("buildah", "--root", room / "storage", "--runroot", room / "run")
    build = (*buildah, "build", "--quiet", "--layers", "--tag", "demo", room / "context")
    for command in (build, (*buildah, "push", "--quiet", "demo", f"oci:{room}/layout:demo")):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    yield room
    subprocess.run(["rm", "-rf", room], check=True)


def fill_context(context: Path) -> None:
    (context / "context/dir/sub").mkdir(parents=True)
    shutil.copy(BUSYBOX, context / "busybox")
    (context / "Containerfile").write_text(CONTAINERFILE)
    (context / "context/file").write_text("file")
    (context / "context/dir/sub/file").write_text("deep")
    tricky = context / "tricky/opt"
    tricky.mkdir(parents=True)
    (tricky / "capable").write_text("#!")
    (tricky / "attributed").write_text("")
    with (tricky / "sparse").open("wb") as sparse:
        sparse.seek(1 << 20)
        sparse.write(b"end")
    subprocess.run(["setcap", "cap_net_raw+ep", tricky / "capable"], check=True)
    subprocess.run(["setfattr", "-n", "user.k", "-v", "v", tricky / "attributed"], check=True)


def test_real_image_shows_what_umoci_unpacks(built: Path, tmp_path: Path) -> None:
    command = ("umoci", "unpack", "--image", f"{built}/layout:demo", tmp_path / "bundle")
    subprocess.run(command, check=True, capture_output=True)
    with open_archive(built / "layout") as opened:
        unpacked = unpack_image(opened.image("demo"), tmp_path / "layers")
    assert unpacked.warnings == ()
    target, nothing = tmp_path / "merged", tmp_path / "nothing"
    target.mkdir()
    nothing.mkdir()
    mount("overlay", target, "overlay", 0, f"lowerdir={unpacked.lowerdir}:{nothing}")
    try:
        ours = dict(snapshot(target))
    finally:
        assert unmount_or_detach(target)
    theirs = dict(snapshot(tmp_path / "bundle/rootfs"))
    # Without an entry for it umoci gives the root the time of the unpacking.
    del ours["."], theirs["."]
    assert len(ours) > 200
    assert differences(theirs, ours, ignoring=frozenset({"ino", "ctime_ns", "nlink"})) == []


def test_archives_of_either_format_give_the_same_layers(built: Path, tmp_path: Path) -> None:
    source = f"oci:{built}/layout:demo"
    for form in ("docker-archive", "oci-archive"):
        subprocess.run(
            ["skopeo", "copy", "--quiet", source, f"{form}:{tmp_path}/{form}.tar:demo:1"],
            check=True,
            capture_output=True,
        )
    names = []
    for path in (built / "layout", tmp_path / "docker-archive.tar", tmp_path / "oci-archive.tar"):
        with open_archive(path) as opened:
            names.append([layer.path.name for layer in unpack_image(opened.image(), tmp_path / "layers").layers])
    assert names[0] == names[1] == names[2]
