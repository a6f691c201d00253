"""GET CHALLENGE and EXTERNAL AUTHENTICATE (4.9, 4.10)."""

from apdu.commands import GET_BALANCE
from apdu.file_commands import GET_CHALLENGE
from apdu.key_commands import EXTERNAL_AUTHENTICATE
from apdu.purse import external_authenticate
from apdu.records import Cryptogram
from bench.conformance.case import Level, Need
from bench.conformance.lab import Lab
from bench.conformance.registry import case
from bench.conformance.scenes import (
    PAID,
    opened,
    refused,
)
from bench.conformance.words import Words


@case(
    "CHAL",
    "GET CHALLENGE gives four bytes with Le 04 and eight with Le 08",
    "取随机数：Le 04 为 4 字节，Le 08 为 8 字节",
    "4.9",
    level=Level.BASIC,
)
def lengths(lab: Lab) -> None:
    """As asked for."""
    opened(lab)
    for size in (4, 8):
        data = lab.must(lab.send(bytes((0x00, 0x84, 0x00, 0x00, size)))).data
        lab.require(len(data) == size, Words(f"{size} bytes", f"{size} 字节"), f"{len(data)}")


@case("CHAL", "GET CHALLENGE with another Le is 6700", "取随机数的其他 Le 应答 6700", "4.9")
def other_lengths(lab: Lab) -> None:
    """1, 3, 5, 7, 9 and 16."""
    opened(lab)
    for size in (1, 3, 5, 7, 9, 16):
        refused(lab, bytes((0x00, 0x84, 0x00, 0x00, size)), 0x6700)


@case("CHAL", "No challenge comes twice", "随机数不重复", "4.9")
def fresh(lab: Lab) -> None:
    """Thirty-two of eight bytes."""
    opened(lab)
    seen = {lab.must(lab.send(b"\x00\x84\x00\x00\x08")).data for _ in range(32)}
    lab.require(len(seen) == 32, Words("32 different", "32 个不同的随机数"), f"{len(seen)}")


@case(
    "CHAL", "Another session has another challenge", "掉电后随机数不重复", "4.9", needs=(Need.CUT,)
)
def fresh_after_reset(lab: Lab) -> None:
    """The same first command after eight field losses."""
    seen = set()
    for _ in range(8):
        opened(lab)
        seen.add(lab.must(lab.send(b"\x00\x84\x00\x00\x08")).data)
        lab.reset()
    lab.require(len(seen) == 8, Words("8 different", "8 个不同的随机数"), f"{len(seen)}")


@case("CHAL", "All bits of a challenge move", "随机数各位都会变化", "4.9", grade="I")
def every_bit_moves(lab: Lab) -> None:
    """In 64 challenges each of 32 bits is both 0 and 1."""
    opened(lab)
    ones, zeros = 0, 0
    for _ in range(64):
        value = int.from_bytes(lab.must(lab.send(b"\x00\x84\x00\x00\x04")).data, "big")
        ones |= value
        zeros |= ~value & 0xFFFFFFFF
    both = ones & zeros
    lab.require(both == 0xFFFFFFFF, Words("every bit moves", "每一位都变化"), f"{both:08X}")


@case(
    "CHAL",
    "All bits of a challenge of eight bytes move",
    "8 字节随机数各位都会变化",
    "4.9",
    grade="I",
)
def every_bit_of_eight_moves(lab: Lab) -> None:
    """No half of it stands still, and none repeats the other."""
    opened(lab)
    ones, zeros, apart = 0, 0, 0
    for _ in range(64):
        value = int.from_bytes(lab.must(lab.send(b"\x00\x84\x00\x00\x08")).data, "big")
        ones |= value
        zeros |= ~value & 0xFFFF_FFFF_FFFF_FFFF
        apart |= (value >> 32) ^ (value & 0xFFFF_FFFF)
    both = ones & zeros
    lab.require(
        both == 0xFFFF_FFFF_FFFF_FFFF, Words("every bit moves", "每一位都变化"), f"{both:016X}"
    )
    lab.require(apart != 0, Words("two halves", "两半不同"), "the same half twice")


@case(
    "CHAL",
    "GET CHALLENGE is served before SELECT and in the master file",
    "未选择应用时可取随机数",
    "4.9",
    grade="I",
    needs=(Need.CUT,),
)
def before_select(lab: Lab) -> None:
    """A reader may ask first."""
    opened(lab)
    lab.reset()
    lab.must(lab.send(b"\x00\x84\x00\x00\x04"))


def _external(lab: Lab, challenge: bytes) -> bytes:
    return EXTERNAL_AUTHENTICATE.command(
        Cryptogram(external_authenticate(lab.keys.dack, challenge)), 0x00, 0x00
    )


@case(
    "CHAL",
    "EXTERNAL AUTHENTICATE takes the cryptogram of four bytes and of eight",
    "外部认证接受 4 或 8 字节随机数的密文",
    "4.10",
    needs=(Need.KEYS,),
)
def external(lab: Lab) -> None:
    """Four are followed by zeros."""
    opened(lab)
    for size in (4, 8):
        challenge = lab.must(lab.send(bytes((0x00, 0x84, 0x00, 0x00, size)))).data
        lab.must(lab.send(_external(lab, challenge)))


@case(
    "CHAL",
    "EXTERNAL AUTHENTICATE wants a challenge of its own",
    "外部认证每次需要新的随机数",
    "4.10",
    "4.9",
    needs=(Need.KEYS,),
)
def external_once(lab: Lab) -> None:
    """Said twice, and after another command, it is 6984."""
    opened(lab)
    command = _external(lab, lab.must(lab.send(b"\x00\x84\x00\x00\x08")).data)
    lab.must(lab.send(command))
    refused(lab, command, 0x6984)
    command = _external(lab, lab.must(lab.send(b"\x00\x84\x00\x00\x08")).data)
    lab.done_ok(GET_BALANCE)
    refused(lab, command, 0x6984)


@case(
    "CHAL",
    "A wrong cryptogram costs a try, the right one gives it back",
    "外部认证失败减少次数，成功后恢复",
    "4.10",
    needs=PAID,
)
def external_wrong(lab: Lab) -> None:
    """63C2, 63C1, 9000, 63C2, 9000; each byte counts."""
    opened(lab)
    for at in (8, 5, 1):
        for left in (2, 1):
            right = _external(lab, lab.done_ok(GET_CHALLENGE))
            made = bytearray(right)
            made[-at] ^= 0x01
            refused(lab, bytes(made), 0x63C0 | left)
        lab.must(lab.send(_external(lab, lab.done_ok(GET_CHALLENGE))))


@case(
    "CHAL",
    "Three wrong cryptograms lock the key",
    "外部认证三次失败后密钥锁定",
    "4.10",
    needs=PAID | {Need.FRESH, Need.CUT},
)
def external_locked(lab: Lab) -> None:
    """6983, in the next session too."""
    opened(lab)
    for left in (2, 1, 0):
        made = bytearray(_external(lab, lab.done_ok(GET_CHALLENGE)))
        made[-1] ^= 0x01
        refused(lab, bytes(made), 0x63C0 | left)
    lab.reset()
    opened(lab)
    refused(lab, _external(lab, lab.done_ok(GET_CHALLENGE)), 0x6983)
