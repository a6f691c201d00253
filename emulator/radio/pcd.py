"""The reader's side of ISO/IEC 14443-3 and -4: find cards, open ISO-DEP, carry APDUs.

Theory of operation. The reader is the side that repeats. Each function and method here is a
conversation (`medium.Radio`): it yields what to send and gets what was heard, so the same code
runs over the simulated air, in a virtual chip and in a test. `medium.drive` carries one out.

Finding: one REQA asks all; where answers differ, the reader knows the bits before the first
difference, decides that the next bit is 1, and asks again with what it knows (anticollision, 6.5).

Carrying: `PcdIsoDep.transmit` sends a command in I-blocks and collects the answer. Rules A, B and
1 to 8 of ISO/IEC 14443-4, 7.5.4 (protocol reference 1.6) are all here; each is marked where it
acts. What breaks exactly-once delivery is a block that is taken for another, so a block counts as
good only if it is the one that can come now: right kind, right number, our CID, within FSD. All
else is a bad block and treated like a timeout.

Rule 6 needs care. "Send the I-block again when R(ACK) carries the other number" holds only for the
answer to R(NAK). An R(ACK) with the other number that comes otherwise is a late copy of an earlier
one; to obey it would deliver a block twice. EMV Contactless Book D words the rule that way.
"""

from collections.abc import Generator
from typing import Final

from apdu.ats import Ats, frame_size, frame_waiting_time_s
from apdu.blocks import (
    CID_FOLLOWS,
    I_BLOCK,
    MAX_WTXM,
    MORE,
    PPS,
    R_ACK,
    R_NAK,
    RATS,
    S_DESELECT,
    S_WTX,
    Block,
    Kind,
)
from apdu.crc import CRC_SIZE
from apdu.frame import CASCADE_TAG, HLTA, REQA, SELECT_CODES, SELECT_NVB, SHORT_BITS, WUPA
from apdu.value import value
from emulator.radio.activation import cascade
from emulator.radio.medium import (
    POLL_TIMEOUT_NS,
    RATS_TIMEOUT_NS,
    Ask,
    Heard,
    Radio,
    Trouble,
)
from emulator.radio.timing import DELTA_FWT, ns

TRIES: Final = 3
"""How often a block is tried before the card is given up (decided, protocol reference 1.6)."""
MOST_EXTENSIONS: Final = 100
"""S(WTX) requests in a row after which a card is taken to be stuck."""
MOST_RESPONSE: Final = 65_538
"""Bytes of the longest extended R-APDU; a chain that is longer does not end."""
MAX_FWT_NS: Final = round(frame_waiting_time_s(14) * 1e9)

_UID_NOT_COMPLETE = 0x04
_UID_BITS = 40  # four bytes and BCC


class LinkDead(Exception):
    """The card does not answer any more, or answers nonsense, after all tries."""


@value
class Found:
    """A card that is selected. atqa: low byte first; uid: 4, 7 or 10 bytes."""

    atqa: bytes
    uid: bytes
    sak: int


def find(wake: bool = False) -> Radio[Found | None]:
    """Poll, and select one card: the one whose UID has a 1 where UIDs first differ.

    wake: whether halted cards are asked too (WUPA). Returns None if there is no card, or none
    that keeps to the protocol.
    """
    atqa = yield from poll(wake)
    if atqa is None:
        return None
    uid = b""
    for code in SELECT_CODES:
        part = yield from _anticollision(code)
        if part is None:
            return None
        sak = yield from _select(code, part)
        if sak is None:
            return None
        if not sak & _UID_NOT_COMPLETE:
            return Found(atqa, uid + part[:4], sak)
        if part[0] != CASCADE_TAG:
            return None
        uid += part[1:4]
    return None


def find_all(most: int) -> Radio[list[Found]]:
    """Find up to `most` cards. The last one found is selected, the others are halted."""
    cards: list[Found] = []
    for _ in range(2 * most):
        card = yield from find()
        if card is None:
            break
        # One that is found again did not hear HLTA.
        cards = [known for known in cards if known.uid != card.uid] + [card]
        if len(cards) == most:
            return cards
        yield from halt()
    if cards:  # the last one was halted to look for another
        again = yield from select(cards[-1].uid)
        if again is None:
            cards.pop()
    return cards


def select(uid: bytes, wake: bool = True) -> Radio[Found | None]:
    """Select a card whose UID is known, without anticollision. None if it is not there.

    Raises ValueError if the UID is not 4, 7 or 10 bytes.
    """
    levels = cascade(uid)
    atqa = yield from poll(wake)
    if atqa is None:
        return None
    sak = None
    for code, level in zip(SELECT_CODES, levels, strict=False):
        sak = yield from _select(code, level)
        if sak is None or bool(sak & _UID_NOT_COMPLETE) != (level is not levels[-1]):
            return None
    return None if sak is None else Found(atqa, uid, sak)


