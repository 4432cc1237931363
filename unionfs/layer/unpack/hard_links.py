"""Hard links of a layer, to files of the layer itself and to files beneath it.

A link to a file that the layer doesn't have means the file of the layers beneath, which are not known yet. A file that
holds nothing but the names of target and link stands for it. It has a name outside the layer's root as well, by which
``settle`` finds it and puts the content in.
"""

import errno
import hashlib
import os
import stat

from unionfs.layer.unpack import paths
from unionfs.layer.unpack.errors import LayerError
from unionfs.layer.unpack.inode import CREATE
from unionfs.layer.unpack.places import Places
from unionfs.layer.unpack.staging import LINKS, PARKED, PLNK, Staging
from unionfs.layer.unpack.tree import OpenDirectory
from unionfs.layer.unpack.unsettled import Unsettled
from unionfs.layer.whiteout import PREFIX
from unionfs.linux.files import descriptor_path
from unionfs.tar import Entry, printable


class HardLinks:
    """Makes the hard links of one layer."""

    def __init__(self, staging: Staging, places: Places, unsettled: Unsettled, depth: int) -> None:
        self._staging = staging
        self._places = places
        self._unsettled = unsettled
        self._depth = depth

    def make(self, entry: Entry, parent: OpenDirectory, name: bytes) -> None:
        """Make *name* in *parent* a link to the entry's target, which is never followed if it is a symbolic link.

        Raises:
            LayerError: the target is a directory, isn't there or can't be there, or is the link itself.
            OSError: EMLINK and others of link(2).
        """
        target = paths.target(entry.linkname, self._depth)
        if target == paths.join(parent.path, name):
            raise _refused(entry, "is the link itself")
        source_fd, source = self._source(entry, target)
        parent = self._places.parent(parent.path)  # the search may have closed it
        try:
            _link(source_fd, source, parent.fd, name)
        except FileExistsError:
            self._replace(source_fd, source, parent, name)

    def _replace(self, source_fd: int, source: bytes, parent: OpenDirectory, name: bytes) -> None:
        """Put the link over what stands at *name*, of which the target itself may be a part."""
        _link(source_fd, source, self._staging.fd, PARKED)
        self._places.make_room(parent, name)
        os.rename(PARKED, name, src_dir_fd=self._staging.fd, dst_dir_fd=parent.fd)

    def _source(self, entry: Entry, target: bytes) -> tuple[int, bytes]:
        directory_path, _, name = target.rpartition(b"/")
        if directory_path == paths.AUFS_PLNK:
            fd = self._staging.directory(PLNK)
            if not os.path.lexists(descriptor_path(fd) + b"/" + name):
                raise _refused(entry, "isn't there")
            return fd, name
        if target.startswith(PREFIX) or b"/" + PREFIX in target:
            raise _refused(entry, "has the name of a whiteout")
        try:
            directory = self._places.tree.directory(directory_path)
            found = os.stat(name or b".", dir_fd=directory.fd, follow_symlinks=False)
        except FileNotFoundError:
            return self._beneath(entry, target)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            raise _refused(entry, "lies in something that isn't a directory") from None
        if stat.S_ISDIR(found.st_mode):
            raise _refused(entry, "is a directory")
        if self._places.whiteouts.stands(directory.fd, name, found):
            raise _refused(entry, "was removed by this layer")
        return directory.fd, name

    def _beneath(self, entry: Entry, target: bytes) -> tuple[int, bytes]:
        """Give the file that stands for *target* of the layers beneath."""
        self._check_shows(entry, target)
        fd = self._staging.directory(LINKS)
        stand_in = hashlib.sha256(target).hexdigest().encode()
        try:
            file = os.open(stand_in, CREATE, 0o600, dir_fd=fd)
        except FileExistsError:
            return fd, stand_in
        try:
            os.write(file, target + b"\0" + entry.name)
        finally:
            os.close(file)
        self._unsettled.links += 1
        return fd, stand_in

    def _check_shows(self, entry: Entry, target: bytes) -> None:
        """Refuse a target that this layer hides so far."""
        whiteouts, path, rest = self._places.whiteouts, b"", target
        while True:
            try:
                directory = self._places.tree.directory(path)
            except FileNotFoundError:
                return
            name, _, rest = rest.partition(b"/")
            if whiteouts.is_opaque(directory.fd) or whiteouts.has_prefixed(directory.fd, name):
                raise _refused(entry, "was removed by this layer")
            if not rest:
                return
            path = paths.join(path, name)


def _link(source_fd: int, source: bytes, target_fd: int, target: bytes) -> None:
    os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)


def _refused(entry: Entry, why: str) -> LayerError:
    return LayerError(f"{printable(entry.name)}: the target {printable(entry.linkname)} of the hard link {why}")
