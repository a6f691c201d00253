"""Frames in words: what a reader and a card say to each other on air, from REQA to S(DESELECT).

A frame's meaning depends on the one before it: `04 00` is an ATQA because REQA was asked. So frames
are read in order, by a `FrameReader`; it never refuses a frame. Blocks are named here and no more:
the commands inside them are `apdu.trace`'s.

A recording may have dropped checksums, parity or field changes: what is not there is not judged.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import xor
from typing import Final

from apdu.ats import frame_size
from apdu.blocks import RATS, Block, Kind
from apdu.crc import CRC_SIZE, crc_a
from apdu.event import Event, Source
from apdu.frame import (
    CASCADE_TAG,
    HLTA,
    REQA,
    SELECT_CODES,
    SELECT_NVB,
    SHORT_BITS,
    WUPA,
    odd_parity,
)
from apdu.show import Line, hexed
from apdu.trace import explain_ats

UNKNOWN: Final = "?"
"""Title of a frame that means nothing at its place."""
_POLLS: Final = {REQA: "REQA", WUPA: "WUPA"}
_NVB_KNOWS_NOTHING: Final = 0x20
_UID_PART: Final = 5  # four bytes of a cascade level and BCC
_UID_SIZES: Final = {0: "4 bytes", 1: "7 bytes", 2: "10 bytes", 3: "reserved"}
_SAK_CASCADE: Final = 0x04
_SAK_ISO_DEP: Final = 0x20
_RATES: Final = (106, 212, 424, 848)  # kbit/s by DSI and DRI


@dataclass(frozen=True, slots=True)
class FrameWords:
    """What one frame says.

    title:     short, for a column: `REQA`, `SELECT 1`, `I(0)+`.
    lines:     its parts by name.
    block:     the block, where the block protocol runs.
    faults:    what is wrong with it: checksum, parity, BCC.
    is_repeat: the same block once more, because the first did not get through.
    uid:       on the last SAK, the UID that was selected.
    """

    title: str
    lines: list[Line] = field(default_factory=list)
    block: Block | None = None
    faults: tuple[str, ...] = ()
    is_repeat: bool = False
    uid: bytes = b""

    def brief(self) -> str:
        """The parts on one line."""
        return ", ".join(
            f"{n.label} {n.value}" + (f" ({n.note})" if n.note else "") for n in self.lines
        )


def body_of(event: Event) -> bytes:
    """A frame's bytes without its checksum, right or wrong."""
    return event.data[:-CRC_SIZE] if event.has_crc else event.data


def crc_of(event: Event) -> bool | None:
    """Whether a frame's checksum is right; None if it has none or it was not recorded."""
    return crc_a(body_of(event)) == event.data[-CRC_SIZE:] if event.has_crc else None


