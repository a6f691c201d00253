"""ISO/IEC 14443-4, the card's side: whole commands out of blocks, and answers back into blocks.

Theory of operation
===================

ISO-DEP carries APDUs over an air that loses frames. Its one idea: the reader alone repeats. The
card never recovers from anything; what it does not understand it does not answer, and the
reader's timeout does the rest. So `receive` has two outcomes, a block or None, and no errors.

One bit makes this safe. Each side keeps a block number. The card turns its own over with each new
I-block (rule D) before it answers, so when the reader asks "again?" with R(NAK), the number tells
the card whether it is the answer that was lost (same number: send it again, rule 11) or the
command (other number: say so with R(ACK), rule 12, and the reader sends the command again). In
neither case does the command run twice. Because of this bit a bad field debits a purchase once.

There are two machines here. `IsoDep` is the block protocol: RATS to S(DESELECT). `PiccLink` puts
it after `activation.Activation` and is what a front end holds: frames in, frames out.

`IsoDep` has a phase, and the phase says which kinds of block mean something:

========== ================================= ======= ======= ========== ======= =====
phase      what the card waits for           I-block R-block S(DESEL.)  S(WTX)  PPS
========== ================================= ======= ======= ========== ======= =====
CLOSED     RATS
FRESH      the first block after the ATS     yes     yes     yes                yes
WAITING    a command                         yes     yes     yes
RECEIVING  the next part of a command        yes     yes     yes
SENDING    R(ACK) for a part of its answer           yes     yes
EXTENDING  the response to its S(WTX)                R(NAK)  yes        yes
========== ================================= ======= ======= ========== ======= =====

`LEGAL` is this table; everything not in it is silence. What the table cannot say is in the
handlers: block numbers, CID, lengths.

A block that is silently dropped changes nothing except that PPS is over. Block numbers are not
touched by it: that is what makes the reader's next R(NAK) come out right.

The fast path at the top of `receive` takes the block that nearly all of a tap consists of, a whole
command in one I-block without CID, and answers it without looking at any of this. It runs only
while `_plain_limit` says that the slow path would give the same answer.

Time does not exist here. `waiting_time_s` is a value: how long the reader waits for the answer to
the block just received. An owner whose card needs longer calls `request_wtx` and sends the
S(WTX) block it gets instead of the answer, which is kept back until the reader agrees.

Frames come and go without CRC, but FSD and FSC count its two bytes, as the standard does.

Rule letters and numbers are those of ISO/IEC 14443-4, 7.5.4 (protocol reference 1.6).
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from apdu.ats import FRAME_SIZES, MAX_FWI, Ats, frame_size, frame_waiting_time_s
from apdu.blocks import (
    CID_FOLLOWS,
    I_BLOCK,
    KINDS,
    MAX_CID,
    MAX_WTXM,
    MORE,
    NAD_FOLLOWS,
    NAK,
    NUMBER,
    R_ACK,
    RATS,
    S_DESELECT,
    S_WTX,
    Kind,
)
from apdu.crc import CRC_SIZE
from emulator.picc import Contactless, Picc
from emulator.radio.activation import Activation

MAX_FWT_S: Final = frame_waiting_time_s(MAX_FWI)
MAX_COMMAND: Final = 65_544  # bytes of the longest extended C-APDU; a longer chain is no command

_PLAIN_PREFIX = (bytes([I_BLOCK]), bytes([I_BLOCK | NUMBER]))


class Phase(Enum):
    """What the card waits for."""

    CLOSED = auto()
    FRESH = auto()
    WAITING = auto()
    RECEIVING = auto()
    SENDING = auto()
    EXTENDING = auto()


_ALWAYS = frozenset({Kind.R_BLOCK, Kind.DESELECT})
LEGAL: Final[dict[Phase, frozenset[Kind]]] = {
    Phase.CLOSED: frozenset(),
    Phase.FRESH: _ALWAYS | {Kind.I_BLOCK, Kind.PPS},
    Phase.WAITING: _ALWAYS | {Kind.I_BLOCK},
    Phase.RECEIVING: _ALWAYS | {Kind.I_BLOCK},
    Phase.SENDING: _ALWAYS,
    Phase.EXTENDING: _ALWAYS | {Kind.WTX},
}


class IsoDep:
    """The block protocol of one card, from RATS to S(DESELECT).

    picc:        gets `power_on` with RATS, whole commands with `process`, and `power_off` with
                 S(DESELECT) or `reset`.
    contactless: its ATS is what is sent and kept to. Raises ValueError if that is malformed.
    """

    is_open: bool  # between ATS and S(DESELECT)
    fsd: int  # the largest frame the reader takes, CRC included, from RATS
    cid: int  # assigned by RATS
    divisors: tuple[int, int]  # DSI, DRI of PPS: 0 is 106 kbit/s, 3 is 848

    _phase: Phase
    _number: int  # the card's block number
    _command: bytes  # the parts received of a chained command
    _response: bytes  # what is not yet sent of an answer
    _last: bytes | None  # the last I-block or R(ACK), to repeat by rule 11
    _wtx: bytes  # the S(WTX) request that waits for its response
    _granted_wtxm: int
    _resume: Phase  # after EXTENDING
    _plain_limit: int  # the longest frame the fast path takes, 0 to switch it off
    _plain_room: int  # INF of one I-block without CID

    def __init__(self, picc: Picc, contactless: Contactless) -> None:
        self._picc = picc
        self._ats = contactless.ats
        self._promised = Ats.parse(contactless.ats)
        self._fwt_s = self._promised.fwt_s
        self._handlers: dict[Kind, Callable[[int, bytes], bytes | None]] = {
            Kind.I_BLOCK: self._on_i_block,
            Kind.R_BLOCK: self._on_r_block,
            Kind.DESELECT: self._on_deselect,
            Kind.WTX: self._on_wtx_response,
        }
        self._restart(Phase.CLOSED, FRAME_SIZES[0], 0)

    @property
    def fsc(self) -> int:
        """The largest frame the card takes, CRC included, from the ATS."""
        return self._promised.fsc

    @property
    def fwt_s(self) -> float:
        """The frame waiting time of the ATS, without extension."""
        return self._fwt_s

    @property
    def is_extending(self) -> bool:
        """Whether the card waits for the response to its S(WTX)."""
        return self._phase is Phase.EXTENDING

    @property
    def waiting_time_s(self) -> float:
        """How long the reader waits for the answer to the block just received."""
        # A granted extension holds until the reader gets the next block, and never past FWT(14).
        return min(self._fwt_s * self._granted_wtxm, MAX_FWT_S)

    def activate(self, rats: bytes) -> bytes | None:
        """Answer RATS with the ATS. None if it is no valid RATS, or the protocol runs already."""
        if self.is_open or len(rats) != 2 or rats[0] != RATS or rats[1] & 0x0F > MAX_CID:
            return None
        self._restart(Phase.FRESH, frame_size(rats[1] >> 4), rats[1] & 0x0F)
        self._picc.power_on()
        return self._ats

    def reset(self) -> None:
        """The field is gone. The card is powered off if it was on."""
        if self.is_open:
            self._restart(Phase.CLOSED, self.fsd, self.cid)
            self._picc.power_off()

    def receive(self, frame: bytes) -> bytes | None:
        """Take one block without CRC. Returns the block to answer, or None for silence."""
        # The fast path: rules D and 10 for a whole command in one block.
        if 1 < len(frame) <= self._plain_limit and frame[0] & ~NUMBER == I_BLOCK:
            self._number ^= 1
            response = self._picc.process(frame[1:])
            if len(response) <= self._plain_room:
                self._last = answer = _PLAIN_PREFIX[self._number] + response
                return answer
            return self._send(response, 0)
        return self._receive_any(frame)

    def request_wtx(self, wtxm: int) -> bytes:
        """Ask for more time instead of sending what `receive` has just returned (rule 9).

        wtxm: multiplier of the frame waiting time, 1 .. 59.
        Returns the S(WTX) request to send. The I-block or R(ACK) it stands for is returned by the
        `receive` that gets the reader's S(WTX) response; `waiting_time_s` is then the longer time.
        Raises ValueError if wtxm is out of range, RuntimeError if there is no answer to hold back.
        """
        if not 1 <= wtxm <= MAX_WTXM:
            raise ValueError(f"WTXM is 1 to {MAX_WTXM}, not {wtxm}")
        if self._last is None or self._phase is Phase.EXTENDING:
            raise RuntimeError("there is no answer that S(WTX) could stand for")
        self._wtx = self._block(S_WTX, self._last[0] & CID_FOLLOWS, bytes([wtxm]))
        self._resume = self._phase
        self._enter(Phase.EXTENDING)
        return self._wtx

    def _receive_any(self, frame: bytes) -> bytes | None:
        self._granted_wtxm = 1
        phase = self._phase
        if phase is Phase.FRESH or phase is Phase.WAITING:
            self._enter(Phase.WAITING)  # PPS is the first block or never, 5.6.1.2
        if not frame or len(frame) + CRC_SIZE > self._promised.fsc:
            return None
        kind = KINDS.get(frame[0])
        if kind is None or kind not in LEGAL[phase]:
            return None
        if kind is Kind.PPS:
            return self._on_pps(frame)
        inf = self._addressed(frame)
        return None if inf is None else self._handlers[kind](frame[0], inf)

    def _addressed(self, frame: bytes) -> bytes | None:
        """What follows PCB and CID in a block that is meant for this card, 7.1.1.2."""
        if not frame[0] & CID_FOLLOWS:
            return frame[1:] if self._takes_plain else None
        # A reader sends 00 for the power level: the CID byte is the CID.
        if not self._promised.takes_cid or len(frame) < 2 or frame[1] != self.cid:
            return None
        return frame[2:]

    def _on_i_block(self, pcb: int, inf: bytes) -> bytes | None:
        if pcb & NAD_FOLLOWS or len(self._command) + len(inf) > MAX_COMMAND:
            return None
        self._number ^= 1  # rule D
        command = self._command + inf
        if pcb & MORE:
            self._command = command
            self._enter(Phase.RECEIVING)
            return self._acknowledge(pcb & CID_FOLLOWS)  # rule 2
        self._command = b""
        # An empty I-block is a reader's way to ask whether the card is there, 7.5.5.
        response = self._picc.process(command) if command else b""
        return self._send(response, pcb & CID_FOLLOWS)  # rule 10

    def _on_r_block(self, pcb: int, inf: bytes) -> bytes | None:
        if inf:
            return None
        if self._phase is Phase.EXTENDING:
            return self._wtx if pcb & NAK else None  # the request was lost
        if pcb & NUMBER == self._number:
            return self._last  # rule 11
        if pcb & NAK:
            return self._acknowledge(pcb & CID_FOLLOWS)  # rule 12
        if self._phase is not Phase.SENDING:
            return None
        self._number ^= 1  # rule E
        return self._send_part(pcb & CID_FOLLOWS)  # rule 13

    def _on_deselect(self, pcb: int, inf: bytes) -> bytes | None:
        if inf:
            return None
        self.reset()
        return self._block(S_DESELECT, pcb & CID_FOLLOWS)  # rule 3

    def _on_wtx_response(self, pcb: int, inf: bytes) -> bytes | None:
        if inf != self._wtx[-1:]:  # rule 3: the same WTXM, power level bits 00
            return None
        self._enter(self._resume)
        self._plain_limit = 0  # the next block ends the extension, in _receive_any
        self._granted_wtxm = inf[0]
        return self._last

    def _on_pps(self, frame: bytes) -> bytes | None:
        """Protocol and parameter selection, 5.3: the answer repeats PPSS, then the rates change."""
        if frame[0] & 0x0F != (self.cid if self._promised.takes_cid else 0):
            return None
        if frame[1:] == b"\x01":  # no PPS1: the rates stay
            return frame[:1]
        if len(frame) != 3 or frame[1] != 0x11 or frame[2] & 0xF0:
            return None
        divisors = frame[2] >> 2, frame[2] & 0x03
        if not self._promised.offers(*divisors):
            return None
        self.divisors = divisors
        return frame[:1]

    def _acknowledge(self, cid: int) -> bytes:
        self._last = self._block(R_ACK | self._number, cid)
        return self._last

    def _send(self, response: bytes, cid: int) -> bytes:
        self._response = response
        return self._send_part(cid)

    def _send_part(self, cid: int) -> bytes:
        """The next I-block of the answer, as much as the reader's FSD holds."""
        room = self._plain_room - (1 if cid else 0)
        part, self._response = self._response[:room], self._response[room:]
        self._enter(Phase.SENDING if self._response else Phase.WAITING)
        more = MORE if self._response else 0
        self._last = self._block(I_BLOCK | more | self._number, cid, part)
        return self._last

    def _block(self, pcb: int, cid: int, inf: bytes = b"") -> bytes:
        """A block; it carries a CID if the reader's did, with power level 00 (not supported)."""
        return bytes([pcb | CID_FOLLOWS, self.cid]) + inf if cid else bytes([pcb]) + inf

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        is_plain = phase is Phase.WAITING and self._takes_plain
        self._plain_limit = self._promised.fsc - CRC_SIZE if is_plain else 0

    @property
    def _takes_plain(self) -> bool:
        """Whether a block without CID is for this card: its CID is 0, or it knows no CID."""
        return self.cid == 0 or not self._promised.takes_cid

    def _restart(self, phase: Phase, fsd: int, cid: int) -> None:
        self.is_open = phase is not Phase.CLOSED
        self.fsd = fsd
        self.cid = cid
        self.divisors = (0, 0)
        self._number = 1  # rule C
        self._command = self._response = self._wtx = b""
        self._last = None
        self._granted_wtxm = 1
        self._resume = Phase.CLOSED
        self._plain_room = fsd - 1 - CRC_SIZE
        self._enter(phase)


class PiccLink:
    """A card as the air sees it: activation, then ISO-DEP, over one antenna.

    `activation` and `isodep` are the two machines, for reading.
    """

    def __init__(self, picc: Picc, contactless: Contactless) -> None:
        self.activation = Activation(contactless)
        self.isodep = IsoDep(picc, contactless)

    def field_on(self) -> None:
        """The field comes up. Nothing happens in a field that is on."""
        self.activation.field_on()

    def field_off(self) -> None:
        """The field is gone: the card is powered off, whatever it was doing."""
        self.activation.field_off()
        self.isodep.reset()

    def receive(self, frame: bytes) -> bytes | None:
        """Take one frame without CRC. Returns the answer without CRC, or None for silence."""
        isodep = self.isodep
        if isodep.is_open:
            answer = isodep.receive(frame)
            if not isodep.is_open:
                self.activation.deselect()
            return answer
        if self.activation.is_selected:
            ats = isodep.activate(frame)
            if ats is not None:
                return ats
        return self.activation.receive(frame)
