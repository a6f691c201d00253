"""Basic functions: the modes of a gate beside the normal one (domain facts 4.2)."""

from datetime import date, timedelta

from bench.conformance.case import Need
from bench.conformance.gate.cases.jbgn import at
from bench.conformance.gate.cases.ljjy import card_number
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry, exit_
from bench.conformance.registry import case
from bench.conformance.words import Words
from reader.gate import Emergency
from reader.outcome import Reject

G = "JBGN"


@case(
    G,
    "Closed, faulty and maintained gates serve nobody and touch no card",
    "关闭、故障、维护模式不服务、不访问卡片",
    "DM 4.2",
    needs=[Need.POST],
)
def stopped_gates_serve_nobody(lab: GateLab) -> None:
    reasons = {
        "closed": Reject.CLOSED,
        "fault": Reject.FAULT,
        "maintenance": Reject.MAINTENANCE,
    }
    for mode, reason in reasons.items():
        lab.refuses(lab.tap(entry(modes=(mode,))), reason)
        lab.same(len(lab.seen), 0, Words("commands to the card", "发给卡片的命令数"))


@case(
    G,
    "An emergency lets everybody out, nobody in, and writes to no card",
    "紧急放行：可出不可进，不写卡",
    "DM 4.2",
    needs=[Need.POST],
)
def emergency_writes_nothing(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    inside = lab.trip
    lab.wait(minutes=10)
    lab.refuses(lab.tap(entry(modes=("emergency",))), Reject.EMERGENCY)
    lab.opens_free(lab.tap(exit_(modes=("emergency",))))
    lab.same(lab.trip.hex(), inside.hex(), Words("the trip record stays", "行程记录不变"))


@case(
    G,
    "Order free: neither an open trip nor a missing one stops anybody",
    "进出站次序免检：有无进站记录均放行",
    "DM 4.2",
    needs=[Need.POST],
)
def order_free_waives_the_trip(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(exit_(modes=("order_free",))))
    lab.paid(before, 300)  # the lowest fare (D)
    lab.wait(minutes=5)
    lab.passes(lab.tap(entry(modes=("order_free",))))
    lab.wait(minutes=5)
    before = lab.balance
    lab.passes(lab.tap(entry(modes=("order_free",))))
    lab.paid(before, 0)


@case(
    G,
    "Time free: a long stay costs nothing more",
    "时间免检：超时不拒绝、不加收",
    "DM 4.2",
    needs=[Need.POST, Need.CLOCK],
)
def time_free_waives_overtime(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_(modes=("time_free",)), hours=5))
    lab.paid(before, 400)


@case(
    G,
    "Date free: neither day of validity is looked at",
    "日期免检：不检查有效期",
    "DM 4.2",
    needs=[Need.POST, Need.CLOCK],
)
def date_free_waives_the_dates(lab: GateLab) -> None:
    for when in (at(2020, 1, 1, 8), at(2029, 1, 1, 8)):
        lab.another()
        lab.now = when
        lab.passes(lab.tap(entry(modes=("date_free",))))


@case(
    G,
    "Fare free: the trip is written and nothing is taken",
    "免费模式：写行程不扣款",
    "DM 4.2",
    needs=[Need.POST],
)
def fare_free_takes_nothing(lab: GateLab) -> None:
    lab.another(balance=0)
    before = lab.balance
    lab.passes(lab.ride(entry(modes=("fare_free",)), exit_(modes=("fare_free",))))
    lab.paid(before, 0)
    lab.same(lab.trip[14], 0x02, Words("trip state", "行程状态"), "3.8")


@case(
    G,
    "Train fault: who was kept inside leaves without paying",
    "列车故障模式：滞留乘客免费出站",
    "DM 4.2",
    grade="D",
    needs=[Need.POST, Need.CLOCK],
)
def train_fault_is_free(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_(modes=("train_fault",)), hours=6))
    lab.paid(before, 0)


@case(
    G,
    "Offline: a gate decides as it always does",
    "离线模式：判断不变",
    "DM 4.2",
    needs=[Need.POST],
)
def offline_changes_nothing(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(modes=("offline",)), exit_(modes=("offline",))))
    lab.paid(before, 400)
    lab.another(enabled=0)
    lab.refuses(lab.tap(entry(modes=("offline",))), Reject.NOT_ENABLED)


@case(
    G,
    "Of several modes at once all hold",
    "多种模式同时生效",
    "DM 4.2",
    grade="D",
    needs=[Need.POST, Need.CLOCK],
    setup={"start_date": date(2024, 10, 1), "end_date": date(2025, 9, 30)},
)
def modes_hold_together(lab: GateLab) -> None:
    lab.now = at(2025, 9, 30, 12)
    lab.passes(lab.tap(entry()))
    lab.now = at(2025, 10, 1, 12)
    lab.passes(lab.tap(entry(modes=("order_free", "date_free"))))


