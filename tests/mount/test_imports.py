"""What is loaded to mount: what takes long to load and isn't needed isn't."""

import subprocess
import sys

import pytest

_SERVING = "import unionfs.cli.mount, unionfs.mount.stack, unionfs.fuse.kernel.session"
_NEEDLESS = (
    "trio", "pyfuse3", "subprocess", "logging.handlers", "dataclasses", "inspect", "socket", "tempfile", "tarfile",
    "zlib", "json", "hashlib",
)  # fmt: skip


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Give the modules that a daemon on the kernel's protocol has loaded, but for those of the interpreter's start."""
    program = f"import sys; before = set(sys.modules); {_SERVING}; print(*(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize("module", _NEEDLESS)
def test_mounting_loads_nothing_that_it_does_not_use(loaded: set[str], module: str) -> None:
    assert module not in loaded
