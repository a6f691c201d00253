"""A tap at the soak's gate, perhaps with a fault, and what must be true after it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import fixtures
from apdu.commands import GET_PROVE
from apdu.records import ProveData
from issuer.tac import TacCheck
from reader.gate import Outcome, Reject, Verdict
from reader.journal import JournalError
from reader.session import ProtocolError, StatusError, Txn, ask, run
from reader.taprecord import Mark, TapRecord
from reader.transactions import Receipt, select_purse
from reader.transport.base import CardLost, Transport, TransportError
from reader.transport.decorators import Cutting
from reader.transport.inprocess import InProcess
from reader.trips import EP_ENTRY, EP_EXIT
from tests.property.soak_faults import (
    BENDS,
    BETWEEN,
    CLOCK_BACK,
    CUTS,
    FULL,
    GATE_ANEW,
    GATE_REVERSED,
    PSAM_ANEW,
    PSAM_OFF,
    SILENT,
    SPOILS,
    SWAPPED,
    Bending,
    Swapping,
    drawn,
)
from tests.property.soak_gate import POLICY, STATION, Device, Fate
from tests.property.soak_riders import Rider, look_at_log

MOST_BEHIND = timedelta(seconds=30)
"""Clearing lets two clocks differ by a minute."""

AT_DEBIT = 0.4
"""How many of the disturbed taps are disturbed at DEBIT; the others anywhere."""

ANOTHER_CARD = "another card"
"""How a tap ended in which the gate served the card that took this one's place."""

SELECTED = 2
"""The command that selects the purse."""


@dataclass
class Result:
    """What a run saw. memory: MB resident after each tenth."""

    taps: int = 0
    elsewhere: int = 0
    cards: int = 0
    gone: int = 0
    loads: int = 0
    loaded: int = 0
    paid_here: int = 0
    paid_elsewhere: int = 0
    records: int = 0
    recovered: int = 0
    proved_at_desk: int = 0
    open_taken: int = 0
    open_not_taken: int = 0
    open_fen: int = 0
    psam: str = "file"
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    afterwards: Counter[str] = field(default_factory=Counter)
    burnt: Counter[str] = field(default_factory=Counter)
    fates: Counter[Fate] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    line: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Before:
    """Card and gate before a tap. fare: what a passage must cost, fen. at: by the gate's clock."""

    rider: Rider
    balance: int
    seq: int
    was_inside: bool
    fare: int
    is_way_in: bool
    at: datetime


