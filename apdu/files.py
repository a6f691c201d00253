"""The elementary files of the transit purse: numbers, structures, sizes, rights and layouts.

Protocol reference 3. A file's number is its short identifier (SFI); the two trip files are shared
with electronic cash on cards that have it.
"""

from dataclasses import dataclass
from enum import Enum

from apdu.codec import Bytes, Int8ub, Int16ub, Int24ub, Int32ub, Record, Show, record, wire
from apdu.records import TRANSACTION_KINDS

CARD_KINDS = {0x01: "normal", 0x02: "student", 0x03: "senior", 0x04: "test", 0x05: "military"}
"""EF17[10] (protocol reference 3.4)."""

TRIP_KINDS = {
    0x00: "initial",
    0x01: "EC entry",
    0x02: "EC exit",
    0x03: "EP entry",
    0x04: "EP exit",
    0x05: "EC single",
    0x06: "EP single",
    0x07: "EC fare adjust",
    0x08: "EP fare adjust",
    0x09: "EC load",
    0x0A: "EP load",
    0x12: "lock card",
}
"""EF1E[0] (protocol reference 3.6)."""

INDUSTRIES = {
    0x01: "metro",
    0x02: "bus",
    0x03: "ferry",
    0x04: "taxi",
    0x05: "rental",
    0x06: "bike",
    0x07: "parking",
    0x08: "coach",
    0x09: "ferry boat",
    0x0A: "intercity rail",
    0x0B: "air",
    0x0C: "highway",
    0x0E: "suburban rail",
}
"""EF1E[9] (protocol reference 3.6)."""

TRIP_STATES = {
    0x00: "initial",
    0x01: "entered",
    0x02: "exited",
    0x03: "entry corrected by staff",
    0x04: "exit corrected by staff",
}
"""EF1A[14] (protocol reference 3.8)."""

_MODES = {0x01: "segmented fare (CAPP)", 0x02: "pre-authorisation"}
_FREE = {0x00: "free"}


@record
class PublicInfo(Record):
    """EF15, public application basic file, also tag 9F0C of the FCI (3.2)."""

    issuer: bytes = wire(Bytes(8), "issuer code, key factor level 1", Show.DIGITS)
    application_type: int = wire(Int8ub, "application type", values={1: "ED", 2: "EP", 3: "both"})
    enabled: int = wire(Int8ub, "enable flag", values={0: "not enabled", 1: "enabled"})
    serial: bytes = wire(Bytes(10), "application serial number, 0 and PAN", Show.DIGITS)
    start_date: bytes = wire(Bytes(4), "first valid day", Show.DATE)
    end_date: bytes = wire(Bytes(4), "last valid day", Show.DATE)
    fci1: int = wire(Int8ub, "issuer's byte 1, a local card type")
    fci2: int = wire(Int8ub, "issuer's byte 2")


@record
class Holder(Record):
    """EF16, cardholder basic file (3.3). tapbench never puts personal data here."""

    card_type: int = wire(Int8ub, "card type flag")
    is_staff: int = wire(Int8ub, "staff of the issuer")
    name: bytes = wire(Bytes(20), "name")
    document: bytes = wire(Bytes(32), "identity document number")
    document_kind: int = wire(
        Int8ub,
        "identity document type",
        values={0: "identity card", 1: "officer", 2: "passport", 3: "entry permit", 4: "temporary"},
    )


@record
class Interop(Record):
    """EF17, management file (3.4)."""

    country: bytes = wire(Bytes(4), "country", Show.DIGITS)
    province: bytes = wire(Bytes(2), "province (GB 13497)", Show.DIGITS)
    city: bytes = wire(Bytes(2), "city (GB 13497)", Show.DIGITS)
    interop: int = wire(Int16ub, "interop flag", values={0: "local only", 1: "nationwide"})
    card_kind: int = wire(Int8ub, "card kind", values=CARD_KINDS)
    reserved: bytes = wire(Bytes(49), "reserved")


