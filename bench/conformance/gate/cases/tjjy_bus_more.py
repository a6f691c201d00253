"""Trips on a bus: modes, taps that come late or elsewhere, and money for two rides at once.

How long a ride and a repeated tap may take is not known, nor how far modes go (domain facts 4.1,
4.2, 9): those cases are of grade D.
"""

from datetime import timedelta

from apdu.commands import READ_RECORD
from bench.conformance.case import Need
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import Post, alight, board, entry, single
from bench.conformance.registry import case
from bench.conformance.words import Words
from reader.outcome import Reject

G = "TJJY"
HERE = [Need.POST]
TIMED = [Need.POST, Need.CLOCK]
KEPT = [Need.POST, Need.RECORDS]
BUS = 0x02
"""P1 of the bus's record in EF1A."""


def _doors(**over: object) -> tuple[Post, Post, Post]:
    return board(1, **over), alight(6, **over), single(**over)


# Modes


@case(
    G,
    "A bus's validator that is closed, faulty or maintained serves nobody",
    "公交验票机关闭、故障、维护时不服务",
    "DM 4.2",
    needs=HERE,
)
def stopped_validators_serve_nobody(lab: GateLab) -> None:
    for mode in ("closed", "fault", "maintenance"):
        for post in _doors(modes=(mode,)):
            lab.refuses(lab.tap(post), Reject[mode.upper()])
            lab.same(len(lab.seen), 0, Words("commands to the card", "发给卡片的命令数"))


@case(
    G,
    "In an emergency people alight, nobody boards, and no card is written to",
    "紧急时可下不可上，不写卡",
    "DM 4.2",
    grade="D",
    needs=HERE,
)
def emergency_on_a_bus(lab: GateLab) -> None:
    lab.passes(lab.tap(board(1)))
    aboard = lab.bus_trip
    lab.wait(minutes=10)
    way_in, way_out, flat = _doors(modes=("emergency",))
    for post in (way_in, flat):
        lab.refuses(lab.tap(post), Reject.EMERGENCY)
    lab.opens_free(lab.tap(way_out))
    lab.same(lab.bus_trip.hex(), aboard.hex(), Words("the trip record stays", "行程记录不变"))


@case(
    G,
    "Fare free on a bus: rides cost nothing and leave nothing to collect",
    "公交免费模式：不扣款，也不留待补收金额",
    "DM 4.2",
    needs=HERE,
)
def fare_free_on_a_bus(lab: GateLab) -> None:
    lab.another(balance=0)
    way_in, way_out, flat = _doors(modes=("fare_free",))
    lab.passes(lab.ride(way_in, way_out))
    lab.paid(0, 0)
    lab.same(lab.bus_trip[14], 0x02, Words("trip state", "行程状态"), "3.9")
    lab.wait(minutes=20)
    lab.passes(lab.tap(flat))
    lab.paid(0, 0)


@case(
    G,
    "A free ride never tapped off is not collected later",
    "免费乘车未刷下车，之后不补收",
    "DM 4.2",
    grade="D",
    needs=TIMED,
)
def free_ride_is_not_collected(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(board(8, modes=("fare_free",))))
    lab.wait(days=1)
    lab.passes(lab.tap(board(1)))
    lab.paid(before, 0)


@case(
    G,
    "A free bus does not collect the ride before",
    "免费车次不补收上次车费",
    "DM 4.2",
    grade="D",
    needs=TIMED,
)
def free_bus_collects_nothing(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(board(8)))
    lab.wait(days=1)
    lab.passes(lab.tap(board(1, modes=("fare_free",))))
    lab.paid(before, 0)


@case(
    G,
    "Order free on a bus: who has no boarding alights for the lowest fare",
    "公交次序免检：无上车记录按最低票价下车",
    "DM 4.2",
    grade="D",
    needs=TIMED,
)
def order_free_on_a_bus(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(alight(6, modes=("order_free",))))
    lab.paid(before, 50)
    lab.wait(minutes=20)
    lab.passes(lab.tap(board(8)))
    lab.wait(days=1)
    before = lab.balance
    lab.passes(lab.tap(board(1, modes=("order_free",))))
    lab.paid(before, 0)


