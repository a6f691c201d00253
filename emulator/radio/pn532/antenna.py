"""The PN532 as a card: what it does in the field of another reader.

`Antenna` is a guest in the air (`medium.Guest`) for as long as the chip exists; it answers only
while its host has made the chip a target. Two threads meet here: that of the reader's field, which
calls `receive` and waits for an answer, and that of the chip's own host, which fetches what came
and answers. One lock guards all; `on_news` tells the host's side that there is something to fetch.

Phases, and what becomes of a frame:

======== ============================================================================
OFF      the chip is no target: silence
POLLED   the chip runs ISO/IEC 14443-3 itself, until the first frame to the selected card
RAW      frames go to the host as they are, and its answers back, one at a time
PICC     the chip runs ISO/IEC 14443-4 itself; the host gets commands and gives responses
RELEASED the reader is done: its field went off, or it sent S(DESELECT)
======== ============================================================================

A host that thinks longer than the reader listens has missed its turn in RAW: the late answer goes
nowhere. In PICC the chip asks the reader for more time (S(WTX)) for as long as it takes. A host on
a busy machine can be given a little more time than the reader's: see `least_wait_ns`.
"""

from collections.abc import Callable
from enum import Enum, auto
from threading import Condition
from typing import Final

from apdu.blocks import CID_FOLLOWS
from apdu.frame import HLTA, SHORT_BITS, Frame, asks_without_crc
from apdu.value import value
from emulator.picc import Contactless
from emulator.radio.activation import Activation
from emulator.radio.isodep import IsoDep
from emulator.radio.medium import Reply
from emulator.radio.pn532.registers import CRC, Reg, Registers
from emulator.radio.pn532.status import Status

WTX_SHARE: Final = 0.5
"""S(WTX) after this share of the frame waiting time, so that it comes in time under load."""
WTXM: Final = 4
"""How many frame waiting times the chip asks for (decided)."""

_ATR_REQUEST = b"\xd4\x00"
_SYNC = 0xF0  # before a frame of NFC-DEP at 106 kbit/s


class Phase(Enum):
    """What the chip is as a target."""

    OFF = auto()
    POLLED = auto()
    RAW = auto()
    PICC = auto()
    RELEASED = auto()


@value
class Invitation:
    """How the host wants the chip to be activated.

    card:       how the chip presents itself.
    runs_picc:  RATS is answered by the chip, which runs ISO/IEC 14443-4 from there.
    only_picc, only_dep: other activations do not count.
    """

    card: Contactless
    runs_picc: bool = False
    only_picc: bool = False
    only_dep: bool = False


@value
class Inbound:
    """What came for the host. is_picc: it is the RATS that began PICC."""

    status: Status
    data: bytes = b""
    is_picc: bool = False


class _HostIsoDep(IsoDep):
    """ISO-DEP whose answers come later: `receive` returns the block that will carry the answer."""

    def finish(self, response: bytes) -> bytes:
        """The block with the answer in it, in place of the one that `receive` returned."""
        assert self._last is not None
        return self._send(response, self._last[0] & CID_FOLLOWS)


class _Host:
    """The host as the card above ISO-DEP (`emulator.picc.Picc`): it answers in its own time."""

    def __init__(self, contactless: Contactless) -> None:
        self.contactless = contactless
        self.command: bytes | None = None  # not answered yet
        self.response: bytes | None = None

    def power_on(self) -> bytes:
        """See Picc."""
        return self.contactless.historical

    def power_off(self) -> None:
        """See Picc."""
        self.command = self.response = None

    def process(self, command: bytes) -> bytes:
        """See Picc. The answer is a placeholder."""
        self.command, self.response = command, None
        return b""


