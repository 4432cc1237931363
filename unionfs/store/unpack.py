"""An image becomes layer directories: all of them, verified, or none."""

import io
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unionfs.archive import ArchiveError, Image, Layer
from unionfs.image import Digest
from unionfs.layer.abilities import Abilities
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.unpack import LayerError, Unsettled, probe, put_on, settle, unpack
from unionfs.store.error import StoreError
from unionfs.store.layer_directory import LayerDirectory
from unionfs.store.layer_stream import CancelledError, LayerStream
from unionfs.store.locks import Waiting
from unionfs.store.lowerdir import lowerdir_option
from unionfs.store.unpacked import EMPTY, layer_name
from unionfs.tar import Limits

_WORKERS = 4
_DESCRIPTORS = 128
Progress = Callable[[int, int, int], None]
"""Called from several threads with a layer's number, the bytes of its blob that are done, and all of them."""


@dataclass(frozen=True, slots=True)
class UnpackedLayer:
    """One layer on disk."""

    diff_id: Digest
    chain_id: Digest
    path: Path
    is_new: bool
    """Whether it was unpacked now, and wasn't there before."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An image on disk."""

    layers: tuple[UnpackedLayer, ...]
    """The lowest first, as in the image's config."""
    lowerdir: str
    """The value of the mount option that shows the image. Layers beneath one with an opaque root aren't in it."""
    warnings: tuple[str, ...]


def unpack_image(
    image: Image,
    directory: Path,
    limits: Limits | None = None,
    progress: Progress = lambda *_: None,
    waiting: Waiting = lambda _: None,
) -> Unpacked:
    """Unpack all layers of *image* into *directory*, which is made if it isn't there.

    A layer that is there already is left as it is. *limits* are those of each layer. Another process that unpacks into
    the directory is waited for; *waiting* is told of it when that takes longer than a second.

    Raises:
        StoreError: a layer is damaged, not the one of its digest, beyond a limit, or can't be stored; none of the
            image's layers was added then.
        OSError: the directory can't be made, read or written.
    """
    with LayerDirectory(directory, waiting) as layers:
        return _Unpacking(image, layers, limits or Limits(), progress).run()


class _Unpacking:
    """One image on its way into a directory of layers."""

    def __init__(self, image: Image, layers: LayerDirectory, limits: Limits, progress: Progress) -> None:
        self._image = image
        self._layers = layers
        self._limits = limits
        self._progress = progress
        self._names = [layer_name(layer.chain_id) for layer in image.layers]
        self._missing = [number for number, name in enumerate(self._names) if not layers.has(name)]
        self._warnings = list(layers.warnings)
        self._cancelled = threading.Event()

    def run(self) -> Unpacked:
        """Unpack what is missing, and describe the whole."""
        if not self._names:
            self._ensure_empty()
        if self._missing:
            abilities = self._probe()
            unsettled = self._unpack_all(abilities)
            self._settle_all(unsettled, abilities)
            self._layers.publish(self._names[number] for number in self._missing)
        return self._described()

    def _probe(self) -> Abilities:
        with self._layers.stage(b"probe") as staging:
            return probe(staging.fd)

    def _ensure_empty(self) -> None:
        """Have a layer for an image without any: what an empty archive makes."""
        if not self._layers.has(EMPTY):
            with self._layers.stage(EMPTY) as staging:
                unpack(io.BytesIO(b""), staging, self._probe(), self._limits)
            self._layers.publish([EMPTY])

    def _unpack_all(self, abilities: Abilities) -> dict[int, Unsettled]:
        """Unpack the missing layers side by side; give by number what each leaves open."""
        # Threads serve: hashing, decompression and file operations all let the others run.
        with ThreadPoolExecutor(min(_WORKERS, len(self._missing))) as workers:
            running = {number: workers.submit(self._unpack_one, number, abilities) for number in self._missing}
            try:
                wait(running.values(), return_when=FIRST_EXCEPTION)
            finally:
                # Those that aren't done end at their next read.
                self._cancelled.set()
        failures = [error for future in running.values() if (error := future.exception()) is not None]
        for error in failures:
            if not isinstance(error, CancelledError):
                raise error
        return {number: future.result() for number, future in running.items()}

    def _unpack_one(self, number: int, abilities: Abilities) -> Unsettled:
        layer, name = self._image.layers[number], self._names[number]

        with (
            self._naming(layer),
            self._layers.stage(name) as staging,
            LayerStream(layer, self._limits.bytes, partial(self._progress, number), self._cancelled) as stream,
        ):
            unsettled = unpack(stream, staging, abilities, self._limits)
            stream.verify()
            return unsettled

    def _settle_all(self, unsettled: Mapping[int, Unsettled], abilities: Abilities) -> None:
        """Settle the new layers from the lowest up, each on those beneath it."""
        with closing(Descriptors(_DESCRIPTORS)) as descriptors:
            lowers: Sequence[Directory] = ()
            for number, (layer, name) in enumerate(zip(self._image.layers, self._names, strict=True)):
                if number in unsettled:
                    with self._naming(layer), self._layers.stage(name) as staging:
                        settle(staging, unsettled[number], lowers, abilities, self._limits)
                    self._warn(layer, unsettled[number].warnings)
                root = self._layers.staged_root if number in unsettled else self._layers.root
                lowers = put_on(root(name, descriptors), lowers)

    def _warn(self, layer: Layer, lines: Iterable[str]) -> None:
        self._warnings += [f"layer {layer.diff_id}: {line}" for line in lines]

    @contextmanager
    def _naming(self, layer: Layer) -> Iterator[None]:
        """Turn what goes wrong with a layer into a StoreError that names image and layer."""
        where = f"{self._image.names[0] if self._image.names else self._image.config_digest}: layer {layer.diff_id}"
        try:
            yield
        except (LayerError, ArchiveError) as error:
            raise StoreError(f"{where}: {error}", error.limit) from error
        except OSError as error:
            raise StoreError(f"{where}: {error.strerror}") from error

    def _described(self) -> Unpacked:
        return Unpacked(
            layers=tuple(
                UnpackedLayer(layer.diff_id, layer.chain_id, self._layers.path_of(name), number in self._missing)
                for number, (layer, name) in enumerate(zip(self._image.layers, self._names, strict=True))
            ),
            lowerdir=lowerdir_option(self._layers.showing(self._names)),
            warnings=tuple(self._warnings),
        )