@record
class LogRecord(Record):
    """EF18, one transaction (3.5)."""

    seq: int = wire(Int16ub, "transaction number, after the transaction")
    overdraft_limit: int = wire(Int24ub, "overdraft limit", Show.MONEY)
    amount: int = wire(Int32ub, "amount", Show.MONEY)
    kind: int = wire(Int8ub, "transaction type", values=TRANSACTION_KINDS)
    terminal: bytes = wire(Bytes(6), "terminal number", Show.DIGITS)
    date: bytes = wire(Bytes(4), "date", Show.DATE)
    time: bytes = wire(Bytes(3), "time", Show.TIME)


@record
class TripLog(Record):
    """EF1E, one trip record (3.6)."""

    trip_kind: int = wire(Int8ub, "trip type", values=TRIP_KINDS)
    terminal: bytes = wire(Bytes(8), "terminal, 0000 and its number", Show.DIGITS)
    industry: int = wire(Int8ub, "industry", values=INDUSTRIES)
    line: bytes = wire(Bytes(2), "line", Show.DIGITS)
    station: bytes = wire(Bytes(2), "station", Show.DIGITS)
    operator: bytes = wire(Bytes(2), "operator", Show.DIGITS)
    rfu1: int = wire(Int8ub, "reserved")
    amount: int = wire(Int32ub, "amount", Show.MONEY)
    balance: int = wire(Int32ub, "balance after", Show.MONEY)
    time: bytes = wire(Bytes(7), "time", Show.MOMENT)
    city: bytes = wire(Bytes(2), "acquirer city", Show.DIGITS)
    institution: bytes = wire(Bytes(8), "acquirer institution", Show.DIGITS)
    rfu2: bytes = wire(Bytes(6), "reserved")


@record
class RailTrip(Record):
    """EF1A record 2701, the state of a rail trip (3.8)."""

    record_id: bytes = wire(Bytes(2), "record id 27NN")
    length: int = wire(Int8ub, "length of the rest")
    valid: int = wire(Int8ub, "record valid")
    mode: int = wire(Int8ub, "interop mode", values=_MODES)
    lock: int = wire(Int8ub, "record lock", values=_FREE)
    trip_serial: bytes = wire(Bytes(8), "trip serial", Show.DIGITS)
    state: int = wire(Int8ub, "trip state", values=TRIP_STATES)
    entry_city: bytes = wire(Bytes(2), "entry city", Show.DIGITS)
    exit_city: bytes = wire(Bytes(2), "exit city", Show.DIGITS)
    entry_institution: bytes = wire(Bytes(8), "entry institution", Show.DIGITS)
    exit_institution: bytes = wire(Bytes(8), "exit institution", Show.DIGITS)
    entry_station: bytes = wire(Bytes(8), "entry station", Show.DIGITS)
    exit_station: bytes = wire(Bytes(8), "exit station", Show.DIGITS)
    entry_device: bytes = wire(Bytes(8), "entry device", Show.DIGITS)
    exit_device: bytes = wire(Bytes(8), "exit device", Show.DIGITS)
    entry_time: bytes = wire(Bytes(7), "entry time", Show.MOMENT)
    exit_time: bytes = wire(Bytes(7), "exit time", Show.MOMENT)
    max_fare: int = wire(Int32ub, "marked amount, the highest fare", Show.MONEY)
    entry_line: int = wire(Int8ub, "entry line")
    exit_line: int = wire(Int8ub, "exit line")
    entry_amount: int = wire(Int32ub, "amount at entry", Show.MONEY)
    entry_balance: int = wire(Int32ub, "balance at entry", Show.MONEY)
    exit_amount: int = wire(Int32ub, "actual amount", Show.MONEY)
    reserved: bytes = wire(Bytes(29), "city defined")


