"""Any PC/SC reader as a coupler: real ones on USB, and the virtual one of vpcd.

Built on pyscard's low-level `smartcard.scard`, not on its classes: those keep one context for the
whole process and watch it with threads. pyscard is an extra (`tapbench[pcsc]`) and is imported
only when a reader is opened.

libpcsclite reads PCSCLITE_CSOCK_NAME once per process, at the first context. Which pcscd this
module talks to is therefore settled by then.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum, IntFlag
from types import ModuleType
from typing import Self

from reader.transport.base import CardLost, NoCard, ReaderFault, TransportError

__all__ = ["Disposition", "PcscCoupler", "PcscTransport", "choose_reader", "fault", "list_readers"]

# One wait inside libpcsclite holds back Ctrl-C, so long waits are cut into slices. A card or a
# removal ends the slice at once; nothing is polled.
_SLICE_S = 0.5

_HEADER = 4  # CLA INS P1 P2


class Disposition(IntEnum):
    """What becomes of the card when we let go of it."""

    LEAVE = 0
    RESET = 1
    UNPOWER = 2


class _Result(IntEnum):
    """The result codes we tell apart (pcsclite.h; the values are Microsoft's)."""

    TIMEOUT = 0x8010000A
    UNKNOWN_READER = 0x80100009
    SHARING_VIOLATION = 0x8010000B
    NO_SMARTCARD = 0x8010000C
    PROTO_MISMATCH = 0x8010000F
    COMM_ERROR = 0x80100013
    NOT_TRANSACTED = 0x80100016
    READER_UNAVAILABLE = 0x80100017
    NO_SERVICE = 0x8010001D
    SERVICE_STOPPED = 0x8010001E
    NO_READERS_AVAILABLE = 0x8010002E
    UNRESPONSIVE_CARD = 0x80100066
    UNPOWERED_CARD = 0x80100067
    RESET_CARD = 0x80100068
    REMOVED_CARD = 0x80100069


_EVENTS_AT, _EVENTS_MASK = 16, 0xFFFF


class _State(IntFlag):
    """The bits of a reader's state that we look at (PC/SC Part 5); the upper half counts events."""

    UNAWARE = 0x0000
    CHANGED = 0x0002
    UNKNOWN = 0x0004
    UNAVAILABLE = 0x0008
    EMPTY = 0x0010
    PRESENT = 0x0020
    EXCLUSIVE = 0x0080
    MUTE = 0x0200


_GONE = "the card left {reader} before it answered; present it again."
_WITHOUT_SERVICE = (
    "no PC/SC service answers; start pcscd, or set PCSCLITE_CSOCK_NAME to the socket of one."
)
_WITHOUT_READER = "reader {reader} is gone; plug it in again."

_FAULTS: dict[int, tuple[type[TransportError], str]] = {
    _Result.REMOVED_CARD: (CardLost, _GONE),
    _Result.NO_SMARTCARD: (CardLost, _GONE),
    _Result.NOT_TRANSACTED: (CardLost, _GONE),
    _Result.PROTO_MISMATCH: (CardLost, _GONE),  # it was powered anew and has no protocol yet
    _Result.UNPOWERED_CARD: (CardLost, _GONE),
    _Result.UNRESPONSIVE_CARD: (CardLost, _GONE),
    _Result.RESET_CARD: (
        CardLost,
        "another program reset the card in {reader} and it forgot where it was; present it again.",
    ),
    _Result.SHARING_VIOLATION: (
        ReaderFault,
        "another program holds {reader} for itself; close that program.",
    ),
    _Result.UNKNOWN_READER: (ReaderFault, _WITHOUT_READER),
    _Result.READER_UNAVAILABLE: (ReaderFault, _WITHOUT_READER),
    _Result.NO_SERVICE: (ReaderFault, _WITHOUT_SERVICE),
    _Result.SERVICE_STOPPED: (ReaderFault, _WITHOUT_SERVICE),
    _Result.COMM_ERROR: (ReaderFault, "pcscd went away while it was needed; start it again."),
    _Result.NO_READERS_AVAILABLE: (
        ReaderFault,
        "the PC/SC service has no reader; plug one in or start a virtual one.",
    ),
}

# While connecting these only mean that the card was too quick for us.
_NOT_THERE_YET = frozenset(
    (
        _Result.NO_SMARTCARD,
        _Result.REMOVED_CARD,
        _Result.UNPOWERED_CARD,
        _Result.UNRESPONSIVE_CARD,
        _Result.RESET_CARD,
        _Result.PROTO_MISMATCH,
    )
)

# How soon to look again at a card that is present but not powered yet.
_POWERING_S = 0.02


def fault(result: int, reader: str = "the reader") -> TransportError:
    """The exception that a PC/SC result code means to a gate."""
    kind, message = _FAULTS.get(
        result & 0xFFFFFFFF,  # pyscard gives signed numbers on some platforms
        (ReaderFault, f"{{reader}} failed with PC/SC error {result & 0xFFFFFFFF:08X}; replug it."),
    )
    return kind(message.format(reader=reader))


def choose_reader(readers: Sequence[str], wanted: str | None) -> str:
    """The one reader a person means.

    wanted: the whole name, or any part of it in any case; None if there is only one.
    Raises ReaderFault, listing what is there, if no reader or more than one is meant.
    """
    if not readers:
        raise fault(_Result.NO_READERS_AVAILABLE)
    if wanted is not None and wanted in readers:
        return wanted
    there = ", ".join(readers)
    if wanted is None:
        matches = list(readers)
        complaint = "there are several readers, name one of"
    else:
        matches = [name for name in readers if wanted.casefold() in name.casefold()]
        complaint = f"{'several readers match' if matches else 'no reader matches'} {wanted!r} of"
    if len(matches) != 1:
        raise ReaderFault(f"{complaint}: {there}.")
    return matches[0]


def list_readers() -> tuple[str, ...]:
    """The names of all readers, none if there are none. Raises ReaderFault without a service."""
    scard = _load_scard()
    context = _establish(scard)
    try:
        return _names(scard, context)
    finally:
        scard.SCardReleaseContext(context)


class PcscTransport:
    """A card in a PC/SC reader."""

    def __init__(self, scard: ModuleType, reader: str, handle: int, protocol: int) -> None:
        self._scard = scard
        self._send = scard.SCardTransmit
        self._reader = reader
        self._handle = handle
        self._protocol = protocol
        self._is_connected = True

    def transmit(self, command: bytes) -> bytes:
        """Send one command of 4 bytes or more. Returns data and status word.

        Raises ValueError on less than a header: vpcd would take one byte for a signal to the slot,
        and wait for ever for the answer to none.
        """
        if len(command) < _HEADER:
            raise ValueError(f"a command has at least {_HEADER} bytes, not {len(command)}")
        result, response = self._send(self._handle, self._protocol, list(command))
        if result:
            raise fault(result, self._reader)
        if len(response) < 2:  # vpcd reports success and no bytes when the card goes mid-command
            raise fault(_Result.REMOVED_CARD, self._reader)
        return bytes(response)

    @property
    def is_t0(self) -> bool:
        """Whether the link speaks T=0, where data and Le never go together (ISO 7816-3)."""
        return bool(self._protocol == self._scard.SCARD_PROTOCOL_T0)

    @property
    def atr(self) -> bytes:
        """What the card, or the reader in its name, answered to reset."""
        result, _, _, _, atr = self._scard.SCardStatus(self._handle)
        if result:
            raise fault(result, self._reader)
        return bytes(atr)

    @contextmanager
    def exclusive(self) -> Iterator[Self]:
        """Keep other programs off the card, so that none can step between two commands of a tap."""
        result = self._scard.SCardBeginTransaction(self._handle)
        if result:
            raise fault(result, self._reader)
        try:
            yield self
        finally:
            # A card that has left meanwhile ends the transaction too: nothing to report.
            self._scard.SCardEndTransaction(self._handle, Disposition.LEAVE)

    def disconnect(self, disposition: Disposition = Disposition.UNPOWER) -> None:
        """Let go of the card; by default it loses power and starts afresh next time."""
        if self._is_connected:
            self._is_connected = False
            self._scard.SCardDisconnect(self._handle, disposition)


class PcscCoupler:
    """One PC/SC reader. It shares the reader with other programs unless told otherwise.

    reader: see `choose_reader`.
    Raises ReaderFault if pyscard, the service or the reader is missing.
    """

    def __init__(self, reader: str | None = None, *, is_shared: bool = True) -> None:
        self._scard = _load_scard()
        self._share = (
            self._scard.SCARD_SHARE_SHARED if is_shared else self._scard.SCARD_SHARE_EXCLUSIVE
        )
        self._card: PcscTransport | None = None
        self._events: int | None = None  # the reader's count when the card was found
        self._context: int | None = _establish(self._scard)
        try:
            self.name = choose_reader(self.list_readers(), reader)
        except ReaderFault:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def list_readers(self) -> tuple[str, ...]:
        """The names of all readers of the service, ours among them."""
        return _names(self._scard, self._context)

    def wait_card(self, timeout_s: float) -> PcscTransport:
        """Wait until a card is in the field and powered. Raises NoCard, ReaderFault.

        A card that is there already counts, and the transport given out before is disconnected.
        """
        self._let_go()
        deadline = time.monotonic() + timeout_s
        for state in self._states(timeout_s):
            while state & _State.PRESENT and not state & _State.MUTE:
                card = self._connect()
                if card is not None:
                    self._card, self._events = card, state >> _EVENTS_AT
                    return card
                if time.monotonic() > deadline:
                    break
                # Present but still being powered: that ends without a change of state to wait for.
                time.sleep(_POWERING_S)
                state = next(self._states(0))
        raise NoCard(f"no card came to {self.name} within {timeout_s:g} s; present one.")

    def wait_gone(self, timeout_s: float) -> bool:
        """Wait until the card has left the field. Returns whether it has.

        A card that another has followed before we looked has left too.
        """
        states = self._states(timeout_s)
        return any(state & _State.EMPTY or self._is_followed(state) for state in states)

    def close(self) -> None:
        """Unpower the card and leave the service. May be called more than once."""
        self._let_go()
        if self._context is not None:
            self._scard.SCardReleaseContext(self._context)
            self._context = None

    def _let_go(self) -> None:
        if self._card is not None:
            self._card.disconnect()
            self._card = self._events = None

    def _is_followed(self, state: int) -> bool:
        """Whether another card has come after ours: one event of going, one of coming.

        Our own coming may have been counted after we found it: one event more means nothing.
        """
        if self._events is None:
            return False
        return (state >> _EVENTS_AT) - self._events & _EVENTS_MASK >= 2

    def _connect(self) -> PcscTransport | None:
        protocols = self._scard.SCARD_PROTOCOL_T0 | self._scard.SCARD_PROTOCOL_T1
        result, handle, protocol = self._scard.SCardConnect(
            self._context, self.name, self._share, protocols
        )
        if not result:
            card = PcscTransport(self._scard, self.name, handle, protocol)
            if protocol & protocols:
                return card
            card.disconnect(Disposition.LEAVE)  # between two powerings it has no protocol
            return None
        if result & 0xFFFFFFFF in _NOT_THERE_YET:
            return None
        raise fault(result, self.name)

    def _states(self, timeout_s: float) -> Iterator[int]:
        """The reader's state now, and at every change until the time is up."""
        deadline = time.monotonic() + timeout_s
        known = int(_State.UNAWARE)
        left_s = timeout_s
        while True:
            wait_ms = int(1000 * max(0.0, min(left_s, _SLICE_S)))
            result, readers = self._scard.SCardGetStatusChange(
                self._context, wait_ms, [(self.name, known)]
            )
            if not result:
                state = int(readers[0][1])
                if state & (_State.UNKNOWN | _State.UNAVAILABLE):
                    raise fault(_Result.READER_UNAVAILABLE, self.name)
                known = state & ~_State.CHANGED
                yield state
            elif result & 0xFFFFFFFF != _Result.TIMEOUT:
                raise fault(result, self.name)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return


def _load_scard() -> ModuleType:
    try:
        from smartcard import scard
    except ImportError as error:
        raise ReaderFault("PC/SC needs pyscard: pip install 'tapbench[pcsc]'.") from error
    assert isinstance(scard, ModuleType)
    return scard


def _establish(scard: ModuleType) -> int:
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    if result:
        raise fault(result)
    return int(context)


def _names(scard: ModuleType, context: int | None) -> tuple[str, ...]:
    result, names = scard.SCardListReaders(context, [])
    if result & 0xFFFFFFFF == _Result.NO_READERS_AVAILABLE:
        return ()
    if result:
        raise fault(result)
    return tuple(names)
