"""The sums of the purse: what may be spent, loaded and unloaded (3.1, 4.12 to 4.17)."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from apdu.commands import ED, EP, GET_ALL_BALANCES
from bench.conformance.case import Case, Level
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    ED_DEALS,
    PAID,
    REFUND,
    RIDE,
    TOP_UP,
    TRIP,
    Deal,
    answers,
    available_after,
    begin,
    commit,
    finish,
    init_command,
    of_deals,
    opened,
    ready,
    refused,
    with_pin,
)
from bench.conformance.words import Words
from emulator.card.state import Blocked


def purse(
    balance: int, *, limit: int = 0, used: int = 0, ceiling: int = 100_000
) -> Mapping[str, Any]:
    """A setup with these sums, in fen."""
    return {
        "blocked": Blocked.NO,
        "balance": balance,
        "ceiling": ceiling,
        "overdraft_limit": limit,
        "overdraft_used": used,
        "online_seq": 3,
        "offline_seq": 0x12,
    }


def _words(lab: Lab) -> tuple[int, int, int, int]:
    """Available, actual, overdraft in use, overdraft limit."""
    return lab.balance(0x00), lab.balance(0x03), lab.balance(0x02), lab.balance(0x01)


def are(lab: Lab, available: int, actual: int, used: int, limit: int) -> None:
    """The purse holds these sums, in fen."""
    want = (available, actual, used, limit)
    text = ", ".join(str(fen) for fen in want)
    came = _words(lab)
    expected = Words(
        f"available, actual, in use, limit: {text}", f"可用、实际、已透支、限额：{text}"
    )
    lab.require(came == want, expected, ", ".join(str(fen) for fen in came), clause="3.1")


# Balance words


@case(
    "BAL",
    "Available is actual plus limit less overdraft in use",
    "可用余额 = 实际余额 + 透支限额 - 已透支额",
    "4.12",
    "3.1",
    level=Level.BASIC,
)
def available_adds_up(lab: Lab) -> None:
    """P1 00, 01, 02 and 03, on any card."""
    opened(lab)
    available, actual, used, limit = _words(lab)
    want = actual + limit - used
    lab.require(available == want, Words(f"{want} fen", f"{want} 分"), f"{available} fen")
    lab.require(
        used <= limit, Words("overdraft within its limit", "透支不超过限额"), f"{used} > {limit}"
    )


@case(
    "BAL", "A purse that holds money has no overdraft in use", "有余额时没有透支", "3.1", grade="I"
)
def no_debt_beside_money(lab: Lab) -> None:
    """Our invariant: B > 0 implies D = 0."""
    opened(lab)
    _, actual, used, _ = _words(lab)
    lab.require(
        not (actual and used), Words("one of both is 0", "二者之一为 0"), f"{actual}, {used}"
    )


@case(
    "BAL",
    "GET BALANCE with P1 04 is the ceiling declared",
    "GET BALANCE P1 04 为所声明的上限",
    "4.12",
    grade="I",
)
def ceiling_is_declared(lab: Lab) -> None:
    """The order of the laboratory's list."""
    opened(lab)
    came, want = lab.balance(0x04), lab.declared.ceiling
    lab.require(came == want, Words(f"{want} fen", f"{want} 分"), f"{came} fen")


@case(
    "BAL",
    "GET BALANCE with P1 05 is actual, ceiling, in use, limit",
    "GET BALANCE P1 05 依次为实际、上限、已透支、限额",
    "4.12",
    grade="1",
)
def all_words_at_once(lab: Lab) -> None:
    """Sixteen bytes in the order of the one capture (Q18), and the same as word by word."""
    opened(lab)
    words = (lab.balance(p1) for p1 in (0x03, 0x04, 0x02, 0x01))
    want = b"".join(fen.to_bytes(4, "big") for fen in words)
    lab.must_be(lab.done_ok(GET_ALL_BALANCES), want, Words("four words", "四个字"))


@case(
    "BAL",
    "GET BALANCE knows no second purse",
    "没有第二个钱包的 GET BALANCE",
    "4.12",
    "4.1",
    grade="D",
)
def no_second_purse(lab: Lab) -> None:
    """P1 06 to 0B and the second currency's 10 are 6A86; so is P2 03."""
    opened(lab)
    for p1 in (0x06, 0x07, 0x0A, 0x0B, 0x10, 0x13):
        refused(lab, bytes((0x80, 0x5C, p1, EP, 4)), 0x6A86)
    refused(lab, bytes((0x80, 0x5C, 0x00, 0x03, 4)), 0x6A86)


@case(
    "BAL",
    "A card without an electronic deposit answers 6A86 for one",
    "没有电子存折的卡片对存折命令应答 6A86",
    "4.12",
    "4.3",
    setup={"has_ed": False},
)
def no_deposit(lab: Lab) -> None:
    """GET BALANCE and every INITIALIZE with P2 01, the limit change left out."""
    opened(lab)
    refused(lab, bytes((0x80, 0x5C, 0x00, ED, 4)), 0x6A86)
    for deal in ED_DEALS:
        refused(lab, init_command(lab, deal, 0), 0x6A86)


