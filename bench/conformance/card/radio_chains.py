"""Chaining both ways at every frame size (1.6), down to the 16 bytes of Shanghai's gates."""

from collections.abc import Callable, Iterator

from apdu.ats import FRAME_SIZES
from apdu.blocks import CID_FOLLOWS, I_BLOCK, MORE, NUMBER, R_ACK, R_NAK, S_DESELECT, S_WTX
from apdu.crc import CRC_SIZE
from apdu.files import EF1A, EF1E, EF17
from bench.conformance.card.radio_activation import FRAMES, silent
from bench.conformance.card.radio_blocks import AGAIN, CHALLENGE, FRAMES_PAID
from bench.conformance.card.radio_rats import PPSE, answers, card_with, takes_cid
from bench.conformance.case import Case, Level, NotApplicable
from bench.conformance.lab import Lab
from bench.conformance.pictures import picture, same
from bench.conformance.radio import Radio
from bench.conformance.registry import case, family
from bench.conformance.scenes import (
    TRIP,
    begin,
    cache,
    finish,
    free_trip,
    opened,
    read_binary,
    read_record,
    ready,
    trip,
    trip_log,
)
from bench.conformance.words import Words

FSDIS = {16: 0, 24: 1, 32: 2, 64: 5, 256: 8}
"""The frame sizes of the reference's chaining tests (1.6), and their FSDI."""
LONG = read_record(EF1A.sfi, 1)
"""A command whose answer has 130 bytes."""


# From the reader


def _entry(lab: Lab, fsdi: int, frame: int, cid: int | None) -> None:
    """A gate entry with its 133-byte command, all of it in frames of that size."""
    radio = lab.radio
    radio.open(fsdi, cid)
    if cid is not None:
        takes_cid(lab)
    radio.frame = frame
    ready(lab, TRIP)
    number = free_trip(lab)
    before = picture(lab)
    q = begin(lab, TRIP)
    records = ((EF1A.sfi, trip(number, 0x5A)), (EF1E.sfi, trip_log(0x3C)))
    cache(lab, *records)
    finish(lab, TRIP, q)
    same(lab, before.after(TRIP, q, records))


@family
def entries() -> Iterator[Case]:
    """The 133-byte EF1A update arrives chained and is written whole."""
    for size, fsdi in FSDIS.items():
        for cid in (None, 1):
            how = Words("with CID 1", "带 CID 1") if cid else Words("without CID", "不带 CID")
            title = Words(
                f"An entry with a 133-byte update works in frames of {size} bytes {how.en}",
                f"{size} 字节帧{how.zh}完成含 133 字节更新的进站",
            )

            def body(lab: Lab, fsdi: int = fsdi, size: int = size, cid: int | None = cid) -> None:
                _entry(lab, fsdi, size, cid)

            key = f"chain.entry.{size}.{'cid' if cid else 'plain'}"
            level = Level.BASIC if size == 16 and cid else Level.FULL
            clauses = ("1.6", "4.15")
            yield Case(key, "CHAIN", title, clauses, body, "K", FRAMES_PAID, level)


@family
def small_cards() -> Iterator[Case]:
    """Cards that take small frames only."""
    for fsci in (0, 1, 2, 5):
        size = FRAME_SIZES[fsci]
        title = Words(
            f"An entry works with a card that takes frames of {size} bytes",
            f"帧长 {size} 字节的卡可完成进站",
        )

        def body(lab: Lab) -> None:
            _entry(lab, 8, 256, None)

        setup = card_with(f"057{fsci:X}807002")
        key = f"chain.fsc.{fsci}"
        yield Case(key, "CHAIN", title, ("1.3", "1.6"), body, "K", FRAMES_PAID, setup=setup)


