"""Store and forward: a station sends its batches, again if nothing answers, and then hangs up.

`Uplink` is the protocol with times as values: no socket, no clock. An answer that does not come
within 5 s is a reason to send again, 3 sends are the most, then the line is given up until the
station connects anew (domain facts 4.4, DB11/T 1164.3). A batch leaves the outbox only when the
other side has answered for it, so any number of days and lines may lie between.
`forward` drives it over a TCP connection.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from apdu.value import value
from reader.batch import (
    ANSWER,
    HEAD,
    BatchError,
    Receive,
    Refusal,
    parse_answer,
    parse_batch,
    size_of,
)
from reader.outbox import Outbox, Waiting

ANSWER_S = 5.0
"""Seconds without an answer after which a batch is sent again."""

MOST_SENDS = 3


class Todo(Enum):
    """What the line does next."""

    SEND = "send"
    WAIT = "wait"
    HANG_UP = "hang up"
    DONE = "done"


@value
class Step:
    """message: to send. until: when to ask again if no answer has come, seconds."""

    todo: Todo
    message: bytes = b""
    until: float = 0.0


class Uplink:
    """One connection of a station. Times are seconds of any clock that only goes forward."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._batch: Waiting | None = None
        self._batch_id, self._message = b"", b""
        self._sends, self._until = 0, 0.0
        self.delivered = 0
        self.refused: list[str] = []

    def next(self, now: float) -> Step:
        """What to do now. Raises OutboxError."""
        if self._batch is None and not self._take():
            return Step(Todo.DONE)
        if self._sends and now < self._until:
            return Step(Todo.WAIT, until=self._until)
        if self._sends == MOST_SENDS:
            return Step(Todo.HANG_UP)
        self._sends += 1
        self._until = now + ANSWER_S
        return Step(Todo.SEND, self._message, self._until)

    def answered(self, message: bytes) -> None:
        """Take an answer. One that is spoilt, or to another batch, is no answer.

        Nor is that it could not be stored: that says nothing of the batch, which waits.
        """
        answer = parse_answer(message)
        if answer is None or self._batch is None or answer.batch_id != self._batch_id:
            return
        if answer.refusal is Refusal.NOT_STORED:
            return
        if not answer.is_kept and self._sends < MOST_SENDS:
            self._until = 0.0  # the line may have spoilt it: send again at once
            return
        self._outbox.close(self._batch, answer.is_kept)
        if answer.is_kept:
            self.delivered += 1
        else:
            self.refused.append(f"{self._batch.path.name}: {answer.refusal.words}")
        self._batch = None

    def _take(self) -> bool:
        """The next batch that is whole; one that the disk has damaged is put aside."""
        for batch in self._outbox.waiting():
            self._message = batch.message()
            try:
                self._batch_id = parse_batch(self._message).batch_id
            except BatchError as error:
                self._outbox.close(batch, is_kept=False)
                self.refused.append(f"{batch.path.name}: {error}")
                continue
            self._batch, self._sends = batch, 0
            return True
        return False


class LineError(Exception):
    """The line to clearing broke or stayed silent; the batches wait."""


def forward(uplink: Uplink, address: tuple[str, int], clock: Callable[[], float]) -> int:
    """Send what waits over TCP. Returns how many batches were delivered. Raises LineError."""
    host, port = address
    try:
        with socket.create_connection(address, ANSWER_S) as line:
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (step := uplink.next(clock())).todo is not Todo.DONE:
                if step.todo is Todo.HANG_UP:
                    raise LineError(
                        f"clearing at {host}:{port} gave no answer to {MOST_SENDS} sends; "
                        "the batches wait, connect again later"
                    )
                if step.todo is Todo.SEND:
                    line.sendall(step.message)
                line.settimeout(max(step.until - clock(), 0.001))
                with suppress(TimeoutError):
                    answer = _exactly(line, ANSWER)
                    if not answer:
                        raise OSError("it hung up")
                    uplink.answered(answer)
    except OSError as error:
        raise LineError(
            f"clearing at {host}:{port} cannot be reached ({error.strerror or error}); "
            "the batches wait, connect again later"
        ) from error
    return uplink.delivered


def receive_all(line: socket.socket, receive: Receive) -> int:
    """Clearing's end of a connection: take batches until the station hangs up.

    Returns how many messages came. Raises OSError. A message without a start mark ends the
    connection: what follows it could not be told from it.
    """
    count = 0
    while head := _exactly(line, HEAD):
        try:
            message = head + _exactly(line, size_of(head) - HEAD)
        except BatchError:
            break
        line.sendall(receive(message).build())
        count += 1
    return count


def _exactly(line: socket.socket, size: int) -> bytes:
    """So many bytes, or fewer if the other side hangs up."""
    parts, got = [], 0
    while got < size and (part := line.recv(size - got)):
        parts.append(part)
        got += len(part)
    return b"".join(parts)
