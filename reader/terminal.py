"""What every terminal does around its own business: one tap from SELECT to the verdict.

A terminal is a metro gate, a validator on a bus or a staff desk. `Terminal.serve` is the one way a
tap is driven: modes, the blocked card, the pass-back time, the lost debit, then the terminal's own
transaction. A refusal is a value; a broken link is an error (`reader.transport.base`), except the
card lost at DEBIT, which the terminal remembers and resolves at the card's next tap (protocol
reference 6.8).
"""

from collections.abc import Callable, Iterable
from datetime import datetime

from apdu.bcd import Moment
from apdu.files import PublicInfo
from apdu.sw import SW
from reader.blocking import block_card
from reader.debits import Debits, Taken
from reader.journal import TapJournal
from reader.modes import Mode, is_free, stopping, waived
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from reader.proofs import Overtaken, Unproven
from reader.psam_link import SecureModule
from reader.session import ProtocolError, StatusError, Txn, run
from reader.taprecord import TapRecord
from reader.transactions import (
    AnyView,
    Blocked,
    Interrupted,
    Receipt,
    Unresolved,
    select_purse,
)
from reader.transport.base import Transport, TransportError, exclusively
from reader.trips import EP_ADJUST

MOST_NOT_BLOCKED = 1000
"""Listed cards remembered that would not be blocked."""

_MOST_PASSED = 64
"""Cards remembered for the pass-back time: more cannot come in it."""