def poll(wake: bool = False) -> Radio[bytes | None]:
    """REQA, or WUPA. Returns ATQA, or None if nothing answers.

    Cards that differ in their ATQA answer at once; the bits from the first that differs read as 0.
    """
    heard = yield Ask(WUPA if wake else REQA, POLL_TIMEOUT_NS, SHORT_BITS, False, False)
    if heard.trouble is Trouble.COLLISION:
        return heard.data[:2].ljust(2, b"\0")
    return heard.data if not heard.trouble and len(heard.data) == 2 else None


def halt() -> Radio[None]:
    """HLTA: the selected card sleeps until WUPA. Silence is the acknowledgement."""
    yield Ask(HLTA, POLL_TIMEOUT_NS)


def _select(code: int, part: bytes) -> Radio[int | None]:
    heard = yield Ask(bytes([code, SELECT_NVB]) + part, POLL_TIMEOUT_NS)
    return heard.data[0] if not heard.trouble and len(heard.data) == 1 else None


def _anticollision(code: int) -> Radio[bytes | None]:
    """UID bytes of one cascade level and BCC (ISO/IEC 14443-3, 6.5.3.1)."""
    known, count = 0, 0  # the bits that are certain, least significant first, and their number
    while True:
        whole, split = divmod(count, 8)
        asked = known.to_bytes(5, "little")[: whole + (split > 0)]
        nvb = 2 + whole << 4 | split
        heard = yield Ask(
            bytes([code, nvb]) + asked, POLL_TIMEOUT_NS, split or 8, adds_crc=False, wants_crc=False
        )
        known |= int.from_bytes(heard.data, "little") << 8 * whole
        if heard.trouble is Trouble.COLLISION and heard.collision is not None:
            count += heard.collision
            if count >= _UID_BITS:
                return None
            known = known & (1 << count) - 1 | 1 << count
            count += 1
            if count == _UID_BITS:
                return None  # the UIDs are equal and the checks are not
            continue
        if heard.trouble or whole + len(heard.data) != 5:
            return None
        part = known.to_bytes(5, "little")
        bcc = part[0] ^ part[1] ^ part[2] ^ part[3]
        return part if part[4] == bcc else None


