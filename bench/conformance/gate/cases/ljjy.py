"""Interrupted: the card leaves at every command, and nobody pays twice or rides for nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from apdu.commands import DEBIT, GET_PROVE
from bench.conformance.case import Case, Level, Need
from bench.conformance.gate.lab import GateLab
from bench.conformance.gate.post import Post, alight, board, entry, exit_, single
from bench.conformance.gate.told import data_of
from bench.conformance.registry import described, family
from bench.conformance.words import Words
from reader.outcome import Verdict
from reader.transport.decorators import CutPoint

G = "LJJY"
BEFORE, AFTER = CutPoint.BEFORE, CutPoint.AFTER
CUT = [Need.CUT]


@dataclass(frozen=True)
class Way:
    """A tap to interrupt. first: the tap before it, if it needs one. kind: its trip type."""

    name: str
    en: str
    zh: str
    post: Callable[[], Post]
    fare: int
    kind: int
    first: Callable[[], Post] | None = None
    needs: tuple[Need, ...] = (Need.CUT,)


_BUS = (Need.CUT, Need.POST)
WAYS = (
    Way("entry", "entry", "进站", entry, 0, 0x03),
    Way("exit", "exit", "出站", exit_, 400, 0x04, entry),
    Way("board", "boarding", "上车", lambda: board(1), 0, 0x03, None, _BUS),
    Way("alight", "alighting", "下车", lambda: alight(6), 100, 0x04, lambda: board(1), _BUS),
    Way("single", "a flat bus fare", "单一票制", single, 50, 0x06, None, _BUS),
)


def card_number(n: int) -> bytes:
    """The serial of the n-th card of a case."""
    return bytes.fromhex(f"0310522800990001{n:04d}")


def begin(lab: GateLab, way: Way) -> int:
    """Bring a card to where the way begins. Returns its balance."""
    if way.first is not None:
        lab.passes(lab.tap(way.first()))
        lab.wait(minutes=20)
    return lab.balance


def ends_once(lab: GateLab, way: Way, before: int) -> None:
    """Tap until the gate opens, three times at most: then exactly the fare is gone, once."""
    for _ in range(3):
        lab.wait(seconds=30)
        heard = lab.tap(way.post())
        if heard.verdict is Verdict.PASS:
            break
    lab.passes(heard, Words("after an interruption", "中断之后"), clause="6.8")
    lab.paid(before, way.fare, clause="6.8")
    logs = [one for one in lab.file(0x1E) if one[0] == way.kind]
    lab.same(len(logs), 1, Words("log records of the ride:", "行程明细条数："), "6.9")


def numbers_differ(lab: GateLab) -> None:
    """No terminal used one of its numbers for two debits."""
    used = [(one.terminal, one.number) for one in lab.all_charges]
    lab.same(
        len(set(used)),
        len(used),
        Words("numbers used once, of", "不重复的终端交易序号数，共"),
        "5.7",
    )


@family
def cuts_everywhere() -> Iterator[Case]:
    """Each way, with the card lost at each of its commands: before it, and after it."""
    for way in WAYS:
        yield _cut_everywhere(way, BEFORE)
        yield _cut_everywhere(way, AFTER)


def _cut_everywhere(way: Way, point: CutPoint) -> Case:
    def body(lab: GateLab) -> None:
        begin(lab, way)
        lab.passes(lab.tap(way.post()))
        for n in range(1, len(lab.seen) + 1):
            lab.another(serial=card_number(n))
            lab.wait(minutes=1)
            before = begin(lab, way)
            lab.cut_nth(n, point)
            lab.shut(lab.tap(way.post()), clause="6.8")
            ends_once(lab, way, before)
        numbers_differ(lab)

    word, zh = ("before", "之前") if point is BEFORE else ("after", "之后")
    body.__name__, body.__module__ = f"{way.name}_cut_{word}", __name__
    title = Words(
        f"The card lost {word} each command of {way.en}: it is paid once and passes",
        f"{way.zh}每条命令{zh}丢卡：只扣一次并放行",
    )
    return described(body, G, title, ("6.8", "6.9"), {"needs": way.needs})


@family
def lost_answers() -> Iterator[Case]:
    """Each way, with the answer to DEBIT lost: the proof is asked for, and settles it."""
    for way in WAYS:
        yield _proof_settles(way)
        yield _no_proof_settles(way)


def _proof_settles(way: Way) -> Case:
    def body(lab: GateLab) -> None:
        before = begin(lab, way)
        lab.cut_at(DEBIT, AFTER)
        lab.taps_again(lab.tap(way.post()))
        lost = lab.charges[-1]
        lab.wait(seconds=20)
        lab.opens_free(lab.tap(way.post()))
        asks_proof(lab, lost.counter)
        lab.paid(before, way.fare)

    body.__name__, body.__module__ = f"{way.name}_proven", __name__
    title = Words(
        f"The answer to DEBIT lost in {way.en}: the card proves it and is not charged again",
        f"{way.zh}扣款应答丢失：凭交易证明放行，不再扣款",
    )
    needs = {"needs": way.needs, "level": Level.BASIC if way.name == "exit" else Level.FULL}
    return described(body, G, title, ("6.8", "DM 4.1"), needs)  # type: ignore[arg-type]


def _no_proof_settles(way: Way) -> Case:
    def body(lab: GateLab) -> None:
        before = begin(lab, way)
        lab.cut_at(DEBIT, BEFORE)
        lab.taps_again(lab.tap(way.post()))
        lost = lab.said[-1]
        lab.wait(seconds=20)
        lab.passes(lab.tap(way.post()))
        lab.require(
            bool(lab.asked(GET_PROVE)),
            Words("GET TRANSACTION PROVE is asked first", "先询问交易证明"),
            "it was not",
        )
        lab.paid(before, way.fare)
        lab.same(lab.charge.amount, way.fare, Words("amount, fen:", "金额（分）："))
        numbers_differ(lab)
        del lost

    body.__name__, body.__module__ = f"{way.name}_not_taken", __name__
    title = Words(
        f"DEBIT never reached the card in {way.en}: no proof, and the ride is paid now",
        f"{way.zh}扣款命令未到卡：无交易证明，重新扣款一次",
    )
    return described(body, G, title, ("6.8", "DM 4.1"), {"needs": way.needs})


def asks_proof(lab: GateLab, counter: int) -> None:
    """The last tap asked for the proof of a CAPP purchase of this number, and for no other."""
    asked = lab.asked(GET_PROVE)
    what = Words("GET TRANSACTION PROVE 805A0009 with", "GET TRANSACTION PROVE 805A0009，序号")
    came = [f"{one[:4].hex().upper()} {data_of(one).hex().upper()}" for one in asked]
    lab.same(came, [f"805A0009 {counter:04X}"], what, "6.8")
