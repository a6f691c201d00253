"""What an operator may decide about gates, readers on buses and money: one typed `Policy`.

Every knob is declared once, as a field with its default, unit, reason and source. `docs/policy.md`
and the reading of files come from these fields. The seed document is silent on all of it (domain
facts 1.3); knobs of the issuing back office are in `issuer.policy`.
"""

from dataclasses import dataclass

from apdu.files import CARD_KINDS
from reader.knobbed import Knobbed, PolicyError
from reader.knobs import Flag, Knob, One, Rising, Some, Steps, Whole, knob_maker
from reader.modes import Mode

__all__ = ["LINE_KINDS", "MODES", "Policy", "PolicyError", "knobs"]

MODES = tuple(mode.value for mode in Mode)
"""Modes of a gate beside the normal one (domain facts 4.2)."""

LINE_KINDS = ("city", "suburban", "sightseeing", "express", "customised")
"""Kinds of bus lines (domain facts 3.1)."""

_MONEY = Whole(0, 10_000_000)
_SECONDS = Whole(0, 7 * 86_400)
_PERCENT = Whole(0, 100)

_rail = knob_maker("Rail")
_bus = knob_maker("Bus")
_purse = knob_maker("Purse")
_card = knob_maker("Card")
_gate = knob_maker("Gate")