# Taps that come late, or at another bus


@case(
    G,
    "A ride ends within six hours: later it was never tapped off",
    "同车乘车超过六小时视为未刷下车",
    "DM 3.1",
    grade="D",
    needs=TIMED,
)
def ride_has_an_end(lab: GateLab) -> None:
    lab.passes(lab.tap(board(1)))
    lab.wait(hours=6, seconds=1)
    lab.refuses(lab.tap(alight(3)), Reject.NOT_BOARDED)
    lab.now -= timedelta(seconds=1)
    before = lab.balance
    lab.passes(lab.tap(alight(3)), Words("exactly six hours", "正好六小时"))
    lab.paid(before, 50)


@case(
    G,
    "A flat fare is taken again when the repeat time is over",
    "超过重复刷卡时限后单一票制再次扣款",
    "DM 4.1",
    grade="D",
    needs=TIMED,
)
def flat_fare_later_is_another_ride(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(single()))
    lab.wait(minutes=10)
    lab.opens_free(lab.tap(single()))
    lab.wait(seconds=6)  # the pass-back time is over too
    lab.passes(lab.tap(single()))
    lab.paid(before, 100)


@case(
    G,
    "A flat fare paid on one bus is not paid on the next",
    "在一辆车上付的单一票价不抵另一辆车",
    "DM 4.1",
    needs=HERE,
)
def flat_fare_is_one_buses(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(single()))
    lab.wait(minutes=2)
    lab.passes(lab.tap(single(vehicle="BUS00002")))
    lab.paid(before, 100)


@case(
    G,
    "The same bus boarded much later is another ride, and the one before is collected",
    "同车较久之后再上车为另一次行程，并补收上次车费",
    "DM 3.1",
    "DM 4.1",
    grade="D",
    needs=TIMED,
)
def boarding_later_is_another_ride(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(board(8)))
    lab.wait(minutes=10, seconds=1)
    lab.passes(lab.tap(board(8)))
    lab.paid(before, 600)


# What the card says of the ride


@case(
    G,
    "A boarding that cannot have been is refused at alighting",
    "上车信息不成立则下车拒绝",
    "DM 4.1",
    "3.9",
    grade="D",
    needs=HERE,
)
def boarding_is_believed_with_care(lab: GateLab) -> None:
    lab.passes(lab.tap(board(1)))
    lab.wait(minutes=10)
    for where, put, reason in (
        (14, "02", Reject.NOT_BOARDED),
        (15, "2900", Reject.NOT_BOARDED),
        (27, "0005", Reject.NOT_BOARDED),
        (29, "EE", Reject.STATION_UNKNOWN),
    ):
        lab.mutate(READ_RECORD, where, put=bytes.fromhex(put), p1=BUS)
        lab.refuses(lab.tap(alight(3)), reason)
        lab.knobs.mutations = ()
    lab.passes(lab.tap(alight(3)), Words("the card itself is good", "卡片本身正常"))


@case(
    G,
    "A marked amount above 1000 yuan is no fare to collect",
    "标记金额超过 1000 元不予补收",
    "3.9",
    grade="D",
    needs=TIMED,
)
def absurd_mark_is_not_collected(lab: GateLab) -> None:
    lab.another(balance=100_000)
    lab.passes(lab.tap(board(8)))
    lab.wait(days=1)
    lab.mutate(READ_RECORD, 53, put=bytes.fromhex("000186A1"), p1=BUS)
    lab.refuses(lab.tap(board(1)), Reject.NOT_ALIGHTED)


@case(
    G,
    "Another record in the bus's place is no ride",
    "公交位置上的其他记录不算行程",
    "3.8",
    "3.9",
    grade="D",
    needs=TIMED,
)
def other_record_is_no_ride(lab: GateLab) -> None:
    lab.passes(lab.tap(board(8)))
    lab.wait(days=1)
    before = lab.balance
    lab.mutate(READ_RECORD, 0, put=bytes.fromhex("2712"), p1=BUS)
    lab.passes(lab.tap(board(1)))
    lab.paid(before, 0)


