"""ISO/IEC 14443-3 type A: polling, anticollision, SELECT, HLTA, and what wakes a card (1.1, 1.2).

A card never complains: what it does not understand it does not answer, and falls back to IDLE, or
to HALT where it was woken from there.
"""

from collections.abc import Iterator

from apdu.blocks import I_BLOCK
from apdu.frame import CASCADE_TAG, HLTA, REQA, SELECT_CODES, SELECT_NVB
from bench.conformance.case import Case, Level, Need
from bench.conformance.lab import Lab
from bench.conformance.radio import SILENCE, UID_NOT_COMPLETE, Radio
from bench.conformance.registry import case, family
from bench.conformance.words import Words
from emulator.picc import Contactless

FRAMES = frozenset({Need.FRAMES})
SEL = SELECT_CODES[0]
SEVEN = Contactless(
    bytes.fromhex("4400"), 0x20, bytes.fromhex("04112233445566"), bytes.fromhex("0578807002")
)
"""A card with a UID of seven bytes."""


def silent(lab: Lab, came: bytes | None, expected: Words = SILENCE, clause: str = "") -> None:
    """The last frame had no answer. Raises Broken."""
    lab.require(came is None, expected, "" if came is None else came.hex().upper(), clause=clause)


def idle(lab: Lab) -> None:
    """The card answers REQA: it is IDLE."""
    came = lab.radio.reqa()
    lab.require(came is not None, Words("an answer to REQA: IDLE", "应答 REQA：IDLE"), "silence")


def halted(lab: Lab) -> None:
    """The card is deaf for REQA and wakes up for WUPA: it is in HALT."""
    silent(lab, lab.radio.reqa(), Words("no answer to REQA: HALT", "不应答 REQA：HALT"))
    came = lab.radio.wupa()
    lab.require(came is not None, Words("an answer to WUPA: HALT", "应答 WUPA：HALT"), "silence")


def ready(lab: Lab) -> Radio:
    """A card that has answered REQA: it is READY."""
    lab.radio.anew()
    idle(lab)
    return lab.radio


def asleep(lab: Lab) -> Radio:
    """A card that was selected and halted."""
    lab.radio.find()
    silent(lab, lab.radio.hlta())
    return lab.radio


