"""Block numbers, repeats, presence checks, and that nothing is done twice (1.6).

The card repeats nothing of its own accord and never says what was wrong. R(NAK) with its own number
is "again", with the other "are you there": because of this a lost frame costs nobody a fare.
"""

from collections.abc import Callable, Iterator

from apdu.blocks import (
    CID_FOLLOWS,
    I_BLOCK,
    NUMBER,
    R_ACK,
    R_NAK,
)
from apdu.command import Response
from bench.conformance.card.radio_activation import FRAMES, silent
from bench.conformance.card.radio_rats import PPSE, answers, takes_cid
from bench.conformance.case import Case, Level
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.radio import Radio
from bench.conformance.registry import case, family
from bench.conformance.scenes import PAID, RIDE, TOP_UP, Deal, begin, final_command, opened, ready
from bench.conformance.words import Words

CHALLENGE = bytes.fromhex("0084000004")
AGAIN = Words("the last block again, unchanged", "原样重发上一块")
FRAMES_PAID = FRAMES | PAID


def ask(lab: Lab, command: bytes = PPSE) -> bytes:
    """A command. Returns the card's first block of its answer, as it came."""
    radio = lab.radio
    block = radio.last_of(command)
    return radio.framed(block.pcb & ~CID_FOLLOWS, block.inf)


# Numbers


