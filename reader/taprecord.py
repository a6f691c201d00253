"""The record of one tap: what a gate keeps, a station uploads and clearing checks.

A body of fixed size, 124 bytes, big-endian. The journal adds a checksum (`reader.journal`), a batch
carries bodies alone (`reader.batch`). It holds what the card's TAC covers (protocol reference 5.5),
the balance on both sides of it (domain facts 4.4), and where it happened (3.6).
"""

from enum import IntEnum
from struct import Struct

from apdu.bcd import Moment, is_decimal, unpack_moment
from apdu.codec import WireError
from apdu.files import PublicInfo
from apdu.value import value
from reader.transactions import Receipt, Unresolved
from reader.trips import Spot

BODY = 124
"""Bytes of a record without its checksum."""

MAGIC, VERSION = b"TJ", 1

RECOVERED, CLOCK_BACK = 0x01, 0x02
"""Flags: proved by the card at a later tap (6.8); the gate's clock had gone backwards."""

_LAYOUT = Struct(">2sBB L30sH Lll BB6sL7s B2s2s2s2s 2s2s7s 4sB8s20s")
assert _LAYOUT.size == BODY

_NOWHERE, _NO_TIME, _NO_TAC = bytes(2), bytes(7), bytes(4)
_TAIL = bytes(20)


class RecordError(ValueError):
    """Bytes are no record; the message says why."""


class Mark(IntEnum):
    """What a record says."""

    PROMISED = 1
    """A debit is about to be sent; whether it was taken is not known yet."""
    TAKEN = 2
    """The card committed it, and this is its TAC."""
    VOID = 3
    """The terminal's number was used and nothing was taken."""


@value
class TapRecord:
    """One record. Money is fen.

    sequence:     the record's number in its gate's journal, from 1; 0 while it is promised.
    info:         EF15 of the card, 30 bytes: issuer, serial, first and last valid day.
    counter:      the card's transaction number, after the increment.
    kind:         transaction type (3.7). trip: trip type (3.6), 0 for none.
    terminal_seq: the PSAM's transaction number; 0 for a load.
    when:         YYYYMMDDhhmmss, 7 bytes; the time the TAC covers.
    origin_*:     where and when the trip began, zeros at entry.
    gate:         the device's own name, 8 bytes, whatever PSAM it holds.
    """

    mark: int
    sequence: int
    info: bytes
    counter: int
    amount: int
    before: int
    after: int
    kind: int
    trip: int
    terminal: bytes
    terminal_seq: int
    when: bytes
    industry: int
    line: bytes
    station: bytes
    operator: bytes
    city: bytes
    origin_line: bytes
    origin_station: bytes
    origin_when: bytes
    tac: bytes
    flags: int
    gate: bytes

    @property
    def issuer(self) -> bytes:
        """EF15[0..7]."""
        return self.info[:8]

    @property
    def serial(self) -> bytes:
        """EF15[10..19]."""
        return self.info[10:20]

    @property
    def end_date(self) -> bytes:
        """EF15[24..27]: the card's last valid day as the gate read it."""
        return self.info[24:28]

    def build(self) -> bytes:
        """The body."""
        return _LAYOUT.pack(
            MAGIC,
            VERSION,
            self.mark,
            self.sequence,
            self.info,
            self.counter,
            self.amount,
            self.before,
            self.after,
            self.kind,
            self.trip,
            self.terminal,
            self.terminal_seq,
            self.when,
            self.industry,
            self.line,
            self.station,
            self.operator,
            self.city,
            self.origin_line,
            self.origin_station,
            self.origin_when,
            self.tac,
            self.flags,
            self.gate,
            _TAIL,
        )

    @classmethod
    def parse(cls, body: bytes) -> "TapRecord":
        """The record of a body. Raises RecordError."""
        if len(body) != BODY:
            raise RecordError(f"a record is {BODY} bytes, got {len(body)}")
        magic, version, mark, *values, tail = _LAYOUT.unpack(body)
        if magic != MAGIC or version != VERSION:
            raise RecordError(f"expected a record of version {VERSION}, got {body[:3].hex()}")
        if mark not in _MARKS or tail != _TAIL:
            raise RecordError(f"no record has the mark {mark} and the end {tail.hex()}")
        made = cls(mark, *values)
        if not is_decimal(made.when):
            raise RecordError(f"a time is decimal digits, got {made.when.hex()}")
        return made

    def same_tap(self) -> tuple[object, ...]:
        """What two deliveries of one tap have in common, and two taps have not."""
        return (self.serial, self.counter, self.kind, self.terminal, self.terminal_seq, self.tac)

    def unresolved(self) -> Unresolved:
        """A promised record as the gate's lost debit (6.8). Raises RecordError."""
        try:
            info = PublicInfo.from_wire(self.info)
        except WireError as error:
            raise RecordError(f"a promised debit's EF15 does not fit: {error}") from error
        return Unresolved(
            info,
            self.counter - 1,
            self.amount,
            self.after,
            self.kind,
            self.terminal,
            self.terminal_seq,
            Moment(self.when[:4], self.when[4:]),
        )


_MARKS = frozenset(int(mark) for mark in Mark)


@value
class Origin:
    """Where and when a ride began that ends now: line and stop 2 bytes each, time 7 bytes."""

    line: bytes
    station: bytes
    when: bytes


_NO_ORIGIN = Origin(_NOWHERE, _NOWHERE, _NO_TIME)


def promised(
    lost: Unresolved, spot: Spot, gate: bytes, trip: int, origin: Origin | None = None
) -> TapRecord:
    """The record of a debit about to be sent. trip: trip type (3.6). origin: of what it ends."""
    began = origin or _NO_ORIGIN
    return TapRecord(
        Mark.PROMISED,
        0,
        lost.info.build(),
        lost.seq + 1,
        lost.amount,
        lost.balance_after + lost.amount,
        lost.balance_after,
        lost.kind,
        trip,
        lost.terminal,
        lost.terminal_seq,
        lost.when.both,
        spot.industry,
        spot.line_bytes,
        spot.station_bytes,
        spot.operator,
        spot.city,
        began.line,
        began.station,
        began.when if _is_time(began.when) else _NO_TIME,
        _NO_TAC,
        0,
        gate,
    )


def _is_time(when: bytes) -> bool:
    """Whether what a card holds for a time is one."""
    try:
        unpack_moment(when)
    except ValueError:
        return False
    return True


def load_record(info: PublicInfo, receipt: Receipt, desk: bytes, operator: bytes) -> TapRecord:
    """The record of a top-up at a desk (6.4)."""
    return TapRecord(
        Mark.TAKEN,
        0,
        info.build(),
        receipt.seq,
        receipt.amount,
        receipt.balance - receipt.amount,
        receipt.balance,
        receipt.kind,
        EP_LOAD,
        receipt.terminal,
        0,
        receipt.when.both,
        0,
        _NOWHERE,
        _NOWHERE,
        operator,
        _NOWHERE,
        _NOWHERE,
        _NOWHERE,
        _NO_TIME,
        receipt.tac,
        RECOVERED if receipt.recovered else 0,
        desk,
    )


EP_LOAD = 0x0A
"""Trip type of a purse load (3.6)."""