class PcdIsoDep:
    """The block protocol of one reader with one selected card.

    fsdi:  the largest frame the reader takes, 0 .. 8 for 16 .. 256 bytes.
    cid:   the card's number, 0 .. 14, or None to use none.
    tries: how often each block is tried.
    """

    def __init__(self, fsdi: int = 8, cid: int | None = None, tries: int = TRIES) -> None:
        self.fsdi = fsdi
        self.cid = cid
        self.tries = tries
        self.ats = Ats()
        self.rates = (0, 0)
        self.number = 0  # rule A
        self._rest_ns = 0
        self._is_open = False  # no: the block numbers may be out of step

    def activate(self) -> Radio[bytes | None]:
        """RATS. Returns the ATS, or None if there is none: the card must be selected anew."""
        rats = bytes([RATS, self.fsdi << 4 | (self.cid or 0)])
        heard = yield Ask(rats, RATS_TIMEOUT_NS + ns(DELTA_FWT))
        try:
            self.ats = Ats.parse(heard.data)
        except ValueError:  # silence is an empty ATS
            return None
        if not self.ats.takes_cid:
            self.cid = None
        self.number = 0  # rule A
        self.rates = (0, 0)
        self._rest_ns = self.ats.guard_ns
        self._is_open = True
        return heard.data

    def pps(self, dsi: int, dri: int) -> Radio[bool]:
        """Ask for other bit rates, right after the ATS. Returns whether the card agreed.

        dsi, dri: card to reader and reader to card, 0 .. 3 for 106 .. 848 kbit/s.
        """
        start = PPS | (self.cid or 0)
        request = bytes([start, 0x11, dsi << 2 | dri])
        heard = yield self._ask(request, self.timeout_ns())
        if heard.trouble or heard.data != request[:1]:
            return False
        self.rates = (dri, dsi)
        return True

    def transmit(self, command: bytes) -> Radio[bytes]:
        """Carry one APDU there and its answer back. Raises LinkDead, from then on at once.

        A link that is dead stays so until `activate`: the next block would have the number of the
        one that was lost, and the card might get it twice.
        Raises ValueError for an empty command: an empty I-block is a question for presence.
        """
        if not command:
            raise ValueError("an empty command cannot be sent to a contactless card")
        if not self._is_open:
            raise LinkDead("the card must be activated first")
        self._is_open = False  # until the answer is here
        room = self.ats.fsc - 1 - CRC_SIZE - (self.cid is not None)
        last = (len(command) - 1) // room * room
        for at in range(0, last, room):
            yield from self._deliver(command[at : at + room], MORE)  # rule 7: own chain
        block = yield from self._deliver(command[last:], 0)
        response = block.inf
        while block.has_more:
            block = yield from self._next_part()  # rule 2
            response += block.inf
            if len(response) > MOST_RESPONSE:
                raise LinkDead(f"the card's answer does not end after {len(response)} bytes")
        self._is_open = True
        return response

    def is_present(self) -> Radio[bool]:
        """Ask the card whether it is there, without an APDU: R(NAK).

        It says R(ACK) by rule 12, or its last block again by rule 11 where that was lost before.
        """
        try:
            for _ in range(self.tries):
                if (yield from self._exchange(self._block(R_NAK | self.number))) is not None:
                    return True
        except LinkDead:
            return True  # it is there, and stuck
        return False

    def deselect(self) -> Radio[bool]:
        """End the protocol; the card halts. Returns whether it answered. Repeated by rule 8."""
        self._is_open = False
        for _ in range(self.tries):
            heard = yield self._ask(self._block(S_DESELECT), RATS_TIMEOUT_NS + ns(DELTA_FWT))
            block = self._ours(heard)
            if block is not None and block.kind is Kind.DESELECT and not block.inf:  # rule 3
                return True
        return False

    def timeout_ns(self, wtxm: int = 1) -> int:
        """How long the reader waits for a block. wtxm: the extension the card was granted."""
        return min(round(self.ats.fwt_s * 1e9) * wtxm, MAX_FWT_NS) + ns(DELTA_FWT)

    def _deliver(self, inf: bytes, more: int) -> Radio[Block]:
        """One I-block until the card has it: R(ACK) for a part, an I-block for the end."""
        frame = self._block(I_BLOCK | more | self.number, inf)
        expected = Kind.R_BLOCK if more else Kind.I_BLOCK
        send, has_asked = frame, False
        for _ in range(self.tries + 1):
            block = yield from self._exchange(send)
            if block is not None and not block.is_nak:
                if block.kind is expected and block.number == self.number:
                    self.number ^= 1  # rule B
                    return block
                if block.kind is Kind.R_BLOCK and block.number != self.number and has_asked:
                    send, has_asked = frame, False  # rule 6
                    continue
            send, has_asked = self._block(R_NAK | self.number), True  # rule 4
        raise LinkDead(f"the card did not take a block in {self.tries} tries")

    def _next_part(self) -> Radio[Block]:
        """The next I-block of a chained answer."""
        send = self._block(R_ACK | self.number)
        for _ in range(self.tries):
            block = yield from self._exchange(send)  # rule 5: again R(ACK)
            if block is not None and block.kind is Kind.I_BLOCK and block.number == self.number:
                self.number ^= 1  # rule B
                return block
        raise LinkDead(f"the card did not continue its answer in {self.tries} tries")

    def _exchange(self, frame: bytes) -> Generator[Ask, Heard, Block | None]:
        """Send a block and grant what time the card asks for. None for silence or a bad block.

        Raises LinkDead where the asking does not end.
        """
        timeout_ns = self.timeout_ns()
        for _ in range(MOST_EXTENSIONS):
            heard = yield self._ask(frame, timeout_ns)
            block = self._good(heard)
            if block is None or block.kind is not Kind.WTX:
                return block
            wtxm = block.inf[0] & 0x3F
            frame = self._block(S_WTX, bytes([wtxm]))  # rule 3; power level bits 00
            timeout_ns = self.timeout_ns(wtxm)
        raise LinkDead(f"the card asked for more time {MOST_EXTENSIONS} times in a row")

    def _ours(self, heard: Heard) -> Block | None:
        """A block of our card; its power level, in the upper bits of the CID byte, is ignored."""
        if heard.trouble or len(heard.data) + CRC_SIZE > frame_size(self.fsdi):
            return None
        block = Block.parse(heard.data)
        if block is None or block.cid != self.cid or block.nad is not None:
            return None
        return block

    def _good(self, heard: Heard) -> Block | None:
        """A block that goes on with the conversation."""
        block = self._ours(heard)
        if block is None:
            return None
        match block.kind:
            case Kind.I_BLOCK:
                return block if block.inf or not block.has_more else None
            case Kind.R_BLOCK:
                return None if block.inf else block
            case Kind.WTX:
                is_right = len(block.inf) == 1 and 1 <= block.inf[0] & 0x3F <= MAX_WTXM
                return block if is_right else None
            case _:
                return None

    def _ask(self, frame: bytes, timeout_ns: int) -> Ask:
        rest_ns, self._rest_ns = self._rest_ns, 0
        return Ask(frame, timeout_ns, rates=self.rates, rest_ns=rest_ns)

    def _block(self, pcb: int, inf: bytes = b"") -> bytes:
        if self.cid is None:
            return bytes([pcb]) + inf
        return bytes([pcb | CID_FOLLOWS, self.cid]) + inf