@case(
    "BAL", "GET BALANCE answers the same without Le", "GET BALANCE 不带 Le 应答相同", "4.1", "4.12"
)
def balance_without_le(lab: Lab) -> None:
    """ISO/IEC 7816-4 case 1 and case 2 of the same command."""
    opened(lab)
    for p1 in range(5):
        want = lab.send(bytes((0x80, 0x5C, p1, EP, 4)))
        lab.must(want, *((0x9000, 0x6A86) if p1 == 4 else (0x9000,)))  # P1 04 is inferred
        came = lab.send(bytes((0x80, 0x5C, p1, EP)))
        lab.must_be(came, want, Words("answer", "应答"))


def spend_whole(lab: Lab, deal: Deal, available: int) -> None:
    """All that is available is spent; one fen more is refused before."""
    for amount, word in ((available + 1, 0x9401), (0xFFFFFFFF, 0x9401)):
        refused(lab, init_command(lab, deal, amount), word, clause="4.14")
    commit(lab, deal, available)


def _spend_whole(lab: Lab, deal: Deal) -> None:
    opened(lab)
    spend_whole(lab, deal, 5000)
    are(lab, 0, 0, 0, 0)
    refused(lab, init_command(lab, deal, 1), 0x9401, clause="4.14")


def _spend_overdraft(lab: Lab, deal: Deal) -> None:
    opened(lab)
    commit(lab, deal, 1500)
    are(lab, 1500, 0, 500, 2000)
    spend_whole(lab, deal, 1500)
    are(lab, 0, 0, 2000, 2000)


