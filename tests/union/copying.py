"""Files that are being copied up: an operation stopped at its blocking step, and what is to show in the end."""

from tests.stacks import Directory, File, HardLink
from tests.unions import Kernel, Stack, UnderWay

LOWER = {
    "d/f": File(b"content", mode=0o640),
    "d/other": File(b"other"),
    "linked/x": File(b"linked"),
    "linked/y": HardLink("linked/x"),
    "empty": Directory(),
}


def writing(kernel: Kernel, path: str, content: bytes = b"C") -> UnderWay:
    """Start to write, and stop at the copying."""
    return UnderWay(kernel.union.write(kernel.number(path), 0, content, keep_set_id=True))


def metacopied(kernel: Kernel, path: str) -> UnderWay:
    """Start to write to a file whose metadata are in the upper already."""
    kernel.change(path, mode=0o640)
    return writing(kernel, path)


STARTS = [writing, metacopied]


def seen_again(stack: Stack, kernel: Kernel) -> dict[str, bytes]:
    """Give the content of every file, which the next session shows too."""
    tree = kernel.tree()
    kernel.forget_everything()
    assert stack.staged() == []
    assert len(kernel.union.nodes.table) == 1
    kernel.union.nodes.root.contents = None
    again = kernel.tree()
    assert again == tree
    return {path: shown.content for path, shown in tree.items() if shown.mode >> 12 == 0o10}
