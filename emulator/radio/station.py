"""A card in a field: its machines behind framing, with the time it takes to answer.

`PiccLink` speaks frames without checksum and without time. A `Station` puts both around it: it
checks parity and CRC_A of what comes, adds CRC_A to what leaves, and says after how long an answer
begins. A card that needs longer than a share of the frame waiting time asks for more with S(WTX)
(rule 9), as often as it must.

The card's state machine answers at once; how long a real one would have computed comes from
`Service`. It goes on computing while it asks for time, so S(WTX) makes a command longer only where
the exchange outlasts what is left. The card is thought to commit at `COMMIT_SHARE` of its time.
Where it is known that the card leaves the field before, the command does not happen: the card
computes, and asks for time if it must, until it is gone.
"""

from typing import Final, Protocol

from apdu.blocks import MAX_WTXM
from apdu.frame import SHORT_BITS, Frame, asks_without_crc
from emulator.picc import CardGone, Contactless, ContactlessOf, Picc
from emulator.radio.isodep import PiccLink
from emulator.radio.medium import Reply
from emulator.radio.timing import FDT_READER, card_periods, ns, reader_periods

WTX_SHARE: Final = 0.78
"""S(WTX) from 30 ms of FWI 7's 38.7 ms (decided, protocol reference 7)."""
COMMIT_SHARE: Final = 0.8
"""When in a command's time the card writes its result (decided)."""


class Service(Protocol):
    """How long a card computes."""

    def time_ns(self, command: bytes) -> int:
        """From a command's last bit to the answer's first, in nanoseconds."""
        ...


class _Timed:
    """A card that takes its time: `due_ns` is what the last command needs."""

    def __init__(self, picc: Picc, service: Service | None) -> None:
        self.contactless: Contactless = picc.contactless
        self.power_on = picc.power_on
        self.power_off = picc.power_off
        self.due_ns = 0
        self.stays_ns: int | None = None
        self._process = picc.process
        self._service = service
        if service is None:
            self.process = picc.process  # type: ignore[method-assign]  # untimed: no detour

    def process(self, command: bytes) -> bytes:
        assert self._service is not None
        took_ns = self._service.time_ns(command)
        self.due_ns += took_ns
        if self.stays_ns is not None and self.stays_ns < took_ns * COMMIT_SHARE:
            return b""  # nothing is written, and by when this is due the card is gone
        return self._process(command)


class Station:
    """One card as a guest in a field (`medium.Guest`, `medium.Tearable`).

    picc:    the card.
    service: how long it computes; at once if left out.
    contactless_of: asked each time the field comes up, for a card with a new UID each time; None
             means that this field is ignored.
    """

    link: PiccLink

    def __init__(
        self,
        picc: Picc,
        service: Service | None = None,
        contactless_of: ContactlessOf | None = None,
    ) -> None:
        self._card = _Timed(picc, service)
        self._contactless_of = contactless_of
        self._is_on = False
        self._is_leaving = False
        self._link_up(picc.contactless)

    @property
    def contactless(self) -> Contactless:
        """How the card presents itself in this field."""
        return self._contactless

    def field_on(self) -> None:
        """The field comes up."""
        if self._is_on:
            return
        self._is_on = True
        self._is_leaving = False
        if self._contactless_of is not None:
            contactless = self._contactless_of()
            if contactless is None:
                return  # without a field the card answers nothing
            self._link_up(contactless)
        self.link.field_on()

    def field_off(self) -> None:
        """The field is gone, and with it all the card was doing."""
        self._is_on = False
        self._card.due_ns = 0
        self.link.field_off()

    def leaves_after(self, ns: int | None) -> None:
        """See Tearable."""
        self._card.stays_ns = ns

    def leave(self) -> None:
        """Take the card out of this field: it is silent until the next one. From any thread."""
        self._is_leaving = True

    def receive(self, frame: Frame, timeout_ns: int) -> Reply | None:
        """Take one frame; the answer with its checksum and delay, or None for silence."""
        if self._is_leaving:
            self._leave()
        try:
            return self._received(frame)
        except CardGone:
            self._leave()
            return None

    def _received(self, frame: Frame) -> Reply | None:
        if self.link.isodep.is_open:
            return self._in_protocol(frame)
        if frame.rate:  # what is before PPS is at 106 kbit/s
            self.link.receive(b"")
            return None
        if frame.tail == SHORT_BITS and len(frame.data) == 1:
            answer = self.link.receive(frame.data)
            return None if answer is None else Reply(Frame(answer))
        if self.link.activation.is_selected or not asks_without_crc(frame.data):
            body = frame.body()
            # A poll is a short frame; the same byte with a checksum is none.
            answer = self.link.receive(body if body is not None and len(body) > 1 else b"")
            return None if answer is None else Reply(Frame.whole(answer))
        split = frame.data[1] & 0x07
        is_right = frame.tail == (split or 8) and frame.has_right_parity
        answer = self.link.receive(frame.data if is_right else b"")
        return None if answer is None else Reply(Frame(answer, head=split))

    def receive_body(self, body: bytes) -> tuple[bytes, int] | None:
        """The same for a medium without checksums. Returns the answer and its delay, or None."""
        if self._is_leaving:
            self._leave()
        was_open = self.link.isodep.is_open
        try:
            answer = self.link.receive(body)
        except CardGone:
            self._leave()
            return None
        if answer is None:
            return None
        return self._extended(answer) if was_open else (answer, 0)

    def _leave(self) -> None:
        """The card is gone from a field that is still on: it is silent until the next one."""
        self._is_leaving = False
        self._card.due_ns = 0
        self.link.field_off()

    def _in_protocol(self, frame: Frame) -> Reply | None:
        isodep = self.link.isodep
        expected, rate = isodep.divisors[1], isodep.divisors[0]
        body = frame.body() if frame.rate == expected else None
        answer = self.link.receive(b"" if body is None else body)
        if answer is None:
            return None
        answer, after_ns = self._extended(answer, (rate, expected))
        return Reply(Frame.whole(answer, rate=rate), after_ns)

    def _extended(self, answer: bytes, rates: tuple[int, int] | None = None) -> tuple[bytes, int]:
        """The answer and its delay, or S(WTX) in its place if it would come late.

        rates: from the card and to it; None if the medium takes no time.
        """
        due_ns = self._card.due_ns
        isodep = self.link.isodep
        if not isodep.is_open:  # S(DESELECT): what was computed is no longer wanted
            self._card.due_ns = 0
            return answer, 0
        if not due_ns or isodep.is_extending:  # extending: S(WTX) once more, at once
            return answer, 0
        most_ns = int(isodep.waiting_time_s * 1e9 * WTX_SHARE)
        if due_ns <= most_ns:
            self._card.due_ns = 0
            return answer, due_ns
        step_ns = int(isodep.fwt_s * 1e9 * WTX_SHARE)
        wtxm = min(MAX_WTXM, -(-(due_ns - most_ns) // step_ns))
        request = isodep.request_wtx(wtxm)
        self._card.due_ns = max(1, due_ns - most_ns - _exchange_ns(request, rates))
        return request, most_ns

    def _link_up(self, contactless: Contactless) -> None:
        self._contactless = contactless
        self.link = PiccLink(self._card, contactless)


def _exchange_ns(request: bytes, rates: tuple[int, int] | None) -> int:
    """How long S(WTX) is on air, from the request's first bit to the response's last."""
    if rates is None:
        return 0
    sent = Frame.whole(request, rate=rates[0])
    back = Frame.whole(request, rate=rates[1])
    return ns(card_periods(sent) + FDT_READER + reader_periods(back))
