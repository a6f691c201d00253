"""What a recording is made of: one event for each thing that happened, on any layer.

Cards, gates and the air report events while they work; files of every trace format are written
from them and read back into them (`bench.trace_formats`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from apdu.value import value


class Source(StrEnum):
    """Who did it."""

    PCD = "pcd"  # the reader sent it
    PICC = "picc"  # the card, or the PSAM, answered it
    FIELD = "field"  # the reader's field went on or off
    STAGE = "stage"  # a part of a transaction began
    DECISION = "decision"  # the gate decided


class Layer(StrEnum):
    """Where it was seen."""

    RF = "rf"  # a frame of ISO/IEC 14443-3
    ISODEP = "isodep"  # a block without checksum, where the medium shows no more
    APDU = "apdu"  # a command or response
    GATE = "gate"  # the terminal's own


@value
class Event:
    """One thing that happened.

    t_ns:        when it began, from the beginning of the recording.
    data:        RF: the frame's bytes, with its CRC if `has_crc`. APDU: the command or response.
                 FIELD: 01 the field is on, 00 off.
    duration_ns: how long it was on air, or how long an APDU took to be answered (on the answer);
                 0 if unknown.
    tail, head, parity: RF: see `apdu.frame.Frame`.
    has_crc:     RF: whether data ends with a checksum, right or wrong. False: the frame has none.
                 None: it had one, and the recording dropped it.
    to:          APDU: `card` or `psam`.
    tap:         which tap of the recording, from 1; 0 if it does not say.
    gate, name, note: which gate; a short name, such as `PASS` or `entry`; a remark for people.
    """

    t_ns: int
    source: Source
    layer: Layer
    data: bytes = b""
    duration_ns: int = 0
    tail: int = 8
    head: int = 0
    parity: bytes | None = None
    has_crc: bool | None = False
    to: str = "card"
    tap: int = 0
    gate: str = ""
    name: str = ""
    note: str = ""


Observer = Callable[[Event], None]
"""Told of each event as it happens. Must be quick and must not raise."""


@dataclass(slots=True)
class Trace:
    """A recording. started: the wall clock at t_ns 0, with a zone; None if unknown."""

    events: list[Event] = field(default_factory=list)
    started: datetime | None = None
    title: str = ""
