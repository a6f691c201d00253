"""The decisions a terminal makes about a card before any money moves, in their declared order.

The order is that of protocol reference 6.10: the card's application, its issuer, its dates, lists,
its city and kind, its trip; money comes after them. A check says what it refuses and looks at
`Facts`; what a mode waives is skipped (`reader.modes`). Gates, `docs/decisions.md` and tests walk
the same tuples.
"""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass

from apdu.bcd import is_decimal
from apdu.files import CARD_KINDS
from apdu.value import value
from reader.outcome import Reject
from reader.policy import Policy
from reader.session import Txn
from reader.transactions import AnyView, balance, own_money
from reader.white_list import WhiteList


@value
class Facts:
    """What is known of a card when it is judged.

    day:     the day its validity is tested against, 4 bytes.
    is_open: whether the trip that this terminal works on is open.
    has_origin: whether it is known where that trip began.
    is_over_time: whether it has lasted too long.
    """

    view: AnyView
    city: bytes
    policy: Policy
    white_list: WhiteList
    blacklist: Container[bytes]
    day: bytes
    is_open: bool
    has_origin: bool = True
    is_over_time: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One decision. refuses: what for, if `test` says so. asks: the question, for people."""

    refuses: tuple[Reject, ...]
    asks: str
    test: Callable[[Facts], Reject | None]
    clause: str = "6.10"


def _issuer(facts: Facts) -> Reject | None:
    issuer = facts.view.info.issuer.hex()[:8]
    # The serial is a 0 and the 19 digits of the PAN, whose first 8 are the IIN (3.2).
    if (issuer, facts.view.info.serial.hex()[1:9]) in facts.white_list:
        return None
    known = any(listed == issuer for listed, _ in facts.white_list)
    return Reject.IIN_MISMATCH if known else Reject.ISSUER_UNKNOWN


def _enabled(facts: Facts) -> Reject | None:
    return None if facts.view.info.enabled == 0x01 else Reject.NOT_ENABLED


def _begun(facts: Facts) -> Reject | None:
    # Days are compared as YYYYMMDD in BCD, which sorts as days do; both ends are valid days.
    first = facts.view.info.start_date
    return None if is_decimal(first) and first <= facts.day else Reject.NOT_YET_VALID


def _not_over(facts: Facts) -> Reject | None:
    if facts.policy.expired_card_at_gate == "adult_fare":
        return None
    return Reject.EXPIRED if is_expired(facts.view, facts.day) else None


def is_expired(view: AnyView, day: bytes) -> bool:
    """Whether a card's last valid day is past, or is no day."""
    last = view.info.end_date
    return not is_decimal(last) or day > last


def _not_listed(facts: Facts) -> Reject | None:
    return Reject.BLACKLISTED if facts.view.info.serial in facts.blacklist else None


def _interoperable(facts: Facts) -> Reject | None:
    interop = facts.view.interop
    is_ours = interop.city == facts.city or interop.interop == 1
    return None if is_ours else Reject.NOT_INTEROPERABLE


def _kind(facts: Facts) -> Reject | None:
    # In the home city alone: elsewhere every kind counts as normal (3.4).
    if facts.view.interop.city != facts.city:
        return None
    kind = CARD_KINDS.get(facts.view.interop.card_kind, "normal")
    return None if kind in facts.policy.kinds_accepted else Reject.KIND_NOT_ACCEPTED


def _unlocked(facts: Facts) -> Reject | None:
    return Reject.TRIP_LOCKED if facts.view.trip.lock else None


