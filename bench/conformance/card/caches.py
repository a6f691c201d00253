"""What drops cached records, and what 80 DC does not take (4.2, 4.15)."""

from collections.abc import Callable, Iterator

from apdu.commands import GET_BALANCE, SELECT
from apdu.file_commands import AID_PPSE, AID_PURSE, GET_CHALLENGE
from apdu.files import EF1A, EF1E, EF15, EF18
from apdu.key_commands import VERIFY_PIN
from apdu.records import SelectName
from bench.conformance.card.capp import Record, trip_records
from bench.conformance.case import Case, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    PAID,
    RIDE,
    TRIP,
    begin,
    cache,
    cache_command,
    final_command,
    finish,
    flipped,
    opened,
    prove,
    raw,
    read_binary,
    read_record,
    ready,
    refused,
    trip_log,
)
from bench.conformance.words import Words


def _expire(step: Callable[[Lab], object]) -> Callable[[Lab], None]:
    """After a step, the debit is refused, and a later purchase writes none of the records."""

    def body(lab: Lab) -> None:
        ready(lab, TRIP)
        records = trip_records(lab)
        before = picture(lab)
        q = begin(lab, TRIP)
        cache(lab, *records)
        step(lab)
        refused(lab, final_command(lab, TRIP, q), 0x6901, clause="4.2")
        opened(lab)
        q = begin(lab, TRIP)
        finish(lab, TRIP, q)
        same(lab, before.after(TRIP, q), clause="4.2")

    return body


def _reset(lab: Lab) -> None:
    lab.reset()
    opened(lab)


def _answer(command: str) -> Callable[[Lab], object]:
    return lambda lab: lab.send(bytes.fromhex(command))


_STEPS: dict[str, tuple[Words, Callable[[Lab], object], frozenset[Need]]] = {
    "select": (
        Words("SELECT of the purse", "选择本应用"),
        lambda lab: lab.ask(SELECT, SelectName(AID_PURSE)),
        PAID,
    ),
    "leave": (
        Words("SELECT of another application", "选择其他应用"),
        lambda lab: (lab.ask(SELECT, SelectName(AID_PPSE)), opened(lab)),
        PAID,
    ),
    "nowhere": (
        Words("SELECT of an application that is not there", "选择不存在的应用"),
        lambda lab: lab.ask(SELECT, SelectName(bytes.fromhex("D2760000850101"))),
        PAID,
    ),
    "file": (
        Words("SELECT of a file", "选择文件"),
        lambda lab: lab.send(raw(0x00, 0xA4, 0x00, 0x00, b"\x00\x15")),
        PAID,
    ),
    "binary": (
        Words("READ BINARY", "读二进制文件"),
        lambda lab: lab.send(read_binary(EF15.sfi)),
        PAID,
    ),
    "record": (
        Words("READ RECORD", "读记录"),
        lambda lab: lab.send(read_record(EF1A.sfi, 1)),
        PAID,
    ),
    "balance": (Words("GET BALANCE", "读余额"), lambda lab: lab.ask(GET_BALANCE), PAID),
    "challenge": (Words("GET CHALLENGE", "取随机数"), lambda lab: lab.ask(GET_CHALLENGE), PAID),
    "prove": (
        Words("GET TRANSACTION PROVE", "取交易认证"),
        lambda lab: prove(lab, TRIP.kind, 1),
        PAID,
    ),
    "pin": (Words("VERIFY PIN", "校验 PIN"), lambda lab: lab.ask(VERIFY_PIN), PAID),
    "ins": (Words("an unknown instruction", "未知 INS"), _answer("00FE000000"), PAID),
    "cla": (Words("an unknown class", "未知 CLA"), _answer("F050030200"), PAID),
    "p1p2": (Words("wrong parameters", "错误的 P1P2"), _answer("805CFF0204"), PAID),
    "length": (Words("a wrong length", "错误的长度"), _answer("8050030203010000"), PAID),
    "field": (Words("a field loss", "掉电"), _reset, PAID | {Need.CUT}),
}


@family
def dropped() -> Iterator[Case]:
    """Any other command drops the cache and the purchase (4.2, Q17)."""
    for name, (words, step, needs) in _STEPS.items():
        title = Words(f"Cached records are gone after {words.en}", f"{words.zh}后，缓存的记录作废")
        clauses = ("4.2", "4.1")
        body = _expire(step)
        yield Case(f"capp.drop.{name}", "CAPP", title, clauses, body, "I", frozenset(needs))


@case(
    "CAPP",
    "A bad MAC1 drops cached records",
    "MAC1 错误使缓存的记录作废",
    "4.2",
    "4.16",
    needs=PAID,
)
def bad_mac_drops(lab: Lab) -> None:
    """9302; then a purchase without 80 DC writes no trip record."""
    ready(lab, TRIP)
    records = trip_records(lab)
    before = picture(lab)
    q = begin(lab, TRIP)
    cache(lab, *records)
    refused(lab, flipped(final_command(lab, TRIP, q), 1), 0x9302)
    same(lab, before)
    q = begin(lab, TRIP)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q))


