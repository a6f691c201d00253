"""Blocks for another card, and what is no block: silence, and the link goes on (1.5, 1.6)."""

from collections.abc import Callable, Iterator

from apdu.blocks import (
    CID_FOLLOWS,
    I_BLOCK,
    KINDS,
    NAD_FOLLOWS,
    R_NAK,
    S_DESELECT,
    S_WTX,
)
from bench.conformance.card.radio_activation import FRAMES, SEL, silent
from bench.conformance.card.radio_blocks import CHALLENGE
from bench.conformance.card.radio_rats import PPSE, answers, card_with, fill, takes_cid
from bench.conformance.case import Case, Level, NotApplicable
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.words import Words

_ADDRESSED: dict[str, tuple[Words, Callable[[int], bytes]]] = {
    "i": (Words("An I-block", "I 块"), lambda cid: bytes([I_BLOCK | CID_FOLLOWS, cid]) + PPSE),
    "r": (Words("R(NAK)", "R(NAK)"), lambda cid: bytes([R_NAK | CID_FOLLOWS, cid])),
    "s": (Words("S(DESELECT)", "S(DESELECT)"), lambda cid: bytes([S_DESELECT | CID_FOLLOWS, cid])),
}


@family
def other_cids() -> Iterator[Case]:
    """Blocks for another card, and blocks for nobody in particular."""
    for name, (words, make) in _ADDRESSED.items():

        def other(lab: Lab, make: Callable[[int], bytes] = make) -> None:
            lab.radio.open(cid=5)
            takes_cid(lab)
            for cid in (4, 6, 0, 14):
                lab.radio.silent(make(cid))
            answers(lab)

        def without(lab: Lab, make: Callable[[int], bytes] = make) -> None:
            lab.radio.open(cid=5)
            takes_cid(lab)
            frame = make(5)
            lab.radio.silent(bytes([frame[0] & ~CID_FOLLOWS]) + frame[2:])
            answers(lab)

        def unable(lab: Lab, make: Callable[[int], bytes] = make) -> None:
            lab.radio.open()
            lab.radio.silent(make(0))
            answers(lab)

        for kind, en, zh, body in (
            ("other", "with another CID is not answered", "CID 不同时不应答", other),
            (
                "without",
                "without CID is ignored by a card with CID 5",
                "无 CID 时 CID 5 的卡不应答",
                without,
            ),
        ):
            title = Words(f"{words.en} {en}", f"{words.zh} {zh}")
            yield Case(f"blk.cid.{kind}.{name}", "BLK", title, ("1.5",), body, "K", FRAMES)
        title = Words(
            f"{words.en} with a CID is ignored by a card that takes none",
            f"不支持 CID 的卡忽略带 CID 的{words.zh}",
        )
        setup = card_with("0578807000")
        key = f"blk.cid.unable.{name}"
        yield Case(key, "BLK", title, ("1.5", "1.3"), unable, "K", FRAMES, setup=setup)


@case(
    "BLK",
    "A card with CID 0 answers blocks without CID, without one",
    "CID 0 的卡应答无 CID 的块且不带 CID",
    "1.5",
    needs=FRAMES,
    grade="K",
)
def cid_zero(lab: Lab) -> None:
    """With CID, without, and with it again."""
    lab.radio.open(cid=0)
    takes_cid(lab)
    answers(lab)
    lab.radio.cid = None
    answers(lab)
    lab.radio.cid = 0
    answers(lab)


@case(
    "BLK",
    "A card that takes no CID works without one whatever RATS said",
    "不支持 CID 的卡不论 RATS 如何均以无 CID 的块工作",
    "1.5",
    "1.3",
    needs=FRAMES,
    grade="K",
    setup=card_with("0578807000"),
)
def no_cid(lab: Lab) -> None:
    """RATS named CID 5, and the card has none."""
    lab.radio.open(cid=5)
    lab.radio.cid = None
    answers(lab)
    answers(lab)
    lab.radio.must_say(lab.radio.deselect(), S_DESELECT)


@case(
    "BLK",
    "A block with NAD is ignored by a card that takes none",
    "不支持 NAD 的卡忽略带 NAD 的块",
    "1.5",
    needs=FRAMES,
    grade="K",
)
def nad(lab: Lab) -> None:
    """The NAD is 00."""
    radio = lab.radio
    radio.open()
    if radio.ats.takes_nad:
        raise NotApplicable("the card's ATS says it takes NAD", "此卡 ATS 表明支持 NAD")
    radio.silent(bytes([I_BLOCK | NAD_FOLLOWS, 0x00]) + PPSE)
    answers(lab)


