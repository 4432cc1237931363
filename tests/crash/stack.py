"""A stack on disk whose upper is made anew for each attempt, opened as a union in this process."""

import dataclasses
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.crash.view import View
from tests.stacks import Directory, File, HardLink, Layer, Node, write
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.lower import open_lower
from unionfs.layer.open_upper import UpperOptions, open_upper
from unionfs.layer.ownership import OverrideForm
from unionfs.union.union import Settings, Union


@dataclass(frozen=True)
class Form:
    """How an upper keeps its marks, and who uses it."""

    name: str
    options: UpperOptions
    long_names: bool = False
    uid: int = 0

    def spell(self, name: str) -> bytes:
        """Give the name on disk; the whiteout of one with 255 bytes can't have a ``.wh.`` name."""
        return name.ljust(255, "-").encode() if self.long_names else name.encode()

    def unspell(self, name: bytes) -> str:
        """Give the name that a test calls by."""
        return name.decode().rstrip("-") if self.long_names else name.decode()

    def path(self, path: str) -> str:
        """Spell a whole path."""
        return path if path == "." else "/".join(self.spell(part).decode() for part in path.split("/"))

    def node(self, node: Node) -> Node:
        """Give *node* as it lies on disk: what an ordinary user unpacked says in an attribute whose it is."""
        if isinstance(node, HardLink):
            return HardLink(self.path(node.to))
        if not self.uid:
            return node
        mine = dataclasses.replace(node, uid=self.uid, gid=self.uid)
        if not isinstance(node, File | Directory):
            return mine
        kind = "dir" if isinstance(node, Directory) else "file"
        shown = f"{node.uid}:{node.gid}:{node.mode:04o}:{kind}".encode()
        mode = 0o755 if isinstance(node, Directory) else 0o644
        return dataclasses.replace(mine, mode=mode, xattrs={**node.xattrs, "user.containers.override_stat": shown})


DEVICE = Form("device", UpperOptions())
PREFIX = Form("prefix", UpperOptions(prefix_whiteouts=True))
ATTRIBUTE = Form("attribute", UpperOptions(prefix_whiteouts=True), long_names=True)
USER = Form("user", UpperOptions(user_namespace=True))
ORDINARY = Form("ordinary", UpperOptions(), uid=65534)
MARKERS = Form("markers", UpperOptions(marker_files=True))
RECORDED = Form("recorded", UpperOptions(prefix_whiteouts=True, marker_files=True, override=OverrideForm.USER))
FORMS = {form.name: form for form in (DEVICE, PREFIX, ATTRIBUTE, USER, ORDINARY, MARKERS, RECORDED)}


@dataclass(frozen=True)
class Stack:
    """The directories of one case: lowers that stay, an upper and a workdir that each attempt makes anew."""

    directory: Path
    form: Form
    settings: Settings
    lowers: int

    @classmethod
    def build(cls, directory: Path, form: Form, settings: Settings, lowers: tuple[Layer, ...]) -> "Stack":
        """Write the lowers, topmost first."""
        for place, layer in enumerate(lowers):
            write(directory / f"lower{place}", {form.path(path): form.node(node) for path, node in layer.items()})
        os.chown(directory, form.uid, form.uid)
        return cls(directory, form, settings, len(lowers))

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Be the user who uses the stack."""
        os.setegid(self.form.uid)
        os.seteuid(self.form.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)

    @property
    def upper(self) -> Path:
        """The upper directory."""
        return self.directory / "upper"

    @property
    def work(self) -> Path:
        """The workdir."""
        return self.directory / "work"

    def make_upper(self) -> None:
        """Start with an upper that holds nothing."""
        for path in (self.upper, self.work):
            if path.exists():
                shutil.rmtree(path)
            path.mkdir()

    @contextmanager
    def opened(self) -> Iterator[View]:
        """Open the stack as a mount does, and close it again."""
        descriptors = Descriptors(64)
        options = self.form.options._replace(volatile=self.settings.volatile, take_over_volatile=True)
        upper = open_upper(os.fsencode(self.upper), os.fsencode(self.work), descriptors, options)
        lowers = [
            open_lower(os.fsencode(self.directory / f"lower{place}"), place, descriptors)
            for place in range(self.lowers)
        ]
        union = Union(upper.upper, lowers, self.settings)
        try:
            yield View(union, self.form.spell)
        finally:
            union.close()
            upper.close()
            for root in lowers:
                root.close()

    def staged(self) -> list[str]:
        """Give what lies in the workdir besides the index and the marks."""
        return sorted(set(os.listdir(self.work / "work")) - {"unionfs-index", "incompat"})

    def apply(self, act: Callable[[View], None]) -> None:
        """Do *act* in a session of its own."""
        with self.opened() as view:
            act(view)