@record
class BusTrip(Record):
    """EF1A record 2702, the state of a bus trip (3.9)."""

    record_id: bytes = wire(Bytes(2), "record id 27NN")
    length: int = wire(Int8ub, "length of the rest")
    valid: int = wire(Int8ub, "record valid")
    mode: int = wire(Int8ub, "interop mode", values=_MODES)
    lock: int = wire(Int8ub, "record lock", values=_FREE)
    trip_serial: bytes = wire(Bytes(8), "trip serial", Show.DIGITS)
    state: int = wire(Int8ub, "trip state", values={0: "initial", 1: "boarded", 2: "alighted"})
    board_city: bytes = wire(Bytes(2), "boarding city", Show.DIGITS)
    board_institution: bytes = wire(Bytes(8), "boarding institution", Show.DIGITS)
    board_operator: bytes = wire(Bytes(2), "boarding operator", Show.DIGITS)
    board_line: bytes = wire(Bytes(2), "boarding line", Show.DIGITS)
    board_station: int = wire(Int8ub, "boarding stop")
    board_vehicle: bytes = wire(Bytes(8), "boarding vehicle, ASCII")
    board_terminal: bytes = wire(Bytes(8), "boarding terminal", Show.DIGITS)
    board_time: bytes = wire(Bytes(7), "boarding time", Show.MOMENT)
    max_fare: int = wire(Int32ub, "marked amount, the highest fare", Show.MONEY)
    direction: int = wire(Int8ub, "direction", values={0xAB: "up", 0xBA: "down"})
    alight_city: bytes = wire(Bytes(2), "alighting city", Show.DIGITS)
    alight_institution: bytes = wire(Bytes(8), "alighting institution", Show.DIGITS)
    alight_operator: bytes = wire(Bytes(2), "alighting operator", Show.DIGITS)
    alight_line: bytes = wire(Bytes(2), "alighting line", Show.DIGITS)
    alight_station: int = wire(Int8ub, "alighting stop")
    alight_vehicle: bytes = wire(Bytes(8), "alighting vehicle, ASCII")
    alight_terminal: bytes = wire(Bytes(8), "alighting terminal", Show.DIGITS)
    alight_time: bytes = wire(Bytes(7), "alighting time", Show.MOMENT)
    amount: int = wire(Int32ub, "amount", Show.MONEY)
    mileage: int = wire(Int16ub, "mileage")
    reserved: bytes = wire(Bytes(26), "reserved")


class Structure(Enum):
    """How a file is organised."""

    TRANSPARENT = "transparent"
    CYCLIC = "cyclic"
    VARIABLE = "variable records"


_BY_ISSUER = "04 D6 under DAMK"
_BY_CARD = "the card alone, with every transaction"
_IN_CAPP = "80 DC in a CAPP purchase; 04 DC and 04 E2 under the record key"


@dataclass(frozen=True, slots=True)
class FileSpec:
    """One elementary file. size: bytes of the file or of one record; count: records.

    layout: the record class of its content; EF1A chooses by record id (`trip_layout`).
    caches: whether UPDATE CAPP DATA CACHE may write it.
    written: who may change it. Every file may be read freely.
    """

    sfi: int
    name: str
    structure: Structure
    size: int
    layout: type[Record]
    count: int = 1
    caches: bool = False
    clause: str = ""
    written: str = _BY_ISSUER


EF15 = FileSpec(0x15, "public information", Structure.TRANSPARENT, 30, PublicInfo, clause="3.2")
EF16 = FileSpec(0x16, "cardholder", Structure.TRANSPARENT, 55, Holder, clause="3.3")
EF17 = FileSpec(0x17, "interoperation", Structure.TRANSPARENT, 60, Interop, clause="3.4")
EF18 = FileSpec(
    0x18, "transaction log", Structure.CYCLIC, 23, LogRecord, 10, False, "3.5", _BY_CARD
)
EF1A = FileSpec(
    0x1A, "trip process", Structure.VARIABLE, 128, RailTrip, 18, True, "3.8, 3.9", _IN_CAPP
)
EF1E = FileSpec(0x1E, "trip records", Structure.CYCLIC, 48, TripLog, 30, True, "3.6", _IN_CAPP)

FILES: dict[int, FileSpec] = {f.sfi: f for f in (EF15, EF16, EF17, EF18, EF1A, EF1E)}
"""The files under the purse's AID, by SFI (protocol reference 3.1)."""


def trip_layout(content: bytes) -> type[Record] | None:
    """The layout of an EF1A record, by its first two bytes: 2701 rail, 2702 bus."""
    return {b"\x27\x01": RailTrip, b"\x27\x02": BusTrip}.get(content[:2])


def layout_of(sfi: int, content: bytes) -> type[Record] | None:
    """The record class that fits a file's content, or None if there is none of that length."""
    spec = FILES.get(sfi)
    layout = trip_layout(content) if sfi == EF1A.sfi else (spec.layout if spec else None)
    return layout if layout is not None and len(content) == layout.size() else None