class Antenna:
    """The chip's side of somebody else's field."""

    def __init__(self) -> None:
        self.is_in_field = False
        self.least_wait_ns = 0
        """How long the host may take for a raw frame, however short the reader listens."""
        self.on_news: Callable[[], None] = lambda: None
        self._changed = Condition()
        self._phase = Phase.OFF
        self._was_deselected = False
        self._first: Inbound | None = None
        self._inbox: Inbound | None = None
        self._outbox: Frame | None = None
        self._is_awaited = False

    # The host's side.

    @property
    def phase(self) -> Phase:
        """What the chip is as a target."""
        return self._phase

    @property
    def was_deselected(self) -> bool:
        """Whether the reader let go with S(DESELECT)."""
        return self._phase is Phase.RELEASED and self._was_deselected

    @property
    def rates(self) -> tuple[int, int]:
        """Bit rates of the reader and of the chip as an activated target, 0 for 106 kbit/s."""
        from_card, to_card = self._isodep.divisors
        return to_card, from_card

    def listen(self, invitation: Invitation, registers: Registers) -> None:
        """Become a target, from the beginning. registers: what raw frames are like."""
        with self._changed:
            self._registers = registers
            self._invitation = invitation
            self._activation = Activation(invitation.card)
            self._host = _Host(invitation.card)
            self._isodep = _HostIsoDep(self._host, invitation.card)
            self._was_deselected = False
            self._enter(Phase.POLLED)
            if self.is_in_field:
                self._activation.field_on()

    def stop(self) -> None:
        """Be no target any more. A reader that waits hears nothing."""
        with self._changed:
            self._enter(Phase.OFF)

    def take(self) -> Inbound | None:
        """What came for the host, once.

        The RATS that began PICC comes first, however quick the reader is with its first command:
        it is the answer to TgInitAsTarget, and the command that of TgGetData.
        """
        with self._changed:
            if self._first is not None:
                first, self._first = self._first, None
                return first
            inbound, self._inbox = self._inbox, None
            if inbound is None and self._phase is Phase.RELEASED:
                return Inbound(Status.RELEASED)
            return inbound

    def send(self, frame: Frame) -> None:
        """Answer the reader with a frame. It goes nowhere if the reader does not wait any more."""
        with self._changed:
            self._inbox = None  # sender and receiver share one buffer
            if self._is_awaited:
                self._outbox = frame
                self._changed.notify_all()

    def respond(self, response: bytes) -> Status:
        """Answer the reader's command in PICC, if there is one and the reader is still there."""
        with self._changed:
            if self._phase is Phase.RELEASED:
                return Status.RELEASED
            if self._phase is not Phase.PICC or self._host.command is None:
                return Status.CONTEXT
            self._host.command, self._host.response = None, response
            self._changed.notify_all()
            return Status.OK

    # The reader's side: medium.Guest.

    def field_on(self) -> None:
        """See Guest."""
        with self._changed:
            self.is_in_field = True
            if self._phase is Phase.POLLED:
                self._activation.field_on()

    def field_off(self) -> None:
        """See Guest."""
        with self._changed:
            self.is_in_field = False
            if self._phase is Phase.POLLED:
                self._activation.field_off()
            elif self._phase in (Phase.RAW, Phase.PICC):
                self._release(was_deselected=False)

    def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
        """See Guest. Waits for the host, in real time, as long as the reader listens."""
        with self._changed:
            match self._phase:
                case Phase.POLLED:
                    return self._while_polled(frame, timeout_ns)
                case Phase.RAW:
                    return self._through_host(frame, timeout_ns)
                case Phase.PICC:
                    return self._in_protocol(frame, timeout_ns)
                case _:
                    return None

    def _while_polled(self, frame: Frame, timeout_ns: int) -> Reply | None:
        activation = self._activation
        if frame.tail == SHORT_BITS and len(frame.data) == 1:
            answer = activation.receive(frame.data)
            return None if answer is None else Reply(Frame(answer))
        if asks_without_crc(frame.data):
            answer = activation.receive(frame.data if frame.has_right_parity else b"")
            return None if answer is None else Reply(Frame(answer, head=frame.data[1] & 0x07))
        body = frame.body() or b""
        if activation.is_selected and len(body) > 1 and body != HLTA:
            return self._activated(frame, body, timeout_ns)
        answer = activation.receive(body if len(body) > 1 else b"")
        return None if answer is None else Reply(Frame.whole(answer))

    def _activated(self, frame: Frame, body: bytes, timeout_ns: int) -> Reply | None:
        """The first frame to the selected card: it says what the chip becomes."""
        wanted = self._invitation
        ats = self._isodep.activate(body) if wanted.runs_picc else None
        if ats is not None and not wanted.only_dep:
            self._enter(Phase.PICC)
            self._first = Inbound(Status.OK, body, is_picc=True)
            self.on_news()
            return Reply(Frame.whole(ats))
        if wanted.only_picc or (wanted.only_dep and not is_atr_request(body)):
            self._isodep.reset()
            self._activation.receive(b"")  # an error: no card of this kind is here
            return None
        self._enter(Phase.RAW)
        return self._through_host(frame, timeout_ns)

    def _through_host(self, frame: Frame, timeout_ns: int) -> Reply | None:
        self._outbox = None
        self._is_awaited = True
        self._deliver(self._inbound(frame))
        self._changed.wait_for(
            lambda: self._outbox is not None or self._phase is not Phase.RAW,
            max(timeout_ns, self.least_wait_ns) / 1e9,
        )
        self._is_awaited = False
        answer, self._outbox = self._outbox, None
        return None if answer is None else Reply(answer)

    def _inbound(self, frame: Frame) -> Inbound:
        """A raw frame as the registers let it through."""
        if not frame.has_right_parity:
            return Inbound(Status.PARITY)
        self._registers.set_rx_last_bits(frame.tail)
        if not self._registers[Reg.RX_MODE] & CRC:
            return Inbound(Status.OK, frame.data)
        body = frame.body()
        return Inbound(Status.CRC) if body is None else Inbound(Status.OK, body)

    def _in_protocol(self, frame: Frame, timeout_ns: int) -> Reply | None:
        isodep = self._isodep
        rate, expected = isodep.divisors
        body = frame.body() if frame.rate == expected else None
        had = self._host.command
        block = isodep.receive(body or b"")
        if block is None:
            return None
        if not isodep.is_open:
            self._release(was_deselected=True)
        elif not isodep.is_extending:
            if self._host.command is not None and self._host.command is not had:
                self._deliver(Inbound(Status.OK, self._host.command))
            block = self._with_response(block, timeout_ns)
        return None if block is None else Reply(Frame.whole(block, rate=rate))

    def _with_response(self, block: bytes, timeout_ns: int) -> bytes | None:
        """The block with the host's response, or S(WTX) while there is none."""
        host, isodep = self._host, self._isodep
        if host.command is not None:
            listens_s = min(timeout_ns / 1e9, isodep.waiting_time_s)
            self._changed.wait_for(
                lambda: host.command is None or self._phase is not Phase.PICC,
                listens_s * WTX_SHARE,
            )
        if self._phase is not Phase.PICC:
            return None
        if host.response is not None:
            response, host.response = host.response, None
            return isodep.finish(response)
        return block if host.command is None else isodep.request_wtx(WTXM)

    def _deliver(self, inbound: Inbound) -> None:
        self._inbox = inbound
        self.on_news()

    def _release(self, *, was_deselected: bool) -> None:
        self._enter(Phase.RELEASED)
        self._was_deselected = was_deselected
        self._isodep.reset()
        self.on_news()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._first = self._inbox = None
        self._changed.notify_all()


def is_atr_request(frame: bytes) -> bool:
    """Whether a frame is the ATR_REQ of NFC-DEP at 106 kbit/s."""
    return len(frame) >= 4 and frame[0] == _SYNC and frame[2:4] == _ATR_REQUEST
