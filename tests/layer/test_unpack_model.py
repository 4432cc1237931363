"""Random layers, unpacked and shown by overlayfs, against the rules computed on paper.

The model knows no directory and no whiteout device: a layer is what it holds, and what it hides of those beneath.
"""

import random
from dataclasses import dataclass, field

import pytest

from tests.layer.unpacking import Unpacker
from tests.tarball import archive, directory, file, hardlink, opaque, symlink, whiteout

NAMES = ("a", "b", "c")
Tree = dict[str, str]


def parents(path: str) -> list[str]:
    """Return the directories above a path, the topmost first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def within(path: str, top: str) -> bool:
    return path.startswith(top + "/")


@dataclass
class Layer:
    """What one layer holds (``own``) and hides. ``passed`` are directories that only whiteouts lie in."""

    own: Tree = field(default_factory=dict)
    whiteouts: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)

    def put(self, path: str, what: str) -> None:
        """Add an entry: what stood there goes, but a directory stays one."""
        for above in parents(path):
            self.make_directory(above)
        if what == "dir":
            self.make_directory(path)
            return
        self.drop(path)
        self.own[path] = what

    def make_directory(self, path: str) -> None:
        if path in self.whiteouts:
            self.whiteouts.discard(path)
            self.opaque.add(path)
        elif self.own.get(path, "dir") != "dir":
            self.drop(path)
        self.own[path] = "dir"

    def drop(self, path: str) -> None:
        self.own = {other: what for other, what in self.own.items() if other != path and not within(other, path)}
        for hidden in (self.whiteouts, self.opaque, self.passed):
            hidden -= {other for other in hidden if other == path or within(other, path)}

    def white_out(self, path: str) -> None:
        """Hide what is beneath; what the layer holds there stays."""
        for above in parents(path):
            if above in self.whiteouts or self.own.get(above, "dir") != "dir":
                return
        self.passed |= {above for above in parents(path) if above not in self.own}
        if path not in self.own:
            self.drop(path)
            self.whiteouts.add(path)
        elif self.own[path] == "dir":
            self.opaque.add(path)

    def make_opaque(self, path: str) -> None:
        self.put(path, "dir")
        self.opaque.add(path)

    def sees(self, path: str) -> bool:
        """Tell whether a name of the layers beneath can be meant by a hard link at this point."""
        above = parents(path)
        hidden = any(name in self.whiteouts or name in self.opaque for name in above) or path in self.whiteouts
        return not hidden and all(self.own.get(name, "dir") == "dir" for name in above)

    def over(self, lower: Tree) -> Tree:
        """Return what this layer shows on what is beneath it."""
        shown = {path: what for path, what in lower.items() if not self.hides(path)}
        made = {path for path in self.passed if lower.get(path, "dir") != "dir" and not self.hides(path)}
        shown = {path: what for path, what in shown.items() if not any(within(path, top) for top in made)}
        return shown | dict.fromkeys(made, "dir") | self.own

    def hides(self, path: str) -> bool:
        above = parents(path)
        if path in self.whiteouts or any(name in self.whiteouts or name in self.opaque for name in above):
            return True
        return any(self.own.get(name, "dir") != "dir" for name in above)


def some_path(chance: random.Random) -> str:
    return "/".join(chance.choice(NAMES) for _ in range(chance.choice((1, 1, 2, 2, 3))))


def some_entry(chance: random.Random, layer: Layer, lower: Tree, number: int) -> bytes | None:
    """Return a random entry, done in the model as well; None if it were an error."""
    path = some_path(chance)
    name = path.encode()
    kind = chance.choice(("file", "file", "dir", "symlink", "whiteout", "whiteout", "opaque", "hardlink"))
    if kind == "whiteout":
        layer.white_out(path)
        return whiteout(name)
    if kind == "opaque":
        layer.make_opaque(path)
        return opaque(name)
    if kind == "hardlink":
        return some_link(chance, layer, lower, path)
    what = {"file": f"{number}", "dir": "dir", "symlink": "-> a"}[kind]
    layer.put(path, what)
    if kind == "dir":
        return directory(name + b"/")
    return symlink(name, b"a") if kind == "symlink" else file(name, what.encode())


def some_link(chance: random.Random, layer: Layer, lower: Tree, path: str) -> bytes | None:
    target = some_path(chance)
    what = layer.own.get(target)
    if what is None and layer.sees(target):
        what = lower.get(target)
    # Making the link's parents could remove its target.
    if what in (None, "dir") or target == path or target in parents(path) or target in layer.passed:
        return None
    assert what is not None
    layer.put(path, what)
    return hardlink(path.encode(), target.encode())


@pytest.mark.parametrize("seed", range(100))
def test_random_layers_show_what_the_rules_say(root: Unpacker, seed: int) -> None:
    chance = random.Random(seed)
    shown: Tree = {}
    archives = []
    for number in range(chance.randint(2, 4)):
        layer = Layer()
        entries = [some_entry(chance, layer, shown, 100 * number + count) for count in range(chance.randint(1, 12))]
        archives.append(archive(*(entry for entry in entries if entry is not None)))
        shown = layer.over(shown)
    assert root.shown(*archives) == shown
