"""The transaction log EF18 (3.5)."""

from collections.abc import Iterator
from functools import partial

from apdu.files import EF1E, EF18, LogRecord
from bench.conformance.card.counters import numbered
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    NEW_LIMIT,
    PAID,
    RIDE,
    TRIP,
    Deal,
    begin,
    commit,
    final_command,
    of_deals,
    opened,
    read_record,
    ready,
    refused,
)
from bench.conformance.words import Words


def _log_fields(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    q = commit(lab, deal)
    limit = lab.balance(0x01)
    amount = 0 if deal is NEW_LIMIT else q.amount
    entry = LogRecord(q.seq + 1, limit, amount, q.kind, q.terminal, q.date, q.time).build()
    came = lab.must(lab.send(read_record(EF18.sfi, 1))).data
    names = ("number", "overdraft limit", "amount", "type", "terminal", "date and time")
    chinese = ("序号", "透支限额", "金额", "类型", "终端编号", "日期时间")
    ends = (0, 2, 5, 9, 10, 16, 23)
    for n, name in enumerate(names):
        part = slice(ends[n], ends[n + 1])
        lab.must_be(came[part], entry[part], Words(name, chinese[n]), at=ends[n])


def _log_refused(lab: Lab, deal: Deal) -> None:
    ready(lab, deal)
    log = [lab.send(read_record(EF18.sfi, n)) for n in (1, 2)]
    refused(lab, final_command(lab, deal, begin(lab, deal), bytes(4)), 0x9302)
    for n, was in enumerate(log, 1):
        came = lab.send(read_record(EF18.sfi, n))
        lab.must_be(came, was, Words(f"log record {n}", f"日志第 {n} 条"), clause="4.16")


_log = partial(of_deals, "LOG")


@family
def logged() -> Iterator[Case]:
    """What EF18 says of each kind of transaction."""
    yield from _log(
        "fields",
        "EF18 record 1 has every field of {}",
        "EF18 第 1 条记录{}的各字段正确",
        _log_fields,
        "3.5",
        level=Level.BASIC,
    )
    yield from _log(
        "refused",
        "{} that was refused is not logged",
        "被拒绝的{}不写日志",
        _log_refused,
        "4.16",
        "3.5",
    )


def _amounts(lab: Lab, numbers: range) -> list[int]:
    records = [lab.must(lab.send(read_record(EF18.sfi, n))).data for n in numbers]
    return [int.from_bytes(record[5:9], "big") for record in records]


@case("LOG", "EF18 has the newest transaction first", "EF18 最新记录在最前", "3.5", needs=PAID)
def newest_first(lab: Lab) -> None:
    """Three purchases of different amounts."""
    ready(lab, RIDE)
    for amount in (1, 2, 3):
        commit(lab, RIDE, amount)
    came = _amounts(lab, range(1, 4))
    lab.require(came == [3, 2, 1], Words("amounts 3, 2, 1", "金额 3、2、1"), came)


@case(
    "LOG",
    "EF18 keeps the last ten transactions",
    "EF18 保留最近 10 笔",
    "3.5",
    needs=PAID,
)
def log_wraps(lab: Lab) -> None:
    """Twelve purchases; the first two are gone, and there is no eleventh record."""
    ready(lab, RIDE, 100)
    for amount in range(1, 13):
        commit(lab, RIDE, amount)
    came = _amounts(lab, range(1, 11))
    want = list(range(12, 2, -1))
    lab.require(came == want, Words(f"amounts {want}", f"金额 {want}"), came)
    refused(lab, read_record(EF18.sfi, 11), 0x6A83, clause="4.7")


_OLD_LOG = tuple(
    LogRecord(n, 0, 1000 + n, 0x06, bytes(6), bytes.fromhex("20250901"), bytes(3)).build()
    for n in range(10, 0, -1)
)


@case(
    "LOG",
    "A full EF18 loses its oldest record alone",
    "EF18 已满时只丢失最旧一条",
    "3.5",
    needs=PAID,
    setup=numbered(transactions=_OLD_LOG),
)
def full_log_loses_the_oldest(lab: Lab) -> None:
    """Ten records before, one transaction, and nine of them after it."""
    ready(lab, RIDE)
    commit(lab, RIDE, 5)
    came = _amounts(lab, range(1, 11))
    want = [5, *range(1010, 1001, -1)]
    lab.require(came == want, Words(f"amounts {want}", f"金额 {want}"), came)


@case(
    "LOG",
    "Log records never written read as declared",
    "未写过的日志记录按声明读出",
    "3.5",
    "4.7",
    needs=(),
    setup=numbered(transactions=(), trips=()),
)
def unused_records(lab: Lab) -> None:
    """Zeros, FF, or 6A83 (Q28), in EF18 and EF1E."""
    opened(lab)
    declared = lab.declared.dialect.unused_records
    for spec in (EF18, EF1E):
        answer = lab.send(read_record(spec.sfi, spec.count))
        if declared == "6A83":
            lab.must(answer, 0x6A83)
        else:
            filler = b"\xff" if declared == "FF" else b"\0"
            data = lab.must(answer).data
            lab.must_be(data, filler * spec.size, Words("record", "记录"))


@case("LOG", "A purchase of 0 is logged", "零金额消费写日志", "3.5", grade="1", needs=PAID)
def zero_is_logged(lab: Lab) -> None:
    """An entry of a gate is a CAPP purchase of nothing."""
    for deal in (TRIP, RIDE):
        ready(lab, deal, 0)
        before = picture(lab)
        q = commit(lab, deal, 0)
        same(lab, before.after(deal, q))


@case(
    "LOG",
    "Nobody can write EF18",
    "EF18 不可由命令写入",
    "3.1",
    needs=PAID,
)
def log_is_the_cards_own(lab: Lab) -> None:
    """UPDATE RECORD and APPEND RECORD, plain and under MAC, are refused; nothing changes."""
    opened(lab)
    before = picture(lab)
    size = EF18.size
    for head in (b"\x00\xdc\x01\xc4", b"\x00\xe2\x00\xc0"):
        answer = lab.send(head + bytes((size,)) + bytes(size))
        lab.require(answer[-2:] != b"\x90\x00", Words("a refusal", "拒绝"), answer.hex())
    same(lab, before)


@case("LOG", "The log survives a field loss", "日志掉电后不丢失", "6.9", needs=PAID | {Need.CUT})
def log_survives(lab: Lab) -> None:
    """All ten records, byte for byte."""
    ready(lab, RIDE)
    commit(lab, RIDE, 7)
    before = picture(lab, deep=True)
    lab.reset()
    opened(lab)
    same(lab, before, deep=True)
