"""`Card.process` takes any bytes in any state, and changes nothing without a right cryptogram."""

from hypothesis import given, settings
from hypothesis import strategies as st

from apdu.commands import ED, EP, SELECT, TABLE
from apdu.spec import State
from apdu.sw import SW
from tests.cards import OK, allowed, both, new_card, sw_of, with_purse
from tests.desk import PATHS, PRELUDE, Desk, settled
from tests.property.campaign import campaign, check
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
def test_any_bytes_are_answered_and_change_only_what_is_counted(inputs, state):
    """Noise has no cryptogram: on a card in service it costs tries of a PIN or key at most."""
    desk = Desk(new_card())
    shadow = Shadow(desk.card)
    for spec in (SELECT, *PATHS[state]):
        follow(desk, shadow, desk.request(spec))
    for command in inputs:
        response = desk.card.process(command)
        assert len(response) >= 2
        assert allowed(command, sw_of(response))
        shadow.saw(command, response)
        if response[-2:] != OK:
            assert desk.card.state is State.IDLE
    assert (shadow.commits, shadow.trips) == (0, 0)


@settings(max_examples=300)
@given(
    st.lists(requests() | noise | st.just("cut"), min_size=1, max_size=25),
    states,
    st.sampled_from([0, 1, 5000, 100_000]),
    st.sampled_from([0, 0xFFFE, 0xFFFF]),
)
def test_only_a_command_with_a_right_cryptogram_changes_anything(steps, state, balance, seq):
    numbers = {"actual": balance, "limit": 0, "used": 0, "online_seq": seq, "offline_seq": seq}
    desk = settled()
    image = both(with_purse(ED, **numbers), with_purse(EP, **numbers))(desk.card.image)
    desk.card._store.commit(image)
    desk.card.power_on()
    shadow = Shadow(desk.card)
    way = (*PRELUDE, *PATHS[state])
    for spec in way:
        follow(desk, shadow, desk.request(spec))
    for step in steps:
        if step == "cut":
            desk.card.power_off()
            shadow.left()
            continue
        for command in [step] if isinstance(step, bytes) else step.steps(desk):
            follow(desk, shadow, command)


def follow(desk: Desk, shadow: Shadow, command: bytes) -> None:
    response = desk.send(command)
    check(command, response, fails=False)
    shadow.saw(command, response)


@given(st.sampled_from(BENDS), st.integers(0, 300), st.integers(0, 255), noise.filter(len))
def test_bending_is_total_and_none_keeps_the_command(bend, place, value, command):
    changed = bent(command, bend, place, value)
    assert isinstance(changed, bytes)
    assert bend != "none" or changed == command


def test_twenty_thousand_hostile_commands_keep_every_invariant():
    result = campaign(20_000, seed=7)
    assert result.commands >= 20_000
    # The campaign is worth something only if it gets past the door.
    assert result.commits > 500
    assert result.trips > 50
    assert result.writes > 2_000
    assert result.words[SW.OK] > 4_000
    assert {
        SW.MAC_INVALID,
        SW.MAC_WRONG,
        SW.MAC_MISSING,
        SW.RANDOM_UNUSABLE,
        SW.SECURITY_STATUS,
        SW.METHOD_BLOCKED,
        SW.PERMANENTLY_BLOCKED,
        SW.BLOCKED,
        SW.BALANCE_TOO_LOW,
        SW.COUNTER_AT_MAXIMUM,
        SW.KEY_INDEX,
        SW.PROOF_NOT_AVAILABLE,
        SW.RECORD_LOCKED,
        SW.WRONG_DATA,
        SW.CONDITIONS_OF_USE,
    } <= set(result.words)


def test_a_campaign_replays_from_its_seed():
    assert campaign(2_000, seed=3).words == campaign(2_000, seed=3).words
    assert campaign(2_000, seed=3).words != campaign(2_000, seed=4).words
