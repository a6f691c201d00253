"""CAPP purchases: records cached with 80 DC, written with the debit or never (4.15, 4.16)."""

from collections.abc import Callable, Iterator
from typing import Any

from apdu.commands import EP, GET_BALANCE
from apdu.files import EF1A, EF1E
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    NEW_LIMIT,
    PAID,
    REFUND,
    RIDE,
    TOP_UP,
    TRIP,
    Deal,
    begin,
    cache,
    cache_command,
    final_command,
    final_pair,
    finish,
    free_trip,
    offer,
    opened,
    ready,
    refused,
    trip,
    trip_log,
)
from bench.conformance.words import Words
from emulator.card.state import Blocked

Record = tuple[int, bytes]


def trip_records(lab: Lab, filler: int = 0x60) -> list[Record]:
    """One trip record that is not locked, and one for the trip log."""
    number = free_trip(lab)
    return [(EF1A.sfi, trip(number, filler)), (EF1E.sfi, trip_log(filler + 1))]


def _soon(lab: Lab) -> int:
    """What 80 DC answers without a CAPP purchase (Q16)."""
    return int(lab.declared.dialect.cache_too_soon, 16)


@case(
    "CAPP",
    "Cached records are written with the debit",
    "缓存的记录随扣款一起写入",
    "4.15",
    "6.9",
    needs=PAID,
    level=Level.BASIC,
)
def written_with_the_debit(lab: Lab) -> None:
    """One EF1A record and one EF1E record, and money."""
    ready(lab, TRIP)
    records = trip_records(lab)
    before = picture(lab)
    q = begin(lab, TRIP)
    cache(lab, *records)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, records))


@case(
    "CAPP",
    "80 DC alone writes nothing",
    "仅 80 DC 不写入任何内容",
    "6.9",
    "4.15",
    needs=PAID,
)
def cached_is_not_written(lab: Lab) -> None:
    """Read every record after it: as before."""
    ready(lab, TRIP)
    records = trip_records(lab)
    before = picture(lab, deep=True)
    begin(lab, TRIP)
    cache(lab, *records)
    same(lab, before, deep=True)


@case("CAPP", "80 DC answers no data", "80 DC 应答不含数据", "4.15", needs=PAID)
def cache_answers_nothing(lab: Lab) -> None:
    """The status word alone."""
    ready(lab, TRIP)
    records = trip_records(lab)
    begin(lab, TRIP)
    for sfi, record in records:
        data = lab.must(lab.send(cache_command(lab, sfi, record))).data
        lab.must_be(data, b"", Words("no data", "无数据"))


@case(
    "CAPP",
    "The same record twice: the later one is written",
    "同一记录缓存两次以后者为准",
    "4.15",
    grade="D",
    needs=PAID,
)
def later_wins(lab: Lab) -> None:
    """EF1A by its id; the transaction number moves by one."""
    ready(lab, TRIP)
    number = free_trip(lab)
    before = picture(lab)
    q = begin(lab, TRIP)
    cache(lab, *((EF1A.sfi, trip(number, filler)) for filler in (1, 2, 3)))
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, [(EF1A.sfi, trip(number, 3))]))


@case(
    "CAPP",
    "Four records may be cached for one purchase",
    "一笔交易至少可缓存 4 条记录",
    "4.15",
    grade="D",
    needs=PAID,
)
def four_at_once(lab: Lab) -> None:
    """Three of EF1A and one of EF1E, all or nothing."""
    ready(lab, TRIP)
    first = free_trip(lab)
    numbers = range(first, EF1A.count + 1)[:3]
    before = picture(lab, deep=True)
    records = [(EF1A.sfi, trip(n, 0x70 + n)) for n in numbers] + [(EF1E.sfi, trip_log(0x7F))]
    q = begin(lab, TRIP)
    cache(lab, *records)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, records), deep=True)


@case("CAPP", "EF1E may be cached before EF1A", "可先缓存 EF1E 再缓存 EF1A", "4.15", needs=PAID)
def either_order(lab: Lab) -> None:
    """Gates send EF1A first; the card does not mind."""
    ready(lab, TRIP)
    records = trip_records(lab)[::-1]
    before = picture(lab)
    q = begin(lab, TRIP)
    cache(lab, *records)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, records))


