"""Basic functions: the modes of a gate beside the normal one (domain facts 4.2)."""

from bench.conformance.case import Need
from bench.conformance.gate.cases.jbgn import at
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry, exit_
from bench.conformance.registry import case
from bench.conformance.words import Words
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
    lab.passes(lab.tap(exit_(modes=("order_free",))))
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
