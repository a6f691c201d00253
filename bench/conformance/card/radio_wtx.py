"""S(WTX): a card that needs longer than its frame waiting time asks for more (1.5, 1.6, 7).

Each card here is made slow for the case; a card that never asks has nothing to be judged.
"""

from collections.abc import Callable, Iterator
from typing import Any

from apdu.ats import frame_waiting_time_s
from apdu.blocks import I_BLOCK, NUMBER, R_ACK, R_NAK, S_DESELECT, S_WTX
from apdu.files import EF17
from bench.conformance.card.radio_activation import FRAMES
from bench.conformance.card.radio_blocks import AGAIN, CHALLENGE, ask
from bench.conformance.card.radio_rats import PPSE, answers, card_with, takes_cid
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.registry import case, family
from bench.conformance.scenes import PAID, RIDE, begin, final_command, opened, read_binary, ready
from bench.conformance.words import Words

SLOW = FRAMES | {Need.FRESH}
SLOW_PAID = SLOW | PAID
PHONE: dict[str, Any] = card_with("0578807002")
"""FWI 7: 38.7 ms, the reference's default card."""
LATE_NS = 200_000_000
"""Several times FWI 7, so that WTXM is more than 1."""


def waiting(lab: Lab, cid: int | None = None, command: bytes = PPSE) -> bytes:
    """A card that has asked for more time. Returns its request."""
    radio = lab.radio
    radio.open(cid=cid)
    if cid is not None:
        takes_cid(lab)
    lab.radio.slow(LATE_NS)
    request = radio.say(I_BLOCK | radio.number, command) or b""
    radio.wtxm(request)
    return request


def granted(lab: Lab, request: bytes) -> bytes:
    """The reader agrees until the answer comes. Returns the answer's block."""
    radio = lab.radio
    came: bytes | None = request
    while came is not None and came[:-1] == radio.framed(S_WTX):
        wtxm = radio.wtxm(came)
        came = radio.say(S_WTX, bytes([wtxm]), wtxm)
    is_answer = came is not None and came[0] & 0xE6 == I_BLOCK
    is_ours = is_answer and came is not None and came[0] & NUMBER == radio.number
    title = f"I({radio.number})"
    lab.require(is_ours, Words(title, title), "silence" if came is None else came.hex().upper())
    radio.number ^= 1
    return came or b""


@case(
    "WTX",
    "A card that needs longer than FWT asks by S(WTX) with WTXM 1 to 59",
    "超过 FWT 的卡发 S(WTX)，WTXM 为 1 至 59",
    "1.5",
    "1.6",
    needs=SLOW,
    grade="K",
    level=Level.BASIC,
    setup=PHONE,
)
def request(lab: Lab) -> None:
    """A command of 200 ms where FWT is 38.7."""
    waiting(lab)