def _offer_available(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    want = lab.balance(0x00)
    begin(lab, deal)
    assert lab.offer is not None
    came = lab.offer.reply.balance
    lab.require(came == want, Words(f"{want} fen", f"{want} 分"), f"{came} fen")
    if hasattr(lab.offer.reply, "overdraft_limit"):
        limit = lab.offer.reply.overdraft_limit
        lab.require(
            limit == lab.balance(0x01), Words("the limit of P1 01", "P1 01 的限额"), f"{limit} fen"
        )


def _zero(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    before = picture(lab)
    refused(lab, init_command(lab, deal, 0), 0x6985)
    refused(lab, lab.request(deal.final), 0x6901, clause="4.2")
    same(lab, before)


_bal = partial(of_deals, "BAL")


@family
def spent() -> Iterator[Case]:
    """The last fen and the one after it."""
    spending = (RIDE, TRIP)
    yield from _bal(
        "whole",
        "{} may take the whole purse, and one fen more is 9401",
        "{}可用尽余额，多 1 分应答 9401",
        _spend_whole,
        "4.14",
        "3.1",
        deals=spending,
        setup=purse(5000),
    )
    yield from _bal(
        "overdraft",
        "{} may take the overdraft to its limit and no further",
        "{}可透支到限额为止",
        _spend_overdraft,
        "3.1",
        "4.14",
        deals=spending,
        setup=purse(1000, limit=2000),
    )
    yield from _bal(
        "offer",
        "INITIALIZE for {} answers the available balance and the limit",
        "{}初始化应答可用余额和透支限额",
        _offer_available,
        "4.14",
        "4.13",
    )
    for key, sums in (("limit", purse(5000, limit=2000)), ("debt", purse(0, limit=2000, used=800))):
        yield from _bal(
            f"offer.{key}",
            "INITIALIZE for {} answers what is available and the limit, "
            + ("with a limit" if key == "limit" else "in debt"),
            ("有透支限额" if key == "limit" else "已透支") + "时{}初始化应答可用余额和限额",
            _offer_available,
            "4.14",
            "4.13",
            setup=sums,
        )
    yield from _bal(
        "zero",
        "{} of nothing is 6985",
        "零金额{}应答 6985",
        _zero,
        "4.13",
        "4.17",
        deals=(TOP_UP, REFUND),
    )


@case(
    "BAL",
    "A load may fill the purse to its ceiling, and one fen more is 6985",
    "充值可到上限，多 1 分应答 6985",
    "4.13",
    "3.1",
    needs=PAID,
    setup=purse(90_000),
)
def load_to_the_ceiling(lab: Lab) -> None:
    """Ten thousand fen fit; the next one does not."""
    opened(lab)
    with_pin(lab)
    for amount in (10_001, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFF - 90_000 + 1):
        refused(lab, init_command(lab, TOP_UP, amount), 0x6985)
    commit(lab, TOP_UP, 10_000)
    are(lab, 100_000, 100_000, 0, 0)
    refused(lab, init_command(lab, TOP_UP, 1), 0x6985)


@case(
    "BAL",
    "A load repays the overdraft first, then fills the purse",
    "充值先还透支再增加余额",
    "4.13",
    needs=PAID,
    setup=purse(0, limit=2000, used=800),
)
def load_repays_first(lab: Lab) -> None:
    """Part of it, the rest of it, and money on top."""
    opened(lab)
    with_pin(lab)
    commit(lab, TOP_UP, 300)
    are(lab, 1500, 0, 500, 2000)
    commit(lab, TOP_UP, 500)
    are(lab, 2000, 0, 0, 2000)
    commit(lab, TOP_UP, 1)
    are(lab, 2001, 1, 0, 2000)


@case(
    "BAL",
    "A load that also repays may pass the ceiling by the debt",
    "含还款的充值可超出上限，超出不多于已透支额",
    "6.4",
    "4.13",
    needs=PAID,
    setup=purse(0, limit=2000, used=800, ceiling=10_000),
)
def load_over_a_debt(lab: Lab) -> None:
    """B + amount - D <= A."""
    opened(lab)
    with_pin(lab)
    refused(lab, init_command(lab, TOP_UP, 10_801), 0x6985)
    commit(lab, TOP_UP, 10_800)
    are(lab, 12_000, 10_000, 0, 2000)


@case(
    "BAL",
    "An unload takes no overdraft",
    "圈提不使用透支",
    "4.17",
    needs=PAID,
    setup=purse(1000, limit=2000),
)
def unload_without_overdraft(lab: Lab) -> None:
    """One fen more than the actual balance is 9401, though more is available."""
    opened(lab)
    for amount in (1001, 3000, 0xFFFFFFFF):
        refused(lab, init_command(lab, REFUND, amount), 0x9401)
    commit(lab, REFUND, 1000)
    are(lab, 2000, 0, 0, 2000)
    refused(lab, init_command(lab, REFUND, 1), 0x9401)


@case(
    "BAL",
    "A purse of FFFFFF fen pays and is filled again",
    "余额 FFFFFF 分仍可消费和充值",
    "3.1",
    needs=PAID,
    setup=purse(0xFFFFFF, ceiling=0xFFFFFF),
)
def fullest_purse(lab: Lab) -> None:
    """Three bytes full: the answers of 5.5 carry four."""
    opened(lab)
    with_pin(lab)
    refused(lab, init_command(lab, TOP_UP, 1), 0x6985)
    for deal in (RIDE, TOP_UP, REFUND):
        q = begin(lab, deal, 0xFFFFFF)
        want, _ = answers(lab, deal, q, available_after(lab, deal, q))
        lab.must_be(finish(lab, deal, q), want, Words("cryptograms", "密码数据"), clause="5.5")
    are(lab, 0, 0, 0, 0)


@case(
    "BAL",
    "A balance of 8000 and more is no negative number",
    "余额达 8000 时不视为负数",
    "4.12",
    needs=PAID,
    setup=purse(0x8000, ceiling=0x8FFFFF),
)
def no_sign(lab: Lab) -> None:
    """8000 and 800000 have their highest bit of two and three bytes set."""
    opened(lab)
    with_pin(lab)
    are(lab, 0x8000, 0x8000, 0, 0)
    commit(lab, RIDE, 1)
    are(lab, 0x7FFF, 0x7FFF, 0, 0)
    commit(lab, TOP_UP, 0x800000 - 0x7FFF)
    are(lab, 0x800000, 0x800000, 0, 0)
    commit(lab, RIDE, 0x800000)
    are(lab, 0, 0, 0, 0)


@case(
    "BAL",
    "A purchase of nothing is taken with nothing in the purse",
    "余额为零时可做零金额消费",
    "4.14",
    grade="D",
    needs=PAID,
    setup=purse(0),
)
def nothing_of_nothing(lab: Lab) -> None:
    """Type 09 for entries, and type 06 too (Q27)."""
    opened(lab)
    for deal in (TRIP, RIDE):
        commit(lab, deal, 0)
    are(lab, 0, 0, 0, 0)


@case(
    "BAL",
    "There and back again leaves the sum as it was",
    "充值、消费、圈提后总额不变",
    "4.13",
    "4.16",
    "4.17",
    needs=PAID,
    level=Level.BASIC,
)
def sums_agree(lab: Lab) -> None:
    """300 in, 100 and 50 spent, 150 out."""
    ready(lab, TOP_UP, 300)
    before = lab.balance(0x00) - lab.balance(0x01)
    for deal, amount in ((TOP_UP, 300), (RIDE, 100), (TRIP, 50)):
        with_pin(lab, deal)
        commit(lab, deal, amount)
    if lab.balance(0x03) >= 150:
        commit(lab, REFUND, 150)
        before -= 150
    came = lab.balance(0x00) - lab.balance(0x01)
    lab.require(
        came == before + 150, Words(f"{before + 150} fen", f"{before + 150} 分"), f"{came} fen"
    )
