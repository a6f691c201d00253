"""States x commands, walked from the table (protocol reference 4.2)."""

from itertools import product

import pytest

from apdu.command import Command
from apdu.commands import (
    CREDIT_LOAD,
    DEBIT,
    DEBIT_UNLOAD,
    GET_BALANCE,
    SELECT,
    TABLE,
    UPDATE_CACHE,
    UPDATE_LIMIT,
)
from apdu.file_commands import (
    ERASE_DF,
    GET_CHALLENGE,
    UPDATE_BINARY,
    UPDATE_BINARY_MAC,
)
from apdu.files import FILES, Structure
from apdu.key_commands import (
    KEY_COMMANDS,
)
from apdu.records import ProveData
from apdu.spec import ANY, State
from apdu.sw import SW
from bench.conformance.derive import ENDINGS, LASTING, NEVER_TAKEN, answer_in
from emulator.card.handlers import HANDLERS
from tests.cards import OK, PIPELINE, allowed, new_card, purse_in, sw_of
from tests.desk import PATHS, WAYS, Desk, desk_in, ready, shop_desk, way_id

STATES = list(State)
MATRIX = list(product(TABLE, STATES))
each_cell = pytest.mark.parametrize(
    ("spec", "state"), MATRIX, ids=[f"{s.name}-{state.name}" for s, state in MATRIX]
)
each_spec = pytest.mark.parametrize("spec", TABLE.specs, ids=lambda s: s.name)
each_state = pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)
each_way = pytest.mark.parametrize("way", WAYS, ids=way_id)

MOVES_MONEY = [*ENDINGS, ERASE_DF]
"""Commands whose success changes a purse; ERASE DF takes it away with everything else."""


def expected(spec, state) -> int:
    """What a right request answers in a state; no cell of the matrix is listed by hand."""
    return answer_in(spec, state, NEVER_TAKEN.get(spec, SW.OK))


def pending(made: Desk) -> tuple[object, object, object]:
    """The volatile parts of a transaction; no command shows them."""
    card = made.card._card
    return card.pending, card.cache, card.challenge


AT_REST = (None, (), None)


# The statements


def test_every_command_has_a_handler_and_every_handler_a_command():
    assert set(HANDLERS) == {spec.name for spec in TABLE}


@each_spec
def test_every_command_is_cited_and_says_why_it_refuses(spec):
    assert spec.clause
    assert all(reason for reason in spec.errors.values())
    assert SW.OK not in spec.errors
    assert SW.WRONG_STATE not in spec.errors, "6901 is the pipeline's alone"


def test_the_seven_states_of_the_reference_are_all_there_and_all_reached():
    assert len(STATES) == 7
    assert set(PATHS) == set(STATES)
    waited = {state for spec in TABLE if spec.when != ANY for state in spec.when}
    assert waited | {State.IDLE} == set(STATES)
    assert {spec.then for spec in TABLE} == set(STATES)


def test_every_state_has_exactly_the_final_commands_of_the_reference():
    ends = {state: {s for s in ENDINGS if state in s.when} for state in STATES}
    assert ends == {
        State.IDLE: set(),
        State.LOAD: {CREDIT_LOAD},
        State.UNLOAD: {DEBIT_UNLOAD},
        State.UPDATE_LIMIT: {UPDATE_LIMIT},
        State.PURCHASE: {DEBIT},
        State.CAPP_INIT: {DEBIT},
        State.CAPP_CACHED: {DEBIT},
    }


# The matrix


@each_cell
def test_every_command_in_every_state_answers_what_the_table_says(spec, state):
    made = ready(state, spec)
    made.prepare(spec)
    before = made.card.image
    sw = sw_of(made.send(made.request(spec)))
    assert sw == expected(spec, state)
    assert made.card.state is (spec.then if sw == SW.OK else State.IDLE)
    if sw != SW.OK:
        assert pending(made) == AT_REST
    assert (made.card.image is not before) == (sw == SW.OK and spec in LASTING)


