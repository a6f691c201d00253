"""What the codec of fixed records costs against `struct` written by hand.

Three levels: a record's parse and build as construct interprets the declaration, flattened as the
card runs it, and the bare `struct`; and a whole command, from its bytes to a typed call and from
the answer's record to bytes, by the table and by hand.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apdu.commands import DEBIT, INIT_CAPP, TABLE
from apdu.records import DebitData, DebitReply, InitializeData, InitPurchaseReply
from apdu.spec import CommandSpec, CommandTable, answer_of
from bench.throughput.histogram import Measure
from bench.throughput.repeat import inlined
from bench.throughput.seven import SevenTap

_INLINED, _GOES = 300, 7
"""Executions in one go, and goes in a run, of which the quickest counts: no interruption fits."""


@dataclass(slots=True)
class HandDebit:
    """DEBIT's data, as somebody without declarations would hold them."""

    terminal_seq: int
    date: bytes
    time: bytes
    mac1: bytes


@dataclass(slots=True)
class HandInitialize:
    """The same for INITIALIZE."""

    key_index: int
    amount: int
    terminal: bytes


_DEBIT_IN, _DEBIT_OUT = struct.Struct(">L4s3s4s"), struct.Struct(">4s4s")
_INIT_IN, _INIT_OUT = struct.Struct(">BL6s"), struct.Struct(">LH3sBB4s")
_BY_HEADER: dict[bytes, tuple[type[HandDebit | HandInitialize], struct.Struct]] = {
    bytes((DEBIT.cla, DEBIT.ins, *DEBIT.usual)): (HandDebit, _DEBIT_IN),
    bytes((INIT_CAPP.cla, INIT_CAPP.ins, *INIT_CAPP.usual)): (HandInitialize, _INIT_IN),
}


def parse_by_hand(command: bytes) -> HandDebit | HandInitialize:
    """A command's data. Raises ValueError, struct.error and KeyError for what is none."""
    made, layout = _BY_HEADER[command[:4]]
    size = layout.size
    if command[4] != size or len(command) != 6 + size:
        raise ValueError("wrong length")
    return made(*layout.unpack_from(command, 5))


def debit_by_hand(reply: DebitReply) -> bytes:
    """DEBIT's answer."""
    return _DEBIT_OUT.pack(reply.tac, reply.mac2)


def initialize_by_hand(reply: InitPurchaseReply) -> bytes:
    """INITIALIZE's answer."""
    return _INIT_OUT.pack(
        reply.balance,
        reply.offline_seq,
        reply.overdraft_limit.to_bytes(3, "big"),
        reply.key_version,
        reply.algorithm,
        reply.random,
    )


_FLATTENED, _BY_HAND = "codec by the table", "codec by hand"
_ROUTE = "spec = route(command[:4]); call = shape(spec, command); answer_of(spec, reply, call.ne)"
_HAND = "parse(command); build(reply)"


Timed = list[tuple[str, Mapping[str, Any]]]
"""Statements, each with the names it uses."""


def statements() -> dict[str, Timed]:
    """What is timed, by the measure's name: statements with their names, each once."""
    seven = SevenTap()
    seven.ready()
    init = seven.card.process(seven.init)[:-2]
    seven.card.process(seven.cache)
    debit = seven.card.process(seven.debit)[:-2]
    commands = (
        (INIT_CAPP, seven.init, InitPurchaseReply.parse(init), initialize_by_hand),
        (DEBIT, seven.debit, DebitReply.parse(debit), debit_by_hand),
    )
    table: dict[str, Any] = {"route": TABLE.route, "shape": CommandTable.shape}
    made: dict[str, Timed] = {_FLATTENED: [], _BY_HAND: []}
    for _, command, reply, by_hand in commands:
        told = {"command": command, "reply": reply}
        made[_FLATTENED].append((_ROUTE, {**table, **told, "answer_of": answer_of}))
        made[_BY_HAND].append((_HAND, {**told, "parse": parse_by_hand, "build": by_hand}))
    return made | _records(commands)


def _records(
    commands: tuple[tuple[CommandSpec[Any, Any], bytes, Any, Any], ...],
) -> dict[str, Timed]:
    """A record alone: what is asked parsed, what is answered built."""
    flat: Timed = []
    bare: Timed = []
    interpreted: Timed = []
    for spec, command, reply, _ in commands:
        data = command[5:-1]
        asked, said = spec.data, spec.reply
        assert asked in (InitializeData, DebitData)
        values = struct.Struct(said.FORMAT).unpack(reply.build())
        named = {name: getattr(reply, name) for name in reply.__slots__}
        told = {"data": data}
        flat.append(("parse(data); reply.build()", {**told, "parse": asked.parse, "reply": reply}))
        unpack, pack = struct.Struct(asked.FORMAT).unpack, struct.Struct(said.FORMAT).pack
        bare.append(
            (
                "unpack(data); pack(*values)",
                {**told, "unpack": unpack, "pack": pack, "values": values},
            )
        )
        interpreted.append(
            (
                "parse(data); build(named)",
                {**told, "parse": asked.STRUCT.parse, "build": said.STRUCT.build, "named": named},
            )
        )
    return {"record flattened": flat, "record struct": bare, "record interpreted": interpreted}


def codec_measures(runs: int) -> dict[str, Measure]:
    """Microseconds of each way, the mean of INITIALIZE and DEBIT, all ways in turn in each run."""
    told = statements()
    took: dict[str, list[float]] = {name: [] for name in told}
    for _ in range(runs):
        for name, parts in told.items():
            each = [min(inlined(*part, _INLINED) for _ in range(_GOES)) for part in parts]
            took[name].append(sum(each) / len(each) / 1000)
    made = {
        name: Measure("us", tuple(one), count=runs * _GOES * _INLINED * 2)
        for name, one in took.items()
    }
    ratios = {
        "codec by the table / by hand": (_FLATTENED, _BY_HAND),
        "record flattened / struct": ("record flattened", "record struct"),
        "record interpreted / flattened": ("record interpreted", "record flattened"),
    }
    for name, (ours, floor) in ratios.items():
        by_run = tuple(a / b for a, b in zip(took[ours], took[floor], strict=True))
        made[name] = Measure("ratio", by_run, "more" if "interpreted" in name else "less")
    return made
