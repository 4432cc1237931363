"""What a run is told of its surroundings, and how that is handed to the process that makes them."""

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Process(NamedTuple):
    """A command with what it is given; text that isn't UTF-8 is in surrogates (PEP 383)."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    """Without HOME, unless the image or the caller sets it: that follows from the user."""
    directory: str = "/"
    user: str = ""
    """As the image-spec writes it: ``user``, ``uid``, ``user:group``, ``uid:gid`` and so on; empty: root."""


class Volume(NamedTuple):
    """A directory or file of the host, with all that is mounted beneath it, shown at a path of the root."""

    source: str
    destination: str
    read_only: bool = False


class Setup(NamedTuple):
    """The command and what stands around it."""

    process: Process
    host_name: str
    read_only: bool = False
    volumes: tuple[Volume, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    """Paths of the root that show other content than the root has, and that content; what is written there is lost."""


class Spec(NamedTuple):
    """A ``Setup`` with what process 1 needs beside it; descriptors are of the process that is to become it."""

    setup: Setup
    root_fd: int
    """The root, mounted and unattached."""
    mountpoint: str
    """A directory of the host, outside of everything that the setup names, to attach the root to."""
    report_fd: int
    alive_fd: int
    """A pidfd of the process that started this one."""
    channel_fd: int | None
    """Where to send the other end of a terminal for the command; None: it gets none."""
    signal_mask: tuple[int, ...]
    """The signals that the command is to find blocked."""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that process 1 is given beside the standard ones."""
        given = (self.root_fd, self.report_fd, self.alive_fd, self.channel_fd)
        return tuple(fd for fd in given if fd is not None)

    def to_file(self) -> int:
        """Write it to a file in memory, and give that."""
        fd = os.memfd_create("spec")
        process = self.setup.process._asdict()
        fields = {**self._asdict(), "setup": {**self.setup._asdict(), "process": process}}
        with os.fdopen(os.dup(fd), "w", encoding="utf-8") as file:
            json.dump(fields, file)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd


def read_spec(fd: int) -> Spec:
    """Read back what ``to_file`` wrote, and close it."""
    with os.fdopen(fd, encoding="utf-8") as file:
        fields = json.load(file)
    setup = fields["setup"]
    process = setup["process"]
    setup["process"] = Process(**{**process, "arguments": tuple(process["arguments"])})
    setup["volumes"] = tuple(Volume(*volume) for volume in setup["volumes"])
    setup["files"] = tuple((path, content) for path, content in setup["files"])
    return Spec(**{**fields, "setup": Setup(**setup), "signal_mask": tuple(fields["signal_mask"])})
