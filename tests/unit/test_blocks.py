"""Blocks taken apart (protocol reference 1.5)."""

import pytest

from apdu.blocks import KINDS, Block, Kind

INF = b"\x01\x02\x03"


def fixed_bits(pcb: int) -> Kind | None:
    """Table 1.5 read once more, by hand: what each of eight bits must be."""
    bits = f"{pcb:08b}"
    if bits[:3] == "000" and bits[6] == "1":
        return Kind.I_BLOCK
    if bits[:3] == "101" and bits[5:7] == "01":
        return Kind.R_BLOCK
    if bits[:2] == "11" and bits[5:] == "010" and bits[2:4] in ("00", "11"):
        return Kind.WTX if bits[2:4] == "11" else Kind.DESELECT
    return Kind.PPS if bits[:4] == "1101" else None


@pytest.mark.parametrize("pcb", range(256))
def test_every_pcb_is_known_by_its_fixed_bits(pcb: int):
    kind = fixed_bits(pcb)
    assert KINDS.get(pcb) is kind
    block = Block.parse(bytes([pcb]) + INF)
    if kind is None:
        assert block is None
        return
    assert block is not None
    assert block.kind is kind
    if kind is Kind.PPS:
        assert (block.cid, block.nad, block.inf) == (pcb & 0x0F, None, INF)
        return
    has_cid = bool(pcb & 0x08)
    has_nad = kind is Kind.I_BLOCK and bool(pcb & 0x04)
    rest = list(INF)
    assert block.cid == (rest.pop(0) & 0x0F if has_cid else None)
    assert block.nad == (rest.pop(0) if has_nad else None)
    assert block.inf == bytes(rest)


@pytest.mark.parametrize("pcb", range(256))
def test_a_block_that_ends_before_its_prologue_is_none(pcb: int):
    block = Block.parse(bytes([pcb]))
    prologue = 0
    if fixed_bits(pcb) not in (None, Kind.PPS):
        prologue = bool(pcb & 0x08) + (fixed_bits(pcb) is Kind.I_BLOCK and bool(pcb & 0x04))
    assert (block is None) == (fixed_bits(pcb) is None or prologue > 0)
    if prologue == 2:
        assert Block.parse(bytes([pcb, 5])) is None
    if prologue:
        assert Block.parse(bytes([pcb]) + bytes(prologue)) is not None


def test_no_bytes_are_no_block():
    assert Block.parse(b"") is None


@pytest.mark.parametrize(
    ("frame", "title"),
    [
        ("02", "I(0)"),
        ("0200A4", "I(0)"),
        ("13AA", "I(1)+"),
        ("1B05AA", "I(1)+ CID 5"),
        ("0F05D7AA", "I(1) CID 5 NAD D7"),
        ("06D7", "I(0) NAD D7"),
        ("A2", "R(ACK 0)"),
        ("BB0E", "R(NAK 1) CID 14"),
        ("C2", "S(DESELECT)"),
        ("CA03", "S(DESELECT) CID 3"),
        ("F205", "S(WTX 5)"),
        ("F2FB", "S(WTX 59)"),  # power level 11
        ("FA0301", "S(WTX 1) CID 3"),
        ("F2", "S(WTX)"),
        ("D51105", "PPS CID 5"),
    ],
)
def test_a_block_is_named_as_the_standard_does(frame: str, title: str):
    block = Block.parse(bytes.fromhex(frame))
    assert block is not None
    assert block.title == title


def test_every_block_has_a_title():
    for pcb in KINDS:
        for tail in (b"", b"\xff", b"\xff\xff\xff"):
            block = Block.parse(bytes([pcb]) + tail)
            assert block is None or block.title


def test_the_power_level_is_no_part_of_the_cid():
    block = Block.parse(bytes.fromhex("0AC5AA"))
    assert block is not None
    assert block.cid == 5


@pytest.mark.parametrize(
    ("frame", "number", "has_more", "is_nak"),
    [
        ("02", 0, False, False),
        ("03", 1, False, False),
        ("12", 0, True, False),
        ("A3", 1, False, False),
        ("B2", 0, False, True),
        ("F201", 0, False, False),  # bit 5 of S(WTX) is neither
        ("D100", 1, False, False),
    ],
)
def test_numbers_and_flags(frame: str, number: int, has_more: bool, is_nak: bool):
    block = Block.parse(bytes.fromhex(frame))
    assert block is not None
    assert (block.number, block.has_more, block.is_nak) == (number, has_more, is_nak)
