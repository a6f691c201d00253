"""The staff desk of a station: what a gate refuses and people can put right, as transactions.

A desk gives a card the entry it lacks, closes a trip that was not tapped out, and takes what a stay
that was too long costs (domain facts 3.2, 4.2). Each is one debit, of nothing where nothing is due:
the card, the desk's PSAM and its journal agree as they do at a gate, and a card that leaves early
is asked again.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from apdu.bcd import Moment
from reader.checks import CARD_CHECKS, Check, Facts, first_refusal, money_refusal
from reader.fare import Station
from reader.fares.rail import overtime_charge
from reader.gate import GateConfig, entry_time, origin_of, place_of
from reader.journal import TapJournal
from reader.outcome import Outcome, Reject, Verdict
from reader.psam_link import SecureModule
from reader.rides import Sale, correct_entry, correct_exit
from reader.session import Txn, run
from reader.taprecord import Origin, TapRecord, promised
from reader.terminal import Terminal, local
from reader.transactions import CardView, Receipt, Unresolved, read_card
from reader.transport.base import Transport, exclusively
from reader.trips import ENTRY_CORRECTED, EP_ADJUST, entered, is_inside

DESK_CHECKS: tuple[Check, ...] = tuple(
    check
    for check in CARD_CHECKS
    if not {Reject.NOT_YET_VALID, Reject.EXPIRED} & set(check.refuses)
)
"""What a desk asks: all that a gate asks of a card, but not its dates: people must get out (D)."""

Business = Callable[[CardView, datetime], Txn[Outcome]]


class Desk(Terminal):
    """A staff desk with its PSAM. config: as of a gate of its station; its direction says nothing.

    Each operation is a transaction to be run with the card, as `Gate.tap` is; `serve_card` runs
    one over a transport.
    """

    def __init__(
        self,
        config: GateConfig,
        psam: SecureModule,
        clock: Callable[[], datetime],
        journal: TapJournal | None = None,
    ) -> None:
        self.config = config
        self.stage, self.where = "desk", config.station.name_en
        self.place = place_of(config.network, config.station, config.max_fare)
        super().__init__(config.policy, psam, clock, journal)
        self.modes = ()  # a gate's modes do not hold at a desk
        self._proved: Receipt | None = None

    def serve_card(self, operation: Txn[Outcome], card: Transport) -> Outcome:
        """Run an operation. Raises as `Terminal.pass_` does."""
        with exclusively(card):
            return run(operation, {"card": card, "psam": self.psam})

    def missing_entry(self, origin: Station, entered_at: datetime | None = None) -> Txn[Outcome]:
        """Give a card the entry it lacks, at `missing_entry_fare`; the exit charges the ride.

        origin: where the passenger says to have come in. entered_at: when; now if it is not known,
        or has not come yet.
        Refuses a card that is inside.
        """

        def business(view: CardView, now: datetime) -> Txn[Outcome]:
            if is_inside(view.trip):
                return (yield from self._refused(Reject.ALREADY_ENTERED, view))
            place = place_of(self.config.network, origin)
            at = Moment.of(now if entered_at is None else min(now, local(entered_at)))
            trip = replace(entered(place, 0, 0, at), state=ENTRY_CORRECTED)
            charge = self.policy.missing_entry_fare

            def opening(sale: Sale) -> Txn[Receipt]:
                return correct_entry(view, trip, self.place, charge, sale)

            return (yield from self._charged(view, opening, charge, now))

        return self._operation(business, Reject.ALREADY_ENTERED)

    def missing_exit(self) -> Txn[Outcome]:
        """Close a trip that was not tapped out, for `missing_exit_fare`. Refuses a closed one."""

        def business(view: CardView, now: datetime) -> Txn[Outcome]:
            if not is_inside(view.trip):
                return (yield from self._refused(Reject.NOT_ENTERED, view))
            charge = self.policy.missing_exit_fare

            def closing(sale: Sale) -> Txn[Receipt]:
                return correct_exit(view, self.place, charge, sale)

            return (yield from self._charged(view, closing, charge, now, origin_of(view.trip)))

        return self._operation(business, Reject.NOT_ENTERED)

    def over_time(self) -> Txn[Outcome]:
        """Take `overtime_fare` of a stay that was too long, and let its time begin anew.

        Refuses a card that is not inside, that came in in another city, or that is in time.
        """

        def business(view: CardView, now: datetime) -> Txn[Outcome]:
            began = entry_time(view.trip)
            if not is_inside(view.trip) or began is None:
                return (yield from self._refused(Reject.NOT_ENTERED, view))
            if view.trip.entry_city != self.place.city:
                return (yield from self._refused(Reject.STATION_UNKNOWN, view))
            charge = overtime_charge(began, now, self.policy)
            if not charge:
                detail = "the stay is not too long; nothing is due"
                return (yield from self._refused(Reject.NOT_OVER_TIME, view, detail))
            # From now on, where it began: the time is paid, the way is not.
            trip = replace(view.trip, state=ENTRY_CORRECTED, entry_time=Moment.of(now).both)

            def extending(sale: Sale) -> Txn[Receipt]:
                return correct_entry(view, trip, self.place, charge, sale)

            return (yield from self._charged(view, extending, charge, now, origin_of(view.trip)))

        return self._operation(business, Reject.NOT_OVER_TIME)

    def _operation(self, business: Business, done: Reject) -> Txn[Outcome]:
        """done: how a card is refused for which it was done already."""

        def judged(now: datetime) -> Txn[Outcome]:
            view = yield from read_card()
            now = local(now)
            facts = self._facts(view, now)
            reason = first_refusal(DESK_CHECKS, facts, frozenset())
            if reason is not None:
                return (yield from self._refused(reason, view))
            outcome = yield from business(view, now)
            proved, self._proved = self._proved, None
            is_proved = proved is not None and proved.serial == view.info.serial
            if is_proved and outcome.reason is done:
                return Outcome(Verdict.PASS, view=view, receipt=proved)
            return outcome

        return self.serve(judged)

    def _facts(self, view: CardView, now: datetime) -> Facts:
        config, day = self.config, Moment.of(now).date
        is_open = is_inside(view.trip)
        city, lists = self.place.city, (config.white_list, config.blacklist)
        return Facts(view, city, self.policy, *lists, day, is_open)

    def _charged(
        self,
        view: CardView,
        make: Callable[[Sale], Txn[Receipt]],
        charge: int,
        now: datetime,
        origin: Origin | None = None,
    ) -> Txn[Outcome]:
        waived = _FREE if not charge else frozenset()
        reason = yield from money_refusal(charge, self.policy, waived)
        if reason is not None:
            return (yield from self._refused(reason, view))

        def note(lost: Unresolved) -> TapRecord:
            return promised(lost, self.place, self.debits.name, EP_ADJUST, origin)

        paying = self.debits.pay(make, note, Moment.of(now))
        return (yield from self._paid(paying, view, charge))

    def _recovered(self, receipt: Receipt, record: TapRecord | None) -> Outcome | None:
        """Something is done, perhaps not what is asked for now: the card will tell."""
        self._proved = receipt
        return None

    def _is_repeated(self, serial: bytes, now: datetime) -> bool:
        """A desk may do two things for one card in a moment."""
        return False


_FREE = frozenset({Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW})
"""What does not matter where nothing is due."""
