"""Basic functions: who may pass. The first fourteen keep the numbers 001 to 014 of the plan.

JBGN-007 is the published EP_JBGN_007: the application's start date is judged correctly.
"""

from datetime import datetime

from apdu.commands import AID_PPSE, SELECT
from apdu.key_commands import APPLICATION_BLOCK
from bench.clock import SHANGHAI
from bench.conformance.case import Level, Need
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import Post, entry, exit_
from bench.conformance.registry import case
from bench.conformance.words import Words
from emulator.card.state import Blocked
from reader.outcome import Reject

G = "JBGN"
BASIC = Level.BASIC


def at(*when: int) -> datetime:
    """A moment in Beijing."""
    return datetime(*when, tzinfo=SHANGHAI)  # type: ignore[misc,arg-type]


def day(text: str) -> object:
    """A day of a profile."""
    return datetime.fromisoformat(text).date()


@case(G, "A good card enters, and nothing is taken", "合法卡进站放行，不扣款", "6.1", level=BASIC)
def good_card_enters(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(entry()))
    lab.paid(before, 0)
    lab.same(lab.trip[14], 0x01, Words("trip state", "行程状态"), "3.8")


@case(G, "A card that entered leaves for its fare", "进站后出站放行并扣车费", "6.2", level=BASIC)
def entered_card_leaves(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_()))
    lab.paid(before, 400, clause="DM 3.2")
    lab.same(lab.trip[14], 0x02, Words("trip state", "行程状态"), "3.8")