@case(
    "CAPP",
    "INITIALIZE again drops cached records",
    "再次初始化使缓存的记录作废",
    "4.2",
    "6.1",
    needs=PAID,
)
def init_again_drops(lab: Lab) -> None:
    """The second purchase commits, without the first one's records."""
    ready(lab, TRIP)
    records = trip_records(lab)
    before = picture(lab)
    begin(lab, TRIP)
    cache(lab, *records)
    q = begin(lab, TRIP)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q))


@case(
    "CAPP",
    "A plain purchase writes no records cached before it",
    "普通消费不写入先前缓存的记录",
    "4.2",
    needs=PAID,
)
def plain_purchase_drops(lab: Lab) -> None:
    """INITIALIZE FOR PURCHASE after 80 DC."""
    ready(lab, TRIP)
    records = trip_records(lab)
    before = picture(lab)
    begin(lab, TRIP)
    cache(lab, *records)
    q = begin(lab, RIDE)
    finish(lab, RIDE, q)
    same(lab, before.after(RIDE, q))


def _refused_cache(
    make: Callable[[Lab, list[Record]], bytes], *words: int
) -> Callable[[Lab], None]:
    """A refused 80 DC is answered by a word, drops what was cached, and writes nothing."""

    def body(lab: Lab) -> None:
        ready(lab, TRIP)
        records = trip_records(lab)
        before = picture(lab)
        q = begin(lab, TRIP)
        cache(lab, *records)
        refused(lab, make(lab, records), *words)
        refused(lab, final_command(lab, TRIP, q), 0x6901, clause="4.2")
        same(lab, before)

    return body


def _resized(sfi: int, change: int) -> Callable[[Lab, list[Record]], bytes]:
    def make(lab: Lab, records: list[Record]) -> bytes:
        record = dict(records)[sfi]
        return cache_command(lab, sfi, (record + b"\0")[: len(record) + change])

    return make


def _to(sfi: int, size: int) -> Callable[[Lab, list[Record]], bytes]:
    def make(lab: Lab, records: list[Record]) -> bytes:
        head = cache_command(lab, EF1E.sfi, trip_log(1))
        return head[:3] + bytes((sfi << 3 | head[3] & 7, size)) + bytes(size)

    return make


def _as_id(record_id: bytes, p1: int | None = None) -> Callable[[Lab, list[Record]], bytes]:
    def make(lab: Lab, records: list[Record]) -> bytes:
        record = record_id + dict(records)[EF1A.sfi][2:]
        made = bytearray(cache_command(lab, EF1A.sfi, record))
        if p1 is not None:
            made[2] = p1
        elif lab.declared.dialect.cache_address == "zero":
            made[2] = 0
        return bytes(made)

    return make


def _mismatch(lab: Lab, records: list[Record]) -> bytes:
    record = dict(records)[EF1A.sfi]
    made = bytearray(cache_command(lab, EF1A.sfi, record))
    made[2] = record[1] % EF1A.count + 1
    return bytes(made)


_WRONG: dict[str, tuple[Words, Callable[[Lab, list[Record]], bytes], tuple[int, ...]]] = {
    "1a-short": (
        Words("an EF1A record one byte short", "EF1A 记录少一字节"),
        _resized(0x1A, -1),
        (0x6700,),
    ),
    "1a-long": (
        Words("an EF1A record one byte long", "EF1A 记录多一字节"),
        _resized(0x1A, 1),
        (0x6A84,),
    ),
    "1e-short": (
        Words("an EF1E record one byte short", "EF1E 记录少一字节"),
        _resized(0x1E, -1),
        (0x6700,),
    ),
    "1e-long": (
        Words("an EF1E record one byte long", "EF1E 记录多一字节"),
        _resized(0x1E, 1),
        (0x6A84,),
    ),
    "id-00": (
        Words("an EF1A record 2700", "EF1A 记录 2700"),
        _as_id(b"\x27\x00", 0),
        (0x6A83, 0x6A86),
    ),
    "id-13": (
        Words("an EF1A record 2713", "EF1A 记录 2713"),
        _as_id(b"\x27\x13"),
        (0x6A83,),
    ),
    "id-28": (
        Words("an EF1A record of another first byte", "EF1A 记录首字节不是 27"),
        _as_id(b"\x28\x01"),
        (0x6A83, 0x6A80),
    ),
    "mismatch": (
        Words("a P1 that is not the record's id", "P1 与记录标识不符"),
        _mismatch,
        (0x6A80,),
    ),
    "binary": (Words("a transparent file", "透明文件"), _to(0x15, 30), (0x6981,)),
    "log": (Words("the transaction log", "交易日志"), _to(EF18.sfi, 23), (0x6981, 0x6982)),
    "nowhere": (Words("a file that is not there", "不存在的文件"), _to(0x0B, 23), (0x6A82,)),
}


@family
def wrong_caches() -> Iterator[Case]:
    """What 80 DC does not take (4.15)."""
    for name, (words, make, sws) in _WRONG.items():
        title = Words(
            f"80 DC refuses {words.en} and drops what was cached",
            f"80 DC 拒绝{words.zh}，已缓存的记录作废",
        )
        body = _refused_cache(make, *sws)
        yield Case(f"capp.wrong.{name}", "CAPP", title, ("4.15", "4.2"), body, "D", PAID)
