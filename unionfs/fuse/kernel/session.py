"""The loop of one connection: requests in, answers out, and what may block in workers meanwhile.

Owns waiting, the guard around each request (an exception becomes an errno, and never the end of the mount), and how an
operation goes on from step to step.
"""

import functools
import logging
import os
import select
import time
from collections.abc import Callable
from typing import Any

from unionfs.fuse import policy
from unionfs.fuse.data_path import DataPath
from unionfs.fuse.giving_way import GivingWay
from unionfs.fuse.kernel import codec
from unionfs.fuse.kernel.abi import Opcode
from unionfs.fuse.kernel.answers import Answers
from unionfs.fuse.kernel.codec import ProtocolError, Request
from unionfs.fuse.kernel.device import Device
from unionfs.fuse.kernel.handlers import HANDLERS, UNANSWERED
from unionfs.fuse.kernel.workers import Done, Workers
from unionfs.fuse.placement import Placement
from unionfs.fuse.presentation import AS_ON_DISK, Presentation
from unionfs.fuse.wakefulness import Wakefulness
from unionfs.union import Union
from unionfs.union.step import Aside, Gate, Last, Operation, Step

_log = logging.getLogger(__name__)
# The body of a request that is at work in steps is kept up to this size, to do it once more where it finds no room.
_KEPT_BODY = 4096
# However many ask, who was put off comes after so many others: the kernel has told by then what it forgets.
_MOST_MEANWHILE = 32
# Content that passes through finds the room that there is, so before a file is opened for it what was removed is
# forgotten; up to eight requests come before that otherwise.
_REMOVING = frozenset((Opcode.UNLINK, Opcode.RENAME, Opcode.RENAME2))
_OPENING = frozenset((Opcode.OPEN, Opcode.CREATE, Opcode.TMPFILE))