@each_cell
def test_every_example_of_parameters_answers_as_the_usual_one(spec, state):
    for pair in spec.params.examples():
        made = ready(state, spec)
        made.prepare(spec)
        before = made.card.image
        response = made.send(made.request(spec, pair))
        assert sw_of(response) == expected(spec, state), (pair, response.hex())
        done = response[-2:] == OK
        assert made.card.state is (spec.then if done else State.IDLE)
        assert (made.card.image is not before) == (done and spec in LASTING)
        if spec not in MOVES_MONEY:
            assert purse_in(made.card.image, 1) == purse_in(before, 1)
            assert purse_in(made.card.image, 2) == purse_in(before, 2)


@each_cell
def test_a_command_outside_the_transaction_ends_it_and_drops_the_cache(spec, state):
    made = ready(state, spec)
    made.send(made.request(spec))
    left, cache, challenge = pending(made)
    if spec is not UPDATE_CACHE or state not in spec.when:
        assert cache == ()
    if spec.then is State.IDLE:
        assert made.card.state is State.IDLE
        assert left is None
    assert challenge is None or spec is GET_CHALLENGE


@each_cell
def test_a_challenge_serves_the_next_command_and_no_other(spec, state):
    """GET CHALLENGE ends the transaction, and any command uses the challenge up (4.9)."""
    made = ready(state, spec)
    made.run(GET_CHALLENGE)
    assert made.card.state is State.IDLE
    assert pending(made)[1] == ()
    made.send(made.request(spec))
    if spec is not GET_CHALLENGE:
        assert pending(made)[2] is None


REFUSED = {
    "unknown class": bytes.fromhex("E0500102"),
    "unknown instruction": bytes.fromhex("80FF0000"),
    "wrong parameters": bytes.fromhex("8050FFFF"),
    "cut off": bytes.fromhex("8050"),
    "nothing": b"",
    "wrong length": bytes.fromhex("805001020B01"),
}


@each_state
@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED)
def test_every_refusal_brings_the_card_to_rest(state, command):
    made = ready(state)
    response = made.send(command)
    assert len(response) == 2
    assert sw_of(response) in PIPELINE
    assert made.card.state is State.IDLE
    assert pending(made) == AT_REST


@each_cell
def test_a_refusal_by_length_comes_before_the_state(spec, state):
    made = ready(state, spec)
    made.prepare(spec)
    assert sw_of(made.send(made.request(spec) + b"\0\0")) == SW.WRONG_LENGTH


@each_way
def test_a_whole_transaction_can_be_made_once_and_not_twice(way):
    made = ready(State.IDLE)
    made.run(*way)
    spec, pair = way[-1]
    assert sw_of(made.send(made.request(spec, pair))) == SW.WRONG_STATE


@each_way
def test_a_foreign_command_before_the_last_one_costs_the_transaction(way):
    start = ready(State.IDLE)
    start.run(*way[:-1])
    card, state, before = start.card._card, start.card.state, start.card.image
    offer, (spec, pair) = start.offer, way[-1]
    final = start.request(spec, pair)
    for between in TABLE:
        if (state in between.when and between.when != ANY) or between in LASTING:
            continue  # it belongs to the transaction, or does something of its own
        start.card._card, start.offer = card, offer
        start.send(start.request(between))
        sw = sw_of(start.send(final))
        # Another INITIALIZE that leads to the same kind of state lets the old MAC fail instead.
        assert sw in (SW.WRONG_STATE, SW.MAC_INVALID), between.name
        assert start.card.image is before


@pytest.mark.parametrize("between", LASTING, ids=lambda s: s.name)
@each_state
def test_a_lasting_command_within_a_transaction_costs_it_too(between, state):
    made = ready(state, between)
    if state in between.when and between.when != ANY:
        return
    final = next((s for s in ENDINGS if state in s.when), None)
    command = made.request(final) if final else None
    made.send(made.request(between))
    assert made.card.state is State.IDLE
    if command is not None:
        assert sw_of(made.send(command)) in (SW.WRONG_STATE, SW.BLOCKED)


