"""Transaction data: answers of the card changed field by field (protocol reference 6.10)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apdu.commands import AID_PURSE, GET_BALANCE, INIT_CAPP, READ_BINARY, READ_RECORD, SELECT
from apdu.spec import CommandSpec
from bench.conformance.case import Case, Need
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry, exit_
from bench.conformance.registry import described, family
from bench.conformance.words import Words
from reader.outcome import Reject

G = "JYSJ"


@dataclass(frozen=True)
class Lie:
    """One answer changed. at, how: see `Mutation`. reasons: why the gate may refuse."""

    key: str
    en: str
    zh: str
    spec: CommandSpec[Any, Any]
    at: int = 0
    how: dict[str, Any] = field(default_factory=dict)
    reasons: tuple[Reject, ...] = ()
    at_exit: bool = False
    clause: str = "6.10"
    needs: tuple[Need, ...] = ()


def _ef15(key: str, en: str, zh: str, at: int, put: str, *reasons: Reject) -> Lie:
    how = {"put": bytes.fromhex(put), "p1": 0x95}
    return Lie(f"ef15_{key}", f"EF15: {en}", f"EF15：{zh}", READ_BINARY, at, how, reasons)


def _trip(key: str, en: str, zh: str, at: int, put: str, *reasons: Reject) -> Lie:
    how = {"put": bytes.fromhex(put)}
    return Lie(f"ef1a_{key}", f"EF1A: {en}", f"EF1A：{zh}", READ_RECORD, at, how, reasons, True)


def _init(key: str, en: str, zh: str, at: int, how: dict[str, Any]) -> Lie:
    return Lie(
        f"init_{key}", f"INITIALIZE: {en}", f"INITIALIZE：{zh}", INIT_CAPP, at, how, at_exit=True
    )


def _whole(key: str, en: str, zh: str, spec: CommandSpec[Any, Any], answer: str, **how: Any) -> Lie:  # noqa: ANN401
    return Lie(key, en, zh, spec, 0, {"answer": bytes.fromhex(answer)} | how)


def _blocked(word: str, en: str, zh: str) -> Lie:
    how = {"answer": bytes.fromhex(word), "about": AID_PURSE}
    named = (f"select_{word}", f"SELECT: {word.upper()}, {en}", f"SELECT：{word.upper()} {zh}")
    return Lie(*named, SELECT, 0, how, (Reject.BLOCKED,), clause="2.5")


_NOT_VALID, _EXPIRED, _REFUSED = Reject.NOT_YET_VALID, Reject.EXPIRED, Reject.CARD_REFUSED
_UNKNOWN = Reject.STATION_UNKNOWN
LIES = (
    _ef15("issuer", "another issuer", "发卡机构不同", 0, "01021000", Reject.ISSUER_UNKNOWN),
    _ef15("iin", "another IIN", "IIN 不同", 10, "0310517000", Reject.IIN_MISMATCH),
    _ef15("serial", "another serial, so another key", "卡号不同（密钥不同）", 19, "18"),
    _ef15("not_enabled", "enable flag 00", "启用标志 00", 9, "00", Reject.NOT_ENABLED),
    _ef15("flag_ff", "enable flag FF", "启用标志 FF", 9, "FF", Reject.NOT_ENABLED),
    _ef15("start", "first valid day in 2099", "启用日期 2099 年", 20, "20990101", _NOT_VALID),
    _ef15("start_ff", "first valid day is no date", "启用日期非日期", 20, "FFFFFFFF", _NOT_VALID),
    _ef15("end", "last valid day in 2020", "截止日期 2020 年", 24, "20200930", _EXPIRED),
    _ef15("end_ff", "last valid day is no date", "截止日期非日期", 24, "FFFFFFFF", _EXPIRED),
    _whole(
        "ef15_short",
        "EF15 a byte short",
        "EF15 少一字节",
        READ_BINARY,
        "09981001FFFFFFFF0201031052280099000000172025090120260930029000",
        p1=0x95,
    ),
    _whole("ef15_missing", "EF15 is not there", "EF15 不存在", READ_BINARY, "6A82", p1=0x95),
    Lie(
        "ef17_local",
        "EF17: another city without interop flag",
        "EF17：异地且无互通标志",
        READ_BINARY,
        6,
        {"put": bytes.fromhex("29000000"), "p1": 0x97},
        (Reject.NOT_INTEROPERABLE,),
        needs=(Need.POST,),
    ),
    Lie(
        "ef17_interop_2",
        "EF17: another city, interop flag 0002",
        "EF17：异地且互通标志 0002",
        READ_BINARY,
        6,
        {"put": bytes.fromhex("29000002"), "p1": 0x97},
        (Reject.NOT_INTEROPERABLE,),
        clause="3.4",
        needs=(Need.POST,),
    ),
    Lie(
        "ef17_interop_0101",
        "EF17: another city, interop flag 0101",
        "EF17：异地且互通标志 0101",
        READ_BINARY,
        6,
        {"put": bytes.fromhex("29000101"), "p1": 0x97},
        (Reject.NOT_INTEROPERABLE,),
        clause="3.4",
        needs=(Need.POST,),
    ),
    _whole(
        "ef17_short",
        "EF17 is ten bytes",
        "EF17 仅十字节",
        READ_BINARY,
        "000001561000100000019000",
        p1=0x97,
    ),
    _whole("ef17_missing", "EF17 is not there", "EF17 不存在", READ_BINARY, "6A82", p1=0x97),
    _trip("locked", "the record is locked", "记录锁定", 5, "01", Reject.TRIP_LOCKED),
    _trip(
        "state_0",
        "the trip is initial at the exit",
        "出站时状态为初始",
        14,
        "00",
        Reject.NOT_ENTERED,
    ),
    _trip(
        "state_2",
        "the trip is over at the exit",
        "出站时状态为已出站",
        14,
        "02",
        Reject.NOT_ENTERED,
    ),
    _trip("state_7", "the trip's state is none", "状态值未定义", 14, "07", Reject.NOT_ENTERED),
    _trip("station", "a station that is not there", "进站站点不存在", 38, "FE", _UNKNOWN),
    _trip("line", "a line that is not there", "进站线路不存在", 85, "EE", _UNKNOWN),
    _trip("city", "another city's entry", "异地进站", 15, "2900", _UNKNOWN),
    _trip(
        "time",
        "an entry time that is none",
        "进站时间无效",
        67,
        "FFFFFFFFFFFFFF",
        _UNKNOWN,
        _EXPIRED,
        _NOT_VALID,
    ),
    _whole(
        "ef1a_short",
        "EF1A is 64 bytes",
        "EF1A 仅 64 字节",
        READ_RECORD,
        "27017D0101" + "00" * 59 + "9000",
    ),
    _whole("ef1a_missing", "EF1A is not there", "EF1A 不存在", READ_RECORD, "6A82"),
    _whole(
        "fci_no_issuer",
        "FCI: no issuer data",
        "FCI：无发卡方数据",
        SELECT,
        "6F0A8408A0000006320101059000",
        about=AID_PURSE,
    ),
    _whole(
        "fci_cut",
        "FCI: ends within its length",
        "FCI：长度不足",
        SELECT,
        "6F318408A00000063201019000",
        about=AID_PURSE,
    ),
    _whole("fci_empty", "FCI: nothing", "FCI：空", SELECT, "9000", about=AID_PURSE),
    _blocked("6283", "blocked", "锁定"),
    _blocked("6284", "blocked, as some cards say it", "部分卡片的锁定应答"),
    _blocked("6a81", "blocked, without an FCI", "锁定且无 FCI"),
    _blocked("9303", "blocked for good", "永久锁定"),
    _whole(
        "balance_short",
        "GET BALANCE: three bytes",
        "GET BALANCE：三字节",
        GET_BALANCE,
        "0013889000",
    ),
    _whole("balance_6985", "GET BALANCE: refused", "GET BALANCE：拒绝", GET_BALANCE, "6985"),
    _init(
        "balance",
        "a balance above 1000 yuan",
        "余额超过 1000 元",
        0,
        {"put": bytes.fromhex("000186A1")},
    ),
    _init("counter", "another card counter", "卡交易序号不同", 5, {"xor": b"\x01"}),
    _init("version", "a key version nobody has", "密钥版本不存在", 9, {"put": b"\x77"}),
    _init("algorithm", "an algorithm nobody has", "算法标识不存在", 10, {"put": b"\x0f"}),
    _init("random", "another random number", "随机数不同", 11, {"xor": b"\x01"}),
    _init(
        "short",
        "a byte short",
        "少一字节",
        0,
        {"answer": bytes.fromhex("0000138800010000000100A1B2C39000")},
    ),
    _init("refused", "refused with 9401", "拒绝 9401", 0, {"answer": b"\x94\x01"}),
)


@family
def lies() -> Iterator[Case]:
    """A case for each answer changed: nothing is taken, the gate stays shut, and goes on."""
    for lie in LIES:
        yield _lie(lie)


def _lie(lie: Lie) -> Case:
    post = exit_ if lie.at_exit else entry

    def body(lab: GateLab) -> None:
        if lie.at_exit:
            lab.passes(lab.tap(entry()))
            lab.wait(minutes=30)
        before = lab.balance
        lab.mutate(lie.spec, lie.at, **lie.how)
        heard = lab.tap(post())
        lab.shut(heard)
        if lie.reasons:
            lab.refuses(heard, *lie.reasons)
        lab.paid(before, 0)
        lab.knobs.mutations = ()
        lab.wait(seconds=30)
        lab.passes(lab.tap(post()), Words("the card itself is good", "卡片本身正常"))
        lab.paid(before, 400 if lie.at_exit else 0)

    body.__name__, body.__module__ = f"lie_{lie.key}", __name__
    title = Words(f"{lie.en}: refused, and nothing is taken", f"{lie.zh}：拒绝且不扣款")
    return described(body, G, title, (lie.clause, "DM 4.1"), {"needs": lie.needs})
