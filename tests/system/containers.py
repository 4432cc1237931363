"""buildah, podman, skopeo and umoci with a storage of their own, gone at the end."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.filesystems import scratch
from tests.mounts import MNT_DETACH, is_mounted, mounts_beneath, unmount


class Containers:
    """The programs, each run in ``directory``, where their storage is."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._storage = directory / "storage.conf"
        self._storage.write_text(
            f'[storage]\ndriver = "overlay"\nrunroot = "{directory}/run"\ngraphroot = "{directory}/storage"\n'
        )

    def run(self, *command: str) -> str:
        """Run a program on this storage and give what it prints.

        Raises:
            CalledProcessError: it failed; its errors went to this program's stderr.
        """
        environment = {**os.environ, "CONTAINERS_STORAGE_CONF": str(self._storage)}
        done = subprocess.run(
            command, cwd=self.directory, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.strip()

    @contextmanager
    def changing(self, image: str, changed: str) -> Iterator[Path]:
        """Give the root file system of ``image``; what the block does to it becomes the top layer of ``changed``."""
        container = self.run("buildah", "from", "--pull-never", image)
        yield Path(self.run("buildah", "mount", container))
        self.run("buildah", "umount", container)
        self.run("buildah", "commit", "--quiet", container, changed)
        self.run("buildah", "rm", container)

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """Give the image's files as podman shows them."""
        yield Path(self.run("podman", "image", "mount", image))
        self.run("podman", "image", "umount", image)


@contextmanager
def containers() -> Iterator[Containers]:
    """Give the programs, and take away what they made and mounted."""
    with scratch() as directory:
        try:
            yield Containers(directory)
        finally:
            for mountpoint in mounts_beneath(directory):
                while is_mounted(mountpoint):
                    unmount(mountpoint, MNT_DETACH)
