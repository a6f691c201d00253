"""Trips: what a ride on rail costs, and the month (domain facts 3.2)."""

from collections.abc import Iterator
from datetime import datetime

from bench.clock import SHANGHAI
from bench.conformance.case import Case, Level, Need
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry, exit_
from bench.conformance.registry import case, described, family
from bench.conformance.words import Words
from reader.outcome import Reject

G = "TJJY"
BASIC = Level.BASIC
HERE = [Need.POST]

_EDGES = (
    (6_000, 1, 300),
    (6_001, 2, 400),
    (12_000, 3, 400),
    (12_001, 4, 500),
    (22_000, 5, 500),
    (22_001, 6, 600),
    (32_000, 7, 600),
    (32_001, 8, 700),
    (52_000, 9, 700),
    (52_001, 10, 800),
    (72_000, 11, 800),
    (72_001, 12, 900),
)
"""Metres from Gaojing, the station of the sample line there, and the fare in fen."""


@family
def rail_fares() -> Iterator[Case]:
    """One case for each edge of the distance fare, ridden both ways."""
    for metres, code, fen in _EDGES:
        yield _rail_fare(metres, code, fen)


def _rail_fare(metres: int, code: int, fen: int) -> Case:
    def body(lab: GateLab) -> None:
        far = f"F000{code:02X}"
        for way in (("010001", far), (far, "F00000")):
            before = lab.balance
            lab.passes(lab.ride(entry(station=way[0]), exit_(station=way[1])))
            lab.paid(before, fen)
            lab.wait(minutes=30)

    body.__name__, body.__module__ = f"rail_{metres}m", __name__
    title = Words(f"A ride of {metres} m costs {fen} fen", f"乘坐 {metres} 米票价 {fen} 分")
    return described(body, G, title, ("DM 3.2",), {"needs": [Need.POST]})


@case(G, "Rail has no student discount", "轨道交通无学生优惠", "DM 3.2", level=BASIC)
def rail_has_no_concession(lab: GateLab) -> None:
    for kind in (0x01, 0x02, 0x03):
        lab.another(card_kind=kind)
        before = lab.balance
        lab.passes(lab.ride(entry(), exit_()))
        lab.paid(before, 400)
        lab.wait(minutes=5)


@case(
    G,
    "In and out at one station costs the lowest fare",
    "同站进出按最低票价收费",
    "DM 3.2",
    needs=HERE,
)
def same_station_is_charged(lab: GateLab) -> None:
    for minutes in (5, 30):
        before = lab.balance
        lab.passes(lab.ride(entry(), exit_(station="080013"), minutes=minutes))
        lab.paid(before, 300)
        lab.wait(minutes=5)


@case(
    G,
    "In and out at one station within 10 minutes is free where the operator wants it",
    "运营方选择时同站十分钟内进出免费",
    "DM 3.2",
    grade="D",
    needs=[Need.POST, Need.CLOCK],
)
def same_station_may_be_free(lab: GateLab) -> None:
    way_out = exit_(station="080013", policy={"same_station": "free"})
    for stayed, fen in (({"minutes": 10}, 0), ({"minutes": 10, "seconds": 1}, 300)):
        before = lab.balance
        lab.passes(lab.ride(entry(), way_out, **stayed))
        lab.paid(before, fen)
        lab.wait(minutes=5)


@case(G, "A change between two lines costs nothing", "换乘不另收费", "DM 3.2", needs=HERE)
def interchange_is_free(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(station="01000F"), exit_(station="040035")))
    lab.paid(before, 300)


@case(
    G,
    "The airport line costs 25.00 yuan, and entry needs them",
    "机场线 25 元，进站须够余额",
    "DM 3.2",
    grade="D",
    needs=HERE,
)
def airport_line_is_flat(lab: GateLab) -> None:
    lab.another(balance=2499)
    lab.refuses(lab.tap(entry(station="620013")), Reject.BALANCE_TOO_LOW)
    lab.another(balance=2500)
    lab.passes(lab.ride(entry(station="620013"), exit_(station="62001B")))
    lab.same(lab.balance, 0, Words("balance", "余额"))


@case(
    G,
    "Exit without enough money is refused and takes nothing",
    "出站余额不足拒绝且不扣款",
    "6.2",
    "DM 3.3",
    needs=HERE,
)
def exit_needs_money(lab: GateLab) -> None:
    lab.another(balance=399)
    lab.passes(lab.tap(entry()))
    lab.wait(minutes=30)
    heard = lab.tap(exit_())
    lab.refuses(heard, Reject.BALANCE_TOO_LOW)
    lab.same(lab.balance, 399, Words("balance", "余额"))
    lab.same(lab.trip[14], 0x01, Words("trip state", "行程状态"))


@case(G, "Exit may take the last fen", "出站可扣至余额为零", "DM 3.3")
def exit_takes_the_last_fen(lab: GateLab) -> None:
    lab.another(balance=400)
    lab.passes(lab.ride(entry(), exit_()))
    lab.same(lab.balance, 0, Words("balance", "余额"))