CARD_CHECKS = (
    Check(
        (Reject.ISSUER_UNKNOWN, Reject.IIN_MISMATCH),
        "are issuer code and IIN a pair of the white list?",
        _issuer,
    ),
    Check((Reject.NOT_ENABLED,), "is the card enabled?", _enabled),
    Check((Reject.NOT_YET_VALID,), "has its first valid day come?", _begun),
    Check((Reject.EXPIRED,), "is its last valid day not over?", _not_over),
    Check((Reject.BLACKLISTED,), "is its serial not on the blacklist?", _not_listed),
    Check((Reject.NOT_INTEROPERABLE,), "is it of this city, or good everywhere?", _interoperable),
    Check((Reject.KIND_NOT_ACCEPTED,), "is its kind accepted, if it is of this city?", _kind),
    Check((Reject.TRIP_LOCKED,), "is its trip record free?", _unlocked),
)
"""What every terminal asks."""


def _not_inside(facts: Facts) -> Reject | None:
    if facts.policy.missing_exit_rail == "charge":
        return None
    return Reject.ALREADY_ENTERED if facts.is_open else None


def _inside(facts: Facts) -> Reject | None:
    return None if facts.is_open else Reject.NOT_ENTERED


def _origin(facts: Facts) -> Reject | None:
    return None if facts.has_origin else Reject.STATION_UNKNOWN


def _in_time(facts: Facts) -> Reject | None:
    is_refused = facts.is_over_time and facts.policy.overtime_at == "desk"
    return Reject.OVER_TIME if is_refused else None


def _tapped_off(facts: Facts) -> Reject | None:
    # A mark above what a purse may hold is no fare: no top-up would ever do, so staff look.
    is_fare = facts.view.trip.max_fare <= facts.policy.max_balance
    is_collected = is_fare and facts.policy.missing_tapoff_bus == "collect"
    return Reject.NOT_ALIGHTED if facts.is_open and not is_collected else None


def _aboard(facts: Facts) -> Reject | None:
    return None if facts.is_open else Reject.NOT_BOARDED


_ORIGIN = Check(
    (Reject.STATION_UNKNOWN,),
    "is it known where and when the trip began?",
    _origin,
    "domain facts 4.1 D",
)

ENTRY_CHECKS = (
    *CARD_CHECKS,
    Check((Reject.ALREADY_ENTERED,), "is no trip open?", _not_inside),
)
EXIT_CHECKS = (
    *CARD_CHECKS,
    Check((Reject.NOT_ENTERED,), "is a trip open?", _inside),
    _ORIGIN,
    Check(
        (Reject.OVER_TIME,),
        "has it lasted no longer than allowed?",
        _in_time,
        "domain facts 3.2, 4.1 D",
    ),
)
BOARD_CHECKS = (
    *CARD_CHECKS,
    Check(
        (Reject.NOT_ALIGHTED,),
        "was the last ride tapped off, or is its fare collected?",
        _tapped_off,
        "domain facts 3.1",
    ),
)
ALIGHT_CHECKS = (
    *CARD_CHECKS,
    Check((Reject.NOT_BOARDED,), "was this bus boarded?", _aboard, "domain facts 3.1"),
    _ORIGIN,
)
MONEY = (Reject.BALANCE_IMPLAUSIBLE, Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW)
"""What may be refused when the balance is known, in this order (6.10)."""


def first_refusal(
    checks: Iterable[Check], facts: Facts, waived: frozenset[Reject]
) -> Reject | None:
    """The first reason in the declared order that no mode waives."""
    for check in checks:
        reason = check.test(facts)
        if reason is not None and reason not in waived:
            return reason
    return None


def money_refusal(needed: int, policy: Policy, waived: frozenset[Reject]) -> Txn[Reject | None]:
    """What the selected purse is refused for. needed: fen.

    Implausible is what is in the purse (6.10); enough is what it can pay, with the overdraft limit
    its issuer gave it (4.12).
    """
    held = yield from balance()
    if (yield from own_money(held, policy.max_balance)) > policy.max_balance:
        return Reject.BALANCE_IMPLAUSIBLE
    if held == 0 and Reject.ZERO_BALANCE not in waived:
        return Reject.ZERO_BALANCE
    if held < needed and Reject.BALANCE_TOO_LOW not in waived:
        return Reject.BALANCE_TOO_LOW
    return None
