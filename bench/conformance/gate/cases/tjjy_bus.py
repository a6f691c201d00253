"""Trips: what a ride on a bus costs, and taps that are missing (domain facts 3.1, 3.3)."""

from collections.abc import Iterator

from bench.conformance.case import Case, Need
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import STOPS, alight, board, entry, exit_, single
from bench.conformance.registry import case, described, family
from bench.conformance.words import Words
from reader.outcome import Reject

G = "TJJY"
HERE = [Need.POST]

_STUDENT = ((2, 50), (3, 50), (4, 75), (5, 75), (6, 100), (8, 150), (10, 200))
"""Stops one alights at, having boarded at the first, and what a student pays."""


@family
def bus_fares() -> Iterator[Case]:
    """One case for each stop of the sample line that tells something."""
    for stop, fen in _STUDENT:
        yield _bus_fare(stop, fen)


def _bus_fare(stop: int, fen: int) -> Case:
    def body(lab: GateLab) -> None:
        for kind, factor in ((0x02, 1), (0x01, 2)):
            lab.another(card_kind=kind)
            before = lab.balance
            lab.passes(lab.ride(board(1), alight(stop)))
            lab.paid(before, fen * factor)
            lab.wait(minutes=30)
            before = lab.balance
            lab.passes(lab.ride(board(stop, heading="down"), alight(1, heading="down")))
            lab.paid(before, fen * factor)
            lab.wait(minutes=30)

    metres = STOPS[stop - 1]
    body.__name__, body.__module__ = f"bus_{metres}m", __name__
    title = Words(
        f"{metres} m on a bus cost a student {fen} fen, others twice that",
        f"公交 {metres} 米学生票价 {fen} 分，普通卡两倍",
    )
    return described(body, G, title, ("DM 3.1",), {"needs": [Need.POST]})


@case(
    G,
    "A student of another city pays as anybody",
    "外地学生卡按普通卡计价",
    "3.4",
    "DM 3.1",
    needs=HERE,
)
def foreign_student_pays_as_others(lab: GateLab) -> None:
    away = bytes.fromhex("2900")
    lab.another(city=away, province=away)
    before = lab.balance
    lab.passes(lab.ride(board(1), alight(6)))
    lab.paid(before, 200)


@case(
    G,
    "A flat fare is a quarter for students, half for others",
    "单一票制：学生 2.5 折，普通 5 折",
    "DM 3.1",
    needs=HERE,
)
def flat_fare_has_concessions(lab: GateLab) -> None:
    for kind, fen in ((0x02, 50), (0x01, 100)):
        lab.another(card_kind=kind)
        before = lab.balance
        lab.passes(lab.tap(single()))
        lab.paid(before, fen)
        lab.wait(minutes=20)


@case(
    G,
    "Express, sightseeing and suburban lines have no concession",
    "快速直达、观光、郊区线路无优惠",
    "DM 3.1",
    needs=HERE,
)
def some_lines_have_no_concession(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(single(line=9001)))
    lab.paid(before, 800)
    for line, fen in ((9002, 200), (9003, 400)):
        lab.wait(minutes=20)
        before = lab.balance
        last = 2 if line == 9002 else 3
        lab.passes(lab.ride(board(1, line=line), alight(last, line=line)))
        lab.paid(before, fen)


@case(
    G,
    "Boarding needs the rider's fare to the farthest stop ahead",
    "上车余额须够到前方最远站",
    "DM 3.3",
    needs=HERE,
)
def boarding_needs_money(lab: GateLab) -> None:
    lab.another(balance=199)
    lab.refuses(lab.tap(board(1)), Reject.BALANCE_TOO_LOW)
    lab.another(balance=200)
    lab.passes(lab.tap(board(1)), Words("2.00 yuan are enough", "2.00 元足够"))
    lab.another(balance=50)
    lab.passes(lab.tap(board(3, heading="down")), Words("0.50 yuan are enough", "0.50 元足够"))


@case(
    G,
    "A ride never tapped off is collected at the next boarding, undiscounted",
    "未刷下车的行程下次上车时按全价补收",
    "DM 3.1",
    needs=HERE,
)
def missed_alighting_is_collected(lab: GateLab) -> None:
    lab.passes(lab.tap(board(8)))
    lab.wait(days=1)
    before = lab.balance
    lab.passes(lab.tap(board(1, vehicle="BUS00002")))
    lab.paid(before, 600)
    amounts = [charge.amount for charge in lab.charges]
    lab.same(amounts, [600, 0], Words("debits of the tap, fen:", "本次各笔金额（分）："))
    lab.same(lab.charges[0].log[0], 0x08, Words("trip type of the collected fare", "补收行程类型"))
    lab.wait(minutes=20)
    before = lab.balance
    lab.passes(lab.tap(alight(3, vehicle="BUS00002")))
    lab.paid(before, 50)


@case(
    G,
    "Who did not board this bus may not alight from it",
    "未在本车刷卡上车不得刷卡下车",
    "DM 3.1",
    needs=HERE,
)
def alighting_needs_boarding(lab: GateLab) -> None:
    lab.refuses(lab.tap(alight(3)), Reject.NOT_BOARDED)
    lab.passes(lab.tap(board(1)))
    lab.wait(minutes=5)
    lab.refuses(lab.tap(alight(3, vehicle="BUS00009")), Reject.NOT_BOARDED)


@case(
    G,
    "The same boarding twice is one ride",
    "同车重复刷卡上车只计一次",
    "DM 4.1",
    grade="D",
    needs=HERE,
)
def boarding_again_is_one_ride(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(board(2)))
    lab.wait(minutes=2)
    lab.opens_free(lab.tap(board(2)))
    lab.paid(before, 0)


@case(
    G,
    "The same flat fare is not charged again at once",
    "单一票制短时重复刷卡不再扣款",
    "DM 4.1",
    grade="D",
    needs=HERE,
)
def flat_fare_again_is_one_ride(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(single()))
    lab.wait(minutes=2)
    lab.opens_free(lab.tap(single()))
    lab.paid(before, 50)


@case(
    G,
    "Bus and rail leave each other's trip alone",
    "公交与轨道行程互不影响",
    "3.8",
    "3.9",
    needs=HERE,
)
def bus_and_rail_are_apart(lab: GateLab) -> None:
    lab.passes(lab.tap(board(1)))
    bus = lab.bus_trip
    lab.wait(minutes=10)
    lab.passes(lab.ride(entry(), exit_()))
    lab.same(lab.bus_trip.hex(), bus.hex(), Words("EF1A 2702 stays", "EF1A 2702 不变"))
    rail = lab.trip
    lab.wait(minutes=10)
    before = lab.balance
    lab.passes(lab.tap(alight(3)))
    lab.paid(before, 50)
    lab.same(lab.trip.hex(), rail.hex(), Words("EF1A 2701 stays", "EF1A 2701 不变"))