class Taps:
    """The gate, the riders it knows, and the truth about its lost debits.

    truth: of each debit the gate holds open, whether the card has taken it.
    is_quiet: nothing goes wrong any more.
    """

    def __init__(self, device: Device, clock: Callable[[], datetime], rng: Random) -> None:
        self.device = device
        self.numbers = device.numbers
        self.clock = clock
        self.rng = rng
        self.result = Result()
        self.riders: list[Rider] = []
        self.by_serial: dict[bytes, Rider] = {}
        self.truth: dict[int, bool] = {}
        self.tacs = TacCheck(fixtures.load_roots()["TMK"])
        self.is_quiet = False

    def tap(self, rider: Rider) -> str:
        """One tap, perhaps with a fault. Returns how it ended for this rider."""
        result, device, watched = self.result, self.device, self.device.journal
        result.taps += 1
        fault = "" if self.is_quiet else drawn(self.rng)
        watched.begin()
        self._begin(fault)
        link, subject = self._link(rider, fault)
        before = self._look(subject)
        outcome, end = self._passed(link)
        rider.card.power_off()
        subject.card.power_off()
        happened = {fault} if self._has_happened(link, fault) else set()
        result.faults.update(happened)
        device.slot.silent, watched.full_at = None, ""
        end = end if outcome is None else _name(outcome)
        self._burn(end)
        self._compare(before)
        for record, mark in watched.closed:
            self._settled(record, mark)
        if outcome is not None:
            self._judge(outcome, before, happened)
        result.ends[end] += 1
        return end if subject is rider else ANOTHER_CARD

    def _begin(self, fault: str) -> None:
        """What happens before a tap, or is made ready for it."""
        device = self.device
        if device.behind > MOST_BEHIND:
            device.behind = timedelta()  # the station sets the gate's clock
        if fault in SILENT:
            device.slot.silent = SILENT[fault]
        elif fault in FULL:
            device.journal.full_at = FULL[fault]
        elif fault == CLOCK_BACK:
            device.behind += timedelta(seconds=self.rng.randint(1, 20))
        elif fault in BETWEEN:
            restarts: dict[str, Callable[[], None]] = {
                PSAM_OFF: lambda: device.slot.restart(is_new=False),
                PSAM_ANEW: lambda: device.slot.restart(is_new=True),
                GATE_ANEW: device.restart,
                GATE_REVERSED: device.reverse,
            }
            restarts[fault]()

    def _look(self, rider: Rider) -> "Before":
        device = self.device
        at = device.now()
        fare = rider.fare(STATION, at, device.months)
        return Before(rider, rider.balance, rider.seq, rider.is_inside, fare, device.is_way_in, at)

    def _burn(self, end: str) -> None:
        """A number that the PSAM gave out in this tap, and that was not promised, is lost."""
        given = self.numbers.given
        if given is not None:
            self.numbers.move(given, Fate.GIVEN, Fate.BURNT)
            self.result.burnt[end] += 1

    def _compare(self, before: "Before") -> None:
        """The card has paid what was promised, once, or nothing."""
        rider, promise = before.rider, self.device.journal.promised
        moved = rider.seq - before.seq
        assert moved in (0, 1)
        if promise is not None:
            self.truth[promise.terminal_seq] = moved == 1
        if not moved:
            assert rider.balance == before.balance
            return
        assert promise is not None, "a card has paid what was not promised"
        assert (promise.serial, promise.counter) == (rider.serial, rider.seq)
        assert promise.amount == before.balance - rider.balance == before.fare
        assert (promise.before, promise.after) == (before.balance, rider.balance)
        look_at_log(rider, promise)
        rider.moved(promise, before.was_inside, (STATION, before.at))
        rider.moved_at = self.clock()

    def _link(self, rider: Rider, fault: str) -> tuple[Transport, Rider]:
        """The road to the card, and whose tap it is."""
        card, rng = rider.card, self.rng
        link = InProcess(card)
        last = 10 if self.device.is_way_in else 9
        at = last if rng.random() < AT_DEBIT else rng.randint(1, last)
        if fault in CUTS:
            return Cutting(link, at, CUTS[fault], card.power_off), rider
        if fault in BENDS:
            return Bending(link, at, BENDS[fault](rng)), rider
        if fault == SWAPPED:
            other = rng.choice([r for r in self.riders if r is not rider])
            # Who selects the purse is the one whose tap it is.
            subject = other if at <= SELECTED else rider
            return Swapping(link, InProcess(other.card), at), subject
        return link, rider

    def _has_happened(self, link: Transport, fault: str) -> bool:
        if isinstance(link, Cutting | Bending | Swapping):
            return link.count >= link.at
        if fault in SILENT:
            return self.device.slot.silent is None
        if fault in FULL:
            return not self.device.journal.full_at
        return fault in BETWEEN

    def _passed(self, link: Transport) -> tuple[Outcome | None, str]:
        device = self.device
        try:
            return device.gate.pass_(link), ""
        except CardLost:
            return None, "card lost"
        except TransportError:
            return None, "PSAM silent"
        except ProtocolError:
            return None, "answer spoilt"
        except JournalError:
            if self.rng.random() < 0.5:
                device.restart()
            return None, "journal full"

    def _settled(self, record: TapRecord, mark: Mark) -> None:
        """What the journal says of a debit is what the card did."""
        is_taken = self.truth.pop(record.terminal_seq)
        assert is_taken == (mark == Mark.TAKEN), (
            f"{mark.name} of a debit that was {'' if is_taken else 'not '}taken: {record}"
        )
        if mark == Mark.TAKEN:
            assert self.tacs.is_right(record)
            self.by_serial[record.serial].note(record)
            self.result.paid_here += record.amount

    def _judge(self, outcome: Outcome, before: "Before", happened: set[str]) -> None:
        """Nobody passes without a record, or twice on one; nobody is refused without a reason."""
        rider, journal = before.rider, self.device.journal
        # A debit that was lost before the gate was reversed is resolved too, and opens nothing.
        way = EP_ENTRY if before.is_way_in else EP_EXIT
        taken = [r for r, mark in journal.closed if mark == Mark.TAKEN and r.trip == way]
        if outcome.verdict is Verdict.PASS and not outcome.repeated:
            assert [record.serial for record in taken] == [rider.serial], "no record of this"
            assert outcome.receipt is not None
            self._opened(rider, outcome.receipt)
            rider.passed_at[before.is_way_in] = before.at
            return
        assert not taken
        if outcome.verdict is Verdict.REJECT:
            why = (outcome.reason, rider.kind, happened)
            is_forgotten = self._is_forgotten(rider)
            assert is_fair(outcome, rider, before.is_way_in, happened, is_forgotten), why
        elif outcome.verdict is Verdict.TAP_AGAIN:
            assert any(record.serial == rider.serial for record in journal.open.values())
        else:
            since = before.at - rider.passed_at[before.is_way_in]
            assert 0 <= since.total_seconds() <= POLICY.passback_s

    def _is_forgotten(self, rider: Rider) -> bool:
        """Whether the gate holds a debit of this card that its PSAM has closed, or forgotten."""
        mine = [n for n, r in self.device.journal.open.items() if r.serial == rider.serial]
        return any(not self.device.slot.remembers(n) for n in mine)

    def _opened(self, rider: Rider, receipt: Receipt) -> None:
        assert receipt.seq > rider.passed, "one debit opened the barrier twice"
        rider.passed = receipt.seq
        self.result.recovered += receipt.recovered

    def prove_at_desk(self, rider: Rider) -> None:
        """The PSAM cannot check the proof any more: staff checks the card's TAC instead."""
        device = self.device
        lost = device.gate.unresolved[rider.serial]
        record = device.journal.open[lost.terminal_seq]
        device.journal.begin()
        tac = self.proof(rider, record)
        if tac is None:
            device.journal.void(lost.terminal_seq)
        else:
            receipt = Receipt(
                rider.serial,
                record.issuer,
                record.counter,
                record.amount,
                record.after,
                record.kind,
                record.terminal,
                record.terminal_seq,
                lost.when,
                tac,
                recovered=True,
            )
            device.journal.taken(receipt)
            device.months.note(record)
            self._opened(rider, receipt)
        self._settled(*device.journal.closed[0])
        del device.gate.unresolved[rider.serial]
        self.result.proved_at_desk += 1

    def proof(self, rider: Rider, record: TapRecord) -> bytes | None:
        """The TAC by which the card proves this debit, or None."""

        def proving() -> Txn[bytes]:
            yield from select_purse()
            data = ProveData(record.counter)
            return (yield from ask("card", GET_PROVE, data, 0x00, record.kind)).tac

        try:
            tac = run(proving(), {"card": InProcess(rider.card)})
        except StatusError:
            return None
        finally:
            rider.card.power_off()
        return tac if self.tacs.is_right(replace(record, tac=tac)) else None

    # To clearing


