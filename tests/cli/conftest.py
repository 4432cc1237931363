"""A directory to mount on, as the tests of mounting have it."""

from tests.mount.conftest import mountpoint

__all__ = ["mountpoint"]
