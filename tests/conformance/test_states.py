"""States x commands, walked from the table (protocol reference 4.2)."""

from itertools import product

import pytest

from apdu.command import Command
from apdu.commands import (
    GET_BALANCE,
    READ_BINARY,
    SELECT,
    SELECT_FILE,
    TABLE,
    UPDATE_CACHE,
)
from apdu.files import FILES, Structure
from apdu.records import ProveData
from apdu.spec import ANY, State
from apdu.sw import SW
from emulator.card.handlers import HANDLERS
from tests.cards import OK, PATHS, PIPELINE, WAYS, Desk, allowed, desk_in, new_card, settled, sw_of

STATES = list(PATHS)
MATRIX = list(product(TABLE, STATES))
each_cell = pytest.mark.parametrize(
    ("spec", "state"), MATRIX, ids=[f"{s.name}-{state.name}" for s, state in MATRIX]
)
each_spec = pytest.mark.parametrize("spec", TABLE.specs, ids=lambda s: s.name)
each_state = pytest.mark.parametrize("state", STATES, ids=lambda s: s.name)


def desk(state: State) -> Desk:
    """A card in the state that also has a proof of every transaction."""
    made = settled()
    made.run(SELECT, *PATHS[state])
    assert made.card.state is state
    return made


def pending(made: Desk) -> tuple[object, object, object]:
    """The volatile parts of a transaction; no command shows them."""
    card = made.card._card
    return card.pending, card.cache, card.challenge


# The statements


def test_every_command_has_a_handler_and_every_handler_a_command():
    assert set(HANDLERS) == {spec.name for spec in TABLE}


@each_spec
def test_every_command_is_cited_and_says_why_it_refuses(spec):
    assert spec.clause
    assert all(reason for reason in spec.errors.values())
    assert SW.OK not in spec.errors
    assert SW.WRONG_STATE not in spec.errors, "6901 is the pipeline's alone"


def test_every_state_a_command_waits_for_can_be_reached():
    waited = {state for spec in TABLE if spec.when != ANY for state in spec.when}
    assert waited | {State.IDLE} == set(STATES)
    assert {spec.then for spec in TABLE} == set(STATES)


# The matrix


@each_cell
def test_6901_answers_exactly_the_commands_that_are_illegal_here(spec, state):
    made = desk(state)
    sw = sw_of(made.send(made.request(spec)))
    assert (sw == SW.WRONG_STATE) == (state not in spec.when)
    assert sw in (SW.WRONG_STATE, SW.OK, SW.NO_CURRENT_EF)


@each_cell
def test_success_leads_to_the_declared_state_and_refusal_to_rest(spec, state):
    for pair in spec.params.examples():
        made = desk(state)
        command = made.request(spec, pair)
        before = made.card.image
        response = made.send(command)
        assert allowed(command, sw_of(response)), response.hex()
        if response[-2:] == OK:
            assert made.card.state is spec.then
        else:
            assert made.card.state is State.IDLE
            assert pending(made) == (None, (), None)
            assert made.card.image is before


@each_cell
def test_only_a_final_command_changes_what_lasts(spec, state):
    made = desk(state)
    before = made.card.image
    response = made.send(made.request(spec))
    is_final = spec.when != ANY and spec.then is State.IDLE
    assert (made.card.image is not before) == (is_final and response[-2:] == OK)


@each_cell
def test_a_command_outside_the_transaction_ends_it_and_drops_the_cache(spec, state):
    made = desk(state)
    made.send(made.request(spec))
    _, cache, _ = pending(made)
    if spec is not UPDATE_CACHE or state not in spec.when:
        assert cache == ()
    if spec.then is State.IDLE:
        assert made.card.state is State.IDLE
        assert pending(made)[0] is None


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
    made = desk(state)
    response = made.send(command)
    assert len(response) == 2
    assert sw_of(response) in PIPELINE
    assert made.card.state is State.IDLE
    assert pending(made) == (None, (), None)


