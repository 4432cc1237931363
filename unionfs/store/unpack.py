"""An image becomes layer directories: all of them, verified, or none."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from unionfs.archive import ArchiveError, Image, Layer
from unionfs.image import Digest, shown
from unionfs.layer.abilities import Abilities
from unionfs.layer.descriptors import Descriptors
from unionfs.layer.directory import Directory
from unionfs.layer.unpack import LayerError, Unsettled, probe, put_on, settle, unpack
from unionfs.store.error import StoreError
from unionfs.store.layer_directory import LayerDirectory
from unionfs.store.layer_stream import LayerStream
from unionfs.store.locks import Waiting
from unionfs.store.lowerdir import lowerdir_option
from unionfs.store.side_by_side import ProcessEndedError, Tell, side_by_side
from unionfs.store.unpacked import EMPTY, layer_name
from unionfs.tar import Limits

_MOST_PROCESSES = 8
"""Each may need a few MiB, or 160 for what was compressed with the largest window."""
_DESCRIPTORS = 128
Progress = Callable[[int, int, int], None]
"""Called with a layer's number, the bytes of its blob that are done, and all of them."""


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


@contextmanager
def naming_layer(image: Image, layer: Layer) -> Iterator[None]:
    """Turn what goes wrong with a layer into a StoreError that names the file that was read, image and layer."""
    where = f"{image.names[0] if image.names else image.config_digest}: layer {layer.diff_id}"
    if image.source:
        where = f"{shown(image.source)}: {where}"
    try:
        yield
    except (LayerError, ArchiveError) as error:
        raise StoreError(f"{where}: {error}", error.limit) from error
    except OSError as error:
        raise StoreError(f"{where}: {error.strerror}") from error


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
        work = {number: partial(self._unpack_one, number, abilities) for number in self._largest_first()}
        try:
            return side_by_side(work, min(_MOST_PROCESSES, len(os.sched_getaffinity(0))), self._progress)
        except ProcessEndedError as error:
            with naming_layer(self._image, self._image.layers[error.number]):
                raise LayerError(str(error)) from error

    def _largest_first(self) -> list[int]:
        """Give the missing layers in the order in which they are begun, so that none is left alone for long."""
        sizes = {}
        for number in self._missing:
            with naming_layer(self._image, self._image.layers[number]), self._image.layers[number].open() as blob:
                sizes[number] = blob.size
        return sorted(sizes, key=sizes.__getitem__, reverse=True)

    def _unpack_one(self, number: int, abilities: Abilities, tell: Tell) -> Unsettled:
        layer, name = self._image.layers[number], self._names[number]

        with (
            naming_layer(self._image, layer),
            self._layers.stage(name) as staging,
            LayerStream(layer, self._limits.bytes, tell) as stream,
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
                    with naming_layer(self._image, layer), self._layers.stage(name) as staging:
                        settle(staging, unsettled[number], lowers, abilities, self._limits)
                    self._warn(layer, unsettled[number].warnings)
                root = self._layers.staged_root if number in unsettled else self._layers.root
                lowers = put_on(root(name, descriptors), lowers)

    def _warn(self, layer: Layer, lines: Iterable[str]) -> None:
        self._warnings += [f"layer {layer.diff_id}: {line}" for line in lines]

    def _described(self) -> Unpacked:
        return Unpacked(
            layers=tuple(
                UnpackedLayer(layer.diff_id, layer.chain_id, self._layers.path_of(name), number in self._missing)
                for number, (layer, name) in enumerate(zip(self._image.layers, self._names, strict=True))
            ),
            lowerdir=lowerdir_option(self._layers.showing(self._names)),
            warnings=tuple(self._warnings),
        )
