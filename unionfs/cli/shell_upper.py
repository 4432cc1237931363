"""What becomes of what a shell changed: thrown away, kept under a name, or made an image."""

import os
import secrets
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from unionfs.cli.images import opened_image
from unionfs.cli.named_uppers import named_upper
from unionfs.cli.new_image import commit, made_now
from unionfs.cli.notices import warn
from unionfs.image import Platform, Reference
from unionfs.store.mounts import StoredMount
from unionfs.store.store import StackedImage, Store
from unionfs.store.uppers import Upper


class Fate:
    """What is to become of the changes: kept as the upper *keep*, made the image *name*, both, or neither.

    What is to become an image has a name in the store until then, so that nothing is lost where that fails.
    """

    def __init__(self, store: Store, keep: str | None, name: Reference | None) -> None:
        self._store = store
        self._keep = keep
        self._name = name
        self._upper = keep if name is None or keep is not None else f"shell-{secrets.token_hex(4)}"

    @contextmanager
    def opened(self, argument: str, platform: Platform | None) -> Iterator[tuple[StackedImage, Upper]]:
        """Give the image that *argument* means, and the upper, which goes if something is raised meanwhile.

        Raises:
            StoreError, ImageError, OSError: there is no such image, or it can't have such an upper.
        """
        try:
            with opened_image(self._store, argument, platform) as stacked:
                upper, mount = self._begin(stacked)
            try:
                yield stacked, upper
            finally:
                mount.end()
        except BaseException:
            self._discard()
            raise

    def _begin(self, stacked: StackedImage) -> tuple[Upper, StoredMount]:
        where = f"(unionfs shell, process {os.getpid()})"
        if self._upper is not None:
            upper = named_upper(self._store, self._upper, stacked)
            return upper, self._store.mounts.begin(stacked.use, where, upper=self._upper)
        mount = self._store.mounts.begin(stacked.use, where, temporary_over=stacked.lowers[0])
        assert mount.upper is not None
        return mount.upper, mount

    def settle(self, command: Sequence[str], code: int) -> None:
        """Make the image, if one is wanted, after *command* has ended with *code*, and remove what isn't kept.

        A command that failed makes none; a shell without a command does, whatever came of its last line.

        Raises:
            StoreError, ImageError, ArchiveError, OSError: the image can't be made; the upper stays.
        """
        if self._name is not None:
            if command and code:
                warn(f"no image is made, since the command ended with {code}")
            else:
                self._commit(self._name, command)
        self._discard()

    def _commit(self, name: Reference, command: Sequence[str]) -> None:
        step = made_now(shlex.join(("unionfs", "shell", *command)))
        with self._store.using():
            upper = self._store.uppers.require(self._upper or "")
            try:
                made = commit(self._store, upper, step, [name])
            except BaseException:
                warn(f"the changes are kept: 'unionfs commit {upper.name} {name.familiar}' tries again")
                raise
        print(f"unionfs: committed as {name.familiar}, {made}", file=sys.stderr)

    def _discard(self) -> None:
        if self._upper is None or self._keep is not None:
            return
        with self._store.using():
            upper = self._store.uppers.get(self._upper)
            if upper is not None:
                self._store.uppers.remove(upper)
