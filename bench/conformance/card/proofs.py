"""GET TRANSACTION PROVE for each kind of transaction (4.20)."""

from collections.abc import Callable, Iterator
from functools import partial

from apdu.key_commands import APPLICATION_BLOCK, APPLICATION_UNBLOCK
from bench.conformance.card.balances import purse
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    DEALS,
    ED_DEALS,
    NEW_LIMIT,
    PAID,
    REFUND,
    TOP_UP,
    TRIP,
    Deal,
    answers,
    available_after,
    begin,
    commit,
    final_command,
    finish,
    of_deals,
    opened,
    prove,
    ready,
    refused,
    with_pin,
)
from bench.conformance.words import Words


def _proof(lab: Lab, deal: Deal, change: Callable[[Lab], object] = lambda lab: None) -> None:
    ready(lab, deal)
    q = begin(lab, deal)
    _, want = answers(lab, deal, q, available_after(lab, deal, q))
    finish(lab, deal, q)
    change(lab)
    answer = prove(lab, deal.kind, q.seq + 1)
    lab.require(answer.sw == 0x9000, Words("9000, a proof", "9000，交易认证"), f"{answer.sw:04X}")
    lab.must_be(answer.data, want, Words("MAC and TAC", "MAC 和 TAC"))


def _wrong_number(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = commit(lab, deal)
    for seq in (q.seq, q.seq + 2, 0, 0xFFFF, (q.seq + 1) ^ 0x0100):
        if seq & 0xFFFF == q.seq + 1:
            continue
        came = prove(lab, deal.kind, seq)
        lab.require(came.sw == 0x9406 and not came.data, Words("9406", "9406"), f"{came.sw:04X}")
    lab.require(prove(lab, deal.kind, q.seq + 1).sw == 0x9000, Words("9000", "9000"), "no proof")


def _wrong_type(lab: Lab, deal: Deal) -> None:
    """On a card whose only transaction this is."""
    ready(lab, deal)
    q = commit(lab, deal)
    for other in DEALS:
        if other is not deal:
            came = prove(lab, other.kind, q.seq + 1)
            lab.require(came.sw == 0x9406, Words("9406", "9406"), f"{came.sw:04X}")


def _reset(lab: Lab) -> None:
    lab.reset()
    opened(lab)


def _others_between(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = begin(lab, deal)
    _, want = answers(lab, deal, q, available_after(lab, deal, q))
    finish(lab, deal, q)
    for other in DEALS:
        if other is not deal and not (deal is TOP_UP and other is REFUND):
            _small(lab, other)
    came = prove(lab, deal.kind, q.seq + 1)
    lab.require(
        came.data == want, Words(want.hex().upper(), want.hex().upper()), came.data.hex().upper()
    )


def _small(lab: Lab, deal: Deal) -> None:
    """One fen of another kind, without a transaction of the kind under test before it."""
    if deal is NEW_LIMIT:
        lab.limit = lab.balance(0x01)
    with_pin(lab, deal)
    commit(lab, deal, 1)


def _replaced(lab: Lab, deal: Deal) -> None:
    ready(lab, deal, 200)
    first = commit(lab, deal, 100)
    if deal is NEW_LIMIT:
        lab.limit = lab.balance(0x01)
    second = commit(lab, deal, 50)
    for seq, word in ((first.seq + 1, 0x9406), (second.seq + 1, 0x9000)):
        came = prove(lab, deal.kind, seq)
        lab.require(came.sw == word, Words(f"{word:04X}", f"{word:04X}"), f"{came.sw:04X}")


def _kept_by_refusal(lab: Lab, deal: Deal) -> None:
    ready(lab, deal, 200)
    q = commit(lab, deal, 100)
    was = prove(lab, deal.kind, q.seq + 1)
    refused(lab, final_command(lab, deal, begin(lab, deal, 50), bytes(4)), 0x9302)
    came = prove(lab, deal.kind, q.seq + 2)
    lab.require(came.sw == 0x9406, Words("9406", "9406"), f"{came.sw:04X}")
    came = prove(lab, deal.kind, q.seq + 1)
    lab.require(came == was, Words("the proof as before", "与先前相同的交易认证"), f"{came.sw:04X}")


def _none_after_init(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = begin(lab, deal)
    came = prove(lab, deal.kind, q.seq + 1)
    lab.require(came.sw == 0x9406, Words("9406", "9406"), f"{came.sw:04X}")


def _block_and_unblock(lab: Lab) -> None:
    lab.done_ok(APPLICATION_BLOCK)
    lab.done_ok(APPLICATION_UNBLOCK)
    lab.must(lab.select())


_prove = partial(of_deals, "PROVE")


@family
def proved() -> Iterator[Case]:
    """GET TRANSACTION PROVE for each kind of transaction (4.20)."""
    every = (*DEALS, *ED_DEALS)
    cut = PAID | {Need.CUT}
    yield from _prove(
        "proof",
        "{} is proved by its MAC and TAC",
        "{}可取交易认证 MAC 和 TAC",
        _proof,
        "4.20",
        deals=every,
        level=Level.BASIC,
    )
    yield from _prove(
        "number",
        "The proof of {} is for the number after it alone",
        "{}的交易认证只对加一后的序号有效",
        _wrong_number,
        "4.20",
    )
    yield from _prove(
        "type",
        "The proof of {} is none for another type",
        "{}的交易认证不适用于其他类型",
        _wrong_type,
        "4.20",
        setup=purse(5000),
    )
    yield from _prove(
        "field",
        "The proof of {} survives a field loss",
        "{}的交易认证掉电后不丢失",
        lambda lab, deal: _proof(lab, deal, _reset),
        "4.20",
        "6.9",
        needs=cut,
        grade="D",
    )
    yield from _prove(
        "block",
        "The proof of {} survives a block",
        "{}的交易认证在锁定解锁后不丢失",
        lambda lab, deal: _proof(lab, deal, _block_and_unblock),
        "4.20",
        "4.19",
        grade="I",
    )
    yield from _prove(
        "twice",
        "The proof of {} can be had again and again",
        "{}的交易认证可多次取得",
        lambda lab, deal: _proof(
            lab, deal, lambda lab: [prove(lab, deal.kind, 1) for _ in range(3)]
        ),
        "4.20",
    )


@family
def replaced() -> Iterator[Case]:
    """How long a proof is kept: until the next commit of its type (4.20)."""
    yield from _prove(
        "others",
        "The proof of {} is kept through other types",
        "其他类型的交易不替换{}的交易认证",
        _others_between,
        "4.20",
        setup=purse(5000, limit=100),
        grade="D",
    )
    yield from _prove(
        "next",
        "The proof of {} is replaced by the next of its type",
        "{}的交易认证被下一笔同类交易替换",
        _replaced,
        "4.20",
        grade="D",
    )
    yield from _prove(
        "refused",
        "The proof of {} is kept through a refused one",
        "被拒绝的交易不替换{}的交易认证",
        _kept_by_refusal,
        "4.20",
    )
    yield from _prove(
        "init",
        "INITIALIZE for {} is no transaction to prove",
        "{}仅初始化时没有交易认证",
        _none_after_init,
        "4.20",
    )


@case(
    "PROVE",
    "A card that did nothing yet proves nothing",
    "没有交易的卡片没有交易认证",
    "4.20",
    setup=purse(5000),
    needs=PAID,
)
def nothing_to_prove(lab: Lab) -> None:
    """Every type, and the numbers 0 and those the card stands at."""
    opened(lab)
    for deal in DEALS:
        for seq in (0, 1, 3, 4, 0x12, 0x13):
            came = prove(lab, deal.kind, seq)
            lab.require(came.sw == 0x9406, Words("9406", "9406"), f"{came.sw:04X}")


@case(
    "PROVE",
    "The proof has MAC2 first and TAC after it, the reverse of DEBIT",
    "交易认证先 MAC2 后 TAC，与 DEBIT 相反",
    "4.20",
    "4.16",
    needs=PAID,
)
def proof_is_reversed(lab: Lab) -> None:
    """From the card's own two answers, without a key for the proof."""
    ready(lab, TRIP)
    q = begin(lab, TRIP)
    paid = finish(lab, TRIP, q)
    came = prove(lab, TRIP.kind, q.seq + 1).data
    lab.must_be(came, paid[4:] + paid[:4], Words("MAC2 and TAC", "MAC2 和 TAC"))
