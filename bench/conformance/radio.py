"""A reader under a case's thumb: it sends any frame, right or wrong, and keeps what came back.

It speaks ISO/IEC 14443-3 and -4 as plainly as it can: it repeats nothing and forgives nothing. A
card that does not answer as it must breaks the case. `open` also makes it the lab's link, so that
every scene of the suite runs over it, at any frame size and with any CID.

Frames come and go without CRC; sizes count its two bytes, as the standard does.
"""

from collections.abc import Sized
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Final, Protocol

from apdu.ats import MAX_FWI, Ats, frame_size, frame_waiting_time_s
from apdu.blocks import (
    CID_FOLLOWS,
    I_BLOCK,
    MAX_WTXM,
    MORE,
    R_ACK,
    RATS,
    S_DESELECT,
    S_WTX,
    Block,
    Kind,
)
from apdu.crc import CRC_SIZE, append_crc
from apdu.frame import HLTA, REQA, SELECT_CODES, SELECT_NVB, SHORT_BITS, WUPA
from bench.conformance.case import Broken
from bench.conformance.words import Words
from emulator.radio.medium import POLL_TIMEOUT_NS, RATS_TIMEOUT_NS, Ask, Trouble
from emulator.radio.timing import DELTA_FWT, ns

if TYPE_CHECKING:
    from bench.conformance.stand import FrameStand
    from reader.transport.base import Transport

SILENCE: Final = Words("silence", "静默")
FIELD_ON: Final = "field on"
FIELD_OFF: Final = "field off"
UID_NOT_COMPLETE: Final = 0x04
MAX_FWT_NS: Final = round(frame_waiting_time_s(MAX_FWI) * 1e9)
MOST_WTX: Final = 50
"""S(WTX) in a row after which a card is taken to be stuck."""
MOST_PARTS: Final = 300
"""Parts of an answer after which a chain is taken not to end."""


class _Notes(Protocol):
    """What a reader needs of its lab."""

    @property
    def said(self) -> Sized:
        """Everything so far."""
        ...

    def aired(self, frame: bytes, answer: bytes | None, note: str = "") -> None:
        """Keep what was said in frames."""
        ...

    def forget(self) -> None:
        """Nothing volatile is known of the card any more."""
        ...


