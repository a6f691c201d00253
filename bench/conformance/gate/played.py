"""The card that plays: ours, with knobs that change what it shows while it is in the field."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import sleep
from typing import Protocol

from apdu.commands import DEBIT, GET_BALANCE
from apdu.sw import SW
from bench.conformance.lab import Said
from emulator.picc import CardGone, Contactless, Picc
from emulator.radio.station import Service
from reader.transport.decorators import CutPoint

OK = int(SW.OK).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Cut:
    """Lose the card at the n-th command (from 1) that begins so, after it was armed.

    head: CLA and INS; empty for any command.
    """

    head: bytes
    point: CutPoint
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Mutation:
    """Change answers to a command: bits or bytes from a place on, or another answer whole.

    p1: of the command, None for any. about: bytes that the command has in it. at: offset, from the
    end if negative. xor, put: bits that flip, or bytes that stand, there. answer: instead of the
    card's, status word included.
    """

    cla: int
    ins: int
    at: int = 0
    xor: bytes = b""
    answer: bytes | None = None
    put: bytes = b""
    p1: int | None = None
    about: bytes = b""

    def fits(self, command: bytes) -> bool:
        """Whether it is about the answer to this command."""
        is_it = command[:2] == bytes((self.cla, self.ins)) and self.about in command
        return is_it and (self.p1 is None or command[2:3] == bytes((self.p1,)))

    def applied(self, response: bytes) -> bytes:
        """The changed answer; never longer than the card's own."""
        if self.answer is not None:
            return self.answer
        at = self.at % len(response) if self.at < 0 else self.at
        changed = bytearray(response)
        for n, bits in enumerate(self.xor):
            if at + n < len(changed):
                changed[at + n] ^= bits
        for n, byte in enumerate(self.put):
            if at + n < len(changed):
                changed[at + n] = byte
        return bytes(changed)


@dataclass
class Knobs:
    """What can be turned while the card is in the field; all off is the card itself.

    debit_delay_s:  the answer to DEBIT comes that much later (protocol reference 6.10, 7).
    forced_balance: fen that GET BALANCE answers, whatever the purse holds.
    """

    debit_delay_s: float = 0.0
    forced_balance: int | None = None
    mutations: tuple[Mutation, ...] = ()
    cut: Cut | None = None


class Hook(Protocol):
    """Who turns knobs while the card plays, such as a script."""

    def on_tap(self, played: "PlayedCard") -> None:
        """A tap begins. It has its number in `taps`."""
        ...

    def on_command(self, played: "PlayedCard", command: bytes) -> None:
        """A command has come, and is not yet answered."""
        ...


