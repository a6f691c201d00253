"""Basic functions: what is refused at the entry is refused at every other door as well."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from apdu.commands import GET_BALANCE, INIT_CAPP, READ_BINARY, READ_RECORD
from apdu.files import EF15, EF17
from bench.conformance.case import Case, Need
from bench.conformance.gate.cases.jbgn import at, day
from bench.conformance.gate.cases.ljjy import WAYS, Way, begin
from bench.conformance.gate.lab import GateLab, Spec
from bench.conformance.gate.post import Post, alight, board, entry, exit_
from bench.conformance.registry import case, described, family
from bench.conformance.words import Words
from reader.outcome import Reject

G = "JBGN"
RAIL, BUS = 0x01, 0x02
"""Records of EF1A, by number."""


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a card that comes to a door. turn: makes it so. post: sets the door up.

    needs: beside those of the way to the door.
    """

    key: str
    en: str
    zh: str
    reason: Reject
    turn: Callable[[GateLab, Way], None] = lambda lab, way: None
    post: Callable[[GateLab, Post], Post] = lambda lab, post: post
    needs: tuple[Need, ...] = ()
    clause: str = "6.10"


def _answers(spec: Spec, where: int, put: str, p1: int | None = None) -> Callable[..., None]:
    def turn(lab: GateLab, way: Way) -> None:
        lab.mutate(spec, where, put=bytes.fromhex(put), p1=p1)

    return turn


def _ef15(where: int, put: str) -> Callable[..., None]:
    return _answers(READ_BINARY, where, put, 0x80 | EF15.sfi)


def _lock(lab: GateLab, way: Way) -> None:
    lab.mutate(READ_RECORD, 5, put=b"\x01", p1=RAIL if way.name in ("entry", "exit") else BUS)


def _too_rich(lab: GateLab, way: Way) -> None:
    """Ways out know the balance from INITIALIZE, ways in ask for it (6.1, 6.2)."""
    spec = GET_BALANCE if way.first is None else INIT_CAPP
    lab.mutate(spec, 0, put=(100_001).to_bytes(4))


WRONGS = (
    Wrong("issuer", "another issuer", "发卡机构不同", Reject.ISSUER_UNKNOWN, _ef15(0, "01021000")),
    Wrong("iin", "another IIN", "IIN 不同", Reject.IIN_MISMATCH, _ef15(10, "0310517000")),
    Wrong("off", "a card not enabled", "未启用", Reject.NOT_ENABLED, _ef15(9, "00")),
    Wrong("early", "a card not valid yet", "未到启用日", Reject.NOT_YET_VALID, _ef15(20, "2099")),
    Wrong("late", "an expired card", "已过有效期", Reject.EXPIRED, _ef15(24, "2020")),
    Wrong(
        "listed",
        "a card on the blacklist",
        "黑名单卡",
        Reject.BLACKLISTED,
        post=lambda lab, post: replace(post, listed=frozenset((lab.serial,))),
        needs=(Need.POST,),
        clause="6.7",
    ),
    Wrong(
        "local",
        "a card of another city without interop flag",
        "异地且无互通标志",
        Reject.NOT_INTEROPERABLE,
        _answers(READ_BINARY, 4, "290029000000", 0x80 | EF17.sfi),
        needs=(Need.POST,),
    ),
    Wrong(
        "kind",
        "a kind of card not accepted",
        "不受理的卡种",
        Reject.KIND_NOT_ACCEPTED,
        post=lambda lab, post: replace(post, policy={"kinds_accepted": ("senior",)}),
        needs=(Need.POST,),
    ),
    Wrong(
        "locked", "a locked trip record", "行程记录锁定", Reject.TRIP_LOCKED, _lock, clause="3.8"
    ),
    Wrong("rich", "more than 1000 yuan", "余额超过 1000 元", Reject.BALANCE_IMPLAUSIBLE, _too_rich),
)


@family
def refused_at_every_door() -> Iterator[Case]:
    """Each door but the entry, of which other cases are, and each thing wrong with a card."""
    for way in WAYS[1:]:
        for wrong in WRONGS:
            yield _refused(way, wrong)


def _refused(way: Way, wrong: Wrong) -> Case:
    def body(lab: GateLab) -> None:
        before = begin(lab, way)
        wrong.turn(lab, way)
        lab.refuses(lab.tap(wrong.post(lab, way.post())), wrong.reason)
        lab.paid(before, 0)

    body.__name__, body.__module__ = f"{way.name}_{wrong.key}", __name__
    title = Words(f"Refused at {way.en}: {wrong.en}", f"{way.zh}拒绝：{wrong.zh}")
    needs = ({*way.needs} - {Need.CUT}) | {*wrong.needs}
    return described(body, G, title, (wrong.clause, "DM 4.1"), {"needs": needs})


@case(G, "Any lock byte but 00 locks a trip record", "锁定字节非零即为锁定", "3.8")
def any_lock_byte_locks(lab: GateLab) -> None:
    for lock in (0x02, 0x80, 0xFF):
        lab.another(trip_record=bytes((0x27, 0x01, 0x7D, 0x01, 0x01, lock)) + bytes(122))
        lab.refuses(lab.tap(entry()), Reject.TRIP_LOCKED)


@case(
    G,
    "Who boarded before the card expired may alight after it",
    "有效期内上车，过期后仍可下车",
    "DM 1.4",
    grade="D",
    needs=[Need.POST, Need.CLOCK],
    setup={"start_date": day("2024-10-01"), "end_date": day("2025-09-30")},
)
def expiry_aboard_traps_nobody(lab: GateLab) -> None:
    lab.now = at(2025, 9, 30, 23, 50)
    lab.passes(lab.tap(board(1)))
    lab.wait(minutes=30)
    lab.passes(lab.tap(alight(3)))


# Money that an issuer lends (4.12): enough is what can be paid, implausible what is there


@case(
    G,
    "Enough is what the card can pay, with its overdraft limit",
    "余额是否足够按可用余额（含透支限额）判断",
    "4.12",
    grade="D",
    setup={"balance": 0, "overdraft_limit": 300},
)
def limit_is_money(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    lab.another(balance=0, overdraft_limit=299)
    lab.refuses(lab.tap(entry()), Reject.BALANCE_TOO_LOW)


@case(
    G,
    "Plausible is what is in the purse, without its overdraft limit",
    "余额是否异常按实际余额（不含透支限额）判断",
    "4.12",
    "6.10",
    grade="D",
    setup={"balance": 100_000, "overdraft_limit": 500},
)
def limit_is_no_balance(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_()))
    lab.paid(before, 400)
