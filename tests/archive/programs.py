"""podman, buildah, skopeo and umoci, with images in a storage of their own. A program that is missing is a failure."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BIG = os.urandom(300_000)
FILES = [{"/hello": b"hello\n"}, {"/etc/big": BIG}]


@dataclass
class Programs:
    """The programs with a storage of their own."""

    top: Path

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.top, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()

    def buildah(self, *arguments: str) -> str:
        return self.run("buildah", *self._storage(), *arguments)

    def podman(self, *arguments: str) -> str:
        return self.run("podman", *self._storage(), *arguments)

    def _storage(self) -> tuple[str, ...]:
        return "--root", str(self.top / "root"), "--runroot", str(self.top / "run"), "--storage-driver", "vfs"

    def build(self, name: str, files: dict[str, bytes], parent: str = "scratch", *options: str) -> None:
        """Commit an image with one more layer than its parent."""
        container = self.buildah("from", "--pull-never", *options, parent)
        for path, content in files.items():
            (self.top / "source").write_bytes(content)
            self.buildah("copy", container, "source", path)
        self.buildah("config", "--env", "GREETING=hello", "--cmd", "/bin/run", "--workingdir", "/work", container)
        self.buildah("commit", "--quiet", container, name)
        self.buildah("rm", container)

    def inspect(self, name: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self.podman("image", "inspect", name))
        return found[0]
