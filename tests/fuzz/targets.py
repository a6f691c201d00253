"""What is fuzzed byte by byte: one function each, which fails on any undeclared exception.

A target takes any bytes. The error its parser declares is no failure; anything else is. Atheris
feeds them (`tests.fuzz.long`), and `test_corpus` replays what it kept.
"""

from collections.abc import Callable, Iterator
from inspect import isclass
from typing import TypeVar

import apdu.files
import apdu.records
import apdu.sam_records
import fixtures
from apdu.ats import Ats
from apdu.blocks import Block
from apdu.codec import Record, WireError
from apdu.commands import TABLE
from apdu.frame import HLTA
from apdu.tlv import Tlv, parse_all, value_of
from bench.conformance.fuzz.oracle import is_declared
from bench.trace_formats import FORMATS, TraceError
from bench.trace_formats.layers import exchanges, frames
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.state import Chip
from emulator.card.store import MemoryStore
from emulator.radio.isodep import PiccLink
from emulator.radio.medium import Heard, Radio, Trouble
from emulator.radio.pcd import LinkDead, PcdIsoDep

T = TypeVar("T")
Target = Callable[[bytes], None]

MOST = 64
"""Pieces that are taken out of one input."""


def pieces(data: bytes) -> Iterator[bytes]:
    """Length-prefixed pieces: a byte of length, and so many bytes or what is left."""
    at = 0
    for _ in range(MOST):
        if at >= len(data):
            return
        end = at + 1 + data[at]
        yield data[at + 1 : end]
        at = end


_MODEL = fixtures.card("student")


def new_card() -> Card:
    """A student's card, the same each time."""
    chip = Chip(_MODEL._chip.dialect, SeededEnv("fuzz"), {})
    return Card(chip, MemoryStore(_MODEL.image), _MODEL.contactless)


def card(data: bytes) -> None:
    """Commands one after the other; an empty one switches the field off and on."""
    one = new_card()
    for command in pieces(data):
        if not command:
            one.power_off()
            one.power_on()
            continue
        response = one.process(command)
        assert 2 <= len(response) <= 258
        sw = int.from_bytes(response[-2:], "big")
        assert is_declared(TABLE.route(command[:4]), sw), f"{command.hex()}: {sw:04X}"


ACTIVATION = ("26", "9320", "9370{uid}", "E080")
"""What a reader says until ISO-DEP is open."""


def picc(data: bytes) -> None:
    """Frames into the card's side of the radio. The first byte, if odd, opens ISO-DEP first."""
    one = new_card()
    link = PiccLink(one, one.contactless)
    link.field_on()
    if data[:1] and data[0] & 1:
        uid = one.contactless.uid
        bcc = uid[0] ^ uid[1] ^ uid[2] ^ uid[3]
        for frame in ACTIVATION:
            link.receive(bytes.fromhex(frame.format(uid=(uid + bytes((bcc,))).hex())))
    for frame in pieces(data[1:]):
        if not frame:
            link.field_off()
            link.field_on()
            continue
        answer = link.receive(frame)
        assert answer is None or answer
    link.receive(HLTA)


def pcd(data: bytes) -> None:
    """Answers into the reader's block machine, until it has had enough or gives the card up."""
    link = PcdIsoDep(fsdi=data[0] % 9 if data else 8, cid=None if not data or data[0] & 64 else 3)
    answers = pieces(data[1:])
    _converse(link.activate(), answers)
    for command in (bytes(5), bytes(200)):
        try:
            _converse(link.transmit(command), answers)
        except LinkDead:
            _converse(link.is_present(), answers)
    _converse(link.deselect(), answers)


def _converse(radio: Radio[T], answers: Iterator[bytes]) -> T:
    try:
        next(radio)
        while True:
            heard = next(answers, b"")
            radio.send(Heard(heard, Trouble.NONE if heard else Trouble.TIMEOUT))
    except StopIteration as end:
        return end.value


def blocks(data: bytes) -> None:
    """A frame taken apart, and an ATS."""
    block = Block.parse(data)
    if block is not None:
        assert block.title
        assert data.endswith(block.inf)
    try:
        ats = Ats.parse(data)
    except ValueError:
        return
    assert ats.fsc > 0


def tlv(data: bytes) -> None:
    """Data objects, as a tree and as a search."""
    for tag in (0x84, 0x9F0C, 0xBF0C):
        try:
            value_of(data, tag)
        except WireError:
            continue
    try:
        for found in parse_all(data):
            assert Tlv.make(found.tag, found.value)
            found.first(0x84)
    except WireError:
        return


RECORDS = [
    found
    for module in (apdu.records, apdu.sam_records, apdu.files)
    for found in vars(module).values()
    if isclass(found) and issubclass(found, Record) and found is not Record and found.SIZES
]


def records(data: bytes) -> None:
    """A record is built from what was parsed, and is the same bytes. The first byte chooses it."""
    if not data:
        return
    form = RECORDS[data[0] % len(RECORDS)]
    try:
        parsed = form.parse(data[1:])
    except WireError:
        return
    assert parsed.build() == data[1:], form.__name__


def trace_of(name: str) -> Target:
    """A recording of one format: read, seen in both layers, and written again."""
    known = FORMATS[name]

    def read(data: bytes) -> None:
        known.sniff(data)
        try:
            trace = known.load(data)
        except TraceError:
            return
        frames(trace)
        list(exchanges(trace))
        try:
            again = known.dump(trace)
        except TraceError:
            return
        assert known.load(again) == known.keeps(trace)

    return read


TARGETS: dict[str, Target] = {
    "card": card,
    "picc": picc,
    "pcd": pcd,
    "blocks": blocks,
    "tlv": tlv,
    "records": records,
} | {f"trace-{name}": trace_of(name) for name in FORMATS}