class FrameReader:
    """Reads the frames of one field in their order.

    >>> from apdu.event import Layer
    >>> reader = FrameReader()
    >>> reader.read(Event(0, Source.PCD, Layer.RF, b"\\x26", tail=7)).title
    'REQA'
    >>> reader.read(Event(0, Source.PICC, Layer.RF, bytes.fromhex("0400"))).brief()
    'UID 4 bytes, anticollision 04'
    """

    def __init__(self) -> None:
        self._restart()

    def _restart(self) -> None:
        self._answer: Callable[[bytes], FrameWords | None] | None = None
        self._uid = b""
        self._part = b""
        self._latest: tuple[Source, int | None, int] | None = None  # I-block: CID and number

    def read(self, event: Event) -> FrameWords:
        """What a frame, or the coming and going of the field, means at this point."""
        if event.source is Source.FIELD:
            self._restart()
            return FrameWords("field on" if event.data[:1] != b"\0" else "field off")
        body = body_of(event)
        found = self._asked(event, body) if event.source is Source.PCD else self._answered(body)
        words = found or FrameWords(UNKNOWN, [Line("bytes", hexed(body))])
        words = replace(words, faults=(*words.faults, *_faults(event)))
        return replace(words, is_repeat=self._repeats(event.source, words))

    def _asked(self, event: Event, body: bytes) -> FrameWords | None:
        """What a reader's frame asks; remembers how to read the answer."""
        self._answer = None
        if body in _POLLS and event.tail in (SHORT_BITS, 8):
            return self._poll(_POLLS[body])
        if event.tail == SHORT_BITS and len(body) == 1:
            return FrameWords("short frame", [Line("bits", f"{body[0]:02X}")])
        if len(body) >= 2 and body[0] in SELECT_CODES:
            return self._narrow(body)
        if body == HLTA:
            return FrameWords("HLTA")
        if len(body) == 2 and body[0] == RATS:
            return self._rats(body)
        return self._block(body)

    def _poll(self, title: str) -> FrameWords:
        self._restart()
        self._answer = _atqa
        return FrameWords(title)

    def _narrow(self, body: bytes) -> FrameWords:
        """Anticollision or SELECT at one of the three cascade levels."""
        level, nvb, known = SELECT_CODES.index(body[0]) + 1, body[1], body[2:]
        if nvb == SELECT_NVB:
            self._part, self._answer = known, self._sak
            return FrameWords(f"SELECT {level}", _uid_lines(known), faults=_bcc(known))
        bits = ((nvb >> 4) - 2) * 8 + (nvb & 0x0F)
        self._answer = lambda answer: _uid(level, known, nvb & 0x0F, answer)
        lines = [] if nvb == _NVB_KNOWS_NOTHING else [Line("known", hexed(known), f"{bits} bits")]
        return FrameWords(f"ANTICOLL {level}", lines)

    def _rats(self, body: bytes) -> FrameWords:
        self._answer = self._ats
        fsdi, cid = body[1] >> 4, body[1] & 0x0F
        size = f"frames of {frame_size(fsdi)} bytes to the reader"
        return FrameWords("RATS", [Line("FSDI", str(fsdi), size), Line("CID", str(cid))])

    def _block(self, body: bytes) -> FrameWords | None:
        block = Block.parse(body)
        if block is None:
            return None
        if block.kind is Kind.PPS:
            self._answer = _pps_answer
            return FrameWords("PPS", _pps_lines(block), block)
        self._answer = self._block
        lines = [Line("INF", f"{len(block.inf)} bytes")] if block.kind is Kind.I_BLOCK else []
        return FrameWords(block.title, lines, block)

    def _answered(self, body: bytes) -> FrameWords | None:
        """What a card's frame says. One that no question came before is read as a block."""
        if not body:
            return FrameWords(UNKNOWN, faults=("no bits",))
        answer, self._answer = self._answer, None
        return self._block(body) if answer is None else answer(body)

    def _sak(self, body: bytes) -> FrameWords | None:
        if len(body) != 1:
            return None
        sak, part = body[0], self._part[:-1]
        self._uid += part[1:] if part[:1] == bytes([CASCADE_TAG]) else part
        if sak & _SAK_CASCADE:
            return FrameWords("SAK", [Line("SAK", f"{sak:02X}", "another cascade level follows")])
        speaks = "" if sak & _SAK_ISO_DEP else "no "
        note = f"{speaks}ISO/IEC 14443-4"
        lines = [Line("SAK", f"{sak:02X}", note), Line("UID", hexed(self._uid))]
        return FrameWords("SAK", lines, uid=self._uid)

    def _ats(self, body: bytes) -> FrameWords | None:
        if body[0] != len(body):
            return self._block(body)
        self._latest = None
        # Without TL, which every frame's length says.
        return FrameWords("ATS", [n for n in explain_ats(body).lines if n.label != "TL"])

    def _repeats(self, source: Source, words: FrameWords) -> bool:
        """Whether an I-block is the latest one again, nothing but R- and S-blocks between (7.5.3).

        A number alone says less: chains of the other side use numbers up.
        """
        block = words.block
        if block is None or block.kind is not Kind.I_BLOCK or words.faults:
            return False
        before, self._latest = self._latest, (source, block.cid, block.number)
        return before == self._latest


def _atqa(body: bytes) -> FrameWords | None:
    if len(body) != 2:
        return None
    size, bits = _UID_SIZES[body[0] >> 6], body[0] & 0x1F
    return FrameWords("ATQA", [Line("UID", size), Line("anticollision", f"{bits:02X}")])


def _uid(level: int, known: bytes, bits: int, answer: bytes) -> FrameWords:
    """One level of a UID: the bits the reader knew, and the card's rest of them."""
    if bits and known and answer:
        answer, known = bytes([answer[0] | known[-1]]) + answer[1:], known[:-1]
    part = known + answer
    return FrameWords(f"UID {level}", _uid_lines(part), faults=_bcc(part))


def _uid_lines(part: bytes) -> list[Line]:
    note = "cascade tag and 3 bytes" if part[:1] == bytes([CASCADE_TAG]) else ""
    return [Line("UID", hexed(part[: _UID_PART - 1]), note), Line("BCC", hexed(part[4:]))]


def _bcc(part: bytes) -> tuple[str, ...]:
    if len(part) != _UID_PART:
        return ("cut UID",)
    return ("BCC wrong",) if reduce(xor, part) else ()


def _pps_lines(block: Block) -> list[Line]:
    lines = [Line("CID", str(block.cid))]
    if len(block.inf) == 2:
        dsi, dri = block.inf[1] >> 2 & 0x03, block.inf[1] & 0x03
        lines.append(Line("DSI", str(dsi), f"{_RATES[dsi]} kbit/s to the reader"))
        lines.append(Line("DRI", str(dri), f"{_RATES[dri]} kbit/s to the card"))
    return lines


def _pps_answer(body: bytes) -> FrameWords | None:
    block = Block.parse(body)
    if block is None or block.kind is not Kind.PPS:
        return None
    return FrameWords("PPS agreed", [Line("CID", str(block.cid))], block)


def _faults(event: Event) -> tuple[str, ...]:
    faults = []
    if crc_of(event) is False:
        faults.append(f"CRC wrong, {crc_a(body_of(event)).hex().upper()} is right")
    if event.parity is not None and event.tail == 8:
        right = odd_parity(event.data)
        bad = [
            i for i, (sent, odd) in enumerate(zip(event.parity, right, strict=False)) if sent != odd
        ]
        if bad:
            faults.append("parity wrong in byte " + ", ".join(map(str, bad)))
    return tuple(faults)