@case(
    "CHAIN",
    "Each part of a chained command gets R(ACK) with its number",
    "链接命令每块得到同号 R(ACK)",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def rule_2(lab: Lab) -> None:
    """Three parts of five bytes, then the rest."""
    radio = lab.radio
    radio.open()
    for at in range(0, 15, 5):
        radio.must_say(
            radio.say(I_BLOCK | MORE | radio.number, PPSE[at : at + 5]), R_ACK | radio.number
        )
        radio.number ^= 1
    radio.deliver(PPSE[15:])


@case(
    "CHAIN",
    "A command in parts of one byte is answered like a whole one",
    "逐字节链接的命令应答相同",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def byte_by_byte(lab: Lab) -> None:
    """Twenty blocks for the SELECT of the PPSE."""
    radio = lab.radio
    radio.open()
    whole = answers(lab)
    radio.frame = 1 + 1 + CRC_SIZE
    lab.must_be(answers(lab), whole, Words("the same answer", "相同应答"))


@case(
    "CHAIN",
    "A command in parts of unequal length is answered like a whole one",
    "各块长度不等的命令应答相同",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def uneven(lab: Lab) -> None:
    """1, 7, 3 and 8 bytes, then the last."""
    radio = lab.radio
    radio.open()
    whole = answers(lab)
    for first, second in ((0, 1), (1, 8), (8, 11), (11, 19)):
        radio.deliver(PPSE[first:second], has_more=True)
    lab.must_be(radio.deliver(PPSE[19:]).inf, whole, Words("the same answer", "相同应答"))


@case(
    "CHAIN",
    "R(NAK) within a chained command gets R(ACK) again",
    "链接命令中 R(NAK) 重得 R(ACK)",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def lost_ack(lab: Lab) -> None:
    """Twice for each part; nothing is taken twice."""
    radio = lab.radio
    radio.open()
    whole = answers(lab)
    for at in (0, 5, 10):
        number = radio.number
        radio.deliver(PPSE[at : at + 5], has_more=True)
        for _ in range(2):
            radio.must_say(radio.say(R_NAK | number), R_ACK | number)
    lab.must_be(radio.deliver(PPSE[15:]).inf, whole, Words("the same answer", "相同应答"))


@case(
    "CHAIN",
    "A lost part of a chained command is asked for and taken once",
    "丢失的命令块经询问后只收一次",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def lost_part(lab: Lab) -> None:
    """R(ACK) with the other number, then the part again (rule 6)."""
    radio = lab.radio
    radio.open()
    whole = answers(lab)
    for at in (0, 5, 10):
        part = radio.framed(I_BLOCK | MORE | radio.number, PPSE[at : at + 5])
        silent(lab, radio.spoiled(part, radio.wait_ns()))
        radio.must_say(radio.say(R_NAK | radio.number), R_ACK | radio.number ^ 1)
        radio.deliver(PPSE[at : at + 5], has_more=True)
    lab.must_be(radio.deliver(PPSE[15:]).inf, whole, Words("the same answer", "相同应答"))


def _within(lab: Lab, step: Callable[[Radio, int], object], cid: int | None = None) -> None:
    """A step after each of three parts; the command is then answered as a whole one.

    step: gets the number of the part before it.
    """
    radio = lab.radio
    radio.open(cid=cid)
    if cid is not None:
        takes_cid(lab)
    whole = answers(lab)
    for at in (0, 5, 10):
        number = radio.number
        radio.deliver(PPSE[at : at + 5], has_more=True)
        step(radio, number)
    lab.must_be(radio.deliver(PPSE[15:]).inf, whole, Words("the same answer", "相同应答"))


@case(
    "CHAIN",
    "R(ACK) with the card's number within a chained command gets R(ACK) again",
    "链接命令中同号 R(ACK) 重得 R(ACK)",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def ack_within(lab: Lab) -> None:
    """Rule 11 says R(ACK) or R(NAK): the card's last block was an R(ACK)."""
    _within(lab, lambda radio, n: radio.must_say(radio.say(R_ACK | n), R_ACK | n))


@case(
    "CHAIN",
    "Blocks that are none do not end a chained command",
    "链接命令中的非法块不使其中断",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def strays_within(lab: Lab) -> None:
    """An unknown PCB, an S(WTX) nobody asked for, and a PPS: silence, and the chain goes on."""

    def step(radio: Radio, number: int) -> None:
        for stray in (b"\xe2", bytes([S_WTX, 1]), b"\xd0\x11\x00"):
            radio.silent(stray)

    _within(lab, step)


@case(
    "CHAIN",
    "Blocks for another CID do not end a chained command",
    "链接命令中其他 CID 的块不使其中断",
    "1.5",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def others_within(lab: Lab) -> None:
    """Another card's command, of CID 9, passes by."""

    def step(radio: Radio, number: int) -> None:
        radio.silent(bytes([I_BLOCK | CID_FOLLOWS | radio.number, 9]) + CHALLENGE)

    _within(lab, step, cid=4)


@case(
    "CHAIN",
    "S(DESELECT) within a chained command drops its parts",
    "链接命令中 S(DESELECT) 丢弃已收各块",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def dropped_parts(lab: Lab) -> None:
    """In the next link the whole command is answered as ever."""
    radio = lab.radio
    radio.open()
    whole = answers(lab)
    radio.deliver(PPSE[:5], has_more=True)
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.wake()
    radio.open(is_new=False)
    lab.must_be(answers(lab), whole, Words("the answer of the whole command", "完整命令的应答"))


# From the card


def _long(lab: Lab) -> bytes:
    """The long answer in one frame, or in as few as the card likes."""
    lab.radio.open(8)
    opened(lab)
    came = lab.must(lab.send(LONG), clause="4.7")
    return came.data + b"\x90\x00"


@family
def long_answers() -> Iterator[Case]:
    """An answer of 130 bytes, by the reader's frame size."""
    for fsdi in range(9):
        for cid in (None, 14):
            size = FRAME_SIZES[fsdi]
            how = Words("with CID", "带 CID") if cid else Words("without CID", "不带 CID")
            title = Words(
                f"A long answer comes whole in frames of at most {size} bytes {how.en}",
                f"长应答以至多 {size} 字节的帧{how.zh}完整送达",
            )

            def body(lab: Lab, fsdi: int = fsdi, cid: int | None = cid) -> None:
                whole = _long(lab)
                lab.radio.open(fsdi, cid)
                if cid:
                    takes_cid(lab)
                opened(lab)
                lab.must_be(lab.send(LONG), whole, Words("the same answer", "相同应答"))

            key = f"chain.answer.{fsdi}.{'cid' if cid else 'plain'}"
            yield Case(key, "CHAIN", title, ("1.3", "1.6"), body, "K", FRAMES)


def _chaining(lab: Lab, cid: int | None = None) -> bytes:
    """A card in the middle of a long answer. Returns its first block as it came."""
    radio = lab.radio
    radio.open(0, cid)
    if cid is not None:
        takes_cid(lab)
    opened(lab)
    block = radio.deliver(read_binary(EF17.sfi))
    if not block.has_more:
        raise NotApplicable("the card's answer fits one frame", "此卡应答一帧可容")
    return radio.framed(I_BLOCK | MORE | block.number, block.inf)


def _rest(lab: Lab, first: bytes) -> bytes:
    """What follows of the chain, with the first part, and that it is EF17."""
    inf = first[2 if lab.radio.cid is not None else 1 :]
    while True:
        block = lab.radio.follow()
        inf += block.inf
        if not block.has_more:
            break
    lab.require(len(inf) == EF17.size + 2, Words("60 bytes and 9000", "60 字节与 9000"), inf.hex())
    return inf


@case(
    "CHAIN",
    "Parts of a chained answer change their number, and the last says so",
    "应答链各块块号交替，末块标明结束",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def rule_13(lab: Lab) -> None:
    """EF17 in frames of 16 bytes."""
    first = _chaining(lab)
    number, inf = first[0] & NUMBER, first[1:]
    while True:
        block = lab.radio.follow()
        lab.require(block.number != number, Words("the other number", "块号翻转"), block.title)
        lab.require(bool(block.inf), Words("a part with data", "块含数据"), block.title)
        number, inf = block.number, inf + block.inf
        if not block.has_more:
            break
    lab.must_be(inf[-2:], b"\x90\x00", Words("9000 at the end", "末尾 9000"))


@family
def again() -> Iterator[Case]:
    """A part of the answer that was lost is sent again, and the chain goes on."""
    for name, pcb, words in (
        ("ack", R_ACK, Words("R(ACK)", "R(ACK)")),
        ("nak", R_NAK, Words("R(NAK)", "R(NAK)")),
    ):
        for cid in (None, 6):
            how = Words(" with CID", "（带 CID）") if cid else Words("", "")
            title = Words(
                f"{words.en}{how.en} with the card's number gets a part of a chain again",
                f"同号 {words.zh}{how.zh}使卡重发链中一块",
            )

            def body(lab: Lab, pcb: int = pcb, cid: int | None = cid) -> None:
                first = _chaining(lab, cid)
                radio = lab.radio
                for _ in range(2):
                    radio.must(radio.say(pcb | first[0] & NUMBER), first, AGAIN)
                _rest(lab, first)

            key = f"chain.again.{name}.{'cid' if cid else 'plain'}"
            yield Case(key, "CHAIN", title, ("1.6",), body, "K", FRAMES)


@case(
    "CHAIN",
    "The last part of a chain is sent again on R(ACK) with its number",
    "同号 R(ACK) 使卡重发链的末块",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def last_part(lab: Lab) -> None:
    """Once by R(ACK), once by R(NAK)."""
    radio = lab.radio
    _chaining(lab)
    while True:
        block = radio.follow()
        if not block.has_more:
            break
    last = radio.framed(I_BLOCK | block.number, block.inf)
    radio.must(radio.say(R_ACK | block.number), last, AGAIN)
    radio.must(radio.say(R_NAK | block.number), last, AGAIN)
    answers(lab)


@case(
    "CHAIN",
    "A command in the middle of a chained answer is not answered",
    "应答链中途的新命令不应答",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def interrupted(lab: Lab) -> None:
    """The chain goes on afterwards."""
    first = _chaining(lab)
    radio = lab.radio
    radio.silent(radio.framed(I_BLOCK | radio.number, CHALLENGE))
    _rest(lab, first)


@case(
    "CHAIN",
    "A broken frame does not end a chained answer",
    "坏帧不中断应答链",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def noise(lab: Lab) -> None:
    """An R(ACK) with a wrong checksum, then a right one."""
    first = _chaining(lab)
    radio = lab.radio
    silent(lab, radio.spoiled(radio.framed(R_ACK | radio.number), radio.wait_ns()))
    _rest(lab, first)


@case(
    "CHAIN",
    "S(DESELECT) ends a chained answer",
    "S(DESELECT) 结束应答链",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def deselected(lab: Lab) -> None:
    """In the next link nothing is left to send."""
    _chaining(lab)
    radio = lab.radio
    radio.must_say(radio.deselect(), S_DESELECT)
    radio.wake()
    radio.open(is_new=False)
    radio.silent(radio.framed(R_ACK | 1))
    answers(lab)
