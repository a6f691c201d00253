"""The trip files EF1A and EF1E (3.6, 3.8)."""

from collections.abc import Callable, Iterator

from apdu.files import EF1A, EF1E
from bench.conformance.card.counters import numbered
from bench.conformance.case import Case, Level
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    DEALS,
    PAID,
    TRIP,
    begin,
    cache,
    commit,
    finish,
    free_trip,
    opened,
    read_record,
    ready,
    refused,
    trip,
    trip_log,
)
from bench.conformance.words import Words


@case(
    "TRIP",
    "A CAPP purchase puts its trip record on top of EF1E",
    "复合消费的行程记录写在 EF1E 最前",
    "3.6",
    "4.15",
    needs=PAID,
    level=Level.BASIC,
)
def trip_on_top(lab: Lab) -> None:
    """And the one before it becomes the second."""
    ready(lab, TRIP, 200)
    for filler in (0x11, 0x22):
        before = picture(lab)
        q = begin(lab, TRIP)
        cache(lab, (EF1E.sfi, trip_log(filler)))
        finish(lab, TRIP, q)
        same(lab, before.after(TRIP, q, [(EF1E.sfi, trip_log(filler))]))


_OLD_TRIPS = tuple(bytes((n,)) * EF1E.size for n in range(30, 0, -1))


@case(
    "TRIP",
    "A full EF1E loses its oldest record alone",
    "EF1E 已满时只丢失最旧一条",
    "3.6",
    needs=PAID,
    setup=numbered(trips=_OLD_TRIPS),
)
def full_trips_lose_the_oldest(lab: Lab) -> None:
    """Thirty records, all of them read again; there is no thirty-first."""
    ready(lab, TRIP)
    before = picture(lab, deep=True)
    q = begin(lab, TRIP)
    record = (EF1E.sfi, trip_log(0xEE))
    cache(lab, record)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, [record]), deep=True)
    refused(lab, read_record(EF1E.sfi, 31), 0x6A83, clause="4.7")


@case("TRIP", "EF1E keeps the last thirty trips", "EF1E 保留最近 30 条", "3.6", needs=PAID)
def trips_wrap(lab: Lab) -> None:
    """Thirty-two CAPP purchases of nothing."""
    ready(lab, TRIP)
    for filler in range(1, 33):
        q = begin(lab, TRIP, 0)
        cache(lab, (EF1E.sfi, trip_log(filler)))
        finish(lab, TRIP, q)
    came = [lab.must(lab.send(read_record(EF1E.sfi, n))).data[0] for n in range(1, 31)]
    want = list(range(32, 2, -1))
    lab.require(came == want, Words(f"records {want}", f"记录 {want}"), came)


@case(
    "TRIP",
    "A transaction without a trip record leaves both trip files alone",
    "不带行程记录的交易不改变行程文件",
    "4.15",
    needs=PAID,
)
def no_trip_no_record(lab: Lab) -> None:
    """One of each kind, and every record of EF1A and EF1E read again."""
    ready(lab, TRIP)
    before = picture(lab, deep=True)
    trips = {name: fact for name, fact in before.facts.items() if name.startswith(("EF1A", "EF1E"))}
    for deal in DEALS:
        ready(lab, deal)
        commit(lab, deal)
    before.facts = trips
    same(lab, before, deep=True)


def _by_id(number: int) -> Callable[[Lab], None]:
    def body(lab: Lab) -> None:
        ready(lab, TRIP)
        free_trip(lab, number)
        before = picture(lab, deep=True)
        record = (EF1A.sfi, trip(number, 0x30 + number))
        q = begin(lab, TRIP)
        cache(lab, record)
        finish(lab, TRIP, q)
        same(lab, before.after(TRIP, q, [record]), deep=True)

    return body


@family
def by_id() -> Iterator[Case]:
    """Records 2701 rail, 2702 bus, 2703 and the last, 2712 hexadecimal."""
    for number in (0x01, 0x02, 0x03, 0x12):
        title = Words(
            f"A cached record 27{number:02X} goes to its own place in EF1A",
            f"缓存的记录 27{number:02X} 写入 EF1A 自己的位置",
        )
        yield Case(
            f"trip.id.{number:02X}", "TRIP", title, ("3.8", "4.15"), _by_id(number), needs=PAID
        )


@case(
    "TRIP",
    "EF1A has eighteen records, each with its id",
    "EF1A 有 18 条记录，标识各自正确",
    "3.1",
    "3.8",
    grade="1",
)
def eighteen_trips(lab: Lab) -> None:
    """2701 to 2712, of 128 bytes, by number; there is no record 0 and no nineteenth."""
    opened(lab)
    for number in range(1, EF1A.count + 1):
        record = lab.must(lab.send(read_record(EF1A.sfi, number))).data
        lab.must_be(record[:2], bytes((0x27, number)), Words("record id", "记录标识"))
        lab.require(len(record) == EF1A.size, Words("128 bytes", "128 字节"), f"{len(record)}")
    refused(lab, read_record(EF1A.sfi, EF1A.count + 1), 0x6A83, clause="4.7")


@case(
    "TRIP",
    "Of two EF1E records of one purchase the later is on top",
    "一笔交易中缓存两条 EF1E 记录时，后者在最前",
    "4.15",
    grade="D",
    needs=PAID,
)
def two_logs_in_one(lab: Lab) -> None:
    """A new record is one place (the later wins, 4.15) or two: the reference leaves it open."""
    ready(lab, TRIP)
    before = picture(lab)
    q = begin(lab, TRIP)
    records = [(EF1E.sfi, trip_log(0x41)), (EF1E.sfi, trip_log(0x42))]
    cache(lab, *records)
    finish(lab, TRIP, q)
    later, both = before.after(TRIP, q, records[1:]), before.after(TRIP, q, records)
    second = lab.send(read_record(EF1E.sfi, 2))
    same(lab, both if second == both.facts["EF1E record 2"] else later)
