"""Where a returned card's money is paid back: rules R31 and R32.

Paying it is an operation of the back office; here is only the decision.
Source: seed line 51; domain facts 1.5.
"""

from dataclasses import dataclass
from enum import StrEnum

from issuer.policy import IssuerPolicy
from issuer.refusal import Refusal
from issuer.rules_table import holds


class Channel(StrEnum):
    """Where a refund is paid. NONE: there is nothing to pay, the card is just closed."""

    APP = "app"
    OUTLET = "outlet"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Refund:
    """What is to be paid. amount: fen."""

    channel: Channel
    amount: int
    zh: str
    en: str


@holds("R32")
def channel_of(balance: int, policy: IssuerPolicy) -> Channel:
    """Who pays back this balance. balance: fen, 0 or more.

    >>> channel_of(20_000, IssuerPolicy()).value
    'outlet'
    """
    if balance == 0:
        return Channel.NONE
    limit = policy.refund_outlet_from
    is_outlets = balance > limit or (balance == limit and policy.refund_outlet_threshold_inclusive)
    return Channel.OUTLET if is_outlets else Channel.APP


@holds("R31")
def refund(balance: int, policy: IssuerPolicy, *, has_open_trip: bool) -> Refund | Refusal:
    """What a returned card's holder gets back and where, or why nothing can be paid yet.

    balance: fen on the card, or by the books where the card cannot be read; negative if overdrawn.
    has_open_trip: whether the last trip has no exit.
    """
    if has_open_trip and policy.refund_requires_closed_trip:
        return Refusal(
            "R31",
            "open_trip",
            "卡内有未完成的行程，请先到车站补登出站，再办理退资。",
            "The card has a trip without exit; staff must close it before a refund.",
        )
    if balance < 0:
        owed = _yuan(-balance)
        return Refusal(
            "R31",
            "overdrawn",
            f"卡片已透支{owed}元，请先补足，再办理退资。",
            f"The card is overdrawn by {owed} yuan; that must be paid before a refund.",
        )
    channel = channel_of(balance, policy)
    zh, en = _SENTENCES[channel]
    amount = _yuan(balance)
    return Refund(channel, balance, zh.format(amount), en.format(amount))


_SENTENCES = {
    Channel.APP: ("退资{}元，在北京一卡通App内完成。", "{} yuan are paid back in the App."),
    Channel.OUTLET: (
        "退资{}元，请到北京一卡通自营服务网点办理。",
        "{} yuan are paid back at an outlet run by the company.",
    ),
    Channel.NONE: ("余额{}元，直接销卡，无需退资。", "The balance is {}; the card is closed."),
}


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
