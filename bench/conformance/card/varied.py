"""Transactions with other data than the desk's own: elsewhere, later, and of sums of every size.

A card that answers from a constant, or keeps two bytes of an amount, is right in every case that
says the same terminal, the same day and a small sum. These say others (4.13 to 4.18, 5.5).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from apdu.commands import INIT_LIMIT
from apdu.file_commands import APPEND_RECORD_MAC, UPDATE_RECORD_MAC
from apdu.files import EF1A, EF18, LogRecord
from apdu.key_commands import (
    APPLICATION_BLOCK,
    APPLICATION_UNBLOCK,
    EXTERNAL_AUTHENTICATE,
)
from apdu.purse import limit_mac1, online_mac1
from apdu.records import InitializeData, InitLimitData
from apdu.sw import SW
from bench.conformance.case import Case, Need
from bench.conformance.desk import Spec
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.rides import rich
from bench.conformance.scenes import (
    DEALS,
    NEW_LIMIT,
    PAID,
    REFUND,
    RIDE,
    TOP_UP,
    TRIP,
    Deal,
    Inputs,
    answers,
    available_after,
    begin,
    cache,
    cache_command,
    commit,
    final_command,
    finish,
    flipped,
    free_trip,
    init_command,
    init_pair,
    inputs,
    of_deals,
    offer,
    opened,
    prove,
    read_record,
    ready,
    refused,
    session,
    trip,
    with_pin,
)
from bench.conformance.service import enter
from bench.conformance.words import Words
from bench.conformance.writes import mac_words

_TERMINAL = bytes.fromhex("413101210198")
_DATE, _TIME = bytes.fromhex("20271231"), bytes.fromhex("235946")
_NUMBER = 0x5A01_C3E7
"""Each byte differs from the desk's own."""

_PAYING = (TOP_UP, REFUND, RIDE, TRIP)
_LARGE = 0x01_2345
"""Fen: every byte of the amount says something."""


# Elsewhere and later


def _begin_elsewhere(lab: Lab, deal: Deal) -> Inputs:
    p1, p2 = init_pair(lab, deal)
    if deal.init is INIT_LIMIT:
        command = deal.init.command(InitLimitData(1, _TERMINAL), p1, p2)
    else:
        command = deal.init.command(InitializeData(1, 100, _TERMINAL), p1, p2)
    lab.must(lab.send(command), clause=deal.init.clause)
    return replace(inputs(lab, deal), date=_DATE, time=_TIME, terminal_seq=_NUMBER)


def _is_offered(lab: Lab, deal: Deal, q: Inputs) -> None:
    """MAC1 of INITIALIZE, where the card gives one."""
    assert lab.offer is not None
    reply = lab.offer.reply
    if deal.is_spending:
        return
    key = session(deal, q)
    if deal is NEW_LIMIT:
        mac1 = limit_mac1(key, reply.balance, reply.overdraft_limit, q.terminal)
    else:
        mac1 = online_mac1(key, reply.balance, q.amount, q.kind, q.terminal)
    lab.must_be(reply.mac1, mac1, Words("MAC1", "MAC1"), at=len(reply.build()) - 4)


def _is_kept(lab: Lab, deal: Deal, q: Inputs, proof: bytes) -> None:
    """The log's newest record and the proof are of this transaction."""
    amount = 0 if deal is NEW_LIMIT else q.amount
    limit = lab.balance(0x01)
    entry = LogRecord(q.seq + 1, limit, amount, q.kind, q.terminal, q.date, q.time).build()
    came = lab.must(lab.send(read_record(EF18.sfi, 1)), clause="3.5").data
    lab.must_be(came, entry, Words("log record", "日志记录"), clause="3.5")
    answer = prove(lab, deal.kind, q.seq + 1)
    lab.must_be(answer.data, proof, Words("MAC and TAC", "MAC 和 TAC"), clause="4.20")


def _whole(lab: Lab, deal: Deal, q: Inputs) -> None:
    _is_offered(lab, deal, q)
    wanted, proof = answers(lab, deal, q, available_after(lab, deal, q))
    lab.must_be(finish(lab, deal, q), wanted, Words("cryptograms", "密码数据"))
    _is_kept(lab, deal, q, proof)