@case(G, "The purse is selected before it is read", "读卡前先选择电子钱包应用", "2.1")
def purse_is_selected(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    names = [one.command[5:13] for one in lab.seen if one.command[:2] == b"\x00\xa4"]
    wanted = bytes.fromhex("A000000632010105")
    lab.require(wanted in names, Words("SELECT of the purse", "选择钱包应用"), "no such SELECT")
    first = [one.command[:2] for one in lab.seen].index(b"\x00\xa4")
    lab.same(first, 0, Words("the first command is SELECT, at", "首条命令为 SELECT，序号"))


@case(G, "A blocked application is refused", "应用锁定的卡拒绝", "6.10", "DM 4.1")
def blocked_card_is_refused(lab: GateLab) -> None:
    for blocked in (Blocked.TEMPORARY, Blocked.PERMANENT):
        lab.another(blocked=blocked)
        lab.refuses(lab.tap(entry()), Reject.BLOCKED)


@case(G, "An issuer that is not on the white list is refused", "发卡机构不在白名单则拒绝", "6.10")
def unknown_issuer_is_refused(lab: GateLab) -> None:
    for issuer in ("01021000FFFFFFFF", "09981002FFFFFFFF", "19981001FFFFFFFF"):
        lab.another(issuer=bytes.fromhex(issuer))
        lab.refuses(lab.tap(entry()), Reject.ISSUER_UNKNOWN)


@case(G, "A number that is not its issuer's is refused", "卡号 IIN 与发卡机构不符则拒绝", "6.10")
def foreign_iin_is_refused(lab: GateLab) -> None:
    for serial in ("03105170009900000017", "03105228109900000017", "04105228009900000017"):
        lab.another(serial=bytes.fromhex(serial))
        lab.refuses(lab.tap(entry()), Reject.IIN_MISMATCH)


@case(
    G,
    "The start date is judged correctly",
    "应用启用日期判断正确",
    "DM 4.2",
    "6.10",
    needs=[Need.CLOCK],
    setup={"start_date": day("2025-09-08"), "end_date": day("2026-09-30")},
)
def start_date_is_judged(lab: GateLab) -> None:
    for early in (at(2025, 9, 7, 23, 59, 59), at(2025, 8, 31, 8), at(2024, 12, 31, 8)):
        lab.now = early
        lab.refuses(lab.tap(entry()), Reject.NOT_YET_VALID)
    lab.now = at(2025, 9, 8, 0, 0, 0)
    lab.passes(lab.tap(entry()), Words("the first valid day", "启用当日"))
    lab.another(start_date=day("2025-09-08"), end_date=day("2026-09-30"))
    lab.now = at(2026, 3, 1, 8)  # an earlier day of a later year
    lab.passes(lab.tap(entry()), Words("months later", "数月之后"))


@case(
    G,
    "The end date is judged correctly, its day included",
    "有效期截止日判断正确，含当日",
    "6.10",
    "DM 1.4",
    needs=[Need.CLOCK],
    setup={"start_date": day("2024-10-01"), "end_date": day("2025-09-30")},
)
def end_date_is_judged(lab: GateLab) -> None:
    for late in (at(2025, 10, 1, 0, 0, 0), at(2025, 12, 1, 8), at(2026, 1, 1, 8)):
        lab.now = late
        lab.refuses(lab.tap(entry()), Reject.EXPIRED)
    lab.now = at(2025, 9, 30, 23, 59, 59)
    lab.passes(lab.tap(entry()), Words("the last valid day", "有效期最后一日"))
    lab.another(start_date=day("2024-10-01"), end_date=day("2025-09-30"))
    lab.now = at(2024, 12, 15, 8)  # a later day of an earlier year
    lab.passes(lab.tap(entry()), Words("months before", "数月之前"))


@case(G, "A card that is not enabled is refused", "未启用的卡拒绝", "3.2", "6.10")
def disabled_card_is_refused(lab: GateLab) -> None:
    for flag in (0x00, 0x02, 0x81, 0xFF):
        lab.another(enabled=flag)
        lab.refuses(lab.tap(entry()), Reject.NOT_ENABLED)


@case(
    G,
    "A card on the blacklist is refused, its neighbours are not",
    "黑名单卡拒绝，相邻卡号不受影响",
    "6.10",
    "6.7",
    needs=[Need.POST],
)
def listed_card_is_refused(lab: GateLab) -> None:
    post = entry(listed=frozenset((lab.serial,)))
    before = lab.balance
    lab.refuses(lab.tap(post), Reject.BLACKLISTED)
    lab.paid(before, 0, clause="6.7")
    number = int.from_bytes(lab.serial)
    for other in (number - 1, number + 1, number + 0x1000, number ^ 0x10_0000_0000):
        lab.another(serial=other.to_bytes(10))
        lab.passes(lab.tap(post), Words("a card not on the list", "不在名单的卡"))


@case(
    G,
    "A card of another city needs the interop flag",
    "异地卡须有互通标志",
    "3.4",
    "6.10",
    needs=[Need.POST],
)
def interop_flag_is_judged(lab: GateLab) -> None:
    away = bytes.fromhex("2900")
    lab.another(city=away, province=away, interop=False)
    lab.refuses(lab.tap(entry()), Reject.NOT_INTEROPERABLE)
    for home in ({"city": away, "province": away}, {"interop": False}):
        lab.another(**home)
        lab.passes(lab.tap(entry()), Words("it is good here", "本地可用"))


@case(
    G,
    "A kind of card that is not accepted is refused, of this city alone",
    "不受理的卡种拒绝，仅限本市卡",
    "3.4",
    "6.10",
    needs=[Need.POST],
)
def card_kind_is_judged(lab: GateLab) -> None:
    post = entry(policy={"kinds_accepted": ("student", "senior")})
    for kind in (0x01, 0x05):
        lab.another(card_kind=kind)
        lab.refuses(lab.tap(post), Reject.KIND_NOT_ACCEPTED)
    away = bytes.fromhex("2900")
    for good in ({"card_kind": 2}, {"card_kind": 3}, {"card_kind": 1, "city": away}):
        lab.another(**good)
        lab.passes(lab.tap(post), Words("a kind that is accepted", "受理的卡种"))


@case(G, "Entry needs the cheapest fare on the card", "进站余额不得低于最低票价", "DM 3.2", "6.10")
def entry_needs_money(lab: GateLab) -> None:
    lab.another(balance=0)
    lab.refuses(lab.tap(entry()), Reject.ZERO_BALANCE, Reject.BALANCE_TOO_LOW)
    for low in (1, 299):
        lab.another(balance=low)
        lab.refuses(lab.tap(entry()), Reject.BALANCE_TOO_LOW)
    lab.another(balance=300)
    lab.passes(lab.tap(entry()), Words("3.00 yuan are enough", "3.00 元足够"))


@case(G, "A balance above 1000 yuan is refused", "余额超过 1000 元判为异常", "6.10")
def implausible_balance_is_refused(lab: GateLab) -> None:
    lab.another(balance=100_001, ceiling=200_000)
    lab.refuses(lab.tap(entry()), Reject.BALANCE_IMPLAUSIBLE)
    lab.another(balance=100_000)
    lab.passes(lab.tap(entry()), Words("1000.00 yuan are plausible", "1000.00 元合理"))


# 015 on


@case(G, "A locked trip record is refused", "行程记录锁定则拒绝", "3.8", "6.10")
def locked_trip_is_refused(lab: GateLab) -> None:
    locked = bytes.fromhex("27017D010101") + bytes(122)
    lab.another(trip_record=locked)
    lab.refuses(lab.tap(entry()), Reject.TRIP_LOCKED)


@case(G, "A card that is inside may not enter again", "已进站的卡不得再次进站", "6.1", "DM 3.2")
def inside_card_is_refused(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    lab.wait(minutes=5)
    lab.refuses(lab.tap(entry()), Reject.ALREADY_ENTERED)


@case(G, "A card that never entered may not leave", "无进站记录的卡不得出站", "6.2", "DM 4.1")
def outside_card_is_refused(lab: GateLab) -> None:
    lab.refuses(lab.tap(exit_()), Reject.NOT_ENTERED)
    lab.passes(lab.ride(entry(), exit_()))
    lab.wait(minutes=5)
    lab.refuses(lab.tap(exit_()), Reject.NOT_ENTERED)


@case(
    G,
    "Staff corrections count as what they are",
    "人工更新的进出站状态按其含义处理",
    "3.8",
    grade="D",
)
def corrected_trip_is_understood(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    inside = lab.trip
    lab.another(trip_record=inside[:14] + b"\x03" + inside[15:])
    lab.wait(minutes=20)
    lab.refuses(lab.tap(entry()), Reject.ALREADY_ENTERED)
    lab.passes(lab.tap(exit_()), Words("entry corrected by staff", "人工补进站"))
    lab.another(trip_record=inside[:14] + b"\x04" + inside[15:])
    lab.wait(minutes=5)
    lab.refuses(lab.tap(exit_()), Reject.NOT_ENTERED)
    lab.passes(lab.tap(entry()), Words("exit corrected by staff", "人工补出站"))


@case(
    G,
    "Four hours inside are in time, a second more is not",
    "站内停留四小时内有效，超一秒即超时",
    "DM 3.2",
    "DM 4.1",
    needs=[Need.CLOCK],
)
def overtime_is_judged(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    lab.wait(hours=4, seconds=1)
    lab.refuses(lab.tap(exit_()), Reject.OVER_TIME)
    lab.wait(seconds=-1)
    lab.passes(lab.tap(exit_()), Words("exactly four hours", "正好四小时"))


@case(
    G,
    "Who entered before the card expired may leave after it",
    "有效期内进站，过期后仍可出站",
    "DM 1.4",
    grade="D",
    needs=[Need.CLOCK],
    setup={"start_date": day("2024-10-01"), "end_date": day("2025-09-30")},
)
def expiry_inside_traps_nobody(lab: GateLab) -> None:
    lab.now = at(2025, 9, 30, 23, 50)
    lab.passes(lab.tap(entry()))
    lab.wait(minutes=30)
    lab.passes(lab.tap(exit_()))


@case(
    G,
    "A card blacklisted while inside does not leave",
    "站内被列入黑名单的卡不得出站",
    "6.10",
    needs=[Need.POST],
)
def listed_inside_does_not_leave(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    lab.wait(minutes=30)
    before = lab.balance
    lab.refuses(lab.tap(exit_(listed=frozenset((lab.serial,)))), Reject.BLACKLISTED)
    lab.paid(before, 0, clause="6.7")


@case(
    G,
    "A listed card is blocked, where the operator wants it",
    "黑名单卡按运营方要求锁定应用",
    "6.7",
    needs=[Need.POST],
)
def listed_card_is_blocked(lab: GateLab) -> None:
    listed = frozenset((lab.serial,))
    lab.refuses(lab.tap(entry(listed=listed, policy={"lock_listed_card": False})))
    lab.passes(lab.tap(entry()), Words("it was not blocked", "卡片未被锁定"))
    lab.wait(minutes=1)
    lab.refuses(lab.tap(exit_(listed=listed)), Reject.BLACKLISTED)
    asked = [one[:4].hex() for one in lab.asked(APPLICATION_BLOCK)]
    lab.same(asked, ["841e0000"], Words("for a time, by", "临时锁定命令"))
    lab.refuses(lab.tap(exit_()), Reject.BLOCKED)


@case(G, "What is no transit card is refused", "非交通卡拒绝", "2.5", "DM 4.1")
def other_card_is_refused(lab: GateLab) -> None:
    for answer in ("6A82", "6A86", "6D00"):
        lab.another()
        lab.mutate(SELECT, answer=bytes.fromhex(answer))
        lab.refuses(lab.tap(entry()), Reject.NOT_OUR_CARD, Reject.CARD_REFUSED)


@case(G, "A card without PPSE is selected by its AID", "无 PPSE 的卡按 AID 选择", "2.1", grade="D")
def card_without_ppse_passes(lab: GateLab) -> None:
    lab.mutate(SELECT, answer=b"\x6a\x82", about=AID_PPSE)
    lab.passes(lab.tap(entry()))


@case(
    G,
    "Decisions come in their order: the first reason is told",
    "按规定次序判断，报告首个原因",
    "6.10",
    needs=[Need.CODE, Need.CLOCK, Need.POST],
)
def first_reason_is_told(lab: GateLab) -> None:
    wrong: dict[str, object] = {"balance": 0, "trip_record": _LOCKED, "interop": False}
    wrong |= {"city": bytes.fromhex("2900"), "end_date": day("2025-09-01"), "enabled": 0}
    wrong |= {"issuer": bytes.fromhex("01021000FFFFFFFF")}
    good: dict[str, object] = {
        "issuer": bytes.fromhex("09981001FFFFFFFF"),
        "enabled": 1,
        "end_date": day("2026-09-30"),
        "interop": True,
        "trip_record": None,
        "balance": 5000,
    }
    order = (
        Reject.ISSUER_UNKNOWN,
        Reject.NOT_ENABLED,
        Reject.EXPIRED,
        Reject.BLACKLISTED,
        Reject.NOT_INTEROPERABLE,
        Reject.TRIP_LOCKED,
        Reject.ZERO_BALANCE,
    )
    wrong["serial"] = lab.serial
    post = entry(listed=frozenset((lab.serial,)))
    mend = iter(good)
    for reason in order:
        lab.another(**wrong)
        lab.refuses(lab.tap(post), reason)
        if reason is Reject.BLACKLISTED:
            post = entry()
            continue
        mended = next(mend)
        wrong[mended] = good[mended]
    lab.another(**wrong)
    lab.passes(lab.tap(entry()))


_LOCKED = bytes.fromhex("27017D010101") + bytes(122)


@case(
    G,
    "An expired card pays as any other where the operator lets it on",
    "运营方允许时，过期卡按普通卡受理",
    "DM 9",
    grade="D",
    needs=[Need.POST, Need.CLOCK],
    setup={"end_date": day("2025-09-30")},
)
def expired_card_may_be_let_on(lab: GateLab) -> None:
    lab.now = at(2025, 10, 2, 8)
    policy = {"expired_card_at_gate": "adult_fare"}
    before = lab.balance
    lab.passes(lab.tap(Post("single", line=5, stop=1, policy=policy)))
    lab.paid(before, 100)