@dataclass(frozen=True, slots=True)
class Policy(Knobbed):
    """Every decision of an operator that concerns gate and money. Raises PolicyError."""

    month_steps: tuple[tuple[int, int], ...] = _rail(
        ((10_000, 80), (15_000, 50), (40_000, 100)),
        Steps(),
        "fen paid, % to pay",
        "From the ride after the one that reaches 100 yuan in a month 20 % off, 150 yuan 50 %,"
        " 400 yuan nothing. An empty list means no accumulation.",
        "V-B, domain facts 3.2, 9",
    )
    accumulate_at: str = _rail(
        "exit_time",
        One(("exit_time", "operating_day")),
        "",
        "Whether a ride that ends after midnight on the first of a month belongs to that month, or"
        " with its operating day to the month before.",
        "ASSUMED, domain facts 3.2",
    )
    operating_day_begins_min: int = _rail(
        240,
        Whole(0, 1439),
        "min after midnight",
        "Where the operating day is cut: 04:00, when no train runs. Matters for"
        " accumulate_at = operating_day alone.",
        "D, no source",
    )
    overtime_after_s: int = _rail(
        14_400,
        _SECONDS,
        "s",
        "The longest stay in the paid area, 4 hours; exactly so long is not too long.",
        "V-B, domain facts 3.2, 9",
    )
    overtime_at: str = _rail(
        "desk",
        One(("desk", "gate")),
        "",
        "Who takes what a too long stay costs. desk: the gate refuses with a code that ends in 4"
        " and staff take it; gate: the gate adds it to the fare.",
        "V-B, domain facts 3.2, 4.2",
    )
    overtime_fare: int = _rail(
        300,
        _MONEY,
        "fen",
        "Added to the fare of a stay that was too long.",
        "V-B, domain facts 3.2, 9",
    )
    overtime_in_month: bool = _rail(
        False,
        Flag(),
        "",
        "Whether what a gate takes for a too long stay counts in the month's accumulation; what a"
        " desk takes never does.",
        "ASSUMED, no source",
    )
    same_station: str = _rail(
        "refund",
        One(("refund", "charge", "free")),
        "",
        "In and out at one station is charged the lowest fare. refund: staff may give it back"
        " within same_station_within_s; charge: nobody does; free: the gate takes nothing within"
        " that time, as in Shanghai, Tianjin and Nanchang.",
        "V-B, domain facts 3.2, 9",
    )
    same_station_within_s: int = _rail(
        600, _SECONDS, "s", "How soon after entry; 10 minutes.", "V-B, domain facts 3.2, 9"
    )
    missing_exit_rail: str = _rail(
        "refuse",
        One(("refuse", "charge")),
        "",
        "An entry tap with an open trip on the card. refuse: staff close the trip; charge: the gate"
        " charges missing_exit_fare and begins the new trip.",
        "ASSUMED, domain facts 3.2, 9",
    )
    missing_exit_fare: int = _rail(
        300,
        _MONEY,
        "fen",
        "What closing a trip without exit costs.",
        "ASSUMED, domain facts 3.2, 9",
    )
    missing_entry_fare: int = _rail(
        0,
        _MONEY,
        "fen",
        "What staff take to give a card the entry it lacks; the ride is charged at the exit.",
        "ASSUMED, no source",
    )
    min_entry_rail: int = _rail(
        300,
        _MONEY,
        "fen",
        "What a card must hold to enter: the cheapest single fare. On a line whose cheapest fare is"
        " higher, that fare.",
        "V-C, domain facts 3.2, 3.3, 9",
    )
    bus_percent_normal: int = _bus(
        50, _PERCENT, "% to pay", "Half price with any card.", "V-B, domain facts 3.1"
    )
    bus_percent_student: int = _bus(
        25, _PERCENT, "% to pay", "A quarter for student cards.", "V-B, domain facts 3.1"
    )
    bus_percent_senior: int = _bus(
        100, _PERCENT, "% to pay", "No purse concession is known.", "ASSUMED, no source"
    )
    bus_percent_test: int = _bus(
        100, _PERCENT, "% to pay", "A test card pays what the tariff says.", "D, no source"
    )
    bus_percent_military: int = _bus(
        100, _PERCENT, "% to pay", "No purse concession is known.", "ASSUMED, no source"
    )
    bus_lines_with_concessions: tuple[str, ...] = _bus(
        ("city",),
        Some(LINE_KINDS),
        "",
        "Not on sightseeing, express direct and customised services, nor outside the administrative"
        " area, where local rules continue.",
        "V-B, domain facts 3.1",
    )
    foreign_card_kind: str = _bus(
        "normal",
        One(("normal", "as_written")),
        "",
        "What a card of another city counts as: a concession is local.",
        "V-B, protocol reference 3.4",
    )
    missing_tapoff_bus: str = _bus(
        "collect",
        One(("collect", "refuse")),
        "",
        "A boarding tap after a ride without alighting tap. collect: the undiscounted fare to the"
        " farther end of that line is taken first; refuse: staff settle it.",
        "V-A, domain facts 3.1, 9",
    )
    bus_repeat_s: int = _bus(
        600,
        _SECONDS,
        "s",
        "A second boarding tap on one bus so soon is the same boarding; later, the ride before was"
        " not tapped off. Validators have such a limit, in minutes; how many is not known.",
        "ASSUMED, domain facts 4.1",
    )
    bus_ride_s: int = _bus(
        21_600,
        _SECONDS,
        "s",
        "The longest ride on one bus. What was boarded longer ago was not tapped off, also if the"
        " same bus comes again.",
        "ASSUMED, no source",
    )
    min_entry_bus: str = _bus(
        "farthest",
        One(("farthest", "lowest")),
        "",
        "What a card must hold to board: the rider's fare to the farthest stop still ahead, or the"
        " rider's lowest fare.",
        "V-B, domain facts 3.3, 9",
    )
    overdraft: str = _purse(
        "none",
        One(("none", "bus")),
        "",
        "A card of the national scheme cannot be overdrawn. bus: as the city's old cards, which may"
        " go below zero on a bus if they held the lowest fare.",
        "V-B, domain facts 3.3, 9",
    )
    max_balance: int = _purse(
        100_000,
        _MONEY,
        "fen",
        "The most a purse may hold; more is implausible to a gate.",
        "V-C, domain facts 3.4, 9",
    )
    load_min: int = _purse(
        1,
        Whole(1, 10_000_000),
        "fen",
        "The seed states no least top-up.",
        "SEED, domain facts 3.4, 9",
    )
    load_step: int = _purse(
        1,
        Whole(1, 10_000_000),
        "fen",
        "The seed states no step of top-ups.",
        "SEED, domain facts 3.4, 9",
    )
    expired_card_at_gate: str = _card(
        "refuse",
        One(("refuse", "adult_fare")),
        "",
        "After 30 September: no entry, or on buses the fare of a normal card.",
        "ASSUMED, domain facts 9",
    )
    kinds_accepted: tuple[str, ...] = _card(
        tuple(CARD_KINDS.values()),
        Some(tuple(CARD_KINDS.values())),
        "",
        "Kinds of cards of this city that are served; an unknown kind is, without any concession.",
        "D, protocol reference 6.10",
    )
    validity_test_at_exit: str = _card(
        "entry_time",
        One(("entry_time", "exit_time")),
        "",
        "Which day must be a valid one at exit; that of entry traps nobody at midnight.",
        "ASSUMED, domain facts 1.4, 9",
    )
    blacklist_delay_s: int = _card(
        900,
        _SECONDS,
        "s",
        "How long a loss report takes to reach the gates.",
        "ASSUMED, domain facts 9",
    )
    blacklist_jitter_s: int = _card(
        300, _SECONDS, "s", "By how much gates differ in that, at most.", "ASSUMED, domain facts 9"
    )
    lock_listed_card: bool = _card(
        True,
        Flag(),
        "",
        "Whether a gate blocks the application of a card on the blacklist.",
        "C, protocol reference 6.7",
    )
    passback_s: int = _gate(
        5,
        _SECONDS,
        "s",
        "A second tap at the same gate so soon passes without another transaction; in the other"
        " direction the rule of the open trip holds.",
        "ASSUMED, domain facts 9",
    )
    two_cards: str = _gate(
        "refuse",
        One(("refuse", "one_by_one")),
        "",
        "Several cards in the field: none is served, or one after another.",
        "V-B, domain facts 4.2",
    )
    barrier: str = _gate(
        "normally_closed",
        One(("normally_closed", "normally_open")),
        "",
        "Whether the barrier opens for who may pass, or closes for who may not.",
        "V-B, domain facts 4.3",
    )
    barrier_open_s: int = _gate(
        8,
        Whole(1, 600),
        "s",
        "How long the barrier waits for who may pass; then it closes, and who has not walked may"
        " tap again within passback_s.",
        "ASSUMED, no source",
    )
    barrier_closed_s: int = _gate(
        3,
        Whole(1, 600),
        "s",
        "How long a normally open barrier stays closed after a tap that did not pass, unless one"
        " passes before.",
        "ASSUMED, no source",
    )
    modes: tuple[str, ...] = _gate(
        (),
        Some(MODES),
        "",
        "Modes in force beside the normal one. In an emergency nothing is written to cards.",
        "V-B, domain facts 4.2",
    )
    emergency_trip_days: int = _gate(
        7,
        Whole(0, 365),
        "days",
        "How long after an emergency release an open trip from it is accepted at any station.",
        "V-B, domain facts 4.2",
    )
    latency_ok_ms: int = _gate(
        300, Whole(1, 60_000), "ms", "A tap up to this is in time.", "V-C, domain facts 4.3, 9"
    )
    latency_limit_ms: int = _gate(
        500,
        Whole(1, 60_000),
        "ms",
        "A tap beyond this fails its target, one between is slow; not below latency_ok_ms.",
        "V-B, domain facts 4.3, 9",
    )
    latency_marks_ms: tuple[int, ...] = _gate(
        (200, 300, 400, 500),
        Rising(),
        "ms",
        "Marks on a display's bar of a tap's stages.",
        "V-B, domain facts 4.3",
    )

    def __post_init__(self) -> None:
        """Bring each value into its one form. Raises PolicyError."""
        Knobbed.__post_init__(self)
        if self.latency_limit_ms < self.latency_ok_ms:
            raise PolicyError(
                f"knob 'latency_limit_ms' is {self.latency_limit_ms};"
                f" expected at least latency_ok_ms, {self.latency_ok_ms}"
            )

    def bus_percent(self, card_kind: int) -> int:
        """How much of a fare a card of this kind pays on a bus with concessions, per cent.

        card_kind: EF17[10]. A kind that is not known has no concession (D).

        >>> Policy().bus_percent(0x02), Policy().bus_percent(0xCA)
        (25, 100)
        """
        kind = CARD_KINDS.get(card_kind)
        return 100 if kind is None else int(getattr(self, f"bus_percent_{kind}"))


def knobs() -> tuple[Knob, ...]:
    """Every knob, in the order of declaration."""
    return Policy.knobs()