def _name(outcome: Outcome) -> str:
    if outcome.reason is not None:
        return outcome.reason.name
    if outcome.verdict is Verdict.TAP_AGAIN:
        return "tap again"
    return "passed again" if outcome.repeated else "passed"


def is_fair(
    outcome: Outcome,
    rider: Rider,
    is_way_in: bool,
    faults: set[str],
    is_forgotten: bool = False,
) -> bool:
    """Whether a refusal is deserved. is_forgotten: the PSAM cannot check the card's lost debit."""
    reasons = {
        Reject.NOT_OUR_CARD: bool(faults & SPOILS),
        Reject.CARD_REFUSED: bool(faults & SPOILS),
        Reject.UNPROVEN: is_forgotten,
        Reject.BLOCKED: rider.is_blocked,
        Reject.NOT_YET_VALID: rider.kind == "not yet valid",
        Reject.EXPIRED: rider.kind == "expired",
        Reject.BLACKLISTED: rider.kind == "blacklisted",
        Reject.ALREADY_ENTERED: is_way_in and rider.is_inside,
        Reject.NOT_ENTERED: not is_way_in and not rider.is_inside,
        Reject.OVER_TIME: not is_way_in and rider.is_inside,
        Reject.ZERO_BALANCE: rider.balance == 0,
        Reject.BALANCE_TOO_LOW: rider.balance < 900,
    }
    return outcome.reason is not None and reasons.get(outcome.reason, False)