@each_spec
def test_a_refusal_by_length_comes_before_the_state(spec):
    made = desk(State.IDLE)
    assert sw_of(made.send(made.request(spec) + b"\0\0")) == SW.WRONG_LENGTH


@pytest.mark.parametrize("way", WAYS, ids=lambda w: " > ".join(s.name for s in w))
def test_a_whole_transaction_can_be_made_once_and_not_twice(way):
    made = desk_in(State.IDLE)
    made.run(*way)
    final = made.request(way[-1])
    assert sw_of(made.send(final)) == SW.WRONG_STATE


@pytest.mark.parametrize("way", WAYS, ids=lambda w: " > ".join(s.name for s in w))
@pytest.mark.parametrize("between", TABLE.specs, ids=lambda s: s.name)
def test_a_foreign_command_before_the_last_one_costs_the_transaction(way, between):
    made = desk(State.IDLE)
    made.run(*way[:-1])
    state, before = made.card.state, made.card.image
    if state in between.when and between.when != ANY:
        return  # it belongs to the transaction
    final = made.request(way[-1])
    made.send(made.request(between))
    sw = sw_of(made.send(final))
    # Another INITIALIZE that leads to the same kind of state lets the old MAC fail instead.
    assert sw in (SW.WRONG_STATE, SW.MAC_INVALID)
    assert made.card.image is before


@each_state
def test_power_off_ends_everything(state):
    made = desk(state)
    before = made.card.image
    made.card.power_off()
    assert made.card.state is State.IDLE
    assert pending(made) == (None, (), None)
    assert made.card.image is before
    assert sw_of(made.send(made.request(GET_BALANCE))) == SW.FILE_NOT_FOUND, "the PPSE is selected"


def example_params():
    """Every example of every command."""
    for spec in TABLE:
        for pair in spec.params.examples():
            yield pytest.param(spec, pair, id=f"{spec.name}-{pair[0]:02X}{pair[1]:02X}")


@pytest.mark.parametrize(("spec", "pair"), list(example_params()))
def test_every_example_of_the_table_is_taken_in_every_legal_state(spec, pair):
    for state in STATES:
        if state not in spec.when:
            continue
        made = desk(state)
        if spec is READ_BINARY and pair[0] < 0x80:
            made.run(SELECT_FILE)
        response = made.send(made.request(spec, pair))
        never_made = response[-2:] == b"\x94\x06" and pair[1] not in made.done
        assert response[-2:] == OK or never_made, response.hex()


# Refusals of handlers: each declared word can be had, and nothing else ever comes


@each_cell
def test_whatever_the_parameters_the_answer_is_declared(spec, state):
    p1s = {p for pair in spec.params.examples() for p in (pair[0], pair[0] ^ 1, 0, 0x80, 0xFF)}
    p2s = {p for pair in spec.params.examples() for p in (pair[1], pair[1] ^ 1, pair[1] ^ 8, 0)}
    sizes = {f.size for f in FILES.values()} if spec is UPDATE_CACHE else {0}
    made = desk(state)
    start = made.card._card
    for p1, p2, size in product(sorted(p1s), sorted(p2s), sorted(sizes)):
        made.card._card = start  # the same state again, without the way there
        data = made.data(spec, *spec.usual) if not size else bytes(size)
        command = Command(spec.cla, spec.ins, p1, p2, data, spec.ne).build()
        response = made.card.process(command)
        assert allowed(command, sw_of(response)), (command.hex(), response.hex())
        assert response[-2:] == OK or made.card.state is State.IDLE


def test_commands_of_the_purse_find_none_before_it_is_selected():
    made = Desk(new_card())
    for spec in TABLE:
        if SW.FILE_NOT_FOUND not in spec.errors or spec is SELECT or State.IDLE not in spec.when:
            continue
        assert sw_of(made.ask(spec)) in (SW.FILE_NOT_FOUND, SW.NO_CURRENT_EF), spec.name


@each_state
def test_a_proof_can_be_asked_for_in_any_state(state):
    made = desk(state)
    spec = next(s for s in TABLE if s.data is ProveData)
    for kind, seq in made.done.items():
        again = desk(state)
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