class Terminal:
    """A terminal with its PSAM. clock: local (Asia/Shanghai) time.

    policy:  what the operator has decided.
    journal: keeps each debit before it is sent and each record before the barrier opens; what it
             holds open from before, the terminal resolves. If it raises JournalError, the tap ends
             without PASS.
    taken:   told of every debit that is sure and kept.
    """

    stage = "tap"
    """What a tap here is called in a recording: the direction, or what the door does."""
    where = ""
    """The station or line, in English, for a recording."""
    is_way_in = False
    """Whether people come in here; in an emergency they may not."""

    def __init__(
        self,
        policy: Policy,
        psam: SecureModule,
        clock: Callable[[], datetime],
        journal: TapJournal | None,
        taken: Taken | None = None,
    ) -> None:
        self.policy = policy
        self.psam = psam
        self.debits = Debits(psam, journal, taken)
        self._clock = clock
        self._passed: dict[bytes, datetime] = {}
        self._not_blocked: set[bytes] = set()
        self.modes = frozenset(Mode(word) for word in policy.modes)

    @property
    def modes(self) -> frozenset[Mode]:
        """The modes in force beside the normal one; set it to change them."""
        return self._modes

    @modes.setter
    def modes(self, modes: Iterable[Mode]) -> None:
        self._modes = frozenset(modes)
        self.waived = waived(self._modes)
        self.is_free = is_free(self._modes)
        self._stop = stopping(self._modes)

    @property
    def is_serving(self) -> bool:
        """Whether cards are asked: no mode is in force for which nobody is served."""
        return self._stop is None

    @property
    def unresolved(self) -> dict[bytes, Unresolved]:
        """Debits of which the end is not known, by serial of the card."""
        return self.debits.unresolved

    def pass_(self, card: Transport) -> Outcome:
        """Pass one card over a transport. Raises TransportError, ProtocolError, JournalError.

        Raises StatusError only if the PSAM refuses for a reason of its own: the gate is broken.
        """
        with exclusively(card):
            return run(self.tap(), {"card": card, "psam": self.psam})

    def tap(self) -> Txn[Outcome]:
        """One tap, from SELECT to the verdict."""
        return self.serve(self._judged)

    def prove(self) -> Txn[Outcome]:
        """Staff let a card prove the debit for which it is UNPROVEN here: the passage it paid for.

        A card of which nothing is open, or that has no proof, is refused as UNPROVEN. One whose
        debit was not taken, or was for no passage, taps again: there is nothing to stop it now.
        """
        info = yield from _selected()
        if isinstance(info, Outcome):
            return info
        if info.serial not in self.unresolved:
            detail = "no debit of this card is open here"
            return Outcome(Verdict.REJECT, Reject.UNPROVEN, detail, serial=info.serial)
        try:
            receipt, record = yield from self.debits.prove(info.serial)
        except StatusError as refused:
            return Outcome(Verdict.REJECT, Reject.UNPROVEN, str(refused), serial=info.serial)
        passed = None if receipt is None else self._recovered(receipt, record)
        return passed or Outcome(Verdict.TAP_AGAIN, receipt=receipt, serial=info.serial)

    def now(self) -> datetime:
        """The terminal's time."""
        return self._clock()

    def walked(self) -> None:
        """Somebody went through: who taps again is another passage, not the same one."""
        self._passed.clear()

    def serve(self, business: Callable[[datetime], Txn[Outcome]]) -> Txn[Outcome]:
        """One tap for a business with the selected card. In a mode that stops, no card is asked."""
        now = self.now()
        stopped = self._stopped()
        if stopped is not None:
            return stopped
        info = yield from _selected()
        if isinstance(info, Outcome):
            return info
        if self._is_repeated(info.serial, now):
            return Outcome(Verdict.PASS, repeated=True, serial=info.serial)
        try:
            known = yield from self._resolved(info.serial)
            outcome = known or (yield from business(now))
        except StatusError as refused:
            reason, detail = _refused_debit(refused)
            return Outcome(Verdict.REJECT, reason, detail, serial=info.serial)
        if outcome.verdict is Verdict.PASS:
            self._remember_passed(info.serial, now)
        return outcome

    def _judged(self, now: datetime) -> Txn[Outcome]:
        """The terminal's own business with the selected card."""
        raise NotImplementedError

    def _stopped(self) -> Outcome | None:
        if self._stop is None:
            return None
        reason = self._stop.rule.stops
        if self._stop is not Mode.EMERGENCY:
            return Outcome(Verdict.REJECT, reason)
        if self.is_way_in:
            return Outcome(Verdict.REJECT, reason, released=True)
        return Outcome(Verdict.PASS, released=True)

    def _is_repeated(self, serial: bytes, now: datetime) -> bool:
        """Whether this card passed here just now (domain facts 9, pass-back)."""
        then = self._passed.get(serial)
        if then is None or not self.policy.passback_s:
            return False
        return 0 <= (now - then).total_seconds() <= self.policy.passback_s

    def _remember_passed(self, serial: bytes, now: datetime) -> None:
        self._passed.pop(serial, None)
        if len(self._passed) >= _MOST_PASSED:
            del self._passed[next(iter(self._passed))]
        self._passed[serial] = now

    def _resolved(self, serial: bytes) -> Txn[Outcome | None]:
        """What became of this card's lost debit: None if the tap goes on.

        It goes on if nothing was taken, or what was taken is no passage.
        """
        if serial not in self.debits.unresolved:
            return None
        try:
            receipt, record = yield from self.debits.resolve(serial)
        except Unproven as unproven:
            return Outcome(Verdict.REJECT, Reject.UNPROVEN, str(unproven), serial=serial)
        except Overtaken:
            return None  # the passage it was for is over
        except TransportError as again:
            return Outcome(Verdict.TAP_AGAIN, detail=str(again), serial=serial)
        return None if receipt is None else self._recovered(receipt, record)

    def _recovered(self, receipt: Receipt, record: TapRecord | None) -> Outcome | None:
        """What a debit proved by the card means: a passage, or the fare of the ride before."""
        if record is not None and record.trip == EP_ADJUST:
            return None
        return Outcome(Verdict.PASS, receipt=receipt)

    def _refused(self, reason: Reject, view: AnyView, detail: str = "") -> Txn[Outcome]:
        """The outcome of a refusal; a card on the blacklist is blocked where the policy says so."""
        if reason is Reject.BLACKLISTED and self.policy.lock_listed_card:
            detail = yield from self._lock(view)
        return Outcome(Verdict.REJECT, reason, detail, view)

    def _lock(self, view: AnyView) -> Txn[str]:
        """Block a listed card (6.7). That it did not work is no reason to say anything else.

        A card that refused is not asked again here: each wrong MAC costs it one of three tries,
        and a key that is wrong now is wrong at the next tap (Q15).
        """
        serial = view.info.serial
        if serial in self._not_blocked:
            return "not blocked: it has refused before"
        self.debits.psam_used()
        try:
            yield from block_card(view)
        except (StatusError, ProtocolError) as failed:
            if len(self._not_blocked) >= MOST_NOT_BLOCKED:
                self._not_blocked.clear()
            self._not_blocked.add(serial)
            return f"not blocked: {failed}"
        except TransportError as lost:
            return f"not blocked: {lost}"
        return "the card is blocked"

    def _paid(
        self, paying: Txn[Receipt], view: AnyView, fare: int, missed: Receipt | None = None
    ) -> Txn[Outcome]:
        """The outcome of a debit for a passage. fare: fen."""
        try:
            receipt = yield from paying
        except TransportError as lost:
            # Of a ride whose missed fare was collected, the passenger is told so.
            if missed is None and not isinstance(lost, Interrupted):
                raise
            return Outcome(Verdict.TAP_AGAIN, detail=str(lost), view=view, missed=missed)
        except Declined:
            return Outcome(Verdict.REJECT, Reject.BALANCE_IMPLAUSIBLE, view=view, missed=missed)
        except StatusError as refused:
            reason, detail = _refused_debit(refused)
            return Outcome(Verdict.REJECT, reason, detail, view, missed=missed)
        return Outcome(Verdict.PASS, view=view, receipt=receipt, fare=fare, missed=missed)


def _selected() -> Txn[PublicInfo | Outcome]:
    """The card's purse, selected, or why it is refused."""
    try:
        return (yield from select_purse())
    except Blocked as blocked:
        return Outcome(Verdict.REJECT, Reject.BLOCKED, str(blocked))
    except StatusError as refused:
        return Outcome(Verdict.REJECT, Reject.NOT_OUR_CARD, str(refused))


def _refused_debit(refused: StatusError) -> tuple[Reject, str]:
    """What a passenger is told of a refusing card or PSAM, and the detail.

    Raises the refusal itself if it is the PSAM's for a reason of its own: the gate is broken.
    """
    if refused.to == "psam" and refused.sw != SW.KEY_INDEX:
        raise refused
    if (refused.to, refused.sw) == ("card", SW.BALANCE_TOO_LOW):
        return Reject.BALANCE_TOO_LOW, ""
    # The card refused, or named a key that the PSAM does not have.
    return Reject.CARD_REFUSED, str(refused)


class Declined(Exception):
    """The terminal does not like the card's offer."""


def local(now: datetime) -> datetime:
    """A clock's time without its zone, to be compared with times on cards."""
    return now.replace(tzinfo=None)


def moment(now: datetime) -> Moment:
    """A clock's time as card and terminal exchange it."""
    return Moment.of(now)