@case(
    "CAPP",
    "A CAPP purchase without 80 DC commits",
    "不带 80 DC 的复合消费可以完成",
    "4.2",
    grade="D",
    needs=PAID,
)
def without_a_record(lab: Lab) -> None:
    """Money and log, no trip record."""
    ready(lab, TRIP)
    before = picture(lab, deep=True)
    q = begin(lab, TRIP)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q), deep=True)


@case(
    "CAPP",
    "80 DC without INITIALIZE is refused as declared",
    "未初始化的 80 DC 按声明拒绝",
    "4.2",
    "4.15",
    grade="D",
    needs=(Need.WRITE,),
)
def cache_too_soon(lab: Lab) -> None:
    """6901, or 6985 in one text (Q16)."""
    opened(lab)
    before = picture(lab)
    for command in (
        cache_command(lab, EF1E.sfi, trip_log(1)),
        cache_command(lab, EF1A.sfi, trip(1, 1)),
    ):
        refused(lab, command, _soon(lab))
    same(lab, before)


def _in_other(deal: Deal) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        ready(lab, deal)
        before = picture(lab)
        ready(lab, deal)
        q = begin(lab, deal)
        refused(lab, cache_command(lab, EF1E.sfi, trip_log(1)), _soon(lab))
        refused(lab, final_command(lab, deal, q), 0x6901)
        same(lab, before)

    return body


@family
def in_other_transactions() -> Iterator[Case]:
    """80 DC belongs to a CAPP purchase alone, and ends any other transaction (4.2)."""
    for deal in (TOP_UP, REFUND, RIDE, NEW_LIMIT):
        title = Words(f"80 DC ends {deal.name.en} under way", f"80 DC 使进行中的{deal.name.zh}作废")
        key = f"capp.within.{deal.key}"
        yield Case(key, "CAPP", title, ("4.2",), _in_other(deal), needs=PAID)


@case("CAPP", "80 DC after the debit is refused", "扣款之后的 80 DC 被拒绝", "4.2", needs=PAID)
def cache_after_the_debit(lab: Lab) -> None:
    """The purchase is over."""
    ready(lab, TRIP)
    finish(lab, TRIP, begin(lab, TRIP))
    before = picture(lab)
    finish(lab, TRIP, begin(lab, TRIP, 0))
    refused(lab, cache_command(lab, EF1E.sfi, trip_log(9)), _soon(lab))
    after = picture(lab)
    name = "EF1E record 1"
    wanted = before.facts[name].hex().upper()
    lab.require(
        after.facts[name] == before.facts[name], Words(wanted, wanted), after.facts[name].hex()
    )


def _locked(lock: int) -> dict[str, Any]:
    return {
        "blocked": Blocked.NO,
        "balance": 5000,
        "ceiling": 100_000,
        "overdraft_limit": 0,
        "overdraft_used": 0,
        "online_seq": 0,
        "offline_seq": 0,
        "trip_record": trip(0x01, 0x00, lock=lock),
    }


def _is_locked(lab: Lab) -> None:
    opened(lab)
    before = picture(lab)
    q = begin(lab, TRIP)
    refused(lab, cache_command(lab, EF1A.sfi, trip(0x01, 0x44)), 0x9407)
    refused(lab, final_command(lab, TRIP, q), 0x6901, clause="4.2")
    same(lab, before)
    q = begin(lab, TRIP)
    cache(lab, (EF1A.sfi, trip(0x02, 0x44)))
    finish(lab, TRIP, q)


@family
def locked() -> Iterator[Case]:
    """The lock byte of the stored record, not of the new one (3.8)."""
    for lock in (0x01, 0x80, 0xFF):
        title = Words(
            f"A trip record locked with {lock:02X} is 9407, its neighbour is not",
            f"锁定字节为 {lock:02X} 的行程记录应答 9407，相邻记录不受影响",
        )
        key = f"capp.locked.{lock:02X}"
        clauses = ("4.15", "3.8")
        yield Case(key, "CAPP", title, clauses, _is_locked, needs=PAID, setup=_locked(lock))