class PlayedCard:
    """A card before a gate (`emulator.picc.Picc`).

    seen: every exchange as the card saw it, before any knob changed the answer on its way.
    taps: how many fields asked it something.
    plays_cuts: whether it falls silent at a cut itself; where it does not, whoever holds it takes
    it away. stays_away: after such a cut it ignores fields until it is brought back.
    is_away: it ignores fields. on_away: takes it out of the one it is in.
    hook: turns knobs as it plays. waits: whether it waits itself where it answers late; where it
    does not, `PlayedTimes` tells whoever holds it.
    """

    def __init__(self, card: Picc, now_ns: Callable[[], int]) -> None:
        self.knobs = Knobs()
        self.seen: list[Said] = []
        self.taps = 0
        self.plays_cuts = False
        self.waits = True
        self.is_away = False
        self.stays_away = False
        self.on_away: Callable[[], object] = lambda: None
        self.hook: Hook | None = None
        self._now_ns = now_ns
        self._is_new_field = True
        self._cut_count = 0
        self.put(card)

    def put(self, card: Picc) -> None:
        """Another card takes its place: nothing is turned and nothing was seen."""
        self.swap(card)
        self.seen = []
        self.taps = 0

    def swap(self, card: Picc) -> None:
        """Another card takes its place in the same case: what was seen stays."""
        self.card = card
        self.contactless: Contactless = card.contactless
        self.knobs = Knobs()
        self._cut_count = 0

    def shown(self) -> Contactless | None:
        """How it answers in the field that comes up now (`emulator.picc.ContactlessOf`)."""
        return None if self.is_away else self.contactless

    def show_ats(self, ats: bytes) -> None:
        """Show another ATS, from the next field on."""
        self.contactless = replace(self.contactless, ats=ats)

    def take_away(self) -> None:
        """Out of the field, until `is_away` is False again."""
        self.is_away = True
        self.on_away()

    def power_on(self) -> bytes:
        """See Picc."""
        self._is_new_field = True
        return self.card.power_on()

    def power_off(self) -> None:
        """See Picc."""
        self.card.power_off()

    def process(self, command: bytes) -> bytes:
        """See Picc. Raises CardGone where a cut is played."""
        if self._is_new_field:
            self._is_new_field = False
            self.taps += 1
            if self.hook is not None:
                self._cut_count = 0  # a script counts in each tap
                self.hook.on_tap(self)
        if self.hook is not None:
            self.hook.on_command(self, command)
        point = self._cut_now(command)
        if point is CutPoint.BEFORE:
            self._gone(command)
        start = self._now_ns()
        response = self.card.process(command)
        self.seen.append(Said(command, response, self._now_ns() - start))
        if point is CutPoint.AFTER:
            self._gone()
        return self._turned(command, response)

    def _cut_now(self, command: bytes) -> CutPoint | None:
        cut = self.knobs.cut
        if not self.plays_cuts or cut is None or not command.startswith(cut.head):
            return None
        self._cut_count += 1
        if self._cut_count != cut.nth:
            return None
        self.knobs.cut, self._cut_count = None, 0
        return cut.point

    def _gone(self, lost: bytes = b"") -> None:
        if lost:
            self.seen.append(Said(lost, None, note="lost before it was heard"))
        self.is_away = self.is_away or self.stays_away
        raise CardGone

    def _turned(self, command: bytes, response: bytes) -> bytes:
        knobs = self.knobs
        is_balance = _is(command, GET_BALANCE.cla, GET_BALANCE.ins) and len(response) == 6
        if knobs.forced_balance is not None and is_balance:
            response = knobs.forced_balance.to_bytes(4, "big") + OK
        for mutation in knobs.mutations:
            if mutation.fits(command):
                response = mutation.applied(response)
        late_s = self.late_s(command) if self.waits else 0
        if late_s:
            sleep(late_s)
        return response

    def late_s(self, command: bytes) -> float:
        """How much later the answer to a command comes than the card's own."""
        return self.knobs.debit_delay_s if _is(command, DEBIT.cla, DEBIT.ins) else 0.0


class PlayedTimes:
    """How long a played card computes (`emulator.radio.station.Service`), with S(WTX) on air.

    usual: what it would take without knobs; nothing if left out.
    """

    def __init__(self, played: PlayedCard, usual: Service | None = None) -> None:
        played.waits = False
        self._played = played
        self._usual = usual

    def time_ns(self, command: bytes) -> int:
        """See Service."""
        usual = 0 if self._usual is None else self._usual.time_ns(command)
        return usual + int(self._played.late_s(command) * 1e9)


def with_fwi(ats: bytes, fwi: int) -> bytes:
    """An ATS with another FWI (protocol reference 1.3). Raises ValueError.

    >>> with_fwi(bytes.fromhex("0578807002"), 14).hex()
    '057880e002'
    """
    if not 0 <= fwi <= 14:
        raise ValueError(f"FWI is 0 to 14, not {fwi}")
    if len(ats) < 2 or not ats[1] & 0x20:
        raise ValueError(f"the ATS {ats.hex().upper()} has no TB(1) that could hold an FWI")
    at = 3 if ats[1] & 0x10 else 2
    return ats[:at] + bytes((fwi << 4 | ats[at] & 0x0F,)) + ats[at + 1 :]


def _is(command: bytes, cla: int, ins: int) -> bool:
    return command[:2] == bytes((cla, ins))
