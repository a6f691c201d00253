"""Stability: clocks that disagree or go back, cards that refuse, and lists in between."""

from datetime import timedelta

from apdu.commands import DEBIT
from apdu.file_commands import GET_CHALLENGE
from apdu.key_commands import APPLICATION_BLOCK
from bench.conformance.case import Need
from bench.conformance.gate.cases.ljjy import AFTER, WAYS, begin, card_number
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import entry, exit_
from bench.conformance.registry import case
from bench.conformance.words import Words
from reader.outcome import Reject

G = "WDX"


@case(
    G,
    "A clock that goes back opens for nobody who passed before",
    "时钟回拨不使已通过的卡再次放行",
    "DM 9",
    "DM 4.1",
    grade="D",
    needs=[Need.CLOCK],
)
def clock_goes_back(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    lab.now -= timedelta(hours=1)
    lab.refuses(lab.tap(entry()), Reject.ALREADY_ENTERED)


@case(
    G,
    "An exit whose clock is behind the entry's takes the fare and no more",
    "出站闸机时钟慢于进站时按票价收费",
    "DM 3.2",
    grade="D",
    needs=[Need.CLOCK],
)
def exit_clock_is_behind(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.tap(entry()))
    lab.now -= timedelta(hours=5)
    lab.passes(lab.tap(exit_()))
    lab.paid(before, 400)


@case(
    G,
    "A listed card that cannot be blocked is asked once: each wrong MAC costs it a try",
    "锁定失败的黑名单卡不反复尝试，以免耗尽次数",
    "6.7",
    "5.6",
    grade="D",
    needs=[Need.POST],
)
def card_is_not_blocked_to_death(lab: GateLab) -> None:
    post = entry(listed=frozenset((lab.serial,)))
    lab.mutate(GET_CHALLENGE, 0, xor=b"\x01")
    for asked in (1, 0, 0):
        lab.refuses(lab.tap(post), Reject.BLACKLISTED)
        came = len(lab.asked(APPLICATION_BLOCK))
        lab.same(came, asked, Words("times it was asked to block:", "锁定命令次数："))
        lab.wait(minutes=1)


@case(
    G,
    "A listed card blocked in between does not upset a lost debit",
    "其间锁定黑名单卡不影响恢复",
    "6.8",
    "6.7",
    needs=[Need.CUT, Need.POST],
)
def listed_card_between(lab: GateLab) -> None:
    post = exit_(listed=frozenset((card_number(7),)))
    before = begin(lab, WAYS[1])
    lab.cut_at(DEBIT, AFTER)
    lab.taps_again(lab.tap(post))
    mine = lab.another(serial=card_number(7))
    lab.wait(seconds=10)
    lab.refuses(lab.tap(post), Reject.BLACKLISTED)
    lab.back(mine)
    lab.wait(seconds=10)
    lab.opens_free(lab.tap(post))
    lab.paid(before, 400)