@case(
    G,
    "An emergency comes before every other mode",
    "紧急放行优先于其他模式",
    "DM 4.2",
    grade="D",
    needs=[Need.POST],
)
def emergency_is_first(lab: GateLab) -> None:
    for mode in ("closed", "fault", "maintenance"):
        lab.opens_free(lab.tap(exit_(modes=(mode, "emergency"))))
        lab.refuses(lab.tap(entry(modes=(mode, "emergency"))), Reject.EMERGENCY)


# After an emergency: one set of rules accepts its open trips for 7 days, at any station


_TO = exit_(modes=("emergency",))
_RELEASE = (Emergency(date(2025, 9, 8), date(2025, 9, 8)),)


def _released(lab: GateLab) -> None:
    """Go in, and out by an emergency release that writes nothing: the trip stays open."""
    lab.passes(lab.tap(entry()))
    lab.wait(minutes=10)
    lab.opens_free(lab.tap(_TO))


@case(
    G,
    "Open trips of an emergency are accepted for 7 days, at any station",
    "紧急放行遗留的行程七日内任一车站均可再进站",
    "DM 4.2",
    needs=[Need.POST, Need.CLOCK],
)
def released_trip_is_accepted(lab: GateLab) -> None:
    for days, station in ((0, "080013"), (7, "01000F")):
        lab.another(serial=card_number(days))
        lab.now = at(2025, 9, 8, 7, 30)
        _released(lab)
        lab.now += timedelta(days=days, hours=2)
        before = lab.balance
        lab.passes(lab.tap(entry(station=station, emergencies=_RELEASE)))
        lab.paid(before, 0)
        lab.wait(minutes=30)
        lab.passes(lab.tap(exit_(station=station, emergencies=_RELEASE)))
        lab.paid(before, 300)


@case(
    G,
    "On the eighth day an open trip of an emergency is refused",
    "紧急放行遗留的行程第八日起拒绝",
    "DM 4.2",
    needs=[Need.POST, Need.CLOCK],
)
def released_trip_grows_old(lab: GateLab) -> None:
    _released(lab)
    lab.now = at(2025, 9, 16, 0, 0, 1)
    lab.refuses(lab.tap(entry(emergencies=_RELEASE)), Reject.ALREADY_ENTERED)


@case(
    G,
    "An emergency excuses no trip of another day",
    "紧急放行不豁免其他日期的行程",
    "DM 4.2",
    grade="D",
    needs=[Need.POST, Need.CLOCK],
)
def other_trips_are_not_excused(lab: GateLab) -> None:
    for when in (at(2025, 9, 7, 12), at(2025, 9, 9, 8)):
        lab.another(serial=card_number(when.day))
        lab.now = when
        lab.passes(lab.tap(entry()))
        lab.now = at(2025, 9, 10, 8)
        lab.refuses(lab.tap(entry(emergencies=_RELEASE)), Reject.ALREADY_ENTERED)


@case(
    G,
    "A gate that was told of no emergency refuses an open trip",
    "未收到紧急放行通知的闸机拒绝未出站的卡",
    "DM 4.2",
    needs=[Need.POST],
)
def untold_gate_refuses(lab: GateLab) -> None:
    _released(lab)
    lab.wait(hours=1)
    lab.refuses(lab.tap(entry()), Reject.ALREADY_ENTERED)


# Two cards in the field


@case(
    G,
    "Of two cards in the field neither is served",
    "感应区内有两张卡时均不受理",
    "DM 4.2",
    needs=[Need.PAIR],
)
def two_cards_are_refused(lab: GateLab) -> None:
    other = lab.another()
    came = [heard.reason for heard in lab.tap_pair(entry(), other)]
    lab.same(came, [Reject.TOO_MANY_CARDS], Words("one outcome:", "唯一结论："))
    lab.same(len(lab.seen), 0, Words("commands to the card", "发给卡片的命令数"))
    lab.passes(lab.tap(entry()), Words("alone it is good", "单独刷卡"))


@case(
    G,
    "Two cards are served one after another where the operator wants it",
    "运营方选择时依次处理两张卡，各付各的",
    "DM 4.2",
    needs=[Need.PAIR, Need.POST],
)
def two_cards_one_by_one(lab: GateLab) -> None:
    posts = (entry(policy={"two_cards": "one_by_one"}), exit_(policy={"two_cards": "one_by_one"}))
    other = lab.another(serial=card_number(1))
    cards = (lab.stand.card, other)
    for post in posts:
        heard = lab.tap_pair(post, other)
        lab.same(len(heard), 2, Words("cards served:", "处理的卡数："))
        for one in heard:
            lab.passes(one)
        lab.wait(minutes=30)
    left = [card.purse.actual for card in cards]
    lab.same(left, [4600, 4600], Words("balances", "余额"))


@case(
    G,
    "An emergency lets out who holds two cards",
    "紧急放行时持两张卡也可出站",
    "DM 4.2",
    grade="D",
    needs=[Need.PAIR, Need.POST],
)
def emergency_counts_no_cards(lab: GateLab) -> None:
    other = lab.another()
    for heard in lab.tap_pair(_TO, other):
        lab.passes(heard)
    lab.same(len(lab.seen), 0, Words("commands to the card", "发给卡片的命令数"))
