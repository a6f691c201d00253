"""The validator of a bus: boarding marks, alighting charges, and one tap pays a flat fare.

A boarding that was never tapped off is collected at the next one, undiscounted and to the farther
end of its line, as a debit of its own (domain facts 3.1); the amount is the one that boarding
marked on the card, so it does not matter whose line it was. Then the new ride begins.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum

from apdu.bcd import Moment, unpack_moment
from apdu.files import BusTrip, TripLog
from apdu.records import InitPurchaseReply
from reader.checks import (
    ALIGHT_CHECKS,
    BOARD_CHECKS,
    Check,
    Facts,
    first_refusal,
    is_expired,
    money_refusal,
)
from reader.fares.bus import (
    NORMAL,
    BusLine,
    BusNetwork,
    Heading,
    Rider,
    Stop,
    UnknownStop,
    boarding_balance,
    bus_charge,
    bus_percent,
    marked_amount,
)
from reader.fares.tariff import share
from reader.journal import TapJournal
from reader.outcome import Outcome, Reject, Verdict
from reader.policy import Policy
from reader.psam_link import SecureModule
from reader.rides import BusRide, Sale, alight, board, collect, single
from reader.session import Txn
from reader.taprecord import Origin, TapRecord, promised
from reader.terminal import Declined, Terminal, local
from reader.transactions import (
    BusView,
    Interrupted,
    Receipt,
    Unresolved,
    read_bus_card,
)
from reader.trips import (
    BUS,
    EP_ADJUST,
    EP_ENTRY,
    EP_EXIT,
    EP_SINGLE,
    BusPlace,
    is_aboard,
    ridden,
)
from reader.white_list import WhiteList


class Door(Enum):
    """What a validator does with a card."""

    BOARD = "board"
    ALIGHT = "alight"
    SINGLE = "single"


@dataclass(frozen=True)
class BusConfig:
    """A validator's bus and rules. vehicle: 8 ASCII characters. See `reader.gate.GateConfig`.

    Raises ValueError if the door does not fit the line: one tap pays a flat fare, two a distance;
    or if the number of a stop does not fit the one byte that a trip record has for it.
    """

    network: BusNetwork
    line: BusLine
    door: Door
    white_list: WhiteList
    vehicle: bytes = b"BUS00001"
    blacklist: Container[bytes] = frozenset()
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        if self.line.is_flat != (self.door is Door.SINGLE):
            fits = "single" if self.line.is_flat else "board or alight"
            raise ValueError(
                f"Line {self.line.name_en} needs a validator for {fits}, not {self.door.value}."
            )
        for stop in self.line.stops:  # now, not when the bus comes to it
            self.place_at(stop, Heading.UP)

    def place_at(self, stop: Stop, heading: Heading) -> BusPlace:
        """What the validator writes at a stop. Raises ValueError if a number does not fit."""
        return BusPlace(
            self.network.city,
            self.network.institution,
            self.network.operator,
            self.line.number,
            stop.index,
            heading is Heading.UP,
            self.vehicle,
            marked_amount(self.line, stop),
        )


class Validator(Terminal):
    """A validator with its PSAM, at the first stop of its line. See `Terminal`."""

    def __init__(
        self,
        config: BusConfig,
        psam: SecureModule,
        clock: Callable[[], datetime],
        journal: TapJournal | None = None,
    ) -> None:
        self.config = config
        self.stage, self.where = config.door.value, config.line.name_en
        self.is_way_in = config.door is not Door.ALIGHT
        self._checks: tuple[Check, ...] = BOARD_CHECKS if self.is_way_in else ALIGHT_CHECKS
        self.at_stop(config.line.stops[0], Heading.UP)
        super().__init__(config.policy, psam, clock, journal)

    def at_stop(self, stop: Stop, heading: Heading) -> None:
        """The bus has come to a stop, going this way."""
        self.stop, self.heading = stop, heading
        self.place = self.config.place_at(stop, heading)

    def _judged(self, now: datetime) -> Txn[Outcome]:
        view = yield from read_bus_card(with_log=self.config.line.is_flat)
        now = local(now)
        at = Moment.of(now)
        boarded_at = self._boarded_here(view.trip, now)
        is_again = self.is_way_in and self._is_same_boarding(view, now)
        facts = self._facts(view, now, boarded_at, is_again)
        reason = first_refusal(self._checks, facts, self.waived)
        if reason is not None:
            return (yield from self._refused(reason, view))
        rider = self._rider(view, facts.day)
        if not self.is_way_in:
            return (yield from self._alight(view, at, rider, boarded_at))
        if is_again:
            return Outcome(Verdict.PASS, view=view, repeated=True)
        return (yield from self._board(view, at, rider))

    def _facts(
        self, view: BusView, now: datetime, boarded_at: Stop | None, is_again: bool
    ) -> Facts:
        config, trip, at = self.config, view.trip, Moment.of(now)
        is_missed = is_aboard(trip) and not is_again
        is_open = is_missed if self.is_way_in else self._is_of_this_bus(trip, now)
        at_boarding = self.policy.validity_test_at_exit == "entry_time"
        day = at.date
        if not self.is_way_in and at_boarding and is_open and _time(trip.board_time) is not None:
            day = trip.board_time[:4]
        return Facts(
            view,
            self.place.city,
            self.policy,
            config.white_list,
            config.blacklist,
            day,
            is_open,
            boarded_at is not None,
        )

    def _is_of_this_bus(self, trip: BusTrip, now: datetime) -> bool:
        """Whether the open ride is one on this bus, and not of a day long past."""
        place = self.place
        here = place.city, place.vehicle, place.line_bytes
        if not is_aboard(trip) or here != (trip.board_city, trip.board_vehicle, trip.board_line):
            return False
        boarded = _time(trip.board_time)
        # Without a time it is taken for this ride: what it costs is known.
        return boarded is None or (now - boarded).total_seconds() <= self.policy.bus_ride_s

    def _boarded_here(self, trip: BusTrip, now: datetime) -> Stop | None:
        """Where the card boarded this bus, if it did at one of its stops."""
        if not self._is_of_this_bus(trip, now):
            return None
        try:
            return self.config.line.stop(trip.board_station)
        except UnknownStop:
            return None

    def _is_same_boarding(self, view: BusView, now: datetime) -> bool:
        """Whether this bus was boarded with the card just now (domain facts 4.1 B)."""
        boarded = None
        if self.config.line.is_flat:
            boarded = self._paid_here(view.latest)
        elif self._is_of_this_bus(view.trip, now):
            boarded = _time(view.trip.board_time)
        if boarded is None:
            return False
        # Either way: the clocks of a bus's two doors differ, and a boarding costs a whole line.
        return abs((now - boarded).total_seconds()) <= self.policy.bus_repeat_s

    def _paid_here(self, latest: TripLog | None) -> datetime | None:
        """When this validator took the card's last fare. A flat ride leaves no other mark."""
        if latest is None or (latest.trip_kind, latest.industry) != (EP_SINGLE, BUS):
            return None
        is_ours = latest.terminal[2:] == self.psam.terminal
        is_here = is_ours and latest.line == self.place.line_bytes
        return _time(latest.time) if is_here else None

    def _rider(self, view: BusView, day: bytes) -> Rider:
        """Whose card it is. day: the one its validity is tested against."""
        # Past its last day a card that is let on pays as any other (domain facts 9).
        is_late = is_expired(view, day) and Reject.EXPIRED not in self.waived
        kind = NORMAL if is_late else view.interop.card_kind
        return Rider(kind, view.interop.city == self.place.city)

    def _board(self, view: BusView, at: Moment, rider: Rider) -> Txn[Outcome]:
        missed_fare = self._missed(view.trip)
        fare = 0 if self.is_free or not self.config.line.is_flat else self._flat(rider)
        needed = missed_fare + self._needed(rider)
        reason = yield from money_refusal(needed, self.policy, self.waived)
        if reason is not None:
            return Outcome(Verdict.REJECT, reason, view=view)
        missed = None
        if missed_fare:
            try:
                missed = yield from self._collect(view, missed_fare, at)
            except Interrupted as lost:
                return Outcome(Verdict.TAP_AGAIN, detail=str(lost), view=view)
        kind = EP_SINGLE if self.config.line.is_flat else EP_ENTRY

        def riding(sale: Sale) -> Txn[Receipt]:
            if self.config.line.is_flat:
                return single(view, self.place, fare, sale)
            return board(view, self._marking, sale)

        paying = self.debits.pay(riding, self._note(kind), at)
        return (yield from self._paid(paying, view, fare, missed))

    @property
    def _marking(self) -> BusPlace:
        """What boarding writes. A ride that costs nothing leaves nothing to collect."""
        return replace(self.place, marked=0) if self.is_free else self.place

    def _missed(self, trip: BusTrip) -> int:
        """What the ride before still costs, fen."""
        is_waived = self.is_free or Reject.NOT_ALIGHTED in self.waived
        return trip.max_fare if is_aboard(trip) and not is_waived else 0

    def _needed(self, rider: Rider) -> int:
        line = self.config.line
        return boarding_balance(line, self.stop, self.heading, rider, self.policy)

    def _flat(self, rider: Rider) -> int:
        return bus_charge(self.config.line, self.stop, self.stop, rider, self.policy)

    def _collect(self, view: BusView, fare: int, at: Moment) -> Txn[Receipt]:
        def closing(sale: Sale) -> Txn[Receipt]:
            return collect(view, BusRide(self.place, fare), sale)

        # The money is of the line that was ridden, whoever collects it.
        note = self._note(EP_ADJUST, _origin(view.trip), ridden(view.trip, self.place))
        return (yield from self.debits.pay(closing, note, at))

    def _alight(
        self, view: BusView, at: Moment, rider: Rider, boarded_at: Stop | None
    ) -> Txn[Outcome]:
        fare, distance_m = self._fare(rider, boarded_at)

        def leaving(sale: Sale) -> Txn[Receipt]:
            return alight(view, BusRide(self.place, fare, distance_m), sale)

        note = self._note(EP_EXIT, _origin(view.trip))
        paying = self.debits.pay(leaving, note, at, self._accept)
        return (yield from self._paid(paying, view, fare))

    def _fare(self, rider: Rider, boarded_at: Stop | None) -> tuple[int, int]:
        """What the ride costs, fen, and how long it was, metres."""
        line = self.config.line
        distance_m = 0 if boarded_at is None else abs(self.stop.at_m - boarded_at.at_m)
        if self.is_free:
            return 0, distance_m
        if boarded_at is None:  # let through by a mode alone
            percent = bus_percent(line, rider.card_kind, rider.is_local, self.policy)
            return share(line.tariff.lowest, percent), 0
        return bus_charge(line, boarded_at, self.stop, rider, self.policy), distance_m

    def _accept(self, offer: InitPurchaseReply) -> None:
        if offer.balance - offer.overdraft_limit > self.policy.max_balance:
            raise Declined

    def _note(
        self, trip: int, origin: Origin | None = None, spot: BusPlace | None = None
    ) -> Callable[[Unresolved], TapRecord]:
        place = spot or self.place

        def note(lost: Unresolved) -> TapRecord:
            return promised(lost, place, self.debits.name, trip, origin)

        return note


def _origin(trip: BusTrip) -> Origin:
    return Origin(trip.board_line, bytes((0, trip.board_station)), trip.board_time)


def _time(when: bytes) -> datetime | None:
    """A time on a card, or None if it is none."""
    try:
        return unpack_moment(when)
    except ValueError:
        return None
