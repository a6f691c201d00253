"""The month totals of many cards: what a gate needs to know to give the month's discount.

Where Beijing keeps the total is not known (protocol reference Q11): it is held behind the gates.
A `MonthBook` is one in memory, shared by the gates of a process; it follows from their records
alone, so it is made again from journals.
"""

from collections.abc import Iterable
from datetime import datetime

from apdu.bcd import unpack_moment
from reader.fare import Network, Station
from reader.fares.month import MonthTotal, fare_month, with_ride
from reader.fares.rail import overtime_charge, rail_charge
from reader.policy import Policy
from reader.taprecord import Mark, TapRecord
from reader.trips import EP_EXIT, METRO

_NOTHING = MonthTotal()


class MonthBook:
    """What every card has paid on the lines of a network that count (domain facts 3.2)."""

    def __init__(self, network: Network, policy: Policy) -> None:
        self._network = network
        self._policy = policy
        self._totals: dict[bytes, MonthTotal] = {}

    def total(self, serial: bytes) -> MonthTotal:
        """A card's total; nothing for a card that is not known."""
        return self._totals.get(serial, _NOTHING)

    def note(self, record: TapRecord) -> None:
        """Count a ride that was paid. Records of anything else do not matter.

        A charge at a desk does not count, whatever it is for (D).
        """
        if record.trip != EP_EXIT or record.industry != METRO or record.mark == Mark.VOID:
            return
        try:
            station = self._network.at(record.line[0], record.station[0])
            exited_at = unpack_moment(record.when)
        except ValueError:  # of another network, or a time that is none
            return
        if not self._network.tariff_at(station).in_month:
            return
        total = self.total(record.serial)
        counted = record.amount - self._overtime(record, station, exited_at, total)
        month = fare_month(exited_at, self._policy)
        self._totals[record.serial] = with_ride(total, month, counted)

    def note_all(self, records: Iterable[TapRecord]) -> None:
        """Count every ride of a journal."""
        for record in records:
            self.note(record)

    def _overtime(
        self, record: TapRecord, station: Station, exited_at: datetime, total: MonthTotal
    ) -> int:
        """What of an amount is for a too long stay, and does not count."""
        if self._policy.overtime_in_month:
            return 0
        try:
            entered_at = unpack_moment(record.origin_when)
            overtime = overtime_charge(entered_at, exited_at, self._policy)
            if not overtime:
                return 0
            origin = self._network.at(record.origin_line[0], record.origin_station[0])
            ride = self._network.ride(origin, station, entered_at, exited_at)
        except ValueError:
            return 0
        # A mode, or staff, may have waived it: then the amount is the fare alone.
        is_paid = record.amount == rail_charge(ride, total, self._policy).amount
        return overtime if is_paid else 0
