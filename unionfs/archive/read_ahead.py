"""A stream read ahead of whoever uses it, in a thread: while one piece is used the next ones are made."""

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

from unionfs.archive.stream import CHUNK, ByteStream

if TYPE_CHECKING:
    from unionfs.tar.source import Stream

_AHEAD = 4
"""Pieces that are read before they are asked for."""


class ReadAhead(ByteStream):
    """Passes a stream through; what the stream raises is raised where its content would come.

    The stream is the thread's until this was read to its end, has raised or was closed. It isn't closed with this.
    """

    def __init__(self, stream: "Stream") -> None:
        self._stream = stream
        self._pieces: SimpleQueue[bytes | Exception] = SimpleQueue()
        self._wanted: SimpleQueue[None] = SimpleQueue()
        for _ in range(_AHEAD):
            self._wanted.put(None)
        self._piece = b""
        self._error: Exception | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, which may first have to read one more piece."""
        if not self.closed:
            self._stop()
        super().close()

    def _some(self, size: int) -> bytes:
        if not self._piece and not self._stopped:
            self._take()
        if self._error is not None:
            raise self._error
        piece, self._piece = self._piece[:size], self._piece[size:]
        return piece

    def _take(self) -> None:
        """Wait for the next piece, which is empty at the end."""
        piece = self._pieces.get()
        self._wanted.put(None)
        if isinstance(piece, Exception):
            self._error = piece
        else:
            self._piece = piece
        if not self._piece:
            self._stop()

    def _stop(self) -> None:
        self._stopped = True
        self._wanted.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            piece = b"more"
            while piece:
                self._wanted.get()
                if self._stopped:
                    return
                piece = self._stream.read(CHUNK)
                self._pieces.put(piece)
        except Exception as error:  # noqa: BLE001 - it is raised to whoever reads, in the other thread
            self._pieces.put(error)