@case(
    G,
    "A card that never rode a bus may have no record of one",
    "从未乘公交的卡可以没有公交行程记录",
    "3.8",
    "6.3",
    grade="D",
    needs=HERE,
)
def record_may_be_missing(lab: GateLab) -> None:
    lab.mutate(READ_RECORD, answer=b"\x6a\x83", p1=BUS)
    for post in (board(1), single()):
        lab.passes(lab.tap(post))


# Money for two rides


@case(
    G,
    "Boarding needs the missed fare and the new one",
    "上车余额须够补收与本次车费",
    "DM 3.1",
    "DM 3.3",
    needs=TIMED,
)
def boarding_needs_both_fares(lab: GateLab) -> None:
    for balance, is_enough in ((799, False), (800, True)):
        lab.another(balance=balance)
        lab.passes(lab.tap(board(8)))
        lab.wait(days=1)
        heard = lab.tap(board(1))
        if is_enough:
            lab.passes(heard, Words("8.00 yuan are enough", "8.00 元足够"))
        else:
            lab.refuses(heard, Reject.BALANCE_TOO_LOW)
        lab.paid(balance, 600 if is_enough else 0)


@case(
    G,
    "Entry needs the missed exit's fare and the cheapest one",
    "补收未出站费用时，进站余额须够两者",
    "DM 3.2",
    grade="D",
    needs=HERE,
)
def entry_needs_both_fares(lab: GateLab) -> None:
    post = entry(policy={"missing_exit_rail": "charge"})
    for balance, is_enough in ((599, False), (600, True)):
        lab.another(balance=balance)
        lab.passes(lab.tap(post))
        lab.wait(hours=9)
        heard = lab.tap(post)
        if is_enough:
            lab.passes(heard, Words("6.00 yuan are enough", "6.00 元足够"))
        else:
            lab.refuses(heard, Reject.BALANCE_TOO_LOW)
        lab.paid(balance, 300 if is_enough else 0)


# What the bus keeps


@case(
    G,
    "The record of a collected fare names the ride it is for",
    "补收记录写明所补行程的线路与站点",
    "DM 3.1",
    "DM 4.4",
    needs=KEPT,
)
def collected_fare_names_its_ride(lab: GateLab) -> None:
    lab.passes(lab.tap(board(8)))
    first = lab.charge
    lab.wait(days=1)
    lab.passes(lab.tap(single()))
    collected, flat = lab.records(single())
    for what, came, wanted in (
        (Words("trip type", "行程类型"), collected.trip, 0x08),
        (Words("amount", "金额"), collected.amount, 600),
        (Words("line", "线路"), collected.line.hex(), "012c"),
        (Words("stop", "站点"), collected.station.hex(), "0008"),
        (Words("time of boarding", "上车时间"), collected.origin_when.hex(), first.when.hex()),
        (Words("line of the new ride", "本次线路"), flat.line.hex(), "0005"),
    ):
        lab.same(came, wanted, what, "DM 4.4")


@case(
    G,
    "The record of an alighting says where and when the ride began",
    "下车记录含上车站点与时间",
    "DM 4.4",
    "6.3",
    needs=KEPT,
)
def alighting_record_has_its_origin(lab: GateLab) -> None:
    lab.passes(lab.tap(board(1)))
    first = lab.charge
    lab.wait(minutes=20)
    lab.passes(lab.tap(alight(6)))
    (kept,) = lab.records(alight(6))
    lab.same(kept.origin_line.hex(), "012c", Words("line of boarding", "上车线路"))
    lab.same(kept.origin_station.hex(), "0001", Words("stop of boarding", "上车站点"))
    lab.same(kept.origin_when.hex(), first.when.hex(), Words("time of boarding", "上车时间"))
