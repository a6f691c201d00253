"""RATS, the ATS and what it promises, and PPS (1.3, 1.4)."""

from collections.abc import Iterator

from apdu.ats import FRAME_SIZES, Ats
from apdu.blocks import I_BLOCK, MAX_CID, MORE, PPS, R_ACK, R_NAK, RATS
from apdu.crc import CRC_SIZE
from bench.conformance.card.radio_activation import FRAMES, idle, silent
from bench.conformance.case import Case, Level, NotApplicable
from bench.conformance.lab import Lab
from bench.conformance.registry import case, family
from bench.conformance.words import Words
from emulator.picc import Contactless
from emulator.radio.medium import RATS_TIMEOUT_NS

PPSE = bytes.fromhex("00A404000E325041592E5359532E444446303100")
"""SELECT of the PPSE: every card answers it, with whatever."""


def card_with(ats: str) -> dict[str, Contactless]:
    """A setup with another ATS."""
    uid = bytes.fromhex("08112233")
    return {"contactless": Contactless(b"\x04\x00", 0x20, uid, bytes.fromhex(ats))}


def answers(lab: Lab) -> bytes:
    """The link works: a whole command is answered. Returns the answer."""
    return lab.radio.transmit(PPSE)


# RATS


@case(
    "RATS",
    "RATS is answered with the declared ATS",
    "RATS 得到所声明的 ATS",
    "1.3",
    "1.1",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def ats(lab: Lab) -> None:
    """With FSDI 8 and CID 0."""
    lab.radio.find()
    came = lab.radio.rats() or b""
    lab.must_be(came, lab.declared.contactless.ats, Words("ATS", "ATS"))


@case(
    "RATS",
    "The ATS has its form: TL, T0, interface bytes, no reserved value",
    "ATS 格式正确：TL、T0、接口字节，无保留值",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def ats_form(lab: Lab) -> None:
    """TL is checked where the ATS is read."""
    came = lab.radio.open()
    if len(came) == 1:
        return
    t0, rest = came[1], list(came[2:])
    if t0 & 0x10:
        ta = rest.pop(0)
        lab.require(not ta & 0x08, Words("TA with bit 4 zero", "TA 第 4 位为 0"), f"{ta:02X}")
    if t0 & 0x20:
        tb = rest.pop(0)
        lab.require(tb >> 4 < 15, Words("FWI 0 to 14", "FWI 为 0 至 14"), f"{tb >> 4}")
        lab.require(tb & 15 < 15, Words("SFGI 0 to 14", "SFGI 为 0 至 14"), f"{tb & 15}")
    lab.require(not t0 & 0x80, Words("T0 with bit 8 zero", "T0 第 8 位为 0"), f"{t0:02X}")
    lab.require(t0 & 15 < len(FRAME_SIZES), Words("FSCI 0 to C", "FSCI 为 0 至 C"), f"{t0 & 15}")


@case(
    "RATS",
    "The ATS begins within 4.8 ms",
    "ATS 在 4.8 毫秒内开始",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def ats_in_time(lab: Lab) -> None:
    """65536/fc, whatever the FWI."""
    lab.radio.find()
    came, delay = lab.radio.rats(), lab.radio.delay_ns
    lab.require(
        came is not None and delay is not None and delay <= RATS_TIMEOUT_NS,
        Words(f"at most {RATS_TIMEOUT_NS} ns", f"至多 {RATS_TIMEOUT_NS} 纳秒"),
        f"{delay} ns",
    )


@family
def fsdis() -> Iterator[Case]:
    """The reader's frame size changes no ATS."""
    for fsdi in range(9):
        size = FRAME_SIZES[fsdi]
        title = Words(
            f"RATS with FSDI {fsdi}, frames of {size} bytes, gets the ATS and a link",
            f"FSDI 为 {fsdi}（{size} 字节帧）的 RATS 得到 ATS 并建立链路",
        )

        def body(lab: Lab, fsdi: int = fsdi) -> None:
            came = lab.radio.open(fsdi)
            lab.must_be(came, lab.declared.contactless.ats, Words("ATS", "ATS"))
            answers(lab)

        yield Case(f"rats.fsdi.{fsdi}", "RATS", title, ("1.3",), body, "K", FRAMES)


@family
def cids() -> Iterator[Case]:
    """A CID that RATS assigns is the card's."""
    for cid in (0, 1, 7, MAX_CID):
        title = Words(
            f"RATS with CID {cid} assigns it: blocks carry it both ways",
            f"CID 为 {cid} 的 RATS 生效：双向块均带此 CID",
        )

        def body(lab: Lab, cid: int = cid) -> None:
            lab.radio.open(cid=cid)
            takes_cid(lab)
            answers(lab)

        yield Case(f"rats.cid.{cid}", "RATS", title, ("1.3", "1.5"), body, "K", FRAMES)


def takes_cid(lab: Lab) -> None:
    """Raises NotApplicable on a card that knows no CID."""
    if not lab.radio.ats.takes_cid:
        raise NotApplicable("the card's ATS says it takes no CID", "此卡 ATS 表明不支持 CID")


@case(
    "RATS",
    "RATS with the reserved CID 15 is not answered",
    "保留 CID 15 的 RATS 不应答",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def reserved_cid(lab: Lab) -> None:
    """14 is the last that can be assigned."""
    lab.radio.find()
    silent(lab, lab.radio.rats(cid=15))


@case(
    "RATS",
    "RATS before SELECT is not answered",
    "SELECT 之前的 RATS 不应答",
    "1.2",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def too_early(lab: Lab) -> None:
    """Once in IDLE and once in READY."""
    lab.radio.anew()
    silent(lab, lab.radio.rats())
    idle(lab)
    silent(lab, lab.radio.rats())
    idle(lab)


_BAD_RATS = {
    "short": (Words("RATS without its parameter", "缺参数的 RATS"), bytes([RATS])),
    "long": (Words("RATS with one byte more", "多一字节的 RATS"), bytes([RATS, 0x80, 0x00])),
    "other": (Words("Another start byte", "起始字节不同的 RATS"), bytes([0xE1, 0x80])),
}


@family
def bad_rats() -> Iterator[Case]:
    """Not quite RATS: silence, and the card is no longer selected."""
    for name, (words, frame) in _BAD_RATS.items():
        title = Words(
            f"{words.en} is not answered and leads to IDLE", f"{words.zh}不应答并回到 IDLE"
        )

        def body(lab: Lab, frame: bytes = frame) -> None:
            lab.radio.find()
            silent(lab, lab.radio.ask(frame))
            silent(lab, lab.radio.rats())
            idle(lab)

        yield Case(f"rats.bad.{name}", "RATS", title, ("1.3", "1.2"), body, "K", FRAMES)


@case(
    "RATS",
    "RATS with a wrong checksum is not answered and leads to IDLE",
    "CRC 错误的 RATS 不应答并回到 IDLE",
    "1.3",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def spoiled_rats(lab: Lab) -> None:
    """The frame is right but for one bit of its checksum."""
    lab.radio.find()
    silent(lab, lab.radio.spoiled(bytes([RATS, 0x80]), RATS_TIMEOUT_NS))
    idle(lab)


@case(
    "RATS",
    "A second RATS is not answered, and the link goes on",
    "重复的 RATS 不应答，链路继续",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def second_rats(lab: Lab) -> None:
    """After a command that was answered."""
    lab.radio.open()
    answers(lab)
    lab.radio.silent(bytes([RATS, 0x80]))
    answers(lab)


@case(
    "RATS",
    "HLTA and REQA mean nothing to a card in ISO/IEC 14443-4",
    "进入 ISO/IEC 14443-4 后 HLTA 与 REQA 无效",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def no_polls(lab: Lab) -> None:
    """A card that talks does not hear a poll."""
    lab.radio.open()
    silent(lab, lab.radio.hlta())
    silent(lab, lab.radio.reqa())
    answers(lab)


@case(
    "RATS",
    "An ATS of TL alone means 32 bytes, FWI 4, CID and no NAD",
    "仅含 TL 的 ATS 即 32 字节、FWI 4、支持 CID、不支持 NAD",
    "1.3",
    needs=FRAMES,
    grade="K",
    setup=card_with("01"),
)
def bare_ats(lab: Lab) -> None:
    """A block with CID is answered, and one of 33 bytes is not."""
    lab.radio.open(cid=3)
    lab.require(lab.radio.ats == Ats(), Words("ATS 01", "ATS 01"), str(lab.radio.ats))
    answers(lab)
    lab.radio.silent(lab.radio.framed(I_BLOCK | lab.radio.number | MORE, bytes(29)))


# FSC


def fill(lab: Lab, size: int) -> bytes:
    """A block of that many bytes on air, the first part of a command."""
    radio = lab.radio
    return radio.framed(I_BLOCK | MORE | radio.number, bytes(size - CRC_SIZE - 1))


@family
def fscs() -> Iterator[Case]:
    """The card takes frames of FSC, and no longer ones."""
    for fsci in (0, 1, 2, 3, 4, 5, 6, 7, 8):
        size = FRAME_SIZES[fsci]
        full = Words(
            f"A card with FSCI {fsci} takes a frame of {size} bytes",
            f"FSCI 为 {fsci} 的卡接受 {size} 字节的帧",
        )
        over = Words(
            f"A card with FSCI {fsci} ignores a frame of {size + 1} bytes",
            f"FSCI 为 {fsci} 的卡忽略 {size + 1} 字节的帧",
        )

        def takes(lab: Lab, size: int = size) -> None:
            lab.radio.open()
            lab.radio.must_say(lab.radio.raw(fill(lab, size)), R_ACK)

        def ignores(lab: Lab, size: int = size) -> None:
            lab.radio.open()
            lab.radio.silent(fill(lab, size + 1))
            lab.radio.must_say(lab.radio.say(R_NAK), R_ACK | 1)

        setup = card_with(f"057{fsci:X}807002")
        for name, title, body in (("full", full, takes), ("over", over, ignores)):
            key = f"rats.fsc.{fsci}.{name}"
            yield Case(key, "RATS", title, ("1.3",), body, "K", FRAMES, setup=setup)


# PPS


def _pps(lab: Lab, *rest: int) -> bytes | None:
    radio = lab.radio
    return radio.raw(bytes([PPS | (radio.cid or 0), *rest]))


def _agreed(lab: Lab, came: bytes | None) -> None:
    wanted = bytes([PPS | (lab.radio.cid or 0)])
    lab.radio.must(came, wanted, Words("the start byte again", "重复起始字节"))


@case(
    "RATS",
    "PPS for 106 kbit/s is answered with its start byte",
    "106 kbit/s 的 PPS 得到其起始字节",
    "1.4",
    needs=FRAMES,
    grade="K",
)
def pps(lab: Lab) -> None:
    """PPS1 is 00."""
    lab.radio.open()
    _agreed(lab, _pps(lab, 0x11, 0x00))
    answers(lab)


@case(
    "RATS",
    "PPS without PPS1 is answered and changes nothing",
    "无 PPS1 的 PPS 得到应答且不变速率",
    "1.4",
    needs=FRAMES,
    grade="K",
)
def short_pps(lab: Lab) -> None:
    """PPS0 is 01."""
    lab.radio.open()
    _agreed(lab, _pps(lab, 0x01))
    answers(lab)


@case(
    "RATS",
    "PPS carries the CID of RATS",
    "PPS 带 RATS 所给 CID",
    "1.4",
    needs=FRAMES,
    grade="K",
)
def pps_cid(lab: Lab) -> None:
    """The CID is part of the start byte."""
    lab.radio.open(cid=5)
    takes_cid(lab)
    _agreed(lab, _pps(lab, 0x11, 0x00))
    answers(lab)


@case(
    "RATS",
    "PPS with another CID is not answered",
    "CID 不同的 PPS 不应答",
    "1.4",
    needs=FRAMES,
    grade="K",
)
def pps_other_cid(lab: Lab) -> None:
    """CID 6 where 5 was assigned."""
    lab.radio.open(cid=5)
    lab.radio.silent(bytes([PPS | 6, 0x11, 0x00]))
    takes_cid(lab)
    answers(lab)


@case(
    "RATS",
    "A second PPS is not answered",
    "第二次 PPS 不应答",
    "1.4",
    needs=FRAMES,
    grade="K",
)
def pps_twice(lab: Lab) -> None:
    """It is taken once."""
    lab.radio.open()
    _agreed(lab, _pps(lab, 0x11, 0x00))
    silent(lab, _pps(lab, 0x11, 0x00))
    answers(lab)


@case(
    "RATS",
    "PPS after a block is not answered",
    "块之后的 PPS 不应答",
    "1.4",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def late_pps(lab: Lab) -> None:
    """One command is enough."""
    lab.radio.open()
    answers(lab)
    silent(lab, _pps(lab, 0x11, 0x00))
    answers(lab)


@case(
    "RATS",
    "PPS after a broken block is not answered",
    "坏块之后的 PPS 不应答",
    "1.3",
    "1.4",
    needs=FRAMES,
    grade="K",
)
def pps_after_noise(lab: Lab) -> None:
    """A block whose checksum is wrong is a block received."""
    lab.radio.open()
    silent(lab, lab.radio.spoiled(bytes([I_BLOCK]) + PPSE, lab.radio.wait_ns()))
    silent(lab, _pps(lab, 0x11, 0x00))
    answers(lab)


@case(
    "RATS",
    "PPS for rates the ATS does not offer is not answered",
    "ATS 未提供的速率的 PPS 不应答",
    "1.4",
    "1.3",
    needs=FRAMES,
    grade="K",
)
def unoffered(lab: Lab) -> None:
    """Each pair of divisors that TA leaves out, each in a new link."""
    lab.radio.open()
    rates = [(dsi, dri) for dsi in range(4) for dri in range(4)]
    left = [(dsi, dri) for dsi, dri in rates if not lab.radio.ats.offers(dsi, dri)]
    if not left:
        raise NotApplicable("the card's ATS offers all rates", "此卡 ATS 提供全部速率")
    for dsi, dri in left:
        lab.radio.open()
        silent(lab, _pps(lab, 0x11, dsi << 2 | dri))
        answers(lab)


@case(
    "RATS",
    "PPS of wrong form is not answered",
    "格式错误的 PPS 不应答",
    "1.4",
    needs=FRAMES,
    grade="K",
)
def wrong_pps(lab: Lab) -> None:
    """Parameters missing, too many, or with reserved bits."""
    for rest in ((), (0x11,), (0x01, 0x00), (0x11, 0x10), (0x11, 0x00, 0x00)):
        lab.radio.open()
        silent(lab, _pps(lab, *rest))
        answers(lab)


_RATES = {
    "212": (0x91, 1, 1, Words("212 kbit/s both ways", "双向 212 kbit/s")),
    "424": (0xB3, 2, 2, Words("424 kbit/s both ways", "双向 424 kbit/s")),
    "848": (0xF7, 3, 3, Words("848 kbit/s both ways", "双向 848 kbit/s")),
    "mixed": (
        0x77,
        3,
        1,
        Words("848 kbit/s from the card and 212 to it", "卡发 848、收 212 kbit/s"),
    ),
}


@family
def rates() -> Iterator[Case]:
    """PPS on cards that offer more than 106 kbit/s."""
    for name, (ta, dsi, dri, words) in _RATES.items():
        title = Words(f"After PPS the link goes on at {words.en}", f"PPS 后链路以{words.zh}继续")

        def body(lab: Lab, dsi: int = dsi, dri: int = dri) -> None:
            lab.radio.open()
            _agreed(lab, _pps(lab, 0x11, dsi << 2 | dri))
            lab.radio.rates = (dri, dsi)
            answers(lab)
            lab.radio.rates = (0, 0)
            lab.radio.silent(lab.radio.framed(R_NAK | lab.radio.number))

        setup = card_with(f"0578{ta:02X}7002")
        yield Case(f"rats.rate.{name}", "RATS", title, ("1.4",), body, "K", FRAMES, setup=setup)