@case(
    "WTX",
    "S(WTX) begins within the frame waiting time",
    "S(WTX) 在帧等待时间内开始",
    "1.3",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def in_time(lab: Lab) -> None:
    """The request is an answer like any other."""
    waiting(lab)
    delay, most = lab.radio.delay_ns or 0, round(lab.radio.ats.fwt_s * 1e9)
    lab.require(delay <= most, Words(f"at most {most} ns", f"至多 {most} 纳秒"), f"{delay} ns")


@case(
    "WTX",
    "After the reader's S(WTX) the answer comes, within the longer time",
    "读卡器回应 S(WTX) 后应答在延长时间内到达",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def echo(lab: Lab) -> None:
    """The same multiplier, and as often as the card asks."""
    lab.radio.open()
    wanted = answers(lab)
    came = granted(lab, waiting(lab))
    lab.must_be(came[1:], wanted, Words("the answer", "应答"))


@case(
    "WTX",
    "With a CID S(WTX) and the answer carry it",
    "带 CID 时 S(WTX) 与应答均带 CID",
    "1.5",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def with_cid(lab: Lab) -> None:
    """CID 7."""
    came = granted(lab, waiting(lab, cid=7))
    lab.must_be(came[1:2], b"\x07", Words("CID", "CID"))


@case(
    "WTX",
    "R(NAK) while S(WTX) waits gets the same S(WTX) again",
    "等待 S(WTX) 时 R(NAK) 重得相同 S(WTX)",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def lost_request(lab: Lab) -> None:
    """Whatever number R(NAK) has."""
    first = waiting(lab)
    radio = lab.radio
    for number in (radio.number, radio.number ^ 1, radio.number):
        radio.must(radio.say(R_NAK | number), first, AGAIN)
    granted(lab, first)


@case(
    "WTX",
    "With a CID R(NAK) gets the same S(WTX) again",
    "带 CID 时 R(NAK) 重得相同 S(WTX)",
    "1.6",
    "1.5",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def lost_request_cid(lab: Lab) -> None:
    """CID and all."""
    first = waiting(lab, cid=3)
    radio = lab.radio
    radio.must(radio.say(R_NAK | radio.number), first, AGAIN)
    granted(lab, first)


@case(
    "WTX",
    "S(WTX) with another multiplier is not answered",
    "倍数不同的 S(WTX) 不应答",
    "1.5",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def wrong_multiplier(lab: Lab) -> None:
    """Another, with power bits, none, and one byte more; then the right one."""
    first = waiting(lab)
    radio = lab.radio
    other = 2 if first[-1] & 0x3F == 1 else 1
    for inf in (bytes([other]), bytes([first[-1] & 0x3F | 0x40]), b"", bytes([first[-1], 0])):
        # A card that takes it answers when it has done, in the time it has asked for.
        radio.silent(radio.framed(S_WTX, inf), wtxm=first[-1] & 0x3F)
    granted(lab, first)


@case(
    "WTX",
    "S(WTX) a second time, after the answer, is not answered",
    "应答之后重复的 S(WTX) 不应答",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def stray(lab: Lab) -> None:
    """S blocks come in pairs (rule 3)."""
    first = waiting(lab)
    granted(lab, first)
    lab.radio.silent(lab.radio.framed(S_WTX, first[-1:]))


_STRANGE: dict[str, tuple[Words, Callable[[int], tuple[int, bytes]]]] = {
    "i": (Words("A command", "命令"), lambda number: (I_BLOCK | number ^ 1, CHALLENGE)),
    "same": (Words("The command again", "重发命令"), lambda number: (I_BLOCK | number, PPSE)),
    "ack": (Words("R(ACK)", "R(ACK)"), lambda number: (R_ACK | number, b"")),
}


@family
def strange() -> Iterator[Case]:
    """Blocks that a card ignores while it waits for the answer to S(WTX)."""
    for name, (words, make) in _STRANGE.items():
        title = Words(
            f"{words.en} while S(WTX) waits is not answered", f"等待 S(WTX) 时{words.zh}不应答"
        )

        def body(lab: Lab, make: Callable[[int], tuple[int, bytes]] = make) -> None:
            first = waiting(lab)
            lab.radio.silent(lab.radio.framed(*make(lab.radio.number)))
            granted(lab, first)

        key = f"wtx.strange.{name}"
        yield Case(key, "WTX", title, ("1.6",), body, "K", SLOW, setup=PHONE)


@case(
    "WTX",
    "S(DESELECT) while S(WTX) waits is obeyed",
    "等待 S(WTX) 时服从 S(DESELECT)",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def deselected(lab: Lab) -> None:
    """The next link is as fresh as any."""
    waiting(lab)
    radio = lab.radio
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.wake()
    lab.radio.slow(0)
    radio.open(is_new=False)
    answers(lab)


@case(
    "WTX",
    "An answer after S(WTX) is sent again on R(NAK), not computed anew",
    "S(WTX) 后的应答经 R(NAK) 重发而不重算",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def lost_answer(lab: Lab) -> None:
    """The challenge is the same."""
    first = granted(lab, waiting(lab, command=CHALLENGE))
    radio = lab.radio
    for _ in range(2):
        radio.must(radio.say(R_NAK | first[0] & NUMBER), first, AGAIN)


@case(
    "WTX",
    "An extension ends with its answer: the next command is asked for anew",
    "延长随应答结束：下一命令重新请求",
    "1.6",
    "1.5",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def ends(lab: Lab) -> None:
    """The second command has its own S(WTX), in FWT."""
    granted(lab, waiting(lab))
    radio = lab.radio
    again = radio.say(I_BLOCK | radio.number, PPSE)
    radio.wtxm(again)
    delay, most = radio.delay_ns or 0, round(radio.ats.fwt_s * 1e9)
    lab.require(delay <= most, Words(f"at most {most} ns", f"至多 {most} 纳秒"), f"{delay} ns")


@case(
    "WTX",
    "A chained answer goes on after S(WTX)",
    "S(WTX) 后应答链继续",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def chained(lab: Lab) -> None:
    """EF17 in frames of 16 bytes."""
    radio = lab.radio
    radio.open()
    opened(lab)
    whole = lab.send(read_binary(EF17.sfi))
    radio.open(0)
    opened(lab)
    lab.radio.slow(LATE_NS)
    lab.must_be(lab.send(read_binary(EF17.sfi)), whole, Words("the same answer", "相同应答"))
    lab.require(bool(radio.extensions), Words("S(WTX)", "S(WTX)"), "none")


@case(
    "WTX",
    "A chained command gets S(WTX) at its end and is answered",
    "链接命令末块得到 S(WTX) 后有应答",
    "1.6",
    needs=SLOW,
    grade="K",
    setup=PHONE,
)
def chained_command(lab: Lab) -> None:
    """The parts themselves take the card no time."""
    radio = lab.radio
    radio.open()
    whole = answers(lab)
    lab.radio.slow(LATE_NS)
    radio.frame = 16
    lab.must_be(answers(lab), whole, Words("the same answer", "相同应答"))
    lab.require(bool(radio.extensions), Words("S(WTX)", "S(WTX)"), "none")


@case(
    "WTX",
    "A debit that takes longer is made once",
    "耗时扣款只做一次",
    "1.6",
    "6.9",
    needs=SLOW_PAID,
    grade="K",
    setup=PHONE,
)
def debit(lab: Lab) -> None:
    """It is asked for again by R(NAK) besides."""
    radio = lab.radio
    radio.open()
    ready(lab, RIDE)
    before = picture(lab)
    q = begin(lab, RIDE)
    lab.radio.slow(LATE_NS)
    first = ask(lab, final_command(lab, RIDE, q))
    lab.require(bool(radio.extensions), Words("S(WTX)", "S(WTX)"), "none")
    radio.must(radio.say(R_NAK | first[0] & NUMBER), first, AGAIN)
    lab.radio.slow(0)
    lab.forget()
    same(lab, before.after(RIDE, q))


@family
def fwis() -> Iterator[Case]:
    """A command of several frame waiting times, by FWI."""
    for fwi in (0, 2, 4, 7, 9, 14):
        title = Words(
            f"With FWI {fwi} a command of three frame waiting times is answered in time",
            f"FWI {fwi} 时三倍 FWT 的命令按时应答",
        )

        def body(lab: Lab, fwi: int = fwi) -> None:
            radio = lab.radio
            radio.open()
            whole = answers(lab)
            lab.radio.slow(round(3e9 * frame_waiting_time_s(fwi)))
            lab.must_be(answers(lab), whole, Words("the same answer", "相同应答"))
            lab.require(bool(radio.extensions), Words("S(WTX)", "S(WTX)"), "none")

        setup = card_with(f"057880{fwi:X}002")
        key = f"wtx.fwi.{fwi}"
        yield Case(key, "WTX", title, ("1.3", "1.6"), body, "K", SLOW, setup=setup)
