"""Transaction data: what the gate keeps, what it checks, and answers changed field by field."""

from collections.abc import Iterator

import fixtures
from apdu.commands import DEBIT
from apdu.files import PublicInfo
from apdu.purse import card_key, spend_tac
from bench.conformance.case import Case, Level, Need
from bench.conformance.gate.cases.ljjy import WAYS, Way, begin
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry, exit_
from bench.conformance.gate.told import Charge
from bench.conformance.registry import case, described, family
from bench.conformance.words import Words
from reader.outcome import Reject
from reader.taprecord import Mark

G = "JYSJ"


# The record of each debit


@family
def records_and_tacs() -> Iterator[Case]:
    """Each way: what the gate keeps is what the card has, and the TAC is the card's."""
    for way in WAYS:
        yield _record_agrees(way)
        yield _tac_is_right(way)


def _record_agrees(way: Way) -> Case:
    def body(lab: GateLab) -> None:
        begin(lab, way)
        lab.passes(lab.tap(way.post()))
        charge = lab.charge
        kept = lab.records(way.post())
        lab.same(len(kept), 1, Words("records of the tap:", "本次记录数："))
        one, log = kept[0], charge.log
        info = PublicInfo.parse(lab.file(0x15)[0])
        for what, came, wanted in (
            (Words("mark", "标记"), one.mark, Mark.TAKEN),
            (Words("card number", "卡号"), one.serial.hex(), info.serial.hex()),
            (Words("issuer", "发卡机构"), one.issuer.hex(), info.issuer.hex()),
            (Words("card counter", "卡交易序号"), one.counter, charge.counter),
            (Words("amount", "金额"), one.amount, way.fare),
            (Words("balance before", "交易前余额"), one.before, charge.left),
            (Words("balance after", "交易后余额"), one.after, lab.balance),
            (Words("transaction type", "交易类型"), one.kind, 0x09),
            (Words("trip type", "行程类型"), one.trip, way.kind),
            (Words("terminal", "终端编号"), one.terminal.hex(), charge.terminal.hex()),
            (Words("terminal's number", "终端交易序号"), one.terminal_seq, charge.number),
            (Words("time", "交易时间"), one.when.hex(), charge.when.hex()),
            (Words("industry", "行业"), one.industry, log[9]),
            (Words("line", "线路"), one.line.hex(), log[10:12].hex()),
            (Words("station", "站点"), one.station.hex(), log[12:14].hex()),
            (Words("operator", "运营方"), one.operator.hex(), log[14:16].hex()),
            (Words("city", "城市"), one.city.hex(), log[32:34].hex()),
            (Words("TAC", "TAC"), one.tac.hex(), charge.tac.hex()),
        ):
            lab.same(came, wanted, what, "DM 4.4")

    body.__name__, body.__module__ = f"{way.name}_record", __name__
    title = Words(f"The record of {way.en} is what the card has", f"{way.zh}记录与卡内数据一致")
    needs = tuple({*way.needs, Need.RECORDS} - {Need.CUT})
    return described(body, G, title, ("DM 4.4", "6.2"), {"needs": needs})


def _tac_is_right(way: Way) -> Case:
    def body(lab: GateLab) -> None:
        begin(lab, way)
        lab.passes(lab.tap(way.post()))
        charge = lab.charge
        lab.same(charge.tac.hex(), tac_of(lab, charge).hex(), Words("TAC", "TAC"))
        for one in lab.records(way.post()) if Need.RECORDS in lab.stand.abilities else ():
            lab.same(one.tac.hex(), tac_of(lab, charge).hex(), Words("TAC kept", "所存 TAC"))

    body.__name__, body.__module__ = f"{way.name}_tac", __name__
    title = Words(
        f"The TAC of {way.en} verifies with the test key", f"{way.zh} TAC 用测试密钥验证正确"
    )
    needs = tuple({*way.needs} - {Need.CUT})
    return described(body, G, title, ("5.5", "DM 4.4"), {"needs": needs})


def tac_of(lab: GateLab, charge: Charge) -> bytes:
    """The TAC that the card owes for a debit, from the test key."""
    info = PublicInfo.parse(lab.file(0x15)[0])
    key = card_key(fixtures.load_roots()["TMK"], info.issuer, info.serial)
    return spend_tac(key, charge.amount, charge.kind, charge.terminal, charge.number, charge.when)


