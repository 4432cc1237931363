"""A snapshotter for containerd that has snapshots mounted by a FUSE program, as fuse-overlayfs-snapshotter does.

Debian has no such plugin. Like that one it is a program of its own, asked through a socket (a proxy plugin), and it
doesn't mount: it says how containerd is to, with mounts of the type ``fuse3.PROGRAM``. Run as
``python -m tests.clients.snapshotter SOCKET DIRECTORY PROGRAM``.

Source: containerd's api/services/snapshots/v1/snapshots.proto and snapshots/snapshotter.go.
"""

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc

from tests.clients.protobuf import fields, message

_VIEW, _ACTIVE, _COMMITTED = 1, 2, 3
_SERVICE = "containerd.services.snapshots.v1.Snapshots"


@dataclass
class Snapshot:
    """One snapshot: its number is the name of its directory."""

    number: int
    parent: str
    kind: int
    labels: list[bytes]
    """Encoded, as they came."""


class Snapshotter:
    """All snapshots by their keys, in memory; their content is in the directory."""

    def __init__(self, directory: Path, program: str) -> None:
        self._directory = directory
        self._program = program
        self._snapshots: dict[str, Snapshot] = {}
        self._numbers = itertools.count()

    # What is asked. Each takes a request and gives a response, both encoded.

    def prepare(self, request: bytes) -> bytes:
        return self._made(request, _ACTIVE)

    def view(self, request: bytes) -> bytes:
        return self._made(request, _VIEW)

    def mounts(self, request: bytes) -> bytes:
        return self._mounts(_text(request, 2))

    def commit(self, request: bytes) -> bytes:
        name, key = _text(request, 2), _text(request, 3)
        if name in self._snapshots:
            raise FileExistsError(name)
        snapshot = self._snapshots.pop(key)
        snapshot.kind, snapshot.labels = _COMMITTED, fields(request)[4]
        self._snapshots[name] = snapshot
        return b""

    def remove(self, request: bytes) -> bytes:
        shutil.rmtree(self._place(self._snapshots.pop(_text(request, 2))))
        return b""

    def stat(self, request: bytes) -> bytes:
        return message({1: self._info(_text(request, 2))})

    def update(self, request: bytes) -> bytes:
        info = fields(request)[2][0]
        name = _text(info, 1)
        self._snapshots[name].labels = fields(info)[6]
        return message({1: self._info(name)})

    def usage(self, request: bytes) -> bytes:
        found = list(self._place(self._snapshots[_text(request, 2)]).rglob("*"))
        return message({1: sum(path.lstat().st_size for path in found), 2: len(found)})

    def cleanup(self, _request: bytes) -> bytes:
        return b""

    def listed(self, _request: bytes) -> bytes:
        return message({1: [self._info(name) for name in self._snapshots]})

    # How.

    def _made(self, request: bytes, kind: int) -> bytes:
        key, parent = _text(request, 2), _text(request, 3)
        if key in self._snapshots:
            raise FileExistsError(key)
        if parent:
            assert self._snapshots[parent].kind == _COMMITTED
        snapshot = Snapshot(next(self._numbers), parent, kind, fields(request)[4])
        for name in ("fs", "work"):
            (self._place(snapshot) / name).mkdir(parents=True)
        self._snapshots[key] = snapshot
        return self._mounts(key)

    def _mounts(self, key: str) -> bytes:
        snapshot = self._snapshots[key]
        parents = [str(self._place(parent) / "fs") for parent in self._parents(snapshot)]
        own = str(self._place(snapshot) / "fs")
        if snapshot.kind == _ACTIVE and not parents:
            mount = {1: "bind", 2: own, 4: ["rw", "rbind"]}
        elif snapshot.kind == _ACTIVE:
            options = [f"workdir={self._place(snapshot)}/work", f"upperdir={own}", f"lowerdir={':'.join(parents)}"]
            mount = {1: f"fuse3.{self._program}", 2: "overlay", 4: options}
        elif len(parents) == 1:
            mount = {1: "bind", 2: parents[0], 4: ["ro", "rbind"]}
        elif parents:
            mount = {1: f"fuse3.{self._program}", 2: "overlay", 4: [f"lowerdir={':'.join(parents)}"]}
        else:
            mount = {1: "bind", 2: own, 4: ["ro", "rbind"]}
        return message({1: message(mount)})

    def _parents(self, snapshot: Snapshot) -> Iterator[Snapshot]:
        while snapshot.parent:
            snapshot = self._snapshots[snapshot.parent]
            yield snapshot

    def _place(self, snapshot: Snapshot) -> Path:
        return self._directory / str(snapshot.number)

    def _info(self, name: str) -> bytes:
        snapshot = self._snapshots[name]
        return message({1: name, 2: snapshot.parent, 3: snapshot.kind, 6: snapshot.labels})


def _text(encoded: bytes, number: int) -> str:
    return fields(encoded).get(number, [b""])[0].decode()


def serve(socket: str, directory: Path, program: str) -> None:
    """Answer until killed."""
    snapshotter = Snapshotter(directory, program)
    methods = {
        "Prepare": snapshotter.prepare,
        "View": snapshotter.view,
        "Mounts": snapshotter.mounts,
        "Commit": snapshotter.commit,
        "Remove": snapshotter.remove,
        "Stat": snapshotter.stat,
        "Update": snapshotter.update,
        "Usage": snapshotter.usage,
        "Cleanup": snapshotter.cleanup,
    }
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        name: grpc.unary_unary_rpc_method_handler(_answering(method)) for name, method in methods.items()
    }
    handlers["List"] = grpc.unary_stream_rpc_method_handler(_streaming(snapshotter.listed))
    # One thread: nothing is asked for while something else is done.
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    server.wait_for_termination()


def _answering(method: Callable[[bytes], bytes]) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            return method(request)
        except KeyError as error:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details(f"no snapshot {error}")
        except FileExistsError as error:
            context.set_code(grpc.StatusCode.ALREADY_EXISTS)
            context.set_details(f"a snapshot {error} is there already")
        return b""

    return answer


def _streaming(method: Callable[[bytes], bytes]) -> Callable[[bytes, grpc.ServicerContext], Iterator[bytes]]:
    def answer(request: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        yield method(request)

    return answer


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