def _elsewhere(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    _whole(lab, deal, _begin_elsewhere(lab, deal))


# Sums


def _large(lab: Lab, deal: Deal) -> None:
    opened(lab)
    before = picture(lab)
    with_pin(lab, deal)
    lab.limit = _LARGE
    q = begin(lab, deal, _LARGE)
    _whole(lab, deal, q)
    same(lab, before.after(deal, q))


_TOO_MUCH = (0x0100_0000, 0x0100_0001, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF)
"""More than three bytes hold, which is all a purse has (3.1)."""


def _too_much(lab: Lab, deal: Deal) -> None:
    opened(lab)
    before = picture(lab)
    with_pin(lab, deal)
    word = SW.CONDITIONS_OF_USE if deal is TOP_UP else SW.BALANCE_TOO_LOW
    for amount in _TOO_MUCH:
        lab.must(offer(lab, deal, amount), word)
        refused(lab, final_command(lab, deal, _nothing(lab, deal), bytes(4)), SW.WRONG_STATE)
    same(lab, before)


def _nothing(lab: Lab, deal: Deal) -> Inputs:
    """Data for a final command that nothing was opened for."""
    key = getattr(lab.keys, deal.keyed)
    return Inputs(key, bytes(4), 0, 0, deal.kind, _TERMINAL, _DATE, _TIME, _NUMBER)


def _to_the_fen(lab: Lab, deal: Deal) -> None:
    """All that is there, with an overdraft that stays unused; the next fen is of it."""
    opened(lab)
    for amount in (lab.balance(0x03), 1):
        before = picture(lab)
        q = begin(lab, deal, amount)
        finish(lab, deal, q)
        same(lab, before.after(deal, q))


def _numbered_zero(lab: Lab, deal: Deal) -> None:
    """The first transaction of a terminal's life: a real card took it (5.8, V2)."""
    ready(lab, deal)
    q = replace(begin(lab, deal), terminal_seq=0)
    wanted, _ = answers(lab, deal, q, 0)
    lab.must_be(finish(lab, deal, q), wanted, Words("TAC and MAC2", "TAC 和 MAC2"))


# A failed INITIALIZE


def _wrong_key(lab: Lab, deal: Deal) -> bytes:
    return init_command(lab, deal, 100, 0xFF)


def _wrong_sum(lab: Lab, deal: Deal) -> bytes:
    return init_command(lab, deal, 0 if deal in (TOP_UP, REFUND) else 0xFFFF_FFFF)


def _after_failure(command: Callable[[Lab, Deal], bytes], lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    before = picture(lab)
    q = begin(lab, deal)
    words = (SW.KEY_INDEX, SW.CONDITIONS_OF_USE, SW.BALANCE_TOO_LOW)
    lab.must(lab.send(command(lab, deal)), *words)
    refused(lab, final_command(lab, deal, q), SW.WRONG_STATE, clause="4.2")
    same(lab, before)


@family
def varied() -> Iterator[Case]:
    """Other terminals, dates and sums, for each kind of transaction."""
    yield from of_deals(
        "MACS",
        "elsewhere",
        "{} at another terminal and time has them in its MACs, its log and its proof",
        "{}在其他终端和时间进行时，MAC、日志和交易认证均随之变化",
        _elsewhere,
        "5.5",
        "3.5",
        "4.20",
    )
    yield from of_deals(
        "BAL",
        "large",
        "{} of 745.65 is counted, enciphered and logged in all its bytes",
        "{} 745.65 元时，金额各字节均参与计算和记录",
        _large,
        "3.1",
        "5.5",
        setup=rich(0x20_0000, ceiling=0x40_0000, online_seq=0x0203, offline_seq=0x0405),
    )
    yield from of_deals(
        "BAL",
        "too-much",
        "{} of more than a purse can hold is refused and opens nothing",
        "{}金额超过钱包容量时拒绝，且不开始交易",
        _too_much,
        "3.1",
        "4.14",
        deals=_PAYING,
    )
    yield from of_deals(
        "BAL",
        "to-the-fen",
        "{} of the whole balance leaves the overdraft alone",
        "{}恰好用尽余额时不动用透支",
        _to_the_fen,
        "4.16",
        "3.1",
        deals=(RIDE, TRIP),
        setup=rich(5000, overdraft_limit=2000),
    )
    yield from of_deals(
        "MACS",
        "terminal-zero",
        "{} with the terminal's number 00000000 is one like any other",
        "终端交易序号 00000000 的{}与其他交易相同",
        _numbered_zero,
        "5.3",
        "4.16",
        deals=(RIDE, TRIP),
    )


@family
def failed() -> Iterator[Case]:
    """A failed INITIALIZE leaves the card at rest (4.2)."""
    for key, deals, command, en, zh in (
        ("key", DEALS, _wrong_key, "of another key", "密钥索引错误"),
        ("sum", _PAYING, _wrong_sum, "of a sum that cannot be", "金额不允许"),
    ):
        yield from of_deals(
            "MACS",
            f"failed-init.{key}",
            f"{{}} under way is over after an INITIALIZE {en}",
            f"初始化{zh}而失败后，先前进行中的{{}}作废",
            partial(_after_failure, command),
            "4.2",
            deals=deals,
        )


# A wrong MAC


_BURNT: dict[str, tuple[Spec, tuple[int, ...]]] = {
    "update": (UPDATE_RECORD_MAC, (SW.MAC_WRONG, 0x63C2)),
    "append": (APPEND_RECORD_MAC, (SW.MAC_WRONG, 0x63C2)),
    "block": (APPLICATION_BLOCK, (SW.MAC_WRONG,)),
    "unblock": (APPLICATION_UNBLOCK, (SW.MAC_WRONG,)),
    "external": (EXTERNAL_AUTHENTICATE, (0x63C2,)),
}


def _burnt(spec: Spec, words: tuple[int, ...]) -> Callable[[Lab], None]:
    """The right MAC after a wrong one under the same challenge comes too late.

    A right one before clears the card's count, one after it ends the case with nothing counted.
    """

    def body(lab: Lab) -> None:
        enter(lab)
        lab.record = free_trip(lab)
        _clear(lab, spec)
        lab.prepare(spec)
        pair = (0, 0x1E << 3) if spec is APPEND_RECORD_MAC else None
        pair = (lab.record, EF1A.sfi << 3 | 4) if spec is UPDATE_RECORD_MAC else pair
        right = lab.request(spec, pair)
        refused(lab, flipped(right, 1), *words)
        refused(lab, right, SW.RANDOM_UNUSABLE, clause="4.9")
        _clear(lab, spec)

    return body


def _counted_on(spec: Spec) -> Callable[[Lab], None]:
    """A purchase, with a right MAC of its own sort, gives no tries of secure messaging back."""

    def body(lab: Lab) -> None:
        opened(lab)
        pair = (free_trip(lab), EF1A.sfi << 3 | 4) if spec is UPDATE_RECORD_MAC else None
        words = mac_words(lab.declared)
        if spec is APPLICATION_UNBLOCK:
            words = (SW.MAC_WRONG, SW.MAC_WRONG, SW.PERMANENTLY_BLOCKED)
        for word in words:
            commit(lab, RIDE, 0)
            lab.prepare(spec)
            refused(lab, flipped(lab.request(spec, pair), 1), word)

    return body


def _clear(lab: Lab, spec: Spec) -> None:
    if spec is APPLICATION_BLOCK:
        lab.done_ok(APPLICATION_BLOCK)
    if spec in (APPLICATION_BLOCK, APPLICATION_UNBLOCK):
        lab.done_ok(APPLICATION_UNBLOCK)
    elif spec is EXTERNAL_AUTHENTICATE:
        lab.done_ok(EXTERNAL_AUTHENTICATE)
    else:
        lab.done_ok(UPDATE_RECORD_MAC, pair=(lab.record, EF1A.sfi << 3 | 4))


@family
def burnt() -> Iterator[Case]:
    """A challenge is for the next command alone, if that fails too (4.9)."""
    for name, (spec, words) in _BURNT.items():
        title = Words(
            f"{spec.name} under a challenge that a wrong one has used is 6984",
            f"随机数已被一次错误使用后，{spec.name} 应答 6984",
        )
        key = f"varied.burnt.{name}"
        yield Case(key, "SM", title, ("4.9", "5.6"), _burnt(spec, words), needs=PAID)

    for spec in (UPDATE_RECORD_MAC, APPLICATION_UNBLOCK):
        title = Words(
            f"Purchases between wrong MACs of {spec.name} do not set their count back",
            f"{spec.name} 的 MAC 错误次数不因其间的消费而恢复",
        )
        key = f"varied.counted-on.{spec.name.lower().replace(' ', '-')}"
        clauses = (spec.clause, "4.6")
        needs = PAID | {Need.FRESH}
        yield Case(key, "SM", title, clauses, _counted_on(spec), "D", needs)


@case(
    "SM",
    "A card with money on it is blocked for good like an empty one",
    "有余额的卡片同样可永久锁定",
    "4.19",
    "6.5",
    needs=PAID | {Need.FRESH, Need.CUT},
    setup=rich(5000),
)
def blocked_with_money(lab: Lab) -> None:
    """9303 for all, APPLICATION UNBLOCK too, and after a field loss."""
    opened(lab)
    lab.must(lab.ask(APPLICATION_BLOCK, pair=(0x00, 0x01)))
    for _ in range(2):
        lab.select()
        refused(lab, init_command(lab, REFUND, 5000), SW.PERMANENTLY_BLOCKED)
        lab.must(lab.ask(APPLICATION_UNBLOCK), SW.PERMANENTLY_BLOCKED)
        lab.reset()


def _locks_itself(number: int) -> Callable[[Lab], None]:
    """Each record has a lock byte of its own: free before the debit, locked after it."""

    def body(lab: Lab) -> None:
        opened(lab)
        begin(lab, TRIP, 0)
        record = (EF1A.sfi, trip(number, 0x55, lock=0x01))
        cache(lab, record)
        finish(lab, TRIP, inputs(lab, TRIP))
        begin(lab, TRIP, 0)
        refused(lab, cache_command(lab, *record), SW.RECORD_LOCKED)

    return body


@family
def locks() -> Iterator[Case]:
    """The bus's record, and the last one (3.8)."""
    for number in (2, EF1A.count):
        title = Words(
            f"Record 27{number:02X} is locked by its own lock byte",
            f"记录 27{number:02X} 由自身的锁定字节锁定",
        )
        key = f"varied.locks.{number:02X}"
        needs = PAID | {Need.FRESH}
        yield Case(key, "CAPP", title, ("4.15", "3.8"), _locks_itself(number), needs=needs)