@case(
    G,
    "Who was inside too long pays 3.00 more where the gate takes it",
    "闸机收取超时费时加收 3 元",
    "DM 3.2",
    needs=[Need.POST, Need.CLOCK],
)
def overtime_is_added(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_(policy={"overtime_at": "gate"}), hours=4, seconds=1))
    lab.paid(before, 700)


@case(
    G,
    "A missed exit is collected at the next entry where the operator wants it",
    "运营方允许时进站补收上次未出站费用",
    "DM 3.2",
    grade="D",
    needs=HERE,
)
def missed_exit_is_collected(lab: GateLab) -> None:
    post = entry(policy={"missing_exit_rail": "charge"})
    before = lab.balance
    lab.passes(lab.tap(post))
    lab.paid(before, 0)
    lab.wait(hours=9)
    before = lab.balance
    lab.passes(lab.tap(post))
    lab.paid(before, 300)
    amounts = [charge.amount for charge in lab.charges]
    lab.same(amounts, [300, 0], Words("debits of the tap, fen:", "本次各笔金额（分）："))
    lab.same(lab.charges[0].log[0], 0x08, Words("trip type of the collected fare", "补收行程类型"))
    lab.same(lab.trip[14], 0x01, Words("trip state", "行程状态"))


# The month


def _rides(lab: GateLab, code: int, count: int, fen: int) -> None:
    """So many rides between Gaojing and a station of the sample line, each of this price."""
    for _ in range(count):
        before = lab.balance
        lab.passes(lab.ride(entry(station="010001"), exit_(station=f"F000{code:02X}")))
        lab.paid(before, fen, clause="DM 3.2")
        lab.wait(minutes=10)


_RICH = {"balance": 100_000}


@case(
    G,
    "The ride that reaches 100 yuan is paid in full, the next has 20 % off",
    "累计满 100 元后下一次起八折",
    "DM 3.2",
    needs=HERE,
    setup=_RICH,
)
def month_discount_begins(lab: GateLab) -> None:
    _rides(lab, 10, 12, 800)
    _rides(lab, 3, 1, 400)  # 100.00 exactly
    _rides(lab, 10, 1, 640)


@case(G, "At 99 yuan nothing is off yet", "累计 99 元尚无优惠", "DM 3.2", needs=HERE, setup=_RICH)
def month_discount_is_not_early(lab: GateLab) -> None:
    _rides(lab, 12, 11, 900)
    _rides(lab, 12, 1, 900)
    _rides(lab, 12, 1, 720)


@case(
    G,
    "The month's total begins anew on the first",
    "累计金额每月一日清零",
    "DM 3.2",
    needs=[Need.POST, Need.CLOCK],
    setup=_RICH,
)
def month_is_cleared(lab: GateLab) -> None:
    lab.now = datetime(2025, 9, 30, 6, tzinfo=SHANGHAI)
    _rides(lab, 12, 12, 900)
    _rides(lab, 12, 1, 720)
    lab.now = datetime(2025, 9, 30, 23, 50, tzinfo=SHANGHAI)
    before = lab.balance
    lab.passes(lab.ride(entry(station="010001"), exit_(station="F0000C")))  # out on 1 October
    lab.paid(before, 900)


@case(
    G,
    "The airport line neither counts in the month nor is it discounted",
    "机场线不计累计也不打折",
    "DM 3.2",
    needs=HERE,
    setup=_RICH,
)
def airport_is_outside_the_month(lab: GateLab) -> None:
    airport = (entry(station="620013"), exit_(station="62001B"))
    for _ in range(4):
        lab.passes(lab.ride(*airport))
        lab.wait(minutes=10)
    _rides(lab, 12, 12, 900)
    before = lab.balance
    lab.passes(lab.ride(*airport))
    lab.paid(before, 2500)


@case(
    G,
    "What is charged for a stay too long does not count in the month",
    "超时费不计入月累计",
    "DM 3.2",
    grade="D",
    needs=[Need.POST, Need.CLOCK],
    setup=_RICH,
)
def overtime_is_outside_the_month(lab: GateLab) -> None:
    _rides(lab, 12, 10, 900)
    late = exit_(station="F0000C", policy={"overtime_at": "gate"})
    before = lab.balance
    lab.passes(lab.ride(entry(station="010001"), late, hours=4, seconds=1))
    lab.paid(before, 1200)
    lab.wait(minutes=10)
    _rides(lab, 12, 1, 900)  # at 99.00, not at 102.00
    _rides(lab, 12, 1, 720)


@case(G, "One card's total is not another's", "各卡累计互不影响", "DM 3.2", needs=HERE, setup=_RICH)
def months_are_apart(lab: GateLab) -> None:
    _rides(lab, 12, 12, 900)
    mine = lab.another(serial=bytes.fromhex("03105228009900000018"), balance=5000)
    _rides(lab, 12, 1, 900)
    lab.back(mine)
    _rides(lab, 12, 1, 720)


@case(
    G,
    "A ride across midnight is one ride",
    "跨零点乘车为一次行程",
    "6.2",
    needs=[Need.CLOCK],
)
def midnight_is_no_end(lab: GateLab) -> None:
    lab.now = datetime(2025, 9, 8, 23, 45, tzinfo=SHANGHAI)
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_()))
    lab.paid(before, 400)