class Session:
    """One mounted connection, answered by a union."""

    def __init__(
        self,
        union: Union,
        device_fd: int,
        ready: Callable[[], None],
        data_path: DataPath,
        presentation: Presentation = AS_ON_DISK,
    ) -> None:
        self.device = Device(device_fd)
        self._union = union
        self._answers = Answers(union, ready, data_path, self.device, presentation)
        self._placement = Placement()
        self._giving_way = GivingWay()
        self._workers = Workers(self._placement.release)
        self._poll = select.poll()
        self._poll.register(device_fd, select.POLLIN)
        self._poll.register(self._workers.fd, select.POLLIN)
        self._wakefulness = Wakefulness()
        self._tidy_at: float | None = None
        # The request that was read last, while its body is still where it was read to.
        self._fresh: Request | None = None
        self._without_room: list[Request] = []
        self._served_meanwhile = 0
        # Whether a file may have been removed since all was read that the kernel has to say.
        self._may_be_forgotten = False

    def run(self) -> None:
        """Answer until the connection ends.

        Raises:
            OSError: the connection failed, or nothing could be agreed on (EPROTO).
        """
        try:
            while self.device.connected:
                waited_long = self._served_meanwhile >= _MOST_MEANWHILE
                message = None if waited_long else self.device.receive()
                if message:
                    self._serve(message)
                elif self._without_room:
                    self._repeat()
                else:
                    self._wait()
                if not self._workers.is_idle:
                    self._workers.collect()
        finally:
            self._workers.close()

    def _wait(self) -> None:
        """Stay awake for a moment, then sleep until there is something to do."""
        # Being awake would keep others from what is waited for: the workers from the interpreter, and who asks from
        # the processor.
        may_be_awake = self._workers.is_idle and not self._placement.is_shared
        started = now = time.perf_counter()
        until = started + self._wakefulness.seconds if may_be_awake else started
        while now < until:
            if self._poll.poll(0):
                self._wakefulness.note(now - started, slept=False)
                return
            now = time.perf_counter()
        if self._poll.poll(self._until_tidying()):
            if may_be_awake:
                self._wakefulness.note(time.perf_counter() - started, slept=True)
        elif self._tidy_at is not None:
            self._tidy_at = None
            if self._workers.is_idle:
                self._workers.dismiss()
            self._union.tidy()

    def _until_tidying(self) -> float | None:
        """Give how many milliseconds to sleep at most."""
        if self._tidy_at is None:
            if not self._union.needs_tidying:
                return None
            self._tidy_at = time.monotonic() + policy.TIDY_DELAY
        return max(0.0, self._tidy_at - time.monotonic()) * 1000

    def _serve(self, message: memoryview) -> None:
        try:
            request = codec.request(message)
        except ProtocolError as error:
            _log.error("a message of the kernel is passed over: %s", error)
            return
        self._placement.note(request.pid)
        if self._without_room:
            self._served_meanwhile += 1
        self._fresh = request
        self._start(request)
        self._fresh = None

    def _start(self, request: Request) -> None:
        if request.opcode in _REMOVING:
            self._may_be_forgotten = True
        elif self._may_be_forgotten and request.opcode in _OPENING:
            self._may_be_forgotten = False
            self._put_off(request)
            return
        handler = HANDLERS.get(request.opcode, Answers.unknown)
        try:
            answer = handler(self._answers, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mount goes on
            self._fail_or_put_off(request, error)
            return
        if isinstance(answer, bytes):
            self._answer(request, answer)
        else:
            self._advance(answer, request, lambda: next(answer))

    def _advance(self, operation: Operation[bytes], request: Request, go_on: Callable[[], Any]) -> None:
        """Take *operation* on to its next step, or to its end."""
        try:
            step = go_on()
            while isinstance(step, Aside):
                self._workers.run(step.step, functools.partial(self._learn, step))
                step = next(operation)
        except StopIteration as stop:
            self._answer(request, stop.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, the mount goes on
            self._fail_or_put_off(request, error)
        else:
            request = self._outlasting(request)
            if isinstance(step, Gate):
                step.wait(functools.partial(self._advance, operation, request, lambda: next(operation)))
            elif isinstance(step, Last):
                last = functools.partial(self._answer_by, step.step, request)
                self._workers.run(last, functools.partial(self._let_go, operation))
            else:
                self._workers.run(step, functools.partial(self._stepped, operation, request))

    def _stepped(self, operation: Operation[bytes], request: Request, done: Done) -> None:
        error = done.error
        if error is not None:
            self._advance(operation, request, lambda: operation.throw(error))
        else:
            self._advance(operation, request, lambda: operation.send(done.result))

    def _answer_by(self, step: Step, request: Request) -> bytes | None:
        """Do the last step of an operation and answer *request* with what comes of it, on a worker's thread."""
        try:
            result: bytes | None = step()
        except Exception as error:
            self._refuse(request, error)
            raise
        self.device.answer(request.unique, result or b"")
        return result

    @staticmethod
    def _learn(aside: Aside, done: Done) -> None:
        """Tell an operation's step beside it what came of it."""
        if done.error is not None:
            _log.warning("what was done beside a request failed", exc_info=done.error)
        aside.learn(done.result)

    @staticmethod
    def _let_go(operation: Operation[bytes], done: Done) -> None:
        """Take an answered *operation* to its end."""
        try:
            if done.error is None:
                operation.send(done.result)
            else:
                operation.throw(done.error)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the mount goes on
            if error is not done.error:
                _log.exception("an operation failed after its answer")
            return
        operation.close()
        _log.error("an operation went on after its answer")

    def _answer(self, request: Request, body: bytes) -> None:
        if request.opcode in UNANSWERED:
            return
        if self._placement.is_shared:
            self._giving_way.begin()
        self.device.answer(request.unique, body)
        self._giving_way.end()

    def _outlasting(self, request: Request) -> Request:
        """Give *request* as it is when others are read meanwhile: the body of a large one, content, is gone then."""
        if request is not self._fresh:
            return request
        body = bytes(request.body) if len(request.body) <= _KEPT_BODY else b""
        return request._replace(body=memoryview(body), was_put_off=len(request.body) > _KEPT_BODY)

    def _fail_or_put_off(self, request: Request, error: Exception) -> None:
        """Fail, or do *request* once more when all is read that the kernel has to say: there may be room then."""
        if not request.was_put_off and policy.may_find_room(error):
            self._put_off(request)
        else:
            self._fail(request, error)

    def _put_off(self, request: Request) -> None:
        self._without_room.append(request._replace(body=memoryview(bytes(request.body)), was_put_off=True))

    def _repeat(self) -> None:
        requests, self._without_room = self._without_room, []
        self._served_meanwhile = 0
        for request in requests:
            self._start(request)

    def _fail(self, request: Request, error: Exception) -> None:
        if self._placement.is_shared:
            self._giving_way.begin()
        self._refuse(request, error)
        self._giving_way.end()
        if request.opcode == Opcode.INIT:
            # The kernel refuses everything from now on.
            raise error

    def _refuse(self, request: Request, error: Exception) -> None:
        if request.opcode in UNANSWERED:
            _log.warning("a message without answer failed: %s", os.strerror(policy.errno_of(error)))
        else:
            self.device.fail(request.unique, policy.errno_of(error))


def serve(
    union: Union, device_fd: int, ready: Callable[[], None], data_path: DataPath, presentation: Presentation
) -> None:
    """Answer the requests on the mounted connection *device_fd* until it ends, and close it.

    Raises:
        OSError: the connection failed.
    """
    try:
        Session(union, device_fd, ready, data_path, presentation).run()
    finally:
        os.close(device_fd)
