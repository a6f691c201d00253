"""What each ride writes to the card together with its debit (protocol reference 6.1 to 6.3).

Entry is a CAPP purchase of zero, exit one of the fare; boarding and alighting a bus are the same
with its own record. Each caches the EF1A trip record and then an EF1E record, and the card commits
all of it at DEBIT or none. A flat bus fare is one debit with an EF1E record alone.
"""

from dataclasses import replace

from apdu.bcd import Moment, pack
from apdu.files import EF1A, EF1E, BusTrip, RailTrip, TripLog
from apdu.purse import CAPP
from apdu.records import InitPurchaseReply, SamPurchaseReply
from apdu.value import value
from reader.session import Txn
from reader.transactions import (
    BusView,
    CardView,
    Receipt,
    Till,
    Watch,
    Write,
    left_of,
    purchase,
)
from reader.trips import (
    EP_ADJUST,
    EP_ENTRY,
    EP_EXIT,
    EP_SINGLE,
    BusPlace,
    Place,
    alighted,
    boarded,
    corrected,
    entered,
    exited,
    trip_log,
)

_RAIL, _BUS = 0x01, 0x02
"""P1 of UPDATE CAPP DATA CACHE for EF1A: the low byte of the record's id (4.15, Q10)."""


@value
class Sale:
    """Who sells, when, and who looks on."""

    till: Till
    at: Moment
    watch: Watch


def _caches(p1: int, trip: RailTrip | BusTrip, log: TripLog) -> list[Write]:
    return [(EF1A.sfi, p1, trip.build()), (EF1E.sfi, 0x00, log.build())]


def entry(view: CardView, place: Place, sale: Sale) -> Txn[Receipt]:
    """Mark the card as inside: a CAPP purchase of zero (6.1)."""
    terminal, at = sale.till.terminal, sale.at

    def writes(offer: InitPurchaseReply, proof: SamPurchaseReply) -> list[Write]:
        left = left_of(offer, 0)
        trip = entered(place, proof.terminal_seq, left, at)
        log = trip_log(EP_ENTRY, place, terminal, 0, left, at)
        return _caches(_RAIL, trip, log)

    return purchase(view.info, 0, sale.till, at, CAPP, writes, sale.watch)


def exit(view: CardView, place: Place, fare: int, sale: Sale) -> Txn[Receipt]:
    """Close the trip and charge the fare, fen (6.2)."""
    return _closing(view, exited(view.trip, place, fare, sale.at), EP_EXIT, place, fare, sale)


def correct_entry(
    view: CardView, trip: RailTrip, place: Place, charge: int, sale: Sale
) -> Txn[Receipt]:
    """Staff make the card one that is inside, for a charge in fen (3.8, state 03).

    trip: the record as it shall be, but for its serial. place: of the desk.
    """
    terminal, at = sale.till.terminal, sale.at

    def writes(offer: InitPurchaseReply, proof: SamPurchaseReply) -> list[Write]:
        numbered = replace(trip, trip_serial=pack(str(proof.terminal_seq), 8))
        log = trip_log(EP_ADJUST, place, terminal, charge, left_of(offer, charge), at)
        return _caches(_RAIL, numbered, log)

    return purchase(view.info, charge, sale.till, at, CAPP, writes, sale.watch)


def correct_exit(view: CardView, place: Place, charge: int, sale: Sale) -> Txn[Receipt]:
    """Staff close a trip that was not tapped out, for a charge in fen (3.8, state 04)."""
    closed = corrected(view.trip, place, charge, sale.at)
    return _closing(view, closed, EP_ADJUST, place, charge, sale)


def _closing(
    view: CardView, trip: RailTrip, kind: int, place: Place, fare: int, sale: Sale
) -> Txn[Receipt]:
    def writes(offer: InitPurchaseReply, proof: SamPurchaseReply) -> list[Write]:
        left = left_of(offer, fare)
        log = trip_log(kind, place, sale.till.terminal, fare, left, sale.at)
        return _caches(_RAIL, trip, log)

    return purchase(view.info, fare, sale.till, sale.at, CAPP, writes, sale.watch)


def board(view: BusView, place: BusPlace, sale: Sale) -> Txn[Receipt]:
    """Mark the card as on a bus, with the most the ride can cost: a CAPP purchase of zero (6.3)."""
    terminal, at = sale.till.terminal, sale.at

    def writes(offer: InitPurchaseReply, proof: SamPurchaseReply) -> list[Write]:
        trip = boarded(place, proof.terminal_seq, terminal, at)
        log = trip_log(EP_ENTRY, place, terminal, 0, left_of(offer, 0), at)
        return _caches(_BUS, trip, log)

    return purchase(view.info, 0, sale.till, at, CAPP, writes, sale.watch)


@value
class BusRide:
    """A bus ride that ends. fare: fen. distance_m: what was ridden, 0 if it is not known."""

    place: BusPlace
    fare: int
    distance_m: int = 0


def alight(view: BusView, ride: BusRide, sale: Sale) -> Txn[Receipt]:
    """Close the ride and charge it (6.3)."""
    return _leaving(view, ride, EP_EXIT, sale)


def collect(view: BusView, ride: BusRide, sale: Sale) -> Txn[Receipt]:
    """Charge a ride that was never tapped off, and close it (domain facts 3.1)."""
    return _leaving(view, ride, EP_ADJUST, sale)


def _leaving(view: BusView, ride: BusRide, kind: int, sale: Sale) -> Txn[Receipt]:
    terminal, at, fare, place = sale.till.terminal, sale.at, ride.fare, ride.place
    trip = alighted(view.trip, place, terminal, fare, ride.distance_m, at)

    def writes(offer: InitPurchaseReply, proof: SamPurchaseReply) -> list[Write]:
        log = trip_log(kind, place, terminal, fare, left_of(offer, fare), at)
        return _caches(_BUS, trip, log)

    return purchase(view.info, fare, sale.till, at, CAPP, writes, sale.watch)


def single(view: BusView, place: BusPlace, fare: int, sale: Sale) -> Txn[Receipt]:
    """Charge a flat fare in one tap: a CAPP purchase with an EF1E record alone (6.3)."""

    def writes(offer: InitPurchaseReply, proof: SamPurchaseReply) -> list[Write]:
        left = left_of(offer, fare)
        log = trip_log(EP_SINGLE, place, sale.till.terminal, fare, left, sale.at)
        return [(EF1E.sfi, 0x00, log.build())]

    return purchase(view.info, fare, sale.till, sale.at, CAPP, writes, sale.watch)