@case(
    G,
    "The record of an exit says where and when the trip began",
    "出站记录含进站地点与时间",
    "DM 4.4",
    "6.2",
    needs=[Need.RECORDS, Need.POST],
)
def exit_record_has_its_origin(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    first = lab.charge
    lab.wait(minutes=30)
    lab.passes(lab.tap(exit_()))
    kept = lab.records(exit_())[-1]
    lab.same(kept.origin_line.hex(), "0800", Words("line of entry", "进站线路"))
    lab.same(kept.origin_station.hex(), "1300", Words("station of entry", "进站站点"))
    lab.same(kept.origin_when.hex(), first.when.hex(), Words("time of entry", "进站时间"))


@case(
    G, "A refused card leaves no record", "拒绝的卡不产生交易记录", "DM 4.1", needs=[Need.RECORDS]
)
def refusal_leaves_no_record(lab: GateLab) -> None:
    lab.another(enabled=0)
    lab.refuses(lab.tap(entry()))
    lab.same(len(lab.records(entry())), 0, Words("records:", "记录数："))
    lab.same(len(lab.stand.open_records(entry())), 0, Words("open promises:", "未决记录数："))


@case(
    G,
    "A gate whose store is full sends no DEBIT and stays shut",
    "存储已满的闸机不扣款、不放行",
    "DM 4.1",
    "6.9",
    needs=[Need.RECORDS],
)
def full_store_takes_no_money(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.stand.leave_room(exit_(), 0)
    lab.refuses(lab.tap(exit_()))
    lab.stand.leave_room(exit_(), None)
    lab.wait(seconds=30)
    lab.passes(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "A fare that cannot be written down opens no gate, and is not taken twice",
    "交易无法保存则不放行，也不重复扣款",
    "DM 4.1",
    "6.9",
    needs=[Need.RECORDS],
)
def unwritten_fare_does_not_open(lab: GateLab) -> None:
    before = begin(lab, WAYS[1])
    lab.stand.leave_room(exit_(), 1)  # for the promise alone
    lab.shut(lab.tap(exit_()))
    lab.paid(before, 400)
    lab.stand.leave_room(exit_(), None)
    lab.wait(seconds=30)
    lab.tap(exit_())  # opened by the card's proof, or sent to staff
    lab.never_asked(DEBIT)
    lab.paid(before, 400)


@case(G, "Terminal numbers grow by one, without a gap", "终端交易序号逐一递增", "5.7", "DM 4.4")
def terminal_numbers_grow(lab: GateLab) -> None:
    for _ in range(5):
        lab.another(balance=5000)
        lab.wait(seconds=30)
        lab.passes(lab.tap(entry()))
    numbers = [one.number for one in lab.all_charges]
    wanted = list(range(numbers[0], numbers[0] + 5))
    lab.same(numbers, wanted, Words("terminal numbers", "终端交易序号"))


@case(
    G,
    "One terminal number is named in INITIALIZE and written in the log",
    "初始化与明细使用同一终端编号",
    "6.1",
    "3.6",
)
def terminal_is_one(lab: GateLab) -> None:
    lab.passes(lab.ride(entry(), exit_()))
    charge = lab.charge
    lab.same(
        charge.log[3:9].hex(), charge.terminal.hex(), Words("terminal in EF1E", "EF1E 终端编号")
    )


# MAC2 and TAC


@case(
    G,
    "A wrong MAC2 opens no gate, whichever byte is wrong",
    "MAC2 错误不放行，任一字节",
    "5.5",
    "6.2",
    level=Level.BASIC,
)
def wrong_mac2_does_not_open(lab: GateLab) -> None:
    for byte in range(4, 8):
        lab.another()
        lab.wait(seconds=30)
        before = begin(lab, WAYS[1])
        lab.mutate(DEBIT, byte, xor=b"\x01")
        lab.shut(lab.tap(exit_()))
        lab.knobs.mutations = ()
        lab.wait(seconds=30)
        lab.opens_free(lab.tap(exit_()))  # the card proves that it paid
        lab.paid(before, 400)


@case(G, "A wrong MAC2 opens no gate at entry either", "进站 MAC2 错误同样不放行", "5.5", "6.1")
def wrong_mac2_at_entry(lab: GateLab) -> None:
    lab.mutate(DEBIT, 7, xor=b"\x80")
    lab.shut(lab.tap(entry()))
    lab.knobs.mutations = ()
    lab.wait(seconds=30)
    lab.opens_free(lab.tap(entry()))


@case(
    G,
    "The TAC is kept as the card gave it: clearing judges it",
    "TAC 原样保存，由清分判定",
    "DM 4.4",
    needs=[Need.RECORDS],
)
def tac_is_kept_as_given(lab: GateLab) -> None:
    begin(lab, WAYS[1])
    lab.mutate(DEBIT, 0, put=bytes.fromhex("DEADBEEF"))
    lab.passes(lab.tap(exit_()))
    lab.same(lab.records(exit_())[-1].tac.hex(), "deadbeef", Words("TAC kept", "所存 TAC"))


# The balance


@case(
    G,
    "A forced balance is judged as if it were the card's",
    "强制余额按所示余额判断",
    "6.10",
    level=Level.BASIC,
)
def forced_balance_is_judged(lab: GateLab) -> None:
    for fen, reason in (
        (0, Reject.ZERO_BALANCE),
        (1, Reject.BALANCE_TOO_LOW),
        (299, Reject.BALANCE_TOO_LOW),
        (100_001, Reject.BALANCE_IMPLAUSIBLE),
        (0xFFFFFFFF, Reject.BALANCE_IMPLAUSIBLE),
    ):
        lab.another()
        lab.knobs.forced_balance = fen
        lab.refuses(lab.tap(entry()), reason)
    for n, fen in enumerate((300, 100_000)):
        lab.another(serial=bytes.fromhex(f"031052280099000200{n:02d}"))
        lab.knobs.forced_balance = fen
        lab.passes(lab.tap(entry()), Words("a balance in between", "介于其间的余额"))


@case(
    G,
    "Records have the balance of the debit, not the one that was asked for before",
    "记录采用交易时余额，而非查询余额",
    "6.1",
    "3.6",
    grade="D",
    needs=[Need.RECORDS],
)
def records_have_the_debits_balance(lab: GateLab) -> None:
    lab.knobs.forced_balance = 99_999
    lab.passes(lab.tap(entry()))
    lab.same(lab.trip[91:95].hex(), "00001388", Words("balance at entry", "进站余额"))
    lab.same(lab.last_log[21:25].hex(), "00001388", Words("balance after", "交易后余额"))
    lab.same(lab.records(entry())[-1].before, 5000, Words("balance before", "交易前余额"))
