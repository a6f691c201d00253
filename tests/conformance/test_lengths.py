"""Lengths, parameters and places: what protocol reference 4.1 answers to each."""

from itertools import product

import pytest

from apdu.command import Command
from apdu.commands import (
    EP,
    TABLE,
    UPDATE_CACHE,
)
from apdu.file_commands import (
    GET_CHALLENGE,
)
from apdu.files import EF1A, FILES, Structure
from apdu.key_commands import GET_ALGORITHM
from apdu.spec import State, Wild
from apdu.sw import SW, length_is
from bench.conformance.derive import NEVER_TAKEN, PROTECTED_READS, le_expected, near
from tests.cards import OK, content_of, needs_challenge, sw_of
from tests.desk import PATHS, Desk, desk_in, ready

BYTES = range(256)
CASES = [
    (s, state)
    for s in TABLE
    for state in PATHS
    if state in s.when and not (needs_challenge(s) and state is not State.IDLE)
]
"""Where a right request is taken; secure messaging only at rest, see the matrix of states."""

each_spec = pytest.mark.parametrize("spec", TABLE.specs, ids=lambda s: s.name)
each_case = pytest.mark.parametrize(
    ("spec", "state"), CASES, ids=[f"{s.name}-{state.name}" for s, state in CASES]
)


def desk() -> Desk:
    """A student's card at rest."""
    return desk_in(State.IDLE)


def prepared(spec, state) -> Desk:
    """A desk on whose card the command can succeed now."""
    made = ready(state, spec)
    made.prepare(spec)
    return made


def sent(spec, state, ne, tail=b"", data=None) -> bytes:
    """The command with another Le, or with bytes after it, to a fresh card in this state."""
    made = prepared(spec, state)
    p1, p2 = spec.usual
    body = made.data(spec, p1, p2) if data is None else data
    return made.send(Command(spec.cla, spec.ins, p1, p2, body, ne).build() + tail)


# Le (4.1)


@each_case
def test_le_absent_00_and_exact_are_taken(spec, state):
    whole = sent(spec, state, None)
    if spec in NEVER_TAKEN:
        assert len(whole) == 2
        assert sent(spec, state, 256) == whole
        return
    assert whole[-2:] == OK
    size = len(whole) - 2
    assert sent(spec, state, 256)[-2:] == OK
    if size:
        exact = sent(spec, state, size - 4 * (spec in PROTECTED_READS))
        assert exact[-2:] == OK
        assert len(exact) - 2 == size


@each_case
def test_another_le_is_judged_as_declared(spec, state):
    if spec in NEVER_TAKEN:
        return
    size = len(sent(spec, state, None)) - 2
    for ne in {size - 1, size + 1, 1, 3, 4, 8, 255} - {0, size}:
        if ne < 1:
            continue
        response = sent(spec, state, ne)
        sw = le_expected(spec, size, ne)
        assert sw_of(response) == sw, (spec.name, ne, response.hex())
        if sw == SW.OK and not spec.le_rule:
            assert len(response) - 2 == ne + 4 * (spec in PROTECTED_READS)
        if sw != SW.OK:
            assert len(response) == 2


def test_a_challenge_has_4_or_8_bytes():
    sizes = {ne: len(sent(GET_CHALLENGE, State.IDLE, ne)) - 2 for ne in (None, 4, 8, 256)}
    assert sizes == {None: 4, 4: 4, 8: 8, 256: 8}


# Lc


@each_case
def test_a_data_field_of_another_length_is_6700(spec, state):
    sizes = range(1) if spec.data is None else spec.data.SIZES
    around = {0, 1, sizes[0] - 1, sizes[-1] + 1, 255} & set(range(256)) - set(sizes)
    for size in around:
        for ne in (None, 256):
            assert sent(spec, state, ne, data=bytes(size)).hex() == "6700", size