@case(
    "BLK",
    "The card's number is 1 at activation",
    "激活时卡片块号为 1",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def rule_c(lab: Lab) -> None:
    """Rule C: R(NAK 0) before any block has the other number."""
    lab.radio.open()
    lab.radio.must_say(lab.radio.say(R_NAK), R_ACK | 1)


@case(
    "BLK",
    "Each I-block turns the card's number over",
    "每个 I 块翻转卡片块号",
    "1.6",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def rule_d(lab: Lab) -> None:
    """Rules B and D: four commands in turn."""
    lab.radio.open()
    for _ in range(4):
        answers(lab)


@case(
    "BLK",
    "With a CID each I-block turns the card's number over",
    "带 CID 时每个 I 块翻转卡片块号",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def rule_d_cid(lab: Lab) -> None:
    """The same four with CID 4."""
    lab.radio.open(cid=4)
    takes_cid(lab)
    for _ in range(4):
        answers(lab)


@case(
    "BLK",
    "An I-block turns the card's number over whatever number it has",
    "I 块无论块号为何均翻转卡片块号",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def any_number(lab: Lab) -> None:
    """Rule D: two I-blocks of number 0 are answered with 0 and with 1."""
    radio = lab.radio
    radio.open()
    for number in (0, 1, 0):
        came = radio.say(I_BLOCK, CHALLENGE) or b""
        lab.must_be(came[:1], bytes([I_BLOCK | number]), Words("PCB", "PCB"))


@case(
    "BLK",
    "R-blocks do not turn the card's number over",
    "R 块不翻转卡片块号",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def r_keeps_number(lab: Lab) -> None:
    """Three presence checks, then a command."""
    radio = lab.radio
    radio.open()
    answers(lab)
    for _ in range(3):
        radio.must_say(radio.say(R_NAK | radio.number), R_ACK | radio.number ^ 1)
    answers(lab)


@case(
    "BLK",
    "A broken I-block does not turn the card's number over",
    "坏 I 块不翻转卡片块号",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def noise_keeps_number(lab: Lab) -> None:
    """The card did not get it: rule 12 says so."""
    radio = lab.radio
    radio.open()
    answers(lab)
    silent(lab, radio.spoiled(radio.framed(I_BLOCK | radio.number, PPSE), radio.wait_ns()))
    radio.must_say(radio.say(R_NAK | radio.number), R_ACK | radio.number ^ 1)
    answers(lab)


# Repeats


@case(
    "BLK",
    "R(NAK) with the card's number gets the last block again",
    "同号 R(NAK) 使卡原样重发",
    "1.6",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def rule_11(lab: Lab) -> None:
    """Rule 11, after one answer."""
    lab.radio.open()
    first = ask(lab)
    lab.radio.must(lab.radio.say(R_NAK | first[0] & NUMBER), first, AGAIN)


@case(
    "BLK",
    "R(NAK) gets the same block as often as it is sent",
    "多次 R(NAK) 每次都得到同一块",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def nak_thrice(lab: Lab) -> None:
    """Three times for each number."""
    lab.radio.open()
    for _ in range(2):
        first = ask(lab)
        for _ in range(3):
            lab.radio.must(lab.radio.say(R_NAK | first[0] & NUMBER), first, AGAIN)


@case(
    "BLK",
    "R(ACK) with the card's number gets the last block again",
    "同号 R(ACK) 使卡原样重发",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def ack_same(lab: Lab) -> None:
    """Rule 11 holds for R(ACK) too."""
    lab.radio.open()
    first = ask(lab)
    lab.radio.must(lab.radio.say(R_ACK | first[0] & NUMBER), first, AGAIN)


@case(
    "BLK",
    "With a CID R(NAK) gets the last block again",
    "带 CID 时同号 R(NAK) 使卡原样重发",
    "1.6",
    "1.5",
    needs=FRAMES,
    grade="K",
)
def nak_cid(lab: Lab) -> None:
    """CID and all."""
    lab.radio.open(cid=9)
    takes_cid(lab)
    first = ask(lab)
    lab.radio.must(lab.radio.say(R_NAK | first[0] & NUMBER), first, AGAIN)


@case(
    "BLK",
    "A repeated answer is not computed anew: the same challenge",
    "重发不重算：随机数不变",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def challenge_again(lab: Lab) -> None:
    """A card that ran the command again would have another."""
    lab.radio.open()
    opened(lab)
    first = ask(lab, CHALLENGE)
    for _ in range(2):
        lab.radio.must(lab.radio.say(R_NAK | first[0] & NUMBER), first, AGAIN)


@case(
    "BLK",
    "R(ACK) with the other number outside a chain is not answered",
    "不在链中时异号 R(ACK) 不应答",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def stray_ack(lab: Lab) -> None:
    """There is no chain to go on with."""
    radio = lab.radio
    radio.open()
    answers(lab)
    radio.silent(radio.framed(R_ACK | radio.number))
    answers(lab)


# Presence


@case(
    "BLK",
    "R(NAK) with the other number gets R(ACK): the card is there",
    "异号 R(NAK) 得到 R(ACK)：卡在场",
    "1.6",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def rule_12(lab: Lab) -> None:
    """Rule 12, after one answer."""
    radio = lab.radio
    radio.open()
    answers(lab)
    radio.must_say(radio.say(R_NAK | radio.number), R_ACK | radio.number ^ 1)


@case(
    "BLK",
    "With a CID a presence check gets R(ACK) with it",
    "带 CID 的在场检查得到带 CID 的 R(ACK)",
    "1.6",
    "1.5",
    needs=FRAMES,
    grade="K",
)
def presence_cid(lab: Lab) -> None:
    """The same with CID 2."""
    radio = lab.radio
    radio.open(cid=2)
    takes_cid(lab)
    answers(lab)
    radio.must_say(radio.say(R_NAK | radio.number), R_ACK | radio.number ^ 1)


@case(
    "BLK",
    "An empty I-block gets an empty I-block",
    "空 I 块得到空 I 块",
    "4.22",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def empty_block(lab: Lab) -> None:
    """It counts as a block: the numbers go on. It is empty after an answer too."""
    radio = lab.radio
    radio.open()
    answers(lab)
    for _ in range(3):
        number = radio.number
        lab.must_be(radio.deliver(b"").inf, b"", Words("no data", "无数据"))
        lab.require(radio.number != number, Words("another number", "块号翻转"), str(number))
    answers(lab)


_CHECKS: dict[str, tuple[Words, Callable[[Radio], object]]] = {
    "nak": (
        Words("presence checks by R(NAK)", "R(NAK) 在场检查"),
        lambda radio: radio.must_say(radio.say(R_NAK | radio.number), R_ACK | radio.number ^ 1),
    ),
    "empty": (Words("empty I-blocks", "空 I 块"), lambda radio: radio.deliver(b"")),
}


@family
def pending() -> Iterator[Case]:
    """A presence check is no command: a transaction under way goes on."""
    for name, (words, check) in _CHECKS.items():
        title = Words(f"A purchase goes on after {words.en}", f"{words.zh}不打断消费")

        def body(lab: Lab, check: Callable[[Radio], object] = check) -> None:
            lab.radio.open()
            ready(lab, RIDE)
            before = picture(lab)
            q = begin(lab, RIDE)
            check(lab.radio)
            check(lab.radio)
            lab.must(lab.send(final_command(lab, RIDE, q)), clause="4.16")
            same(lab, before.after(RIDE, q))

        key = f"blk.pending.{name}"
        yield Case(key, "BLK", title, ("1.6",), body, "K", FRAMES_PAID)


# Once


def _once(lab: Lab, deal: Deal, lose: Callable[[Lab, bytes], bytes]) -> None:
    """A final command whose exchange is disturbed: done once, with the right answer."""
    lab.radio.open()
    ready(lab, deal)
    before = picture(lab)
    q = begin(lab, deal)
    answer = Response.parse(lose(lab, final_command(lab, deal, q)))
    lab.require(answer.sw == 0x9000, Words("9000", "9000"), f"{answer.sw:04X}")
    lab.forget()
    same(lab, before.after(deal, q))


def _answer_lost(lab: Lab, command: bytes) -> bytes:
    radio = lab.radio
    first = ask(lab, command)
    for _ in range(2):
        radio.must(radio.say(R_NAK | first[0] & NUMBER), first, AGAIN)
    return first[1:]


def _command_lost(lab: Lab, command: bytes) -> bytes:
    radio = lab.radio
    silent(lab, radio.spoiled(radio.framed(I_BLOCK | radio.number, command), radio.wait_ns()))
    radio.must_say(radio.say(R_NAK | radio.number), R_ACK | radio.number ^ 1)
    return ask(lab, command)[1:]  # rule 6


_LOST = {
    "answer": (
        Words("its answer is lost and asked for by R(NAK)", "应答丢失并以 R(NAK) 重取"),
        _answer_lost,
    ),
    "command": (
        Words("it is lost and sent again after R(ACK)", "命令丢失并在 R(ACK) 后重发"),
        _command_lost,
    ),
}


@family
def once() -> Iterator[Case]:
    """A debit and a load repeated by the block protocol are made once."""
    for deal, words in ((RIDE, Words("A debit", "扣款")), (TOP_UP, Words("A load", "充值"))):
        for name, (how, lose) in _LOST.items():
            title = Words(f"{words.en} is made once if {how.en}", f"{how.zh}时{words.zh}只做一次")

            def body(
                lab: Lab, deal: Deal = deal, lose: Callable[[Lab, bytes], bytes] = lose
            ) -> None:
                _once(lab, deal, lose)

            key = f"blk.once.{deal.key}.{name}"
            yield Case(key, "BLK", title, ("1.6", "6.9"), body, "K", FRAMES_PAID)
