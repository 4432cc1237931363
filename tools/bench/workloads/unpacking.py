"""An image of five gzip layers, unpacked by several programs."""

from collections.abc import Iterator
from pathlib import Path

from tools.bench.candidates import UNIONFS
from tools.bench.image import packed_image
from tools.bench.inputs import Inputs
from tools.bench.programs import Command, Program, ProgramWorkload
from tools.bench.workload import Group


def _tar(inputs: Inputs, room: Path) -> Iterator[Command]:
    for number, layer in enumerate(packed_image(inputs).layers):
        (room / str(number)).mkdir()
        yield ("tar", "-C", room / str(number), "-xzf", layer)


def _umoci(inputs: Inputs, room: Path) -> Iterator[Command]:
    yield ("umoci", "unpack", "--image", f"{packed_image(inputs).layout}:latest", room / "bundle")


def _podman(inputs: Inputs, room: Path) -> Iterator[Command]:
    storage = ("--root", room / "root", "--runroot", room / "run", "--storage-driver", "overlay")
    yield ("podman", *storage, "load", "--quiet", "-i", packed_image(inputs).archive)


def _unpack(inputs: Inputs, room: Path) -> Iterator[Command]:
    yield (UNIONFS, "unpack", packed_image(inputs).layout, room / "layers")


def _load(inputs: Inputs, room: Path) -> Iterator[Command]:
    yield (UNIONFS, "--root", room / "store", "load", "--quiet", "-i", packed_image(inputs).archive)


WORKLOADS = (
    ProgramWorkload(
        name="unpack five gzip layers",
        group=Group.UNPACKING,
        programs=(
            Program("tar -xzf", ("tar", "--version"), _tar),
            Program("umoci unpack", ("umoci", "--version"), _umoci),
            Program("podman load", ("podman", "--version"), _podman),
            Program("unionfs unpack", (UNIONFS, "--version"), _unpack),
            Program("unionfs load", (UNIONFS, "--version"), _load),
        ),
    ),
)