class Radio:
    """See the module.

    number:   of the reader's next I-block (rule A). cid: in every block, or None.
    fsd:      the largest frame the reader takes. frame: the largest it sends, at most FSC.
    ats:      read by `rats`. rates: bit rates to the card and back, as in `Ask`.
    delay_ns: of the last answer, None after silence. extensions: WTXM of each S(WTX) granted.
    """

    def __init__(self, lab: _Notes, stand: "FrameStand") -> None:
        self._lab = lab
        self._stand = stand
        self.number = 0
        self.cid: int | None = None
        self.fsd = 256
        self.frame = 256
        self.ats = Ats()
        self.rates = (0, 0)
        self.delay_ns: int | None = None
        self.extensions: list[int] = []
        self._rest_ns = 0

    # ISO/IEC 14443-3

    def field(self, is_on: bool) -> None:
        """Switch the field on or off. What the card knew of blocks is over."""
        self._stand.antenna.field(is_on)
        self._lab.aired(b"", None, FIELD_ON if is_on else FIELD_OFF)
        self.rates = (0, 0)
        self._rest_ns = 0

    def slow(self, time_ns: int) -> None:
        """Make each command take the card that long from now on. Needs FRESH."""
        self._stand.antenna.slow(time_ns)

    def anew(self) -> None:
        """The field off and on: the card is idle."""
        self.field(False)
        self.field(True)
        self._lab.forget()

    def ask(
        self,
        data: bytes,
        timeout_ns: int = POLL_TIMEOUT_NS,
        *,
        tail: int = 8,
        has_crc: bool = True,
        wants_crc: bool = True,
    ) -> bytes | None:
        """Any frame. Returns the answer, None for silence. tail, has_crc, wants_crc: see `Ask`.

        Raises Broken where the answer is no frame of whole bytes with a right checksum.
        """
        rest_ns, self._rest_ns = self._rest_ns, 0
        asked = Ask(data, timeout_ns, tail, has_crc, wants_crc, self.rates, rest_ns)
        aired = self._stand.antenna.exchange(asked)
        self.delay_ns = aired.delay_ns
        trouble = aired.heard.trouble
        if trouble is Trouble.TIMEOUT:
            self.delay_ns = None
            self._lab.aired(data, None)
            return None
        self._lab.aired(data, aired.heard.data, f"{trouble} error" if trouble else "")
        if trouble:
            raise self.broken(Words("a whole frame", "完整的帧"), f"{trouble} error", "1.2")
        return aired.heard.data

    def spoiled(self, data: bytes, timeout_ns: int = POLL_TIMEOUT_NS) -> bytes | None:
        """A frame with a wrong checksum."""
        whole = append_crc(data)
        return self.ask(whole[:-1] + bytes([whole[-1] ^ 0x01]), timeout_ns, has_crc=False)

    def reqa(self) -> bytes | None:
        """REQA. Returns ATQA, or None."""
        return self.ask(REQA, tail=SHORT_BITS, has_crc=False, wants_crc=False)

    def wupa(self) -> bytes | None:
        """WUPA. Returns ATQA, or None."""
        return self.ask(WUPA, tail=SHORT_BITS, has_crc=False, wants_crc=False)

    def hlta(self) -> bytes | None:
        """HLTA, which no card answers."""
        return self.ask(HLTA)

    def level(self, code: int = SELECT_CODES[0]) -> bytes:
        """The four bytes and BCC of a cascade level. Raises Broken."""
        came = self.ask(bytes([code, 0x20]), has_crc=False, wants_crc=False)
        if came is None or len(came) != 5:
            raise self.broken(Words("4 bytes and BCC", "4 字节与 BCC"), _shown(came), "1.2")
        if reduce(xor, came):
            raise self.broken(Words("BCC, their xor", "BCC 为其异或"), _shown(came), "1.2")
        return came

    def choose(self) -> tuple[bytes, int]:
        """Anticollision and SELECT of a card that is READY. Returns UID and SAK. Raises Broken."""
        uid = b""
        for code in SELECT_CODES:
            level = self.level(code)
            sak = self.ask(bytes([code, SELECT_NVB]) + level)
            if sak is None or len(sak) != 1:
                raise self.broken(Words("SAK", "SAK"), _shown(sak), "1.2")
            if not sak[0] & UID_NOT_COMPLETE:
                return uid + level[:4], sak[0]
            uid += level[1:4]
        raise self.broken(Words("a UID of at most three levels", "UID 至多三级"), "more", "1.2")

    def wake(self) -> None:
        """WUPA and SELECT. Raises Broken."""
        self._polled(self.wupa())

    def find(self) -> None:
        """REQA and SELECT in a field that has come up anew. Raises Broken."""
        self.anew()
        self._polled(self.reqa())

    def _polled(self, atqa: bytes | None) -> None:
        if atqa is None or len(atqa) != 2:
            raise self.broken(Words("ATQA", "ATQA"), _shown(atqa), "1.2")
        self.choose()

    # ISO/IEC 14443-4

    def rats(self, fsdi: int = 8, cid: int = 0) -> bytes | None:
        """RATS. Returns the ATS, or None."""
        came = self.ask(bytes([RATS, fsdi << 4 | cid]), RATS_TIMEOUT_NS + ns(DELTA_FWT))
        self.number, self.rates = 0, (0, 0)
        self.fsd = frame_size(fsdi)
        self.extensions = []
        return came

    def open(self, fsdi: int = 8, cid: int | None = None, *, is_new: bool = True) -> bytes:
        """From a field that comes up to the first block. Returns the ATS. Raises Broken.

        cid: in all blocks from now on. is_new: False if the card is selected already.
        """
        if is_new:
            self.find()
        came = self.rats(fsdi, cid or 0)
        try:
            self.ats = Ats.parse(came or b"")
        except ValueError:
            raise self.broken(Words("ATS", "ATS"), _shown(came), "1.3") from None
        self.cid = cid
        self.frame = self.ats.fsc
        self._rest_ns = self.ats.guard_ns
        self._link_up()
        return came or b""

    def _link_up(self) -> None:
        link: Transport = self
        self._stand.link = link
        self._lab.forget()

    def wait_ns(self, wtxm: int = 1) -> int:
        """How long the reader waits for a block."""
        return min(round(self.ats.fwt_s * 1e9) * wtxm, MAX_FWT_NS) + ns(DELTA_FWT)

    def framed(self, pcb: int, inf: bytes = b"") -> bytes:
        """A block with the reader's CID, if it uses one."""
        if self.cid is None:
            return bytes([pcb]) + inf
        return bytes([pcb | CID_FOLLOWS, self.cid]) + inf

    def raw(self, frame: bytes, wtxm: int = 1) -> bytes | None:
        """A frame as it is, with a checksum. Returns the card's block, or None for silence."""
        return self.ask(frame, self.wait_ns(wtxm))

    def say(self, pcb: int, inf: bytes = b"", wtxm: int = 1) -> bytes | None:
        """A block. Returns the card's, or None for silence. wtxm: of the extension in force."""
        return self.raw(self.framed(pcb, inf), wtxm)

    def silent(self, frame: bytes, what: Words | None = None, wtxm: int = 1) -> None:
        """A frame that the card must not answer. wtxm: how long an answer to it might take.

        Raises Broken.
        """
        came = self.raw(frame, wtxm)
        if came is not None:
            raise self.broken(what or SILENCE, _shown(came))

    def must(self, came: bytes | None, wanted: bytes, what: Words) -> None:
        """The card's block is this one, byte for byte. Raises Broken."""
        if came != wanted:
            shown = wanted.hex().upper()
            expected = Words(f"{what.en} {shown}", f"{what.zh} {shown}")
            raise self.broken(expected, _shown(came))

    def must_say(self, came: bytes | None, pcb: int, inf: bytes = b"") -> None:
        """The card's block is this one, with the CID that the reader uses. Raises Broken."""
        wanted = self.framed(pcb, inf)
        block = Block.parse(wanted)
        title = block.title if block is not None else "block"
        self.must(came, wanted, Words(title, title))

    def deliver(self, inf: bytes, *, has_more: bool = False) -> Block:
        """The next I-block (rules A and B), and the block that answers it. Raises Broken.

        An S(WTX) is granted as often as the card asks.
        """
        came = self._granted(self.say(I_BLOCK | self.number | (MORE if has_more else 0), inf))
        block = self._taken(came, Kind.R_BLOCK if has_more else Kind.I_BLOCK)
        self.number ^= 1  # rule B
        return block

    def follow(self) -> Block:
        """R(ACK), and the next part of the card's chain (rule 13). Raises Broken."""
        block = self._taken(self._granted(self.say(R_ACK | self.number)), Kind.I_BLOCK)
        self.number ^= 1  # rule B
        return block

    def deselect(self) -> bytes | None:
        """S(DESELECT). Returns the card's answer, or None."""
        return self.ask(self.framed(S_DESELECT), RATS_TIMEOUT_NS + ns(DELTA_FWT))

    def last_of(self, command: bytes) -> Block:
        """A command in as many blocks as it takes. Returns the first block of its answer."""
        room = min(self.frame, self.ats.fsc) - 1 - CRC_SIZE - (self.cid is not None)
        last = (len(command) - 1) // room * room
        for at in range(0, last, room):
            self.deliver(command[at : at + room], has_more=True)
        return self.deliver(command[last:])

    def transmit(self, command: bytes) -> bytes:
        """One command in as many blocks as it takes (`reader.transport.base.Transport`)."""
        block = self.last_of(command)
        response = block.inf
        for _ in range(MOST_PARTS):
            if not block.has_more:
                return response
            block = self.follow()
            response += block.inf
        raise self.broken(Words("a chain that ends", "会结束的链"), f"{len(response)} bytes", "1.6")

    def _granted(self, came: bytes | None) -> bytes | None:
        for _ in range(MOST_WTX):
            block = Block.parse(came) if came is not None else None
            if block is None or block.kind is not Kind.WTX:
                return came
            wtxm = self.wtxm(came)
            self.extensions.append(wtxm)
            came = self.say(S_WTX, bytes([wtxm]), wtxm)
        raise self.broken(Words("an answer", "应答"), f"S(WTX) {MOST_WTX} times", "1.6")

    def wtxm(self, came: bytes | None) -> int:
        """The multiplier of an S(WTX) request of right form. Raises Broken (1.5)."""
        frame = came or b""
        wtxm = frame[-1] & 0x3F if frame else 0
        if frame[:-1] != self.framed(S_WTX) or not 1 <= wtxm <= MAX_WTXM:
            raise self.broken(
                Words("S(WTX) with WTXM 1 to 59", "S(WTX)，WTXM 为 1 至 59"), _shown(came), "1.5"
            )
        return wtxm

    def _taken(self, came: bytes | None, kind: Kind) -> Block:
        """The block that may come now: of this kind, our number and CID, within FSD."""
        title = f"{'I' if kind is Kind.I_BLOCK else 'R(ACK)'} {self.number}"
        expected = Words(title, title)
        block = Block.parse(came) if came is not None else None
        if came is None or block is None or block.kind is not kind or block.is_nak:
            raise self.broken(expected, _shown(came), "1.6")
        if block.number != self.number:
            raise self.broken(expected, _shown(came), "1.6")
        if block.cid != self.cid or block.nad is not None:
            raise self.broken(Words("a block with our CID", "带本 CID 的块"), _shown(came), "1.5")
        if len(came) + CRC_SIZE > self.fsd:
            size = f"{len(came) + CRC_SIZE}"
            expected = Words(f"at most {self.fsd} bytes", f"至多 {self.fsd} 字节")
            raise self.broken(expected, size, "1.3")
        if kind is Kind.R_BLOCK and block.inf:
            raise self.broken(expected, _shown(came), "1.5")
        return block

    def broken(self, expected: Words, came: str, clause: str = "") -> Broken:
        """What the last frame shows. clause: if it is another than the case's own."""
        return Broken(expected, came, clause, len(self._lab.said) - 1)


def _shown(came: bytes | None) -> str:
    if came is None:
        return "silence"
    block = Block.parse(came)
    said = came.hex().upper() or "an empty frame"
    return f"{block.title}: {said}" if block is not None else said