@each_state
def test_power_off_ends_everything(state):
    made = ready(state)
    before = made.card.image
    made.card.power_off()
    assert made.card.state is State.IDLE
    assert pending(made) == AT_REST
    assert made.card.image is before
    assert sw_of(made.send(made.request(GET_BALANCE))) == SW.FILE_NOT_FOUND, "the PPSE is selected"


# Refusals of handlers: nothing that is not declared ever comes


@each_cell
def test_whatever_the_parameters_the_answer_is_declared(spec, state):
    p1s = {p for pair in spec.params.examples() for p in (pair[0], pair[0] ^ 1, 0, 0x80, 0xFF)}
    p2s = {p for pair in spec.params.examples() for p in (pair[1], pair[1] ^ 1, pair[1] ^ 8, 0)}
    made = ready(state, spec)
    made.prepare(spec)
    start, challenge = made.card._card, made.challenge
    for p1, p2 in product(sorted(p1s), sorted(p2s)):
        made.card._card, made.challenge = start, challenge  # the same again, without the way there
        for data in {made.data(spec, *spec.usual), made.data(spec, p1, p2)}:
            made.card._card = start
            command = Command(spec.cla, spec.ins, p1, p2, data, spec.ne).build()
            response = made.card.process(command)
            assert allowed(command, sw_of(response)), (command.hex(), response.hex())
            assert response[-2:] == OK or made.card.state is State.IDLE


@pytest.mark.parametrize("file", list(FILES.values()), ids=lambda f: f.name)
def test_a_cached_record_of_any_file_s_size_is_judged_as_declared(file):
    made = ready(State.CAPP_INIT)
    start = made.card._card
    for sfi, p1, mode in product((*FILES, 0x05), (0, 1, 2, 0xFF), (0, 4)):
        made.card._card = start
        command = Command(0x80, 0xDC, p1, sfi << 3 | mode, bytes(file.size)).build()
        assert allowed(command, sw_of(made.card.process(command)))


def test_commands_of_the_purse_find_none_before_it_is_selected():
    for spec in TABLE:
        if SW.FILE_NOT_FOUND not in spec.errors or spec is SELECT or State.IDLE not in spec.when:
            continue
        made = Desk(new_card())
        before = made.card.image
        sw = sw_of(made.ask(spec))
        if spec in KEY_COMMANDS:  # the MF has a key file, without keys and closed
            assert sw in (SW.KEY_INDEX, SW.REFERENCE_NOT_FOUND, SW.SECURITY_STATUS), spec.name
        else:
            assert sw in (SW.FILE_NOT_FOUND, SW.NO_CURRENT_EF), spec.name
        assert made.card.image is before


@each_state
def test_a_proof_can_be_asked_for_in_any_state(state):
    made = ready(state)
    spec = next(s for s in TABLE if s.data is ProveData)
    assert {pair[1] for pair in spec.params.examples()} == set(made.done)
    for kind, seq in made.done.items():
        again = ready(state)
        response = again.send(spec.command(ProveData(seq), 0, kind))
        assert response[-2:] == OK
        assert again.card.state is State.IDLE


@pytest.mark.parametrize("spec", list(FILES.values()), ids=lambda f: f.name)
def test_only_trip_files_take_cached_records(spec):
    made = desk_in(State.CAPP_INIT)
    sw = sw_of(made.ask(UPDATE_CACHE, pair=(0, spec.sfi << 3)))
    if spec.caches:
        assert sw == SW.OK
        assert spec.structure is not Structure.TRANSPARENT
    else:
        assert sw in (SW.WRONG_FILE_STRUCTURE, SW.WRONG_P1P2)


def test_the_workshop_s_card_is_made_by_the_commands_of_an_issuer():
    for spec in (UPDATE_BINARY, UPDATE_BINARY_MAC):
        made = shop_desk(spec)
        assert len(made.run(SELECT)) == 51
