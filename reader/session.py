"""How a terminal talks: transactions are generators, `run` is the one thing that blocks.

A transaction yields `Send`s and gets the answers back, so the same code runs over any transport, in
a simulator's virtual time, or step by step in a test::

    def balance() -> Txn[int]:
        reply = yield from ask("card", GET_BALANCE, None)
        return reply.amount

    fen = run(balance(), {"card": transport})
"""

from collections.abc import Generator, Mapping
from typing import Any, Literal, TypeVar

from apdu.codec import Record, WireError
from apdu.spec import CommandSpec
from apdu.sw import describe
from apdu.value import value
from reader.transport.base import Transport, TransportError

T = TypeVar("T")
Q = TypeVar("Q", bound=Record | None)
A = TypeVar("A", bound=Record | bytes)

Peer = Literal["card", "psam"]


@value
class Send:
    """One command, and whom it is for."""

    to: Peer
    command: bytes


Txn = Generator[Send, bytes, T]
"""A transaction that ends with a value of type T."""


class StatusError(Exception):
    """The peer said no. sw: its status word; data: what came before it."""

    def __init__(self, to: Peer, spec: CommandSpec[Any, Any], sw: int, data: bytes = b"") -> None:
        super().__init__(to, spec.name, sw)
        self.to = to
        self.spec = spec
        self.sw = sw
        self.data = data

    def __str__(self) -> str:
        known = {int(word): reason for word, reason in self.spec.errors.items()}
        reason = known.get(self.sw, describe(self.sw))
        return f"the {self.to} refused {self.spec.name} with {self.sw:04X}, {reason}"


class ProtocolError(Exception):
    """The peer's answer is malformed, or one of its cryptograms is wrong."""


def exchange(to: Peer, spec: CommandSpec[Q, A], command: bytes) -> Txn[A]:
    """Send a command that is already built, and take its answer apart.

    Raises StatusError for any status word but 9000, ProtocolError for a malformed answer.
    """
    response = yield Send(to, command)
    if response[-2:] != b"\x90\x00":
        response = yield from _whole(to, spec, command, response)
    try:
        return spec.parse_reply(response[:-2])
    except WireError as error:
        raise ProtocolError(f"{spec.name}: the {to}'s answer does not fit: {error}") from error


_MORE, _OTHER_LE = 0x61, 0x6C
_MOST_PARTS = 16


def _whole(to: Peer, spec: CommandSpec[Any, Any], command: bytes, response: bytes) -> Txn[bytes]:
    """Fetch what 61xx announces, or ask again with the Le of 6Cxx (4.1: cards need neither).

    Returns an answer that ends with 9000. Raises StatusError; ProtocolError, also for an answer
    that was announced and cannot be fetched: the command itself was not refused.
    """
    fetched, is_announced = b"", False
    for _ in range(_MOST_PARTS):
        if len(response) < 2:
            raise ProtocolError(f"{spec.name}: the {to} answered {len(response)} bytes")
        data, sw1, sw2 = response[:-2], response[-2], response[-1]
        if sw1 == _MORE:
            fetched, is_announced = fetched + data, True
            response = yield Send(to, bytes((command[0] & 0x0F, 0xC0, 0x00, 0x00, sw2)))
        elif sw1 == _OTHER_LE and spec.ne is not None and not data and not fetched:
            command = command[:-1] + bytes((sw2,))
            response = yield Send(to, command)
        elif (sw1, sw2) == (0x90, 0x00):
            return fetched + response
        elif is_announced:
            raise ProtocolError(f"{spec.name}: the rest of the {to}'s answer does not come")
        else:
            raise StatusError(to, spec, sw1 << 8 | sw2, data)
    raise ProtocolError(f"{spec.name}: the {to}'s answer does not end")


def ask(
    to: Peer, spec: CommandSpec[Q, A], data: Q, p1: int | None = None, p2: int | None = None
) -> Txn[A]:
    """Build a command from its statement, send it, and take its answer apart. See `exchange`."""
    return exchange(to, spec, spec.command(data, p1, p2))


def run(transaction: Txn[T], links: Mapping[str, Transport]) -> T:
    """Drive a transaction to its end over transports, by peer name.

    A link's TransportError is thrown into the transaction at the command it broke, so that the
    transaction knows what was under way; what it raises comes out of here.
    """
    transmit = {name: link.transmit for name, link in links.items()}
    try:
        send = next(transaction)
        while True:
            try:
                response = transmit[send.to](send.command)
            except TransportError as error:
                send = transaction.throw(error)
            else:
                send = transaction.send(response)
    except StopIteration as end:
        value: T = end.value
        return value
