"""The gate of a metro station: decides about one card at a time and says why.

`Gate.tap` is the one way a card is passed: a transaction that reads, decides, debits or recovers,
and ends with an `Outcome`. What every terminal does is in `reader.terminal`, the decisions and
their order in `reader.checks`, the money in `reader.fares`.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import Enum

from apdu.bcd import Moment, unpack_moment
from apdu.files import RailTrip
from apdu.records import InitPurchaseReply
from apdu.value import value
from reader.checks import ENTRY_CHECKS, EXIT_CHECKS, Facts, first_refusal, money_refusal
from reader.fare import Network, Station, UnknownStation
from reader.fares.rail import entry_balance, overtime_charge, rail_charge
from reader.journal import TapJournal
from reader.months import MonthBook
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from reader.psam_link import SecureModule
from reader.rides import Sale, correct_exit, entry, exit
from reader.session import Txn
from reader.taprecord import Origin, TapRecord, promised
from reader.terminal import Declined, Terminal, local
from reader.transactions import (
    CardView,
    Interrupted,
    Receipt,
    Unresolved,
    read_card,
)
from reader.trips import EP_ADJUST, EP_ENTRY, EP_EXIT, Place, entry_platform, is_inside
from reader.white_list import WhiteList

__all__ = ["Direction", "Emergency", "Gate", "GateConfig", "Outcome", "Reject", "Verdict"]


class Direction(Enum):
    """Which way the gate lets people through."""

    ENTRY = "entry"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Emergency:
    """An emergency release there was: people left without an exit record (domain facts 4.2).

    began, ended: its first and last day.
    """

    began: date
    ended: date

    def __post_init__(self) -> None:
        if self.ended < self.began:
            raise ValueError(f"An emergency that began on {self.began} did not end {self.ended}.")

    def excuses(self, entered_at: datetime, today: date, policy: Policy) -> bool:
        """Whether an open trip is its consequence, and still accepted.

        Who entered before midnight of its first day may have been inside when it began (D).
        """
        first = datetime.combine(self.began, time.min)
        began_at = first - timedelta(seconds=policy.overtime_after_s)
        is_from_it = began_at <= entered_at and entered_at.date() <= self.ended
        return is_from_it and today <= self.ended + timedelta(days=policy.emergency_trip_days)


@dataclass(frozen=True)
class GateConfig:
    """A gate's place and rules.

    white_list:  pairs of issuer code (8 digits) and IIN (8 digits).
    blacklist:   serials, 10 bytes each, as EF15[10..19].
    policy:      what the operator has decided.
    max_fare:    fen marked at entry; None takes the network's highest fare from here.
    emergencies: releases whose open trips are accepted.
    """

    network: Network
    station: Station
    direction: Direction
    white_list: WhiteList
    blacklist: Container[bytes] = frozenset()
    policy: Policy = field(default_factory=Policy)
    max_fare: int | None = None
    emergencies: tuple[Emergency, ...] = ()


class Gate(Terminal):
    """A gate with its PSAM. See `Terminal`.

    months: what cards have paid this month; gates that share a book give a discount together.
    """

    def __init__(
        self,
        config: GateConfig,
        psam: SecureModule,
        clock: Callable[[], datetime],
        journal: TapJournal | None = None,
        months: MonthBook | None = None,
    ) -> None:
        self.config = config
        network, station = config.network, config.station
        self.months = MonthBook(network, config.policy) if months is None else months
        self.stage, self.where = config.direction.value, station.name_en
        self.is_way_in = config.direction is Direction.ENTRY
        self.place = place_of(network, station, config.max_fare)
        self._needed = entry_balance(network.tariff_at(station), config.policy)
        self._checks = ENTRY_CHECKS if self.is_way_in else EXIT_CHECKS
        # A way in counts nothing, but an exit lost before a reversed gate was made again.
        taken = None if self.is_way_in and journal is None else self._count
        super().__init__(config.policy, psam, clock, journal, taken)

    def _count(self, record: TapRecord) -> None:
        self.months.note(record)

    def _recovered(self, receipt: Receipt, record: TapRecord | None) -> Outcome | None:
        """A gate that was reversed opens for no debit of its other direction."""
        if record is not None and record.trip != (EP_ENTRY if self.is_way_in else EP_EXIT):
            return None
        return super()._recovered(receipt, record)

    def _judged(self, now: datetime) -> Txn[Outcome]:
        """Read, decide, and let through."""
        view = yield from read_card()
        now = local(now)
        trip = self._trip_of(view, now)
        at = Moment.of(now)
        facts = self._facts(view, at, trip)
        reason = first_refusal(self._checks, facts, self.waived)
        if reason is not None:
            return (yield from self._refused(reason, view))
        if self.is_way_in:
            return (yield from self._enter(view, at, trip))
        return (yield from self._leave(view, now, at, trip))

    def _trip_of(self, view: CardView, now: datetime) -> "_Trip":
        """The card's trip as this gate sees it."""
        if not is_inside(view.trip):
            return _Trip(is_open=False)
        entered_at = entry_time(view.trip)
        if self.is_way_in:
            return _Trip(is_open=not self._is_excused(entered_at, now), entered_at=entered_at)
        origin = self._origin(view.trip)
        if entered_at is None:
            return _Trip(True, origin)
        is_over = overtime_charge(entered_at, now, self.policy) > 0
        return _Trip(True, origin, entered_at, is_over)

    def _is_excused(self, entered_at: datetime | None, now: datetime) -> bool:
        """Whether an open trip comes from an emergency release (4.2)."""
        if entered_at is None:
            return False
        today = now.date()
        return any(e.excuses(entered_at, today, self.policy) for e in self.config.emergencies)

    def _origin(self, trip: RailTrip) -> Station | None:
        """Where an open trip began, if one can ride from there to here."""
        if trip.entry_city != self.place.city:
            return None
        network = self.config.network
        try:
            station = network.at(*entry_platform(trip))
            network.distance_m(station, self.config.station)
        except UnknownStation:
            return None
        return station

    def _facts(self, view: CardView, at: Moment, trip: "_Trip") -> Facts:
        config = self.config
        day = at.date
        at_entry = self.policy.validity_test_at_exit == "entry_time"
        if not self.is_way_in and at_entry and trip.entered_at is not None:
            day = view.trip.entry_time[:4]  # that of entry, so as to trap nobody (domain facts 1.4)
        return Facts(
            view,
            self.place.city,
            self.policy,
            config.white_list,
            config.blacklist,
            day,
            trip.is_open,
            trip.origin is not None and trip.entered_at is not None,
            trip.is_over_time,
        )

    def _enter(self, view: CardView, at: Moment, trip: "_Trip") -> Txn[Outcome]:
        missing = self.policy.missing_exit_fare if self._collects(trip) else 0
        reason = yield from money_refusal(self._needed + missing, self.policy, self.waived)
        if reason is not None:
            return Outcome(Verdict.REJECT, reason, view=view)
        missed = None
        if missing:
            try:
                missed = yield from self._collect(view, missing, at)
            except Interrupted as lost:
                return Outcome(Verdict.TAP_AGAIN, detail=str(lost), view=view)

        def entering(sale: Sale) -> Txn[Receipt]:
            return entry(view, self.place, sale)

        paying = self.debits.pay(entering, self._note(EP_ENTRY), at)
        return (yield from self._paid(paying, view, 0, missed))

    def _collects(self, trip: "_Trip") -> bool:
        """Whether the gate itself charges a trip that was not tapped out."""
        is_checked = not self.is_free and Reject.ALREADY_ENTERED not in self.waived
        return trip.is_open and is_checked and self.policy.missing_exit_rail == "charge"

    def _collect(self, view: CardView, charge: int, at: Moment) -> Txn[Receipt]:
        def closing(sale: Sale) -> Txn[Receipt]:
            return correct_exit(view, self.place, charge, sale)

        note = self._note(EP_ADJUST, origin_of(view.trip))
        return (yield from self.debits.pay(closing, note, at))

    def _leave(self, view: CardView, now: datetime, at: Moment, trip: "_Trip") -> Txn[Outcome]:
        fare = self._fare(view, now, trip)
        origin = origin_of(view.trip)

        def leaving(sale: Sale) -> Txn[Receipt]:
            return exit(view, self.place, fare, sale)

        note = self._note(EP_EXIT, origin)
        paying = self.debits.pay(leaving, note, at, self._accept)
        return (yield from self._paid(paying, view, fare))

    def _fare(self, view: CardView, now: datetime, trip: "_Trip") -> int:
        """What this exit costs, fen, with everything a mode and the month give."""
        if self.is_free:
            return 0
        network, station = self.config.network, self.config.station
        if not trip.is_open or trip.origin is None or trip.entered_at is None:
            return network.min_fare_from(station)  # let through by a mode alone
        ride = network.ride(trip.origin, station, trip.entered_at, now)
        is_waived = Reject.OVER_TIME in self.waived
        policy = replace(self.policy, overtime_fare=0) if is_waived else self.policy
        return rail_charge(ride, self.months.total(view.info.serial), policy).amount

    def _accept(self, offer: InitPurchaseReply) -> None:
        """At exit the balance is known from the offer: the ladder reads none before (6.2)."""
        if offer.balance - offer.overdraft_limit > self.policy.max_balance:
            raise Declined

    def _note(self, trip: int, origin: Origin | None = None) -> Callable[[Unresolved], TapRecord]:
        def note(lost: Unresolved) -> TapRecord:
            return promised(lost, self.place, self.debits.name, trip, origin)

        return note


@value
class _Trip:
    """The trip on a card, as a gate sees it. origin, entered_at: None if it is not known."""

    is_open: bool
    origin: Station | None = None
    entered_at: datetime | None = None
    is_over_time: bool = False


def place_of(network: Network, station: Station, max_fare: int | None = None) -> Place:
    """Where a gate or a desk of a station stands. max_fare: fen, None for the network's highest."""
    return Place(
        network.city,
        network.institution,
        network.operator,
        station.line,
        station.code,
        network.max_fare_from(station) if max_fare is None else max_fare,
    )


def origin_of(trip: RailTrip) -> Origin:
    """Where an open trip began, for the record of its end."""
    line, code = entry_platform(trip)
    return Origin(bytes((line, 0)), bytes((code, 0)), trip.entry_time)


def entry_time(trip: RailTrip) -> datetime | None:
    """When an open trip began, or None if the record holds no time."""
    try:
        return unpack_moment(trip.entry_time)
    except ValueError:
        return None
