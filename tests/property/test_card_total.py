"""`Card.process` takes any bytes in any state, and changes nothing without a right cryptogram."""

from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.commands import TABLE
from apdu.spec import State
from apdu.sw import SW
from tests.cards import OK, PATHS, allowed, desk_in, new_card, settled, sw_of, with_purse
from tests.property.campaign import campaign
from tests.property.hostile import BENDS, Request, bent, make_request
from tests.shadow import Shadow


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Well-formed commands of the table, some of them bent."""
    return make_request(
        lambda options: draw(st.sampled_from(options)), lambda a, b: draw(st.integers(a, b))
    )


states = st.sampled_from(list(PATHS))
noise = st.binary(max_size=300)
headed = st.builds(
    lambda spec, pair, rest: bytes((spec.cla, spec.ins, *pair)) + rest,
    st.sampled_from(TABLE.specs),
    st.tuples(st.integers(0, 255), st.integers(0, 255)),
    noise,
)
"""A known class and instruction before noise."""


@given(st.lists(noise | headed, min_size=1, max_size=8), states)
def test_any_bytes_are_answered_and_change_nothing(inputs, state):
    desk = desk_in(state)
    before = desk.card.image
    for command in inputs:
        response = desk.card.process(command)
        assert len(response) >= 2
        assert allowed(command, sw_of(response))
        assert desk.card.image is before
        if response[-2:] != OK:
            assert desk.card.state is State.IDLE


@settings(max_examples=300)
@given(
    st.lists(requests() | noise | st.just("cut"), min_size=1, max_size=25),
    states,
    st.sampled_from([0, 1, 5000, 100_000]),
    st.sampled_from([0, 0xFFFE, 0xFFFF]),
)
def test_only_a_final_command_with_a_right_cryptogram_changes_anything(steps, state, balance, seq):
    numbers = {"actual": balance, "online_seq": seq, "offline_seq": seq}
    card = new_card(with_purse(**numbers))
    shadow = Shadow(card, settled().keys)
    desk = desk_in(State.IDLE, card)
    for spec in PATHS[state]:
        command = desk.request(spec)
        shadow.saw(command, desk.send(command))
    for step in steps:
        if step == "cut":
            card.power_off()
            shadow.left()
            continue
        command = step if isinstance(step, bytes) else step.bytes_for(desk)
        response = desk.send(command)
        assert 2 <= len(response) <= 258
        assert allowed(command, sw_of(response)), (command.hex(), response.hex())
        shadow.saw(command, response)


@given(st.sampled_from(BENDS), st.integers(0, 300), st.integers(0, 255), noise.filter(len))
def test_bending_is_total_and_none_keeps_the_command(bend, place, value, command):
    changed = bent(command, bend, place, value)
    assert isinstance(changed, bytes)
    assert bend != "none" or changed == command


def test_twenty_thousand_hostile_commands_keep_every_invariant():
    result = campaign(20_000, seed=7)
    assert result.commands == 20_000
    # The campaign is worth something only if it gets past the door.
    assert result.commits > 500
    assert result.trips > 50
    assert result.words[SW.OK] > 4_000
    reached = {sw for spec in TABLE for sw in spec.errors} & set(result.words)
    assert {
        SW.MAC_INVALID,
        SW.BALANCE_TOO_LOW,
        SW.COUNTER_AT_MAXIMUM,
        SW.KEY_INDEX,
        SW.PROOF_NOT_AVAILABLE,
        SW.RECORD_LOCKED,
        SW.WRONG_DATA,
        SW.CONDITIONS_OF_USE,
    } <= reached


def test_a_campaign_replays_from_its_seed():
    assert campaign(2_000, seed=3).words == campaign(2_000, seed=3).words
    assert campaign(2_000, seed=3).words != campaign(2_000, seed=4).words