@case(
    "CAPP",
    "A record that locks itself is written, and locked from then on",
    "写入带锁定字节的记录后，该记录被锁定",
    "4.15",
    "3.8",
    needs=PAID,
    setup=_locked(0),
)
def locks_itself(lab: Lab) -> None:
    """The stored lock byte counts: free before the debit, locked after it."""
    opened(lab)
    q = begin(lab, TRIP)
    cache(lab, (EF1A.sfi, trip(0x01, 0x55, lock=0x01)))
    cache(lab, (EF1A.sfi, trip(0x01, 0x56, lock=0x01)))
    finish(lab, TRIP, q)
    begin(lab, TRIP, 0)
    refused(lab, cache_command(lab, EF1A.sfi, trip(0x01, 0x57)), 0x9407)


def _addresses(number: int) -> dict[str, tuple[int, int]]:
    low = EF1A.sfi << 3
    return {"id": (number, low), "zero": (0, low), "number": (number, low | 4)}


@case(
    "CAPP",
    "80 DC names an EF1A record as the card is declared to want it",
    "80 DC 按声明的方式寻址 EF1A 记录",
    "4.15",
    grade="D",
    needs=PAID,
)
def addressed_as_declared(lab: Lab) -> None:
    """P1 the id, P1 00, or P1 the number with P2 04 (Q10); other ways are 6A86."""
    declared = lab.declared.dialect.cache_address
    ready(lab, TRIP)
    number = free_trip(lab)
    data = trip(number, 0x21)
    for way, (p1, p2) in _addresses(number).items():
        begin(lab, TRIP)
        answer = lab.send(bytes((0x80, 0xDC, p1, p2, len(data))) + data)
        lab.must(answer, 0x9000 if declared in ("any", way) else 0x6A86)


@case("CAPP", "80 DC for EF1E has P1 00", "EF1E 的 80 DC 的 P1 为 00", "4.15", needs=PAID)
def trip_log_has_no_number(lab: Lab) -> None:
    """A new record has no number yet: 6A86 for others."""
    ready(lab, TRIP)
    for p1 in (0x01, 0x1E, 0xFF):
        begin(lab, TRIP, 0)
        command = bytearray(cache_command(lab, EF1E.sfi, trip_log(1)))
        command[2] = p1
        refused(lab, bytes(command), 0x6A86, 0x6A80)


@case(
    "CAPP",
    "INITIALIZE may be repeated with another amount",
    "初始化可用不同金额重复",
    "6.1",
    "4.2",
    needs=PAID,
)
def speculative_offer(lab: Lab) -> None:
    """A reader asks with 0 to see the balance, then with the fare; the last one counts."""
    ready(lab, TRIP)
    records = trip_records(lab)
    before = picture(lab)
    first = begin(lab, TRIP, 0)
    q = begin(lab, TRIP, 70)
    lab.require(q.seq == first.seq, Words("the same number", "相同的序号"), f"{q.seq:04X}")
    cache(lab, *records)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, records))


@case(
    "CAPP",
    "A CAPP purchase of more than there is stays refused with a trip record",
    "余额不足的复合消费不写行程记录",
    "4.14",
    "4.2",
    needs=PAID,
)
def too_dear(lab: Lab) -> None:
    """9401, then 80 DC and DEBIT are out of place."""
    ready(lab, TRIP)
    before = picture(lab)
    lab.must(offer(lab, TRIP, lab.balance(0x00) + 1), 0x9401)
    refused(lab, cache_command(lab, EF1E.sfi, trip_log(1)), _soon(lab))
    refused(lab, lab.request(TRIP.final, final_pair(lab, TRIP)), 0x6901)
    same(lab, before)


@case(
    "CAPP",
    "A CAPP purchase is for the electronic purse alone",
    "复合消费只用于电子钱包",
    "4.14",
    grade="1",
)
def capp_is_for_the_purse(lab: Lab) -> None:
    """P2 01 is 6A86, with or without an electronic deposit."""
    opened(lab)
    data = bytes.fromhex("0100000000300089000195")
    refused(lab, bytes.fromhex("805003010B") + data + b"\x0f", 0x6A86)
    lab.must(lab.ask(GET_BALANCE, pair=(0, EP)))
