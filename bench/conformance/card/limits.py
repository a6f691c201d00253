"""The overdraft limit (4.18)."""

from bench.conformance.card.balances import are, purse, spend_whole
from bench.conformance.case import Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case
from bench.conformance.scenes import (
    NEW_LIMIT,
    PAID,
    RIDE,
    begin,
    commit,
    final_command,
    opened,
    refused,
)
from bench.conformance.words import Words


def _new_limit(lab: Lab, limit: int) -> None:
    lab.limit = limit
    commit(lab, NEW_LIMIT)


@case(
    "LIMIT",
    "A new limit is taken, and the balance grows by it",
    "新透支限额生效，可用余额相应增加",
    "4.18",
    needs=PAID,
    setup=purse(1000),
)
def limit_grows(lab: Lab) -> None:
    """From 0 to 20.00, to 10.00, and back to 0."""
    opened(lab)
    for limit in (2000, 1000, 0):
        _new_limit(lab, limit)
        are(lab, 1000 + limit, 1000, 0, limit)


@case(
    "LIMIT",
    "A limit below the overdraft in use is 9401",
    "新限额低于已透支额应答 9401",
    "4.18",
    needs=PAID,
    setup=purse(0, limit=2000, used=800),
)
def limit_below_the_debt(lab: Lab) -> None:
    """799 is refused and nothing changes; 800 is taken."""
    opened(lab)
    before = picture(lab)
    for limit in (799, 0):
        lab.limit = limit
        refused(lab, final_command(lab, NEW_LIMIT, begin(lab, NEW_LIMIT)), 0x9401)
    same(lab, before)
    _new_limit(lab, 800)
    are(lab, 0, 0, 800, 800)


@case(
    "LIMIT",
    "Ceiling and limit together never pass FFFFFF",
    "上限与透支限额之和不超过 FFFFFF",
    "3.1",
    grade="D",
    needs=PAID,
    setup=purse(1000, ceiling=0xFFFF00),
)
def limit_within_three_bytes(lab: Lab) -> None:
    """FF more fit, 100 do not: 6985."""
    opened(lab)
    before = picture(lab)
    for limit in (0x100, 0xFFFFFF):
        lab.limit = limit
        refused(lab, final_command(lab, NEW_LIMIT, begin(lab, NEW_LIMIT)), 0x6985)
    same(lab, before)
    _new_limit(lab, 0xFF)
    are(lab, 1000 + 0xFF, 1000, 0, 0xFF)


@case(
    "LIMIT",
    "The same limit again is a transaction too",
    "相同限额的修改也是一笔交易",
    "4.18",
    grade="I",
    needs=PAID,
)
def limit_unchanged(lab: Lab) -> None:
    """It counts and it is logged with type 07."""
    opened(lab)
    before = picture(lab)
    lab.limit = before.number("overdraft limit")
    q = commit(lab, NEW_LIMIT)
    same(lab, before.after(NEW_LIMIT, q))


@case(
    "LIMIT",
    "INITIALIZE FOR UPDATE answers the old limit, not the new",
    "修改透支限额初始化应答旧限额",
    "4.18",
    needs=PAID,
    setup=purse(1000, limit=300),
)
def old_limit_is_offered(lab: Lab) -> None:
    """Nineteen bytes: balance, number, old limit, version, algorithm, random, MAC1."""
    opened(lab)
    for limit in (300, 900):
        begin(lab, NEW_LIMIT)
        assert lab.offer is not None
        came = lab.offer.reply.overdraft_limit
        lab.require(came == limit, Words(f"{limit} fen", f"{limit} 分"), f"{came} fen")
        lab.require(
            len(lab.offer.reply.build()) == 19, Words("19 bytes", "19 字节"), "another length"
        )
        _new_limit(lab, 900)


@case(
    "LIMIT",
    "A new limit is spent at once and survives a field loss",
    "新限额立即可用且掉电后仍有效",
    "4.18",
    "6.9",
    needs=PAID | {Need.CUT},
    setup=purse(0),
)
def limit_is_spent(lab: Lab) -> None:
    """The purse is empty, the limit 5.00: 5.00 can be spent and no more."""
    opened(lab)
    _new_limit(lab, 500)
    lab.reset()
    opened(lab)
    spend_whole(lab, RIDE, 500)
    are(lab, 0, 0, 500, 500)
