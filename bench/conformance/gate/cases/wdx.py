"""Stability: hundreds of taps, cards that stay in the field, many cards, many lost ones."""

from apdu.commands import DEBIT, SELECT
from bench.conformance.case import Need
from bench.conformance.gate.cases.ljjy import AFTER, BEFORE, card_number, numbers_differ
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import alight, board, entry, exit_
from bench.conformance.registry import case
from bench.conformance.words import Words
from emulator.card.card import Card
from reader.outcome import Reject
from reader.taprecord import Mark

G = "WDX"
_RICH = {"balance": 100_000}


@case(
    G,
    "A hundred rides in a row, each paid to the fen",
    "连续一百次乘车，分毫不差",
    "DM 4.3",
    "6.2",
    needs=[Need.POST],
    setup=_RICH,
)
def hundred_rides(lab: GateLab) -> None:
    policy = {"month_steps": ()}
    begun = lab.balance
    for n in range(1, 101):
        lab.passes(lab.ride(entry(), exit_(policy=policy), minutes=10))
        lab.paid(begun, 400 * n)
        lab.wait(minutes=10)
    numbers_differ(lab)
    counters = [one.counter for one in lab.all_charges]
    lab.same(counters, list(range(1, 201)), Words("card counters", "卡内计数"))


@case(
    G,
    "A card that stays in the field is one passage",
    "卡片停留在感应区只计一次通行",
    "DM 9",
    "DM 4.1",
    grade="D",
    needs=[Need.PACE],
)
def card_stays_in_the_field(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    for _ in range(5):
        lab.wait(seconds=1)
        lab.opens_free(lab.tap(entry()))
    lab.wait(seconds=1)
    lab.refuses(lab.tap(entry()), Reject.ALREADY_ENTERED)


@case(
    G,
    "The same at the exit: one fare",
    "出站停留只扣一次车费",
    "DM 9",
    grade="D",
    needs=[Need.PACE],
)
def card_stays_at_the_exit(lab: GateLab) -> None:
    before = lab.balance
    lab.passes(lab.ride(entry(), exit_()))
    for _ in range(5):
        lab.wait(seconds=1)
        lab.opens_free(lab.tap(exit_()))
    lab.wait(seconds=1)
    lab.refuses(lab.tap(exit_()), Reject.NOT_ENTERED)
    lab.paid(before, 400)


@case(
    G,
    "The pass-back time is a card's own",
    "重复刷卡容限按卡计",
    "DM 9",
    grade="D",
    needs=[Need.PACE],
)
def passback_is_the_cards(lab: GateLab) -> None:
    lab.passes(lab.tap(entry()))
    mine = lab.another(serial=card_number(1))
    lab.wait(seconds=1)
    lab.passes(lab.tap(entry()))
    lab.same(len([one for one in lab.charges if one.is_taken]), 1, Words("debits", "扣款笔数"))
    lab.back(mine)
    lab.wait(seconds=1)
    lab.opens_free(lab.tap(entry()))


@case(
    G,
    "A hundred cards one after another, each with its own trip",
    "一百张卡依次通过，行程互不混淆",
    "DM 4.3",
    needs=[Need.CLOCK],
)
def hundred_cards(lab: GateLab) -> None:
    cards: list[Card] = []
    for n in range(100):
        lab.another(serial=card_number(n))
        lab.wait(seconds=2)
        lab.passes(lab.tap(entry()))
        cards.append(lab.stand.card)
    for card in reversed(cards):
        lab.back(card)
        lab.wait(seconds=2)
        before = lab.balance
        lab.passes(lab.tap(exit_()))
        lab.paid(before, 400)
    numbers_differ(lab)


@case(
    G,
    "Fifty cards lost at DEBIT come back in another order, and all pass unpaid again",
    "五十张卡扣款时丢失，乱序返回均放行且不重复扣款",
    "6.8",
    needs=[Need.CUT],
)
def fifty_lost_cards(lab: GateLab) -> None:
    cards: list[Card] = []
    for n in range(50):
        lab.another(serial=card_number(n))
        lab.passes(lab.tap(entry()))
        lab.wait(seconds=5)
        cards.append(lab.stand.card)
        lab.cut_at(DEBIT, AFTER if n % 2 else BEFORE)
        lab.taps_again(lab.tap(exit_()))
    for n in sorted(range(50), key=lambda n: n * 17 % 50):
        lab.back(cards[n])
        lab.wait(seconds=1)
        lab.passes(lab.tap(exit_()))
        lab.same(lab.balance, 4600, Words("balance", "余额"), "6.8")
    numbers_differ(lab)


@case(
    G,
    "One card lost at every ride for twenty rides pays each once",
    "同一张卡二十次乘车每次丢失，各扣一次",
    "6.8",
    needs=[Need.CUT],
    setup=_RICH,
)
def lost_at_every_ride(lab: GateLab) -> None:
    begun, post = lab.balance, exit_()
    for n in range(1, 21):  # 80.00 yuan: short of the month's discount
        lab.passes(lab.tap(entry()))
        lab.wait(minutes=20)
        lab.cut_at(DEBIT, AFTER if n % 2 else BEFORE)
        lab.taps_again(lab.tap(post))
        lab.wait(seconds=10)
        lab.passes(lab.tap(post))
        lab.paid(begun, 400 * n)
        lab.wait(minutes=10)
    numbers_differ(lab)


@case(
    G,
    "Cards that answer nonsense do not upset the gate for the next one",
    "异常卡之后闸机仍正常服务",
    "DM 4.1",
)
def nonsense_upsets_nobody(lab: GateLab) -> None:
    for n, answer in enumerate((b"\x90\x00", b"\x6f\x00", b"\x61\x10", b"\xff" * 60)):
        lab.another(serial=card_number(n))
        lab.mutate(SELECT, answer=answer)
        lab.shut(lab.tap(entry()))
        lab.never_asked(DEBIT)
        lab.another(serial=card_number(100 + n))
        lab.wait(seconds=2)
        lab.passes(lab.tap(entry()))


@case(
    G,
    "Fifty bus rides in a row, each paid to the fen",
    "连续五十次公交乘车，分毫不差",
    "6.3",
    "DM 3.1",
    needs=[Need.POST],
)
def fifty_bus_rides(lab: GateLab) -> None:
    begun = lab.balance
    for n in range(1, 51):
        lab.passes(lab.ride(board(1), alight(4), minutes=10))
        lab.paid(begun, 75 * n)
        lab.wait(minutes=15)
    numbers_differ(lab)


@case(
    G,
    "The month's steps hold until they are all behind",
    "月累计优惠各档逐次正确，直至超过末档",
    "DM 3.2",
    needs=[Need.POST, Need.CLOCK],
    setup=_RICH,
)
def month_through_all_steps(lab: GateLab) -> None:
    paid = 0
    for _ in range(78):
        percent = 100 if paid < 10_000 else 80 if paid < 15_000 else 50 if paid < 40_000 else 100
        fare = 900 * percent // 100
        before = lab.balance
        lab.passes(lab.ride(entry(station="010001"), exit_(station="F0000C"), minutes=40))
        lab.paid(before, fare)
        paid += fare
        lab.wait(minutes=20)
    lab.require(paid > 40_000, Words("more than 400 yuan", "超过 400 元"), paid)


@case(
    G,
    "The gate's records add up to the money taken, lost cards and all",
    "含丢卡恢复，记录总额与扣款一致",
    "DM 4.4",
    needs=[Need.RECORDS, Need.CUT],
)
def records_add_up(lab: GateLab) -> None:
    taken = 0
    for n in range(30):
        lab.another(serial=card_number(n))
        before = lab.balance
        lab.passes(lab.tap(entry()))
        lab.wait(seconds=20)
        if n % 3:
            lab.cut_at(DEBIT, AFTER if n % 3 == 1 else BEFORE)
            lab.taps_again(lab.tap(exit_()))
        lab.passes(lab.tap(exit_()))
        taken += before - lab.balance
    kept = [one for one in lab.records(exit_()) if one.mark == Mark.TAKEN]
    lab.same(len(kept), 30, Words("records of money:", "收款记录数："))
    lab.same(sum(one.amount for one in kept), taken, Words("their sum, fen:", "其总额（分）："))
    sequences = [one.sequence for one in lab.records(exit_())]
    lab.same(sequences, list(range(1, len(sequences) + 1)), Words("record numbers", "记录序号"))
