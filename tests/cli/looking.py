"""An image with something to look at in it, made of tar layers."""

from tests.tarball import archive, directory, file, hardlink, symlink

BASE = archive(
    directory(b"etc", mode=0o750),
    file(b"etc/passwd", b"root:x:0:0\n", mode=0o640, uid=1, gid=2, mtime=1_000_000_000),
    file(b"etc/.hidden", b"h"),
    file(b"etc/old", b"o" * 1000),
    directory(b"usr"),
    directory(b"usr/bin"),
    file(b"usr/bin/tool", b"#!tool", mode=0o4755, mtime=1_000_000_000),
    hardlink(b"usr/bin/same", b"usr/bin/tool"),
    symlink(b"bin", b"usr/bin"),
    symlink(b"usr/bin/up", b"../../../../etc/passwd"),
)
MIDDLE = archive(file(b"etc/.wh.old"), file(b"etc/passwd", b"root:x:0:0\nme:x:1:1\n", mode=0o640, uid=1, gid=2))
TOP = archive(file(b"srv/a\x1b[31m", b"red"), file(b"srv/sub/page", b"<p>"))
LAYERS = [BASE, MIDDLE, TOP]
HISTORY = [
    {"created_by": "ADD rootfs.tar /"},
    {"created_by": "ENV A=b", "empty_layer": True},
    {"created_by": "RUN rm /etc/old"},
    {"created_by": "COPY srv /srv"},
]
