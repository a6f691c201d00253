"""What the issuer may decide where the seed is silent or can be read in two ways: `IssuerPolicy`.

Declared like `reader.policy.Policy`, and read from files of its own. What concerns gates too stays
there and is not repeated: `max_balance`, `load_min`, `load_step`, `blacklist_delay_s` and
`blacklist_jitter_s`.
"""

from dataclasses import dataclass

from reader.knobbed import Knobbed
from reader.knobs import Flag, One, Whole, knob_maker

_opening = knob_maker("Opening")
_validity = knob_maker("Validity")
_refund = knob_maker("Refund")
_loss = knob_maker("Loss")


@dataclass(frozen=True, slots=True)
class IssuerPolicy(Knobbed):
    """Every decision of the issuer. Raises PolicyError."""

    student_card_limit: int = _opening(
        1,
        Whole(1, 9),
        "cards",
        "How many usable student cards one student may have, of all kinds together (R6).",
        "SEED, domain facts 1.1, 9",
    )
    identity_tries: int = _opening(
        5,
        Whole(1, 1000),
        "checks",
        "How many identity checks of an account may fail within identity_wait_h before the next is"
        " refused unseen (R5), so that nobody tries out documents.",
        "D, no source",
    )
    identity_wait_h: int = _opening(
        24,
        Whole(1, 8760),
        "h",
        "How long a failed identity check counts (R5).",
        "D, no source",
    )
    unlisted_model: str = _opening(
        "refuse",
        One(("refuse", "warn")),
        "",
        "A phone that is in no table of the seed, nor in the site's. refuse: R21 to R23 fail;"
        " warn: they are unknown, for the list is as old as its document.",
        "D, domain facts 1.2, 2",
    )
    super_sim: str = _opening(
        "no_phone_rules",
        One(("no_phone_rules", "refuse")),
        "",
        "A card in an operator's Super-SIM. no_phone_rules: allowed, and R8 to R23 do not apply;"
        " refuse: R7 fails, for the seed names no way to open one.",
        "ASSUMED, domain facts 1.1, 9",
    )
    issue_expiry: str = _validity(
        "next_30_september",
        One(("next_30_september", "window_rollover")),
        "",
        "The end of a card opened from 30 July to 30 September: that September, or the next one"
        " because the window of renewal is open.",
        "ASSUMED, domain facts 1.4, 9",
    )
    renewal_open_inclusive: bool = _validity(
        True,
        Flag(),
        "",
        "Whether renewal opens on 30 July at 00:00 or, read strictly, on 31 July (R27).",
        "ASSUMED, domain facts 1.4, 9",
    )
    late_renewal: bool = _validity(
        True,
        Flag(),
        "",
        "Whether a card that has expired may be renewed; the seed names no end of the window.",
        "ASSUMED, domain facts 1.4, 9",
    )
    renewal_needs_reauth: bool = _validity(
        False,
        Flag(),
        "",
        "Whether renewal asks for a new proof of identity; the seed says 'directly in the App'.",
        "ASSUMED, domain facts 9",
    )
    refund_outlet_from: int = _refund(
        20_000,
        Whole(1, 10_000_000),
        "fen",
        "The amount from which a refund is an outlet's business (R32).",
        "SEED, domain facts 1.5",
    )
    refund_outlet_threshold_inclusive: bool = _refund(
        True,
        Flag(),
        "",
        "Whether exactly that amount is the outlet's; by the Civil Code 以上 includes the number.",
        "V-B, domain facts 1.5, 9",
    )
    refund_requires_closed_trip: bool = _refund(
        True,
        Flag(),
        "",
        "Whether a trip without exit must be settled before a refund.",
        "V-B, domain facts 1.5, 9",
    )
    lost_balance: str = _loss(
        "carry",
        One(("carry", "refund", "forfeit")),
        "",
        "What becomes of a lost card's balance after settle_days: to the new card, paid back, or"
        " nobody's.",
        "ASSUMED, domain facts 1.6, 9",
    )
    settle_days: int = _loss(
        7,
        Whole(0, 365),
        "days",
        "How long a lost card's balance waits for taps that gates have not yet sent.",
        "ASSUMED, domain facts 1.6, 9",
    )
