"""Transaction numbers: up by one at the commit and at no other time (6.9)."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from apdu.files import EF18
from apdu.key_commands import APPLICATION_BLOCK, APPLICATION_UNBLOCK
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    ED_DEALS,
    NEW_LIMIT,
    PAID,
    REFUND,
    RIDE,
    TOP_UP,
    TRIP,
    Deal,
    begin,
    commit,
    final_command,
    final_pair,
    finish,
    init_command,
    inputs,
    of_deals,
    offer,
    opened,
    read_record,
    ready,
    refused,
    with_pin,
)
from bench.conformance.words import Words
from emulator.card.state import Blocked

_RICH = {
    "blocked": Blocked.NO,
    "balance": 50_000,
    "ceiling": 100_000,
    "overdraft_limit": 0,
    "overdraft_used": 0,
    "online_seq": 7,
    "offline_seq": 0x1FE,
}


def numbered(**also: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a profile
    """A setup with 500.00 and room for as much, and these fields."""
    return _RICH | also


def _is(lab: Lab, came: int, wanted: int) -> None:
    text = f"{wanted:04X}"
    lab.require(came == wanted, Words(f"number {text}", f"序号 {text}"), f"{came:04X}")


# Numbers


def _counts_one(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    before = picture(lab)
    q = commit(lab, deal)
    same(lab, before.after(deal, q), clause="4.16")


def _init_counts_nothing(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    before = picture(lab)
    first = begin(lab, deal).seq
    for _ in range(5):
        _is(lab, begin(lab, deal).seq, first)
    same(lab, before, clause="6.9")


def _bad_counts_nothing(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = begin(lab, deal)
    refused(lab, final_command(lab, deal, q, bytes(4)), 0x9302)
    _is(lab, begin(lab, deal).seq, q.seq)


def _survives(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = commit(lab, deal)
    lab.reset()
    ready(lab, deal)
    again = begin(lab, deal).seq
    lab.require(again > q.seq, Words(f"more than {q.seq:04X}", f"大于 {q.seq:04X}"), f"{again:04X}")


def _ends(lab: Lab, deal: Deal) -> None:
    opened(lab)
    with_pin(lab, deal)
    for _ in range(2):
        refused(lab, init_command(lab, deal, 100), 0x9402)
    refused(lab, lab.request(deal.final, final_pair(lab, deal)), 0x6901, clause="4.2")


def _last(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    lab.must(lab.send(init_command(lab, deal, 100)))  # the number is the case's own, not used up
    q = inputs(lab, deal)
    _is(lab, q.seq, 0xFFFE)
    finish(lab, deal, q)
    refused(lab, init_command(lab, deal, 100), 0x9402)
    entry = lab.must(lab.send(read_record(EF18.sfi, 1)), clause="3.5").data
    _is(lab, int.from_bytes(entry[:2], "big"), 0xFFFF)


def _carries(lab: Lab, deal: Deal) -> None:
    for wanted in (0x00FF, 0x0100):
        ready(lab, deal)
        _is(lab, commit(lab, deal).seq, wanted)


def _ed_counts(lab: Lab, deal: Deal) -> None:
    ready(lab, deal, 200)
    before = picture(lab)
    first = commit(lab, deal, 100).seq
    _is(lab, begin(lab, deal, 100).seq, first + 1)
    same(lab, before, clause="3.1")


_seq = partial(of_deals, "SEQ")


@family
def numbers() -> Iterator[Case]:
    """Every number, up by one at the commit and at no other time."""
    yield from _seq(
        "one",
        "{} moves its own number by one, and the log and the balance, and nothing else",
        "{}只使自己的序号加一，并改变日志和余额",
        _counts_one,
        "4.16",
        "6.9",
        level=Level.BASIC,
    )
    yield from _seq(
        "init",
        "INITIALIZE for {} moves no number, however often",
        "{}初始化无论多少次都不改变序号",
        _init_counts_nothing,
        "6.9",
        "6.1",
    )
    yield from _seq(
        "bad",
        "{} with a bad MAC moves no number",
        "{}的 MAC 有误时不改变序号",
        _bad_counts_nothing,
        "4.16",
        grade="D",
    )
    yield from _seq(
        "field",
        "The number of {} survives a field loss",
        "{}的序号掉电后不丢失",
        _survives,
        "6.9",
        needs=PAID | {Need.CUT},
    )


@family
def ends() -> Iterator[Case]:
    """Where numbers carry and where they end (4.13, 4.14)."""
    yield from _seq(
        "end",
        "INITIALIZE for {} at number FFFF is 9402",
        "序号到 FFFF 时{}初始化应答 9402",
        _ends,
        "4.13",
        "4.14",
        setup=numbered(online_seq=0xFFFF, offline_seq=0xFFFF),
    )
    yield from _seq(
        "last",
        "{} at number FFFE is the last one",
        "序号 FFFE 时{}为最后一笔",
        _last,
        "4.13",
        "3.5",
        setup=numbered(online_seq=0xFFFE, offline_seq=0xFFFE),
    )
    yield from _seq(
        "carry",
        "The number of {} carries from 00FF to 0100",
        "{}的序号由 00FF 进位到 0100",
        _carries,
        "4.14",
        setup=numbered(online_seq=0x00FF, offline_seq=0x00FF),
    )
    yield from _seq(
        "ed",
        "{} counts by one and leaves the electronic purse alone",
        "{}序号加一且不影响电子钱包",
        _ed_counts,
        "4.13",
        "3.1",
        deals=ED_DEALS,
    )


@case(
    "SEQ",
    "Numbers at their end stop their own transactions only",
    "一种序号用完不影响另一种交易",
    "4.14",
    setup=numbered(offline_seq=0xFFFF),
    needs=PAID,
)
def one_number_at_its_end(lab: Lab) -> None:
    """The offline number ends; a card can still be topped up and emptied."""
    ready(lab, TOP_UP)
    refused(lab, init_command(lab, RIDE, 0), 0x9402)
    refused(lab, init_command(lab, TRIP, 0), 0x9402)
    for deal in (TOP_UP, REFUND, NEW_LIMIT):
        ready(lab, deal)
        commit(lab, deal)


@case(
    "SEQ",
    "A refused INITIALIZE moves no number",
    "被拒绝的初始化不改变序号",
    "4.14",
    "4.13",
    needs=PAID,
)
def refused_init_counts_nothing(lab: Lab) -> None:
    """Too much money, a wrong key index, a wrong length."""
    ready(lab, RIDE)
    before = picture(lab)
    lab.must(offer(lab, RIDE, 0xFFFFFFFF), 0x9401)
    lab.must(offer(lab, TOP_UP, 0), 0x6985)
    refused(lab, init_command(lab, TOP_UP, 100, index=9), 0x9403)
    refused(lab, init_command(lab, RIDE, 0)[:-2] + b"", 0x6700)
    same(lab, before)


@case(
    "SEQ",
    "Blocking and unblocking move no transaction number",
    "锁定与解锁不改变交易序号",
    "4.19",
    needs=PAID,
)
def block_commands_count_nothing(lab: Lab) -> None:
    """Block twice, which is 9000 both times, and unblock."""
    opened(lab)
    before = picture(lab)
    lab.done_ok(APPLICATION_BLOCK)
    lab.done_ok(APPLICATION_BLOCK)
    lab.done_ok(APPLICATION_UNBLOCK)
    lab.must(lab.select())
    same(lab, before)
