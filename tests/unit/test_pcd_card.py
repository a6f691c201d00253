"""The reader's block machine with the card's, over a good air: chains both ways, frame by frame."""

import pytest

from apdu.ats import FRAME_SIZES
from apdu.blocks import Block, Kind
from apdu.event import Event, Source
from apdu.frame import Frame
from emulator.radio.air import Air
from emulator.radio.medium import drive
from emulator.radio.pcd import PcdIsoDep, find
from emulator.radio.station import Station
from tests.unit.pcd import EchoCard, SizedCard, with_ats

SIZES = (16, 24, 32, 64, 256)
BLOCK_BYTES = 3  # PCB and checksum


def linked(card: EchoCard, fsd: int, cid: int | None = None) -> tuple[Air, PcdIsoDep, list[Event]]:
    seen: list[Event] = []
    air = Air(observer=seen.append)
    air.bring(Station(card))
    air.field_on()
    assert drive(find(), air) is not None
    pcd = PcdIsoDep(FRAME_SIZES.index(fsd), cid)
    assert drive(pcd.activate(), air) == card.contactless.ats
    seen.clear()
    return air, pcd, seen


def sizes_around(room: int) -> list[int]:
    """Lengths at the edges of one, two and three blocks, and some large ones."""
    near = {n * room + d for n in (1, 2, 3) for d in (-1, 0, 1)}
    return sorted({1, 2, 3, 261, *near} - {0})


def blocks(seen: list[Event], source: Source) -> list[Block]:
    parsed = [Block.parse(e.data[:-2]) for e in seen if e.source is source]
    assert None not in parsed
    return [block for block in parsed if block is not None]


@pytest.mark.parametrize("cid", [None, 5])
@pytest.mark.parametrize("fsc", SIZES)
@pytest.mark.parametrize("fsd", SIZES)
def test_commands_and_answers_are_cut_to_the_frames_of_each_side(
    fsd: int, fsc: int, cid: int | None
):
    card = EchoCard(with_ats(fsci=FRAME_SIZES.index(fsc)))
    air, pcd, seen = linked(card, fsd, cid)
    to_card, to_reader = (size - BLOCK_BYTES - (cid is not None) for size in (fsc, fsd))
    for size in sizes_around(to_card):
        command = bytes(n & 0xFF for n in range(size))
        seen.clear()
        assert drive(pcd.transmit(command), air) == command + b"\x90\x00"
        asked, answered = blocks(seen, Source.PCD), blocks(seen, Source.PICC)
        sent = [block.inf for block in asked if block.kind is Kind.I_BLOCK]
        heard = [block.inf for block in answered if block.kind is Kind.I_BLOCK]
        assert b"".join(sent) == command
        assert [len(inf) for inf in sent[:-1]] == [to_card] * ((size - 1) // to_card)
        assert [len(inf) for inf in heard[:-1]] == [to_reader] * ((size + 1) // to_reader)
        assert len(asked) == len(answered) == len(sent) + len(heard) - 1
        assert {block.cid for block in asked + answered} == {cid}
        assert all(len(e.data) <= (fsc if e.source is Source.PCD else fsd) for e in seen)
    assert len(card.seen) == len(sizes_around(to_card))


@pytest.mark.parametrize("cid", [None, 5])
@pytest.mark.parametrize("fsd", SIZES)
def test_answers_of_every_length_around_the_room_arrive(fsd: int, cid: int | None):
    air, pcd, _ = linked(SizedCard(), fsd, cid)
    for size in sizes_around(fsd - BLOCK_BYTES - (cid is not None)):
        for length in (max(0, size - 2), size):
            answer = drive(pcd.transmit(b"\x00" + length.to_bytes(2, "big")), air)
            assert answer == bytes(n & 0xFF for n in range(length)) + b"\x90\x00"


@pytest.mark.parametrize("fsci", [0, 8])
def test_a_card_without_cid_is_spoken_to_without_one(fsci: int):
    card = EchoCard(with_ats(fsci=fsci, tc=0x00))
    air, pcd, seen = linked(card, 16, cid=5)
    assert drive(pcd.transmit(bytes(60)), air) == bytes(60) + b"\x90\x00"
    assert all(e.data[0] & 0x08 == 0 for e in seen)
    assert drive(pcd.is_present(), air)
    assert drive(pcd.deselect(), air)


@pytest.mark.parametrize("cid", [None, 0, 14])
def test_presence_and_deselect_with_every_cid(cid: int | None):
    card = EchoCard()
    air, pcd, seen = linked(card, 256, cid)
    for _ in range(3):
        assert drive(pcd.is_present(), air)
    assert drive(pcd.transmit(b"\x01"), air) == b"\x01\x90\x00"
    assert drive(pcd.is_present(), air)
    assert drive(pcd.transmit(b"\x02"), air) == b"\x02\x90\x00"
    assert card.seen == [b"\x01", b"\x02"]
    assert drive(pcd.deselect(), air)
    assert card.power == ["on", "off"]
    assert not drive(pcd.is_present(), air)
    # A deselected card sleeps: only WUPA finds it, and it begins anew.
    assert drive(find(), air) is None
    assert drive(find(wake=True), air) is not None
    assert drive(pcd.activate(), air) is not None
    assert drive(pcd.transmit(b"\x03"), air) == b"\x03\x90\x00"
    assert Frame(seen[-2].data).body() == bytes([0x02] if cid is None else [0x0A, cid]) + b"\x03"


@pytest.mark.parametrize(
    ("ta", "dsi", "dri", "agrees"),
    [
        (0x80, 0, 0, True),
        (0x80, 1, 1, False),
        (0x77, 3, 3, True),
        (0x77, 1, 2, True),
        (0xF7, 1, 2, False),
        (0x13, 1, 2, True),
        (0x13, 2, 1, False),
    ],
)
def test_rates_are_changed_where_the_card_agrees(ta: int, dsi: int, dri: int, agrees: bool):
    air, pcd, seen = linked(EchoCard(with_ats(ta=ta)), 256)
    assert drive(pcd.pps(dsi, dri), air) is agrees
    seen.clear()
    assert drive(pcd.transmit(bytes(20)), air) == bytes(20) + b"\x90\x00"
    pcd_ns, picc_ns = (event.duration_ns for event in seen)
    rates = (dri, dsi) if agrees else (0, 0)
    assert abs(pcd_ns - (1 + 9 * 23) * (128 >> rates[0]) * 1000 / 13.56) < 1
    start = 512 if rates[1] else 128
    assert abs(picc_ns - (start + 9 * 25 * (128 >> rates[1])) * 1000 / 13.56) < 1