@case(
    "ACT",
    "REQA is answered with the declared ATQA",
    "REQA 得到所声明的 ATQA",
    "1.1",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def reqa(lab: Lab) -> None:
    """Low byte first, in an idle card."""
    lab.radio.anew()
    came = lab.radio.reqa() or b""
    lab.must_be(came, lab.declared.contactless.atqa, Words("ATQA", "ATQA"))


@case(
    "ACT",
    "WUPA is answered with the same ATQA by an idle card",
    "空闲卡以相同 ATQA 应答 WUPA",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def wupa(lab: Lab) -> None:
    """Once asked by REQA, once by WUPA."""
    lab.radio.anew()
    atqa = lab.radio.reqa() or b""
    lab.radio.anew()
    lab.must_be(lab.radio.wupa() or b"", atqa, Words("ATQA", "ATQA"))


@case(
    "ACT",
    "Anticollision gives the declared UID with its BCC",
    "防冲突给出所声明的 UID 与 BCC",
    "1.2",
    "1.1",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def uid(lab: Lab) -> None:
    """One question with nothing known, then SELECT."""
    found, _ = ready(lab).choose()
    lab.must_be(found, lab.declared.contactless.uid, Words("UID", "UID"), clause="1.1")


@case(
    "ACT",
    "SELECT is answered with the declared SAK",
    "SELECT 得到所声明的 SAK",
    "1.1",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def sak(lab: Lab) -> None:
    """The last of all cascade levels."""
    _, came = ready(lab).choose()
    lab.must_be(bytes([came]), bytes([lab.declared.contactless.sak]), Words("SAK", "SAK"))


@case(
    "ACT",
    "SAK says that the card speaks ISO/IEC 14443-4",
    "SAK 表明支持 ISO/IEC 14443-4",
    "1.1",
    needs=FRAMES,
    grade="K",
)
def sak_bits(lab: Lab) -> None:
    """Without bit 6 no reader sends RATS."""
    _, came = ready(lab).choose()
    lab.require(bool(came & 0x20), Words("bit 6 of SAK", "SAK 第 6 位为 1"), f"{came:02X}")


@case(
    "ACT",
    "A UID of seven bytes is given in two cascade levels",
    "7 字节 UID 分两级给出",
    "1.2",
    needs=FRAMES,
    grade="K",
    setup={"contactless": SEVEN},
)
def two_levels(lab: Lab) -> None:
    """88 and three bytes, then four."""
    radio = ready(lab)
    first = radio.level()
    tag = bytes([CASCADE_TAG]) + SEVEN.uid[:3]
    lab.must_be(first[:4], tag, Words("cascade tag and UID", "级联标志与 UID"))
    came = radio.ask(bytes([SEL, SELECT_NVB]) + first) or b""
    is_right = len(came) == 1 and bool(came[0] & UID_NOT_COMPLETE)
    lab.require(is_right, Words("SAK with bit 3: more follows", "SAK 第 3 位为 1"), came.hex())
    second = radio.level(SELECT_CODES[1])
    lab.must_be(second[:4], SEVEN.uid[3:], Words("the rest of the UID", "UID 其余部分"))
    came = radio.ask(bytes([SELECT_CODES[1], SELECT_NVB]) + second) or b""
    lab.must_be(came, bytes([SEVEN.sak]), Words("SAK", "SAK"))


@case(
    "ACT",
    "A card with a UID of seven bytes that was left halfway begins with the first level again",
    "7 字节 UID 的卡选择中断后重新从第一级开始",
    "1.2",
    needs=FRAMES,
    grade="K",
    setup={"contactless": SEVEN},
)
def first_level_again(lab: Lab) -> None:
    """The first level is selected, then nothing the card knows, then REQA."""
    radio = ready(lab)
    radio.ask(bytes([SEL, SELECT_NVB]) + radio.level())
    silent(lab, radio.ask(bytes.fromhex("3000")))
    idle(lab)
    found, _ = radio.choose()
    lab.must_be(found, SEVEN.uid, Words("UID", "UID"))


def _split(lab: Lab, bits: int) -> None:
    """The reader knows the first bits: the card gives the others, each at its place."""
    level = ready(lab).level()
    whole, rest = divmod(bits, 8)
    known = level[: whole + (rest > 0)]
    if rest:
        known = known[:-1] + bytes([known[-1] & (1 << rest) - 1])
    frame = bytes([SEL, 2 + whole << 4 | rest]) + known
    came = lab.radio.ask(frame, tail=rest or 8, has_crc=False, wants_crc=False) or b""
    wanted = bytes([level[whole] >> rest << rest]) + level[whole + 1 :]
    lab.must_be(came, wanted, Words("the other bits of the UID", "UID 其余各位"))


@family
def splits() -> Iterator[Case]:
    """Anticollision with some bits known."""
    for bits in (1, 7, 8, 13, 24, 32, 39):
        title = Words(
            f"Anticollision with {bits} known bits gives the others",
            f"防冲突已知 {bits} 位时给出其余各位",
        )

        def body(lab: Lab, bits: int = bits) -> None:
            _split(lab, bits)

        yield Case(f"act.split.{bits}", "ACT", title, ("1.2",), body, "K", FRAMES)


@case(
    "ACT",
    "Anticollision for another UID is not answered",
    "不应答其他 UID 的防冲突",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def foreign_bits(lab: Lab) -> None:
    """The lowest bit of the first byte is another."""
    level = ready(lab).level()
    frame = bytes([SEL, 0x30, level[0] ^ 0x01])
    silent(lab, lab.radio.ask(frame, has_crc=False, wants_crc=False))


@case(
    "ACT",
    "Anticollision with a wrong bit in a split byte is not answered",
    "拆分字节中有一位不符的防冲突不应答",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def foreign_part(lab: Lab) -> None:
    """The first byte and two bits of the second are right, the third bit is another."""
    level = ready(lab).level()
    frame = bytes([SEL, 0x33, level[0], (level[1] ^ 0x04) & 0x07])
    silent(lab, lab.radio.ask(frame, tail=3, has_crc=False, wants_crc=False))


def _foreign(lab: Lab, at: int) -> None:
    level = bytearray(ready(lab).level())
    level[at] ^= 0x10
    level[4] ^= 0x10  # so that BCC is right
    silent(lab, lab.radio.ask(bytes([SEL, SELECT_NVB]) + bytes(level)))
    idle(lab)


@family
def foreign_uids() -> Iterator[Case]:
    """SELECT of a UID that differs in one byte."""
    for at in range(4):
        title = Words(
            f"SELECT of a UID that differs in byte {at} is not answered",
            f"UID 第 {at} 字节不同的 SELECT 不应答",
        )

        def body(lab: Lab, at: int = at) -> None:
            _foreign(lab, at)

        yield Case(f"act.foreign.{at}", "ACT", title, ("1.2",), body, "K", FRAMES)


@case(
    "ACT",
    "SELECT with a wrong BCC is not answered",
    "BCC 错误的 SELECT 不应答",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def wrong_bcc(lab: Lab) -> None:
    """The UID is right."""
    level = ready(lab).level()
    silent(lab, lab.radio.ask(bytes([SEL, SELECT_NVB]) + level[:4] + bytes([level[4] ^ 0x01])))
    idle(lab)


@case(
    "ACT",
    "SELECT with a wrong checksum is not answered",
    "CRC 错误的 SELECT 不应答",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def select_bad_crc(lab: Lab) -> None:
    """UID and BCC are right."""
    level = ready(lab).level()
    silent(lab, lab.radio.spoiled(bytes([SEL, SELECT_NVB]) + level))
    idle(lab)


@case(
    "ACT",
    "REQA with eight bits is not answered",
    "8 位的 REQA 不应答",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def long_reqa(lab: Lab) -> None:
    """A short frame has seven bits."""
    lab.radio.anew()
    silent(lab, lab.radio.ask(REQA, has_crc=False, wants_crc=False))
    idle(lab)


@case(
    "ACT",
    "REQA in READY is not answered and leads to IDLE",
    "READY 状态下 REQA 不应答并回到 IDLE",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def reqa_in_ready(lab: Lab) -> None:
    """The second REQA finds it IDLE again."""
    silent(lab, ready(lab).reqa())
    idle(lab)


@case(
    "ACT",
    "REQA in ACTIVE is not answered and leads to IDLE",
    "ACTIVE 状态下 REQA 不应答并回到 IDLE",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def reqa_in_active(lab: Lab) -> None:
    """The next REQA finds it IDLE."""
    lab.radio.find()
    silent(lab, lab.radio.reqa())
    idle(lab)


@case(
    "ACT",
    "An unknown frame in READY leads to IDLE in silence",
    "READY 状态下未知帧静默回到 IDLE",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def garbage_in_ready(lab: Lab) -> None:
    """A READ of another kind of card."""
    silent(lab, ready(lab).ask(bytes.fromhex("3000")))
    idle(lab)


@case(
    "ACT",
    "A block before SELECT is not answered",
    "SELECT 之前的块不应答",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def block_in_idle(lab: Lab) -> None:
    """A whole I-block with a right checksum."""
    lab.radio.anew()
    silent(lab, lab.radio.ask(bytes([I_BLOCK]) + bytes.fromhex("00A4040000")))
    idle(lab)


@case(
    "ACT",
    "HLTA is not answered",
    "HLTA 不应答",
    "1.2",
    needs=FRAMES,
    grade="K",
    level=Level.BASIC,
)
def hlta(lab: Lab) -> None:
    """Silence is the acknowledgement."""
    asleep(lab)


@case(
    "ACT",
    "A halted card sleeps on for REQA",
    "休眠的卡不应答 REQA",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def sleeps(lab: Lab) -> None:
    """After SELECT and HLTA."""
    silent(lab, asleep(lab).reqa())


@case(
    "ACT",
    "A halted card wakes up for WUPA and can be selected",
    "休眠的卡被 WUPA 唤醒并可选择",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def wakes(lab: Lab) -> None:
    """The ATQA is the same, and SELECT works."""
    radio = asleep(lab)
    atqa = radio.wupa() or b""
    lab.must_be(atqa, lab.declared.contactless.atqa, Words("ATQA", "ATQA"), clause="1.1")
    radio.choose()


@case(
    "ACT",
    "A card gives the same UID when it is woken",
    "唤醒后 UID 不变",
    "1.1",
    needs=FRAMES,
    grade="K",
)
def same_uid(lab: Lab) -> None:
    """Asked before HLTA and after WUPA, in one field."""
    first, _ = ready(lab).choose()
    silent(lab, lab.radio.hlta())
    lab.radio.wupa()
    second, _ = lab.radio.choose()
    lab.must_be(second, first, Words("UID", "UID"))


@case(
    "ACT",
    "HLTA with a wrong checksum puts no card to sleep",
    "CRC 错误的 HLTA 不使卡休眠",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def bad_hlta(lab: Lab) -> None:
    """It falls back to IDLE, and REQA finds it."""
    lab.radio.find()
    silent(lab, lab.radio.spoiled(HLTA))
    idle(lab)


@case(
    "ACT",
    "HLTA to a card that is not selected puts it not to sleep",
    "未选中的卡不因 HLTA 休眠",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def idle_hlta(lab: Lab) -> None:
    """REQA still finds it."""
    lab.radio.anew()
    silent(lab, lab.radio.hlta())
    idle(lab)


@case(
    "ACT",
    "A field that was off wakes a halted card",
    "断场后休眠的卡回到空闲",
    "1.2",
    needs=FRAMES,
    grade="K",
)
def field_wakes(lab: Lab) -> None:
    """HALT does not outlast the field."""
    asleep(lab).anew()
    idle(lab)
