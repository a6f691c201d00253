"""Modes of a gate beside the normal one (domain facts 4.2): what each changes, as one table.

Several may hold at once: what any of them waives is waived. That fare free takes nothing off a
purse, and that an emergency writes to no card, is known (V-B); how far others go is ours (D).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from reader.outcome import Reject


@dataclass(frozen=True, slots=True)
class ModeRule:
    """What a mode changes.

    stops:   nobody is served, for this reason; no card is touched.
    waives:  refusals that are not given.
    is_free: a ride costs nothing; the records are written.
    note:    what it is for, and what is ours in it.
    """

    zh: str
    en: str
    stops: Reject | None = None
    waives: frozenset[Reject] = frozenset()
    is_free: bool = False
    note: str = ""


class Mode(Enum):
    """A mode by its name in policies and on the command line."""

    CLOSED = "closed"
    FAULT = "fault"
    MAINTENANCE = "maintenance"
    OFFLINE = "offline"
    TRAIN_FAULT = "train_fault"
    ORDER_FREE = "order_free"
    TIME_FREE = "time_free"
    DATE_FREE = "date_free"
    FARE_FREE = "fare_free"
    EMERGENCY = "emergency"

    @property
    def rule(self) -> ModeRule:
        """What it changes."""
        return RULES[self]


RULES = {
    Mode.CLOSED: ModeRule(
        "关闭",
        "closed",
        stops=Reject.CLOSED,
        note="The barrier stays shut, also a normally open one.",
    ),
    Mode.FAULT: ModeRule(
        "故障",
        "fault",
        stops=Reject.FAULT,
        note="As closed, for a gate whose PSAM, journal or reader has failed. An operator sets it.",
    ),
    Mode.MAINTENANCE: ModeRule(
        "维护", "maintenance", stops=Reject.MAINTENANCE, note="As closed, while staff work on it."
    ),
    Mode.OFFLINE: ModeRule(
        "离线",
        "offline",
        note="Cut off from the station: lists keep their last version, records wait to be uploaded."
        " No decision changes.",
    ),
    Mode.TRAIN_FAULT: ModeRule(
        "列车故障",
        "train fault",
        waives=frozenset({Reject.OVER_TIME}),
        is_free=True,
        note="People whose train broke down leave without paying, however long they were in (D).",
    ),
    Mode.ORDER_FREE: ModeRule(
        "进出站次序免检",
        "entry and exit order free",
        waives=frozenset(
            {
                Reject.ALREADY_ENTERED,
                Reject.NOT_ENTERED,
                Reject.NOT_ALIGHTED,
                Reject.NOT_BOARDED,
                Reject.STATION_UNKNOWN,
            }
        ),
        note="The trip on the card is not looked at. Who leaves without an entry that is known pays"
        " the lowest fare (D).",
    ),
    Mode.TIME_FREE: ModeRule(
        "时间免检",
        "time free",
        waives=frozenset({Reject.OVER_TIME}),
        note="A stay that was too long is neither refused nor charged.",
    ),
    Mode.DATE_FREE: ModeRule(
        "日期免检",
        "date free",
        waives=frozenset({Reject.NOT_YET_VALID, Reject.EXPIRED}),
        note="First and last valid day are not looked at.",
    ),
    Mode.FARE_FREE: ModeRule(
        "车费免检",
        "fare free",
        waives=frozenset({Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW}),
        is_free=True,
        note="Nothing is taken off a purse; the records are written.",
    ),
    Mode.EMERGENCY: ModeRule(
        "紧急放行",
        "emergency release",
        stops=Reject.EMERGENCY,
        note="All barriers are open, entry is shown as forbidden, and no command leaves the gate."
        " Open trips from it are accepted again later (knob emergency_trip_days).",
    ),
}
"""Every mode. The order of `Mode` has no meaning; of several that stop, an emergency is first."""


def stopping(modes: Iterable[Mode]) -> Mode | None:
    """The mode for which nobody is served, the first in the order of reasons, or None."""
    stops = [(rule.stops.code, mode) for mode in modes if (rule := mode.rule).stops is not None]
    return min(stops, key=lambda stop: stop[0])[1] if stops else None


def waived(modes: Iterable[Mode]) -> frozenset[Reject]:
    """Every refusal that is not given.

    >>> sorted(reason.name for reason in waived([Mode.DATE_FREE, Mode.TIME_FREE]))
    ['EXPIRED', 'NOT_YET_VALID', 'OVER_TIME']
    """
    return frozenset().union(*(mode.rule.waives for mode in modes))


def is_free(modes: Iterable[Mode]) -> bool:
    """Whether rides cost nothing."""
    return any(mode.rule.is_free for mode in modes)