@each_case
def test_an_lc_that_disagrees_with_the_bytes_is_6700(spec, state):
    made = prepared(spec, state)
    start = made.card._card
    data = made.data(spec, *spec.usual)
    head = bytes((spec.cla, spec.ins, *spec.usual))
    for lc in {0, len(data) - 2, len(data) - 1, len(data) + 1, len(data) + 2, 255}:
        if lc < 0 or len(data) < 2 or (lc == len(data) - 1 and lc in spec.data.SIZES):
            continue  # one byte less is legal here, and the last byte is then Le
        made.card._card = start
        assert made.send(head + bytes((lc,)) + data).hex() == "6700", lc


@each_case
@pytest.mark.parametrize("extra", [b"\0\0", b"\0\0\0", bytes(40)], ids=len)
def test_bytes_after_the_command_are_6700(spec, state, extra):
    assert sent(spec, state, None, tail=extra).hex() == "6700"


@each_case
def test_extended_lengths_are_6700(spec, state):
    data = prepared(spec, state).data(spec, *spec.usual)
    head = bytes((spec.cla, spec.ins, *spec.usual))
    for tail in (b"\0\0\0", b"\0" + len(data).to_bytes(2, "big") + (data or b"x")):
        assert prepared(spec, state).send(head + tail).hex() == "6700"


# Header


@each_spec
def test_neighbours_of_the_parameters_are_6a86(spec):
    made = desk()
    start = made.card._card
    strangers = near(spec)
    if not strangers:  # any tag, any file id
        assert isinstance(spec.params, Wild)
        assert spec.params.p1 is None
        assert spec.params.p2 is None
    # A card of one algorithm does not know the instruction, whatever comes after it (4.21).
    word = "6d00" if spec.ins == GET_ALGORITHM.ins else "6a86"
    for p1, p2 in strangers:
        made.card._card = start
        data = made.data(spec, *spec.usual)
        command = Command(spec.cla, spec.ins, p1, p2, data, spec.ne).build()
        assert made.send(command).hex() == word, command.hex()
        assert made.send(command + bytes(5)).hex() == word, "6A86 comes before 6700"


def test_every_unknown_class_is_6e00():
    made = desk()
    known = {s.cla for s in TABLE}
    for cla, spec in product(set(BYTES) - known, TABLE):
        data = made.data(spec, *spec.usual)
        command = Command(cla, spec.ins, *spec.usual, data, spec.ne).build()
        assert made.send(command).hex() == "6e00"


def test_every_unknown_instruction_is_6d00_or_6882_if_it_has_a_plain_form():
    """4.23: 6882 is for CLA 04 and 84 on commands without secure messaging."""
    made = desk()
    known = {(s.cla, s.ins) for s in TABLE}
    for cla, ins in product({s.cla for s in TABLE}, BYTES):
        if (cla, ins) not in known:
            is_plain = cla in (0x04, 0x84) and (cla - 0x04, ins) in known
            for rest in (b"", b"\0", bytes.fromhex("01AA"), bytes(60)):
                word = made.send(bytes((cla, ins, 0, 0)) + rest).hex()
                assert word == ("6882" if is_plain else "6d00")


# Places (4.5, 4.7)

TRANSPARENT = [f for f in FILES.values() if f.structure is Structure.TRANSPARENT]
OF_RECORDS = [f for f in FILES.values() if f.structure is not Structure.TRANSPARENT]
ABSENT = sorted(set(range(1, 31)) - set(FILES))


@pytest.mark.parametrize("file", TRANSPARENT, ids=lambda f: f.name)
def test_a_transparent_file_is_read_from_any_offset(file):
    made = desk()
    content = content_of(made.card.image, file.sfi)
    assert len(content) == file.size
    for offset in BYTES:
        response = made.send(bytes((0x00, 0xB0, 0x80 | file.sfi, offset, 0)))
        if offset < file.size:
            assert response == content[offset:] + OK
        else:
            assert response.hex() == "6b00"


@pytest.mark.parametrize("file", TRANSPARENT, ids=lambda f: f.name)
def test_the_current_file_is_read_with_long_offsets(file):
    made = desk()
    made.send(bytes.fromhex("00A4000002") + file.sfi.to_bytes(2, "big"))
    content = content_of(made.card.image, file.sfi)
    for offset in (0, 1, file.size - 1, file.size, 255, 256, 0x7FFF):
        response = made.send(bytes((0x00, 0xB0, offset >> 8, offset & 0xFF, 0)))
        assert response == (content[offset:] + OK if offset < file.size else b"\x6b\x00")