# What is no block


def _unharmed(lab: Lab, frame: bytes) -> None:
    """The card ignores a frame, and the link goes on where it was."""
    lab.radio.silent(frame)
    answers(lab)


_NO_BLOCKS = {
    "r-inf": (Words("R(NAK) with data", "带数据的 R(NAK)"), bytes([R_NAK, 0x00])),
    "deselect-inf": (
        Words("S(DESELECT) with data", "带数据的 S(DESELECT)"),
        bytes([S_DESELECT, 0]),
    ),
    "wtx": (Words("S(WTX) that nobody asked for", "无请求的 S(WTX)"), bytes([S_WTX, 0x01])),
    "parameters": (Words("S(PARAMETERS)", "S(PARAMETERS)"), bytes.fromhex("F0A000")),
    "cid-cut": (Words("A block that ends before its CID", "缺 CID 的块"), bytes([I_BLOCK | 8])),
    "select": (
        Words("SELECT of ISO/IEC 14443-3", "ISO/IEC 14443-3 的 SELECT"),
        bytes([SEL, 0x70, 1, 2, 3, 4, 4]),
    ),
}


@family
def no_blocks() -> Iterator[Case]:
    """Frames that are no block the card could take now."""
    for name, (words, frame) in _NO_BLOCKS.items():
        title = Words(f"{words.en} is not answered", f"{words.zh}不应答")

        def body(lab: Lab, frame: bytes = frame) -> None:
            lab.radio.open()
            answers(lab)
            _unharmed(lab, frame)

        yield Case(f"blk.none.{name}", "BLK", title, ("1.5", "1.6"), body, "K", FRAMES)


@case(
    "BLK",
    "No unknown PCB is answered",
    "未知 PCB 均不应答",
    "1.5",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def unknown_pcbs(lab: Lab) -> None:
    """All that the standard does not name, each before a whole command."""
    lab.radio.open()
    answers(lab)
    for pcb in range(256):
        if pcb not in KINDS:
            lab.radio.silent(bytes([pcb]) + PPSE)
    answers(lab)


@case(
    "BLK",
    "A frame without a byte is not answered",
    "只有 CRC 的帧不应答",
    "1.5",
    needs=FRAMES,
    grade="K",
)
def empty_frame(lab: Lab) -> None:
    """A right checksum over nothing."""
    lab.radio.open()
    answers(lab)
    _unharmed(lab, b"")


@case(
    "BLK",
    "A frame longer than FSC is not answered",
    "超过 FSC 的帧不应答",
    "1.3",
    "1.6",
    needs=FRAMES,
    grade="K",
)
def too_long(lab: Lab) -> None:
    """One byte more than the ATS allows."""
    lab.radio.open()
    answers(lab)
    _unharmed(lab, fill(lab, lab.radio.ats.fsc + 1))


@case(
    "BLK",
    "A block with a wrong checksum is not answered",
    "CRC 错误的块不应答",
    "1.6",
    "1.2",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def bad_crc(lab: Lab) -> None:
    """An I-block, R(NAK) and S(DESELECT), then the I-block again."""
    radio = lab.radio
    radio.open()
    for frame in (
        radio.framed(I_BLOCK, PPSE),
        radio.framed(R_NAK),
        radio.framed(S_DESELECT),
    ):
        silent(lab, radio.spoiled(frame, radio.wait_ns()))
    answers(lab)


@family
def short_commands() -> Iterator[Case]:
    """Commands that only frames can carry."""
    for size in (1, 2, 3):
        title = Words(
            f"A command of {size} byte{'s' if size > 1 else ''} is answered 6700",
            f"{size} 字节的命令得到 6700",
        )

        def body(lab: Lab, size: int = size) -> None:
            lab.radio.open()
            lab.must(lab.send(PPSE[:size]), 0x6700)

        yield Case(f"blk.short.{size}", "BLK", title, ("4.22",), body, "D", FRAMES)


@case(
    "BLK",
    "A block is answered within the frame waiting time, and not too early",
    "块在帧等待时间内得到应答，且不过早",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def in_time(lab: Lab) -> None:
    """Not before 1172/fc: the reader is still turning from sending to listening."""
    radio = lab.radio
    radio.open()
    for frame in (radio.framed(I_BLOCK, CHALLENGE), radio.framed(R_NAK | 1)):
        radio.raw(frame)
        delay, most = radio.delay_ns, round(radio.ats.fwt_s * 1e9)
        lab.require(
            delay is not None and 86_400 <= delay <= most,
            Words(f"86400 to {most} ns", f"86400 至 {most} 纳秒"),
            f"{delay} ns",
        )
