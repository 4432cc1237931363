"""Archives that try to reach outside of their layer.

Each is unpacked as one layer, and cut in two so that what it makes first lies in the layer below. Whether it is refused
or contained is the business of other tests: here the victim must be as it was.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.attacks.victim import Victim
from tests.layer.unpacking import Unpacker, tree, unpack_stack, unpacker
from tests.posix.processes import running
from tests.tarball import archive, char, directory, fifo, file, hardlink, opaque, symlink, whiteout
from unionfs.layer.unpack import LayerError, remove_tree
from unionfs.linux.libc import AT_FDCWD
from unionfs.linux.rename import RENAME_EXCHANGE, renameat2

UP = b"../" * 20
"""More than enough to reach the root of the file system from any layer."""

ATTACKS: dict[str, Callable[[bytes], list[bytes]]] = {
    "name above the root": lambda v: [file(UP + v + b"/x"), file(b"after")],
    "name above the root after a directory": lambda v: [file(b"a/" + b"../" * 21 + v + b"/x")],
    "absolute name above the root": lambda v: [file(b"/.." + v + b"/x")],
    "absolute name": lambda v: [file(v + b"/x")],
    "absolute symlink": lambda v: [symlink(b"s", v), file(b"s/secret", b"gotcha"), file(b"s/new")],
    "relative symlink": lambda v: [symlink(b"s", UP + v), file(b"s/secret", b"gotcha")],
    "symlink to the root": lambda v: [symlink(b"s", b"/"), file(b"s" + v + b"/secret", b"gotcha")],
    "chain of symlinks": lambda v: [symlink(b"s1", b"s2"), symlink(b"s2", UP + v), file(b"s1/secret", b"gotcha")],
    "symlinks up and up": lambda v: [
        symlink(b"d/s", b".."),
        symlink(b"d/t", b"s/.."),
        file(b"d/t/../.." + v + b"/secret"),
    ],
    "symlink dot": lambda v: [symlink(b"dot", b"."), symlink(b"dot/up", UP + v), file(b"dot/up/secret", b"x")],
    "symlink over a directory that is used later": lambda v: [
        directory(b"d/"),
        file(b"d/a"),
        symlink(b"d", v),
        file(b"d/secret", b"x"),
        directory(b"d/", mode=0o777),
    ],
    "hard link to an absolute path": lambda v: [hardlink(b"h", v + b"/secret"), file(b"h", b"gotcha", mode=0o777)],
    "hard link to a path above": lambda v: [hardlink(b"h", UP + v + b"/secret"), file(b"h", b"gotcha")],
    "hard link through a symlink": lambda v: [symlink(b"s", v), hardlink(b"h", b"s/secret"), file(b"h", b"gotcha")],
    "hard link to a symlink, then its mode": lambda v: [
        symlink(b"s", v + b"/secret"),
        hardlink(b"h", b"s", mode=0o777, uid=1),
        file(b"h", b"gotcha", mode=0o777, uid=1),
    ],
    "hard link to a symlink to a directory": lambda v: [
        symlink(b"s", v),
        hardlink(b"h", b"s"),
        file(b"h/secret", b"gotcha"),
    ],
    "hard link whose target's parent becomes a symlink": lambda v: [
        directory(b"d/"),
        file(b"d/secret"),
        hardlink(b"h", b"d/secret"),
        symlink(b"d", v),
        hardlink(b"h2", b"d/secret"),
        file(b"h2", b"gotcha"),
    ],
    "hard link with no target": lambda _: [hardlink(b"h", b""), file(b"h/x")],
    "hard link to a later symlink": lambda v: [hardlink(b"h", b"late"), symlink(b"late", v)],
    "symlink as the root": lambda v: [symlink(b"./", v), file(b"secret", b"gotcha")],
    "symlink as the dot": lambda v: [symlink(b".", v), file(b"secret", b"gotcha")],
    "symlink with an empty name": lambda v: [symlink(b"", v), file(b"secret", b"gotcha")],
    "whiteout through a symlink": lambda v: [symlink(b"s", v), whiteout(b"s/secret"), whiteout(b"s/sub")],
    "opaque marker through a symlink": lambda v: [symlink(b"s", v), opaque(b"s")],
    "whiteout of the parent": lambda _: [file(b"a/.wh...")],
    "whiteout of the root": lambda _: [file(b".wh..")],
    "whiteout above the root": lambda v: [file(b"x/../" + UP + v + b"/.wh.secret")],
    "whiteout that is a symlink": lambda v: [symlink(b".wh.x", v), file(b".wh.x/secret")],
    "directory over a symlink": lambda v: [symlink(b"s", v), directory(b"s/", mode=0o777, uid=1), file(b"s/secret")],
    "device through a symlink": lambda v: [symlink(b"s", v), char(b"s/null", 1, 3, mode=0o666)],
    "fifo through a symlink": lambda v: [symlink(b"s", v), fifo(b"s/p", mode=0o777)],
    "device over a symlink": lambda v: [symlink(b"s", v + b"/secret"), char(b"s", 1, 3, mode=0o666, uid=1)],
    "fifo over a symlink": lambda v: [symlink(b"s", v + b"/secret"), fifo(b"s", mode=0o666, uid=1)],
    "file over a symlink": lambda v: [symlink(b"s", v + b"/secret"), file(b"s", b"gotcha", mode=0o666, uid=1)],
    "magic link": lambda v: [symlink(b"s", b"/proc/self/root"), file(b"s" + v + b"/secret", b"gotcha")],
    "magic link to the working directory": lambda v: [
        symlink(b"s", b"/proc/self/cwd/" + UP + v),
        file(b"s/secret", b"gotcha"),
    ],
    "bookkeeping of aufs above the root": lambda v: [
        symlink(b".wh..wh.plnk/s", v),
        file(b".wh..wh.plnk/s", b"x"),
        file(b".wh..wh.plnk/../" + UP + v + b"/x"),
        hardlink(b"h", b".wh..wh.plnk/../secret"),
        hardlink(b"k", b".wh..wh.plnk/../.." + v + b"/secret"),
    ],
    "replacing removes what a symlink points to": lambda v: [symlink(b"d/s", v), file(b"d", b"x"), directory(b"d/")],
    "attributes through a symlink": lambda v: [
        symlink(b"s", v + b"/secret", xattrs={b"user.k": b"v", b"security.x": b"v"}, uid=1, mode=0o777, mtime=5)
    ],
}


@pytest.fixture(params=["root", "nobody"])
def attacker(request: pytest.FixtureRequest) -> Iterator[Unpacker]:
    if os.geteuid() != 0:
        pytest.skip("the attacks are tried as root and as an ordinary user, which root alone can")
    with unpacker(request.param) as given:
        yield given


@pytest.fixture
def victim(attacker: Unpacker) -> Iterator[Victim]:
    """Make the victim, which belongs to the one who unpacks, so that the program alone protects it."""
    found = Victim(attacker.directory / "victim", attacker.run)
    yield found
    found.check()


def unpack_or_refuse(attacker: Unpacker, *archives: bytes) -> None:
    with suppress(LayerError):
        attacker.unpack(*archives)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_outside_is_touched_by_one_layer(attacker: Unpacker, victim: Victim, attack: str) -> None:
    unpack_or_refuse(attacker, archive(*ATTACKS[attack](victim.path)))


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_outside_is_touched_by_two_layers(attacker: Unpacker, victim: Victim, attack: str) -> None:
    entries = ATTACKS[attack](victim.path)
    for cut in range(1, len(entries)):
        unpack_or_refuse(attacker, archive(*entries[:cut]), archive(*entries[cut:]))


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_content_from_outside_gets_into_a_layer(attacker: Unpacker, victim: Victim, attack: str) -> None:
    entries = ATTACKS[attack](victim.path)
    for archives in ([archive(*entries)], [archive(*entries[:1]), archive(*entries[1:])]):
        with suppress(LayerError):
            stack = attacker.unpack(*archives)
            assert "the content" not in {what for root in stack.roots for what in tree(root).values()}


def test_absolute_target_of_a_hard_link_inside_the_layer_still_works(attacker: Unpacker) -> None:
    assert tree(attacker.unpack(archive(file(b"etc/a", b"A"), hardlink(b"h", b"/etc/a"))).top)["h"] == "A"


def test_directories_swapped_for_symlinks_meanwhile_lead_nowhere(attacker: Unpacker, victim: Victim) -> None:
    """Another process of the same user exchanges directories of the staged layer and links to the victim."""
    entries = [
        entry
        for number in range(150)
        for entry in (
            directory(b"a/", mode=0o777),
            file(b"a/b%d/secret" % number, b"gotcha", mode=0o777),
            directory(b"a/b/c/", mode=0o777),
            file(b"a/b/c/secret", b"gotcha"),
            hardlink(b"a/b/h", b"a/b/c/secret"),
            whiteout(b"a/b/secret"),
            opaque(b"a/b/sub"),
            symlink(b"a/b/c/s", victim.path),
            file(b"x%d/y" % number),
        )
    ]
    link = attacker.directory / "link"
    rounds = [attacker.directory / f"round{number}" for number in range(3)]

    def swap() -> None:
        link.symlink_to(os.fsdecode(victim.path))
        while True:
            for place in [top / "0/root" / path for top in rounds for path in ("a", "a/b", "a/b/c")]:
                with suppress(OSError):
                    exchange(link, place)
                    exchange(link, place)

    def attack() -> None:
        with running(swap):
            for top in rounds:
                with suppress(LayerError, OSError):
                    unpack_stack(top, archive(*entries))
            fd = os.open(attacker.directory, os.O_RDONLY)
            for top in rounds:
                with suppress(OSError):
                    remove_tree(fd, os.fsencode(top.name))
            os.close(fd)

    attacker.run(attack)


def exchange(one: Path, other: Path) -> None:
    renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