@pytest.mark.parametrize("file", TRANSPARENT, ids=lambda f: f.name)
def test_le_at_the_end_of_a_file_is_6cxx_with_what_is_left(file):
    made = desk()
    last = file.size - 1
    assert made.send(bytes((0x00, 0xB0, 0x80 | file.sfi, last, 1)))[-2:] == OK
    assert made.send(bytes((0x00, 0xB0, 0x80 | file.sfi, last, 2))).hex() == "6c01"
    assert sw_of(made.send(bytes((0x00, 0xB0, 0x80 | file.sfi, 0, 255)))) == length_is(file.size)


def test_without_a_current_file_an_offset_alone_is_6986():
    assert desk().send(bytes.fromhex("00B0000000")).hex() == "6986"


@pytest.mark.parametrize("file", OF_RECORDS, ids=lambda f: f.name)
def test_records_exist_from_1_to_the_count(file):
    made = desk()
    modes = (4, 0) if file is EF1A else (4,)
    for number, mode in product(BYTES, modes):
        response = made.send(bytes((0x00, 0xB2, number, file.sfi << 3 | mode, 0)))
        if 1 <= number <= file.count:
            assert len(response) - 2 == file.size
            assert response[-2:] == OK
        else:
            assert response.hex() == "6a83"


@pytest.mark.parametrize("file", OF_RECORDS, ids=lambda f: f.name)
@pytest.mark.parametrize("step", [-1, 1])
def test_a_record_read_with_another_le_is_6cxx(file, step):
    made = desk()
    response = made.send(bytes((0x00, 0xB2, 1, file.sfi << 3 | 4, file.size + step)))
    assert response == length_is(file.size).to_bytes(2, "big")


def test_reads_that_do_not_fit_the_structure_are_6981():
    made = desk()
    for file in OF_RECORDS:
        assert made.send(bytes((0x00, 0xB0, 0x80 | file.sfi, 0, 0))).hex() == "6981"
    for file in TRANSPARENT:
        assert made.send(bytes((0x00, 0xB2, 1, file.sfi << 3 | 4, 0))).hex() == "6981"


@pytest.mark.parametrize("sfi", ABSENT)
def test_a_file_that_is_not_there_is_6a82(sfi):
    made = desk()
    for command in (
        bytes((0x00, 0xB0, 0x80 | sfi, 0, 0)),
        bytes((0x00, 0xB2, 1, sfi << 3 | 4, 0)),
    ):
        assert made.send(command).hex() == "6a82"
    selected = made.send(bytes.fromhex("00A4000002") + sfi.to_bytes(2, "big"))
    # The purse itself can be selected, which does no harm (annex 7).
    assert selected == (OK if sfi == EP else b"\x6a\x82")


@pytest.mark.parametrize("file", list(FILES.values()), ids=lambda f: f.name)
def test_files_are_only_there_under_the_purse(file):
    made = desk()
    assert made.send(bytes.fromhex("00A40000023F00"))[-2:] == OK
    assert made.send(bytes((0x00, 0xB0, 0x80 | file.sfi, 0, 0))).hex() == "6a82"
    assert made.send(bytes((0x00, 0xB2, 1, file.sfi << 3 | 4, 0))).hex() == "6a82"


@pytest.mark.parametrize("file", [f for f in FILES.values() if f.caches], ids=lambda f: f.name)
def test_a_cached_record_has_exactly_the_record_s_length(file):
    for size in (1, file.size - 1, file.size, file.size + 1, 255):
        made = desk_in(State.CAPP_INIT)
        content = made.content(file.sfi)[:size].ljust(size, b"\x5a")
        response = made.send(
            Command(UPDATE_CACHE.cla, UPDATE_CACHE.ins, 0, file.sfi << 3, content).build()
        )
        expected = {file.size: SW.OK}.get(size, SW.NO_SPACE if size > file.size else 0x6700)
        assert sw_of(response) == expected
