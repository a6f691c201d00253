"""Times per command against a budget (7). Only where the time is the card's own (Need.TIME)."""

from collections.abc import Callable, Iterator

from apdu.files import EF1A, EF1E, EF15, EF17
from bench.conformance.card.renewals import update
from bench.conformance.case import Case, Need
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.rides import rail
from bench.conformance.scenes import (
    PAID,
    RIDE,
    TOP_UP,
    TRIP,
    begin,
    cache,
    final_command,
    finish,
    free_trip,
    init_command,
    opened,
    prove,
    read_binary,
    read_record,
    ready,
    select_ppse,
    with_pin,
)
from bench.conformance.words import Words

BUDGET_MS = {
    "select-ppse": (26, Words("SELECT of the PPSE", "选择 PPSE")),
    "select": (20, Words("SELECT of the purse", "选择钱包")),
    "read-ef15": (20, Words("READ BINARY of EF15", "读 EF15")),
    "read-ef17": (20, Words("READ BINARY of EF17", "读 EF17")),
    "read-trip": (20, Words("READ RECORD of EF1A", "读 EF1A 记录")),
    "read-log": (20, Words("READ RECORD of EF1E", "读 EF1E 记录")),
    "balance": (20, Words("GET BALANCE", "读余额")),
    "challenge": (20, Words("GET CHALLENGE", "取随机数")),
    "init-capp": (20, Words("INITIALIZE FOR CAPP PURCHASE", "复合消费初始化")),
    "init-purchase": (20, Words("INITIALIZE FOR PURCHASE", "消费初始化")),
    "init-load": (20, Words("INITIALIZE FOR LOAD", "充值初始化")),
    "cache-trip": (20, Words("80 DC of EF1A", "缓存 EF1A")),
    "cache-log": (20, Words("80 DC of EF1E", "缓存 EF1E")),
    "debit": (70, Words("DEBIT", "扣款")),
    "credit": (70, Words("CREDIT FOR LOAD", "充值")),
    "update": (70, Words("UPDATE BINARY with MAC", "带 MAC 写二进制文件")),
    "prove": (20, Words("GET TRANSACTION PROVE", "取交易认证")),
}
"""Milliseconds for one command: 10 to 20, a debit up to 70; what writes as a debit does too.

Decided (7): each APDU 10-20 ms, 8054 up to 70 ms, the card 200 ms in all. SELECT of the PPSE has
the 26 ms of the one log there is.
"""

WHOLE_MS = 200
"""What all commands of one entry may take together."""


def _took(lab: Lab) -> int:
    return lab.said[-1].took_ns


def _act(lab: Lab, name: str) -> None:
    """The command of that name, last of all."""
    reads = {
        "read-ef15": read_binary(EF15.sfi),
        "read-ef17": read_binary(EF17.sfi),
        "read-trip": read_record(EF1A.sfi, 1),
        "read-log": read_record(EF1E.sfi, 1),
        "balance": bytes.fromhex("805C000204"),
        "challenge": bytes.fromhex("0084000004"),
    }
    inits = {"init-capp": (TRIP, 0), "init-purchase": (RIDE, 0), "init-load": (TOP_UP, 100)}
    if name in reads:
        opened(lab)
        lab.must(lab.send(reads[name]))
    elif name in inits:
        deal, amount = inits[name]
        ready(lab, deal, amount)
        lab.must(lab.send(init_command(lab, deal, amount)))
    elif name == "select-ppse":
        lab.must(select_ppse(lab))
    elif name == "select":
        opened(lab)
    elif name == "update":
        opened(lab)
        lab.must(lab.send(update(lab, EF15.sfi, 24, bytes.fromhex("20270930"))))
    elif name == "credit":
        ready(lab, TOP_UP)
        finish(lab, TOP_UP, begin(lab, TOP_UP))
    else:
        _trip_act(lab, name)


def _trip_act(lab: Lab, name: str) -> None:
    ready(lab, TRIP, 0)
    trip_number = free_trip(lab)
    state, log = rail(lab.balance(0x00))
    state = (state[0], state[1][:1] + bytes((trip_number,)) + state[1][2:])
    q = begin(lab, TRIP, 0)
    if name == "cache-trip":
        cache(lab, state)
    elif name == "cache-log":
        cache(lab, log)
    else:
        cache(lab, state, log)
        finish(lab, TRIP, q)
        if name == "prove":
            prove(lab, TRIP.kind, q.seq + 1)


def _within(name: str) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        budget, _ = BUDGET_MS[name]
        _act(lab, name)
        _require(lab, _took(lab), budget)

    return body


def _require(lab: Lab, took_ns: int, budget_ms: int) -> None:
    text = f"{budget_ms} ms"
    came = f"{took_ns / 1e6:.1f} ms"
    lab.require(took_ns <= budget_ms * 1_000_000, Words(f"at most {text}", f"不超过 {text}"), came)


@family
def within() -> Iterator[Case]:
    """Each command of the budget's table."""
    timed = PAID | {Need.TIME}
    for name, (budget, words) in BUDGET_MS.items():
        title = Words(f"{words.en} takes at most {budget} ms", f"{words.zh}不超过 {budget} 毫秒")
        yield Case(f"time.{name}", "TIME", title, ("7",), _within(name), "D", timed)


@case(
    "TIME",
    "The card takes at most 200 ms of an entry",
    "进站时卡片总耗时不超过 200 毫秒",
    "7",
    grade="D",
    needs=PAID | {Need.TIME},
)
def whole_entry(lab: Lab) -> None:
    """From SELECT of the PPSE to the answer of DEBIT, the reader's own time left out."""
    ready(lab, TRIP, 0)
    free_trip(lab, 1)
    records = rail(lab.balance(0x00))
    first = len(lab.said)
    lab.must(select_ppse(lab))
    opened(lab)
    for command in (read_binary(EF15.sfi), read_binary(EF17.sfi), read_record(EF1A.sfi, 1)):
        lab.must(lab.send(command))
    lab.balance(0x03)
    q = begin(lab, TRIP, 0)
    cache(lab, *records)
    lab.must(lab.send(final_command(lab, TRIP, q)))
    _require(lab, sum(said.took_ns for said in lab.said[first:]), WHOLE_MS)


@case(
    "TIME",
    "A load takes at most as long as two debits",
    "充值总耗时不超过两次扣款",
    "7",
    grade="D",
    needs=PAID | {Need.TIME},
)
def whole_load(lab: Lab) -> None:
    """INITIALIZE and CREDIT together."""
    ready(lab, TOP_UP)
    with_pin(lab)
    first = len(lab.said)
    finish(lab, TOP_UP, begin(lab, TOP_UP))
    _require(lab, sum(said.took_ns for said in lab.said[first:]), 2 * BUDGET_MS["debit"][0])
