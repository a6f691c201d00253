"""The page on decisions, `docs/decisions.md`: their order, the modes, and what each card gets.

The order comes from the tuples that terminals walk (`reader.checks`), the modes from their table
(`reader.modes`), and every cell of the last part from a real terminal (`bench.decisions`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from apdu.docs import GENERATED, table
from bench.decisions import CASES, Case, decide, in_short
from fixtures import STANDING_DAY, profile_names
from reader.checks import (
    ALIGHT_CHECKS,
    BOARD_CHECKS,
    CARD_CHECKS,
    ENTRY_CHECKS,
    EXIT_CHECKS,
    MONEY,
    Check,
)
from reader.modes import RULES, Mode
from reader.outcome import Reject

CALIBRATION = "calibration-"

MODE_WORDS = ("normal", *(f"`{mode.value}`" for mode in Mode))
"""The heads of the columns of outcomes."""

_HEAD = ("#", "question", "refused as", "code", "lab", "中文", "English", "waived by", "clause")


@dataclass(frozen=True, slots=True)
class _Step:
    """A decision as the page tells it.

    refuses: what for; empty if the answer is no refusal. clause: as the page names it.
    is_of_fare: whether a ride that costs nothing is not asked.
    """

    asks: str
    refuses: tuple[Reject, ...]
    clause: str
    is_of_fare: bool = False


def _asked(checks: Iterable[Check]) -> tuple[_Step, ...]:
    return tuple(_Step(check.asks, check.refuses, _clause(check.clause)) for check in checks)


def _clause(clause: str) -> str:
    return clause.removeprefix("domain facts ") if "facts" in clause else f"PR {clause}"


_STOPS = tuple(
    sorted(
        (rule.stops for rule in RULES.values() if rule.stops is not None),
        key=lambda reason: reason.code,
    )
)
_FIRST = (
    _Step("is no mode in force that stops? In an emergency a way out is open", _STOPS, "4.2"),
    _Step("is one card alone in the field?", (Reject.TOO_MANY_CARDS,), "4.1 D, 4.2"),
    _Step("does it have the purse?", (Reject.NOT_OUR_CARD,), "PR 2.1"),
    _Step("is the purse not blocked?", (Reject.BLOCKED,), "PR 2.5, 6.10"),
    _Step(
        "did the card pass here just now? Then it passes, and nothing else is asked", (), "4.1 D, 9"
    ),
    _Step(
        "is no debit of this card lost? If it was taken, it is the passage",
        (Reject.UNPROVEN,),
        "PR 6.8",
    ),
)
_MONEY_ASKS = {
    Reject.BALANCE_IMPLAUSIBLE: "is no more in the purse than a purse may hold?",
    Reject.ZERO_BALANCE: "is there any money?",
    Reject.BALANCE_TOO_LOW: "is there enough?",
}
_PAYS = tuple(_Step(_MONEY_ASKS[reason], (reason,), "PR 6.10") for reason in MONEY)
_REFUSED = _Step("do card and PSAM do their part?", (Reject.CARD_REFUSED,), "PR 6.1 to 6.3")
_IN = (*_PAYS, _REFUSED)
_OUT = (
    # The card judges before the terminal sees what it has (6.2).
    replace(_PAYS[MONEY.index(Reject.BALANCE_TOO_LOW)], is_of_fare=True),
    _PAYS[MONEY.index(Reject.BALANCE_IMPLAUSIBLE)],
    _REFUSED,
)
_OWN = (
    ("Gate, entry", ENTRY_CHECKS, _IN),
    ("Gate, exit", EXIT_CHECKS, _OUT),
    ("Bus, boarding and one tap for a flat fare", BOARD_CHECKS, _IN),
    ("Bus, alighting", ALIGHT_CHECKS, _OUT),
)


def decisions_page() -> str:
    """`docs/decisions.md`."""
    parts = [
        GENERATED,
        "# Decisions",
        "Why a terminal lets a card through or not. The order is that of `reader/checks.py`, with"
        " what comes before and after it; the first question that is answered with no decides."
        " Clauses are those of the domain facts, with PR those of the protocol reference."
        " `code` is the number on the screen, `lab` the laboratory's reject code where one is"
        " public.",
        *_order(),
        *_modes(),
        *_cards(),
    ]
    return "\n\n".join(parts) + "\n"


def _order() -> Iterator[str]:
    common = (*_FIRST, *_asked(CARD_CHECKS))
    yield "## Every terminal asks first"
    yield table(_HEAD, _rows(common, 1))
    yield (
        "A card on the blacklist is also blocked, with the lock key of the PSAM (knob"
        " `lock_listed_card`); its money stays on it."
    )
    for title, checks, money in _OWN:
        assert checks[: len(CARD_CHECKS)] == CARD_CHECKS
        yield f"## {title}"
        yield table(_HEAD, _rows((*_asked(checks[len(CARD_CHECKS) :]), *money), len(common) + 1))
    yield (
        "Where one leaves, the balance is known from the card's answer to INITIALIZE: the card says"
        f" {Reject.BALANCE_TOO_LOW.name} itself, and no balance is read before (PR 6.2)."
        f" {Reject.NOT_OVER_TIME.name} {Reject.NOT_OVER_TIME.code} is given at a staff desk alone."
    )


def _rows(steps: Iterable[_Step], first: int) -> Iterator[tuple[str, ...]]:
    for number, step in enumerate(steps, first):
        if not step.refuses:
            yield (str(number), step.asks, *[""] * 6, step.clause)
        for reason in step.refuses:
            yield (
                str(number),
                step.asks,
                reason.name,
                str(reason.code),
                "" if reason.lab is None else str(reason.lab),
                reason.zh,
                reason.en,
                ", ".join(_waivers(reason, step.is_of_fare)),
                step.clause,
            )


def _waivers(reason: Reject, is_of_fare: bool) -> Iterator[str]:
    for mode, rule in RULES.items():
        if reason in rule.waives or (is_of_fare and rule.is_free):
            yield mode.value


def _modes() -> Iterator[str]:
    yield "## Modes"
    yield (
        "What each changes (domain facts 4.2); knob `modes`. Several may hold at once: what any of"
        " them waives is waived, and of several that stop the first in the order of codes is shown."
    )
    yield table(
        ("mode", "中文", "English", "stops as", "waives", "a ride costs", "what it is for"),
        (
            (
                f"`{mode.value}`",
                rule.zh,
                rule.en,
                f"{rule.stops.name} {rule.stops.code}" if rule.stops else "",
                ", ".join(reason.name for reason in Reject if reason in rule.waives),
                "nothing" if rule.is_free else "",
                rule.note,
            )
            for mode, rule in RULES.items()
        ),
    )


def _cards() -> Iterator[str]:
    yield "## Every card at every terminal in every mode"
    yield (
        f"A card's first tap on the bench's standing day, {STANDING_DAY}, at 08:01:42: a gate at"
        " Yongtaizhuang (entry) or Olympic Green (exit), a bus at the first stop of Sample 300"
        " (boarding) or 10 001 m further on (alighting), Sample 5 with one tap. Policy `beijing`,"
        " the laboratory's white list, `fixtures.BLACKLIST`, a PSAM with every test key."
    )
    yield (
        "A cell is the fare in yuan of who passes, with what was collected for the ride before"
        " behind a plus sign, or the refusal and its code; `=` means as in the normal mode, `open`"
        " released. Calibration sets are counted, 3 × 0.00 are three that pass for nothing, and a"
        " mode that is not listed for them is as the normal one. `docs/profiles.md` says what each"
        " card is."
    )
    named = [name for name in profile_names() if not name.startswith(CALIBRATION)]
    sets = [name for name in profile_names() if name.startswith(CALIBRATION)]
    for case in CASES:
        yield f"### {case.title}"
        yield table(
            ("profile", *MODE_WORDS), ((f"`{n}`", *_compact(row_of(n, case))) for n in named)
        )
        yield table(("calibration sets 101 to 154", "how many"), _counts(sets, case))


def row_of(name: str, case: Case) -> list[str]:
    """What becomes of a profile's card, in the normal mode and then in each of the others."""
    return [in_short(decide(name, case, modes)) for modes in [(), *((mode,) for mode in Mode)]]


def _counts(names: Iterable[str], case: Case) -> Iterator[tuple[str, str]]:
    """The outcomes of many cards in the normal mode, and in each mode where they differ."""
    columns = zip(*(row_of(name, case) for name in names), strict=True)
    counted = [_counted(column) for column in columns]
    for word, text in zip(MODE_WORDS, counted, strict=True):
        if word == MODE_WORDS[0] or text != counted[0]:
            yield word, text


def _counted(outcomes: Iterable[str]) -> str:
    ranked = sorted(Counter(outcomes).items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{times} × {outcome}" for outcome, times in ranked)


def _compact(row: list[str]) -> list[str]:
    normal, *others = row
    return [normal, *("=" if other == normal else other for other in others)]
