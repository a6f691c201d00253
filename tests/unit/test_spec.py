"""The table's static checks: class, instruction, parameters, in that order."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixtures
from apdu.command import Command
from apdu.commands import SAM_TABLE, TABLE
from apdu.records import DebitReply
from apdu.spec import (
    ANY,
    ROUTES_KEPT,
    BinaryRef,
    CommandSpec,
    CommandTable,
    Fixed,
    RecordRef,
    Refuse,
    State,
    Wild,
    answer_of,
)
from apdu.sw import SW
from emulator.card.card import _KNOWN

SPECS = [(table, spec) for table in (TABLE, SAM_TABLE) for spec in table]
each_spec = pytest.mark.parametrize(("table", "spec"), SPECS, ids=[s.name for _, s in SPECS])
BYTES = range(256)


def header(spec, p1=None, p2=None):
    first = spec.params.examples()[0]
    return bytes(
        (spec.cla, spec.ins, first[0] if p1 is None else p1, first[1] if p2 is None else p2)
    )


FAMILIES = {
    (name, s.cla, s.ins): (table, [f for f in table if (f.cla, f.ins) == (s.cla, s.ins)])
    for name, table in (("card", TABLE), ("psam", SAM_TABLE))
    for s in table
}
"""Commands that share class and instruction, and the table they are in."""


def takes_anything(spec):
    return isinstance(spec.params, Wild) and spec.params.p1 is None and spec.params.p2 is None


@each_spec
def test_every_example_is_accepted_and_routed(table, spec):
    examples = spec.params.examples()
    assert examples
    for p1, p2 in examples:
        assert spec.params.accepts(p1, p2)
        assert table.route(header(spec, p1, p2)) is spec


@pytest.mark.parametrize(
    ("table", "family"), FAMILIES.values(), ids=[f"{n}-{c:02X}{i:02X}" for n, c, i in FAMILIES]
)
def test_every_pair_of_parameters_is_some_command_or_6a86(table, family):
    pairs = list(product(BYTES, BYTES))
    takers = {s: {pair for pair in pairs if s.params.accepts(*pair)} for s in family}
    taken = set().union(*takers.values())
    assert sum(map(len, takers.values())) == len(taken), "two commands take the same header"
    find, head = table._find, bytes((family[0].cla, family[0].ins))
    for spec, own in takers.items():
        assert all(find(head + bytes(pair)) is spec for pair in own)
    assert all(find(head + bytes(p)) is SW.WRONG_P1P2 for p in pairs if p not in taken)
    for spec in family:
        for pair in spec.params.examples():
            assert table.route(head + bytes(pair)) is spec


@pytest.mark.parametrize("table", [TABLE, SAM_TABLE], ids=["card", "psam"])
def test_an_unknown_class_comes_first_then_the_instruction_then_the_parameters(table):
    classes = {s.cla for s in table}
    pairs = {(s.cla, s.ins) for s in table}
    for cla, ins in product(BYTES, BYTES):
        found = table.route(bytes((cla, ins, 0xFF, 0xFF)))
        if cla not in classes:
            assert found is SW.CLA_UNKNOWN
        elif (cla, ins) not in pairs and cla & 0x04 and (cla - 0x04, ins) in pairs:
            assert found is SW.SECURE_MESSAGING_NOT_SUPPORTED
        elif (cla, ins) not in pairs:
            assert found is SW.INS_UNKNOWN
        elif any(takes_anything(s) for s in table if (s.cla, s.ins) == (cla, ins)):
            assert isinstance(found, CommandSpec), "any tag, any file id"
        else:
            assert found is SW.WRONG_P1P2


@pytest.mark.parametrize("size", range(4))
def test_a_header_that_is_cut_off_is_a_wrong_length(size):
    assert TABLE.route(bytes(size)) is SW.WRONG_LENGTH


def test_hostile_headers_do_not_make_the_table_grow():
    table = CommandTable(TABLE.specs)
    for p1, p2 in product(BYTES, BYTES):
        table.route(bytes((0x80, 0x50, p1, p2)))
        table.route(bytes((p1, p2, 0xFF, 0xFF)))
    legal = {pair for s in TABLE if s.ins == 0x50 for pair in s.params.examples()}
    assert len(table._routes) == len(legal) + sum(map(takes_anything, TABLE))
    for ins, p1, p2 in product((0xCA, 0xE0, 0xD4, 0xB0), BYTES, BYTES):
        table.route(bytes((0x80 if ins != 0xB0 else 0, ins, p1, p2)))
    assert len(table._routes) == ROUTES_KEPT
    for spec in TABLE:  # and forgetting is all it costs
        assert table.route(header(spec)) is spec


def test_hostile_headers_do_not_make_the_card_s_plans_grow():
    card = fixtures.card("student")
    for p1, p2 in product(BYTES, BYTES):
        card.process(bytes((0x80, 0xCA, p1, p2)))
        card.process(bytes((0x00, 0xB0, p1, p2, 0)))
    assert any(len(known.reads) == ROUTES_KEPT for known in _KNOWN.values())
    assert all(len(known.plans) <= ROUTES_KEPT for known in _KNOWN.values())
    assert all(len(known.reads) <= ROUTES_KEPT for known in _KNOWN.values())
    assert card.process(bytes.fromhex("00A4040008A000000632010105"))[-2:] == b"\x90\x00"
    for known in _KNOWN.values():
        known.plans.clear()
        known.reads.clear()


@each_spec
@settings(max_examples=25)
@given(st.data())
def test_describe_says_something_of_every_legal_pair_and_never_fails(table, spec, data):
    p1, p2 = data.draw(st.tuples(st.integers(0, 255), st.integers(0, 255)))
    if spec.params.accepts(p1, p2):
        assert all(k and v for k, v in spec.params.describe(p1, p2).items())


@given(st.integers(0, 255), st.integers(0, 255))
def test_read_binary_names_a_file_or_an_offset(p1, p2):
    sfi, offset = BinaryRef.split(p1, p2)
    if p1 & 0x80:
        assert (sfi, offset) == (p1 & 0x1F, p2)
        assert BinaryRef().accepts(p1, p2) == (1 <= sfi <= 30 and p1 & 0x60 == 0)
    else:
        assert (sfi, offset) == (None, p1 * 256 + p2)
        assert BinaryRef().accepts(p1, p2)


@given(st.integers(0, 255), st.integers(0, 255))
def test_record_commands_take_the_modes_of_the_file(p1, p2):
    ref = RecordRef((4,), {0x1A: (0, 4)})
    sfi, mode = p2 >> 3, p2 & 7
    modes = (0, 4) if sfi == 0x1A else (4,)
    assert ref.accepts(p1, p2) == (mode in modes and sfi not in (0, 0x1F))


def test_fixed_pairs_are_all_there_is():
    fixed = Fixed(((1, 2), (3, 4)), {(1, 2): "one"})
    assert [p for p in product(range(6), range(6)) if fixed.accepts(*p)] == [(1, 2), (3, 4)]
    assert (fixed.describe(1, 2), fixed.describe(3, 4)) == ({"kind": "one"}, {})


# Lengths


@each_spec
@settings(max_examples=25)
@given(st.data())
def test_the_data_has_a_declared_length_or_the_answer_is_6700(table, spec, data):
    sizes = range(1) if spec.data is None else spec.data.SIZES
    around = {0, 1, 255, sizes[0] - 1, sizes[0], sizes[-1], sizes[-1] + 1} & set(range(256))
    size = data.draw(st.sampled_from(sorted(around)))
    ne = data.draw(st.sampled_from([None, 1, 256]))
    raw = Command(*header(spec), bytes(size), ne).build()
    if size in sizes:
        call = CommandTable.shape(spec, raw)
        assert (call.spec, call.p1, call.p2, call.ne) == (spec, raw[2], raw[3], ne)
        assert (b"" if call.data is None else call.data.build()) == bytes(size)
    else:
        with pytest.raises(Refuse) as refused:
            CommandTable.shape(spec, raw)
        assert refused.value.sw == SW.WRONG_LENGTH


@each_spec
def test_a_command_built_by_the_statement_passes_it(table, spec):
    size = 0 if spec.data is None else spec.data.SIZES[0]
    q = None if spec.data is None else spec.data.parse(bytes(size))
    raw = spec.command(q)
    assert table.route(raw[:4]) is spec
    call = CommandTable.shape(spec, raw)
    assert call.ne == spec.ne
    assert call.data == q


@pytest.mark.parametrize("ne", [None, 256, 8, 9])
def test_an_answer_fits_a_larger_le_or_none(ne):
    spec = next(s for s in TABLE if s.reply is DebitReply)
    assert answer_of(spec, DebitReply(bytes(4), bytes(4)), ne) == bytes(8)


@pytest.mark.parametrize("ne", [1, 7])
def test_a_smaller_le_is_6700_unless_the_handler_judges_it(ne):
    strict = next(s for s in TABLE if s.reply is DebitReply)
    with pytest.raises(Refuse) as refused:
        answer_of(strict, bytes(8), ne)
    assert refused.value.sw == SW.WRONG_LENGTH
    loose = next(s for s in TABLE if not s.le_rule)
    assert answer_of(loose, bytes(8), ne) == bytes(8)


# The statements


def test_names_are_unique():
    names = [spec.name for _, spec in SPECS]
    assert len(set(names)) == len(names)


@each_spec
def test_every_command_is_cited_and_its_states_exist(table, spec):
    assert spec.clause[0].isdigit() or spec.clause.startswith("annex ")
    assert spec.grade
    assert spec.when <= ANY
    assert isinstance(spec.then, State)
    assert SW.WRONG_STATE not in spec.errors or table is SAM_TABLE


@each_spec
def test_a_fixed_answer_is_read_back(table, spec):
    assert isinstance(spec, CommandSpec)
    if spec.reply is bytes:
        assert spec.parse_reply(b"any") == b"any"
    else:
        raw = bytes(spec.reply.size())
        assert spec.parse_reply(raw).build() == raw
        assert spec.ne == spec.reply.size()
