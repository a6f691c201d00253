from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.radio.activation import FALLBACK, TRANSITIONS, Activation, Event, State, cascade
from tests.unit.pcd import PHONE, Pcd

REQA, WUPA, HLTA = b"\x26", b"\x52", b"\x50\x00"
UID4, UID7 = PHONE.uid, bytes.fromhex("04A1B2C3D4E5F6")
BCC4 = bytes.fromhex("04")  # 04 ^ 11 ^ A2 ^ B3
SELECT4 = b"\x93\x70" + UID4 + BCC4


def card(uid: bytes = UID4) -> Activation:
    machine = Activation(replace(PHONE, uid=uid))
    machine.field_on()
    return machine


def selected() -> Activation:
    machine = card()
    machine.receive(REQA)
    machine.receive(SELECT4)
    assert machine.state is State.ACTIVE
    return machine


def halted() -> Activation:
    machine = selected()
    assert machine.receive(HLTA) is None
    assert machine.state is State.HALT
    return machine


def test_the_table_has_a_row_and_a_fallback_for_every_state() -> None:
    assert set(TRANSITIONS) == set(FALLBACK) == set(State)


def test_the_field_going_off_is_legal_everywhere() -> None:
    assert {row[Event.FIELD_OFF] for row in TRANSITIONS.values()} == {State.POWER_OFF}


def test_without_a_field_nothing_is_answered() -> None:
    machine = Activation(PHONE)
    assert machine.receive(REQA) is None
    assert machine.state is State.POWER_OFF


def test_field_on_twice_changes_nothing() -> None:
    machine = selected()
    machine.field_on()
    assert machine.state is State.ACTIVE


@pytest.mark.parametrize("poll", [REQA, WUPA])
def test_idle_answers_both_polls_with_atqa(poll: bytes) -> None:
    machine = card()
    assert machine.receive(poll) == b"\x04\x00"
    assert machine.state is State.READY


def test_anticollision_gives_uid_and_bcc() -> None:
    machine = card()
    machine.receive(REQA)
    assert machine.receive(b"\x93\x20") == UID4 + BCC4
    assert machine.state is State.READY


def test_select_gives_sak() -> None:
    machine = card()
    machine.receive(REQA)
    assert machine.receive(SELECT4) == b"\x20"
    assert machine.state is State.ACTIVE
    assert machine.is_selected


def test_reference_reader_finds_the_uid() -> None:
    assert Pcd(card().receive).select() == UID4


@pytest.mark.parametrize("size", [4, 7, 10])
def test_every_uid_size_is_found(size: int) -> None:
    uid = bytes(range(1, size + 1))
    machine = card(uid)
    assert Pcd(machine.receive).select() == uid
    assert machine.state is State.ACTIVE


def test_cascade_levels_of_a_seven_byte_uid() -> None:
    machine = card(UID7)
    machine.receive(REQA)
    assert machine.receive(b"\x93\x20") == bytes.fromhex("88 04A1B2 9F")
    assert machine.receive(bytes.fromhex("9370 88 04A1B2 9F")) == b"\x04"
    assert machine.state is State.READY
    assert machine.receive(b"\x95\x20") == bytes.fromhex("C3D4E5F6 04")
    assert machine.receive(bytes.fromhex("9570 C3D4E5F6 04")) == b"\x20"
    assert machine.state is State.ACTIVE


def test_a_cascade_level_out_of_turn_is_an_error() -> None:
    machine = card(UID7)
    machine.receive(REQA)
    assert machine.receive(b"\x95\x20") is None
    assert machine.state is State.IDLE


def test_a_new_poll_starts_at_the_first_cascade_level() -> None:
    machine = card(UID7)
    machine.receive(REQA)
    machine.receive(b"\x93\x70" + cascade(UID7)[0])
    machine.receive(REQA)  # silently back to IDLE
    assert Pcd(machine.receive).select() == UID7


def test_a_wrong_bcc_is_not_selected() -> None:
    machine = card()
    machine.receive(REQA)
    assert machine.receive(b"\x93\x70" + UID4 + b"\x05") is None
    assert machine.state is State.IDLE


def test_a_foreign_uid_is_not_selected() -> None:
    machine = card()
    machine.receive(REQA)
    assert machine.receive(bytes.fromhex("9370 01020304 04")) is None
    assert machine.state is State.IDLE


@pytest.mark.parametrize("known", range(40))
def test_partial_anticollision_gives_the_remaining_bits(known: int) -> None:
    whole, bits = divmod(known, 8)
    level = UID4 + BCC4
    split = bytes([level[whole] & (1 << bits) - 1]) if bits else b""
    machine = card()
    machine.receive(REQA)
    answer = machine.receive(bytes([0x93, 0x20 + (whole << 4) + bits]) + level[:whole] + split)
    assert answer is not None
    head = bytes([split[0] | answer[0]]) if split else answer[:1]
    assert level[:whole] + head + answer[1:] == level
    assert not split or answer[0] & (1 << bits) - 1 == 0
    assert machine.state is State.READY


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("9330 05", id="other first byte"),
        pytest.param("9321 01", id="other first bit"),
        pytest.param("9324 05", id="other low nibble"),
        pytest.param("9310", id="NVB does not count itself"),
        pytest.param("9328 04", id="nine bits in a byte"),
        pytest.param("9330", id="shorter than NVB says"),
        pytest.param("9320 04", id="longer than NVB says"),
        pytest.param("9371 0411A2B304 00", id="more bits than a level has"),
        pytest.param("93", id="cut"),
        pytest.param("9320 0000", id="too long"),
    ],
)
def test_anticollision_that_is_not_ours_is_silent(frame: str) -> None:
    machine = card()
    machine.receive(REQA)
    assert machine.receive(bytes.fromhex(frame)) is None
    assert machine.state is State.IDLE


def test_hlta_is_silent_and_halts() -> None:
    halted()


def test_halt_ignores_reqa() -> None:
    machine = halted()
    assert machine.receive(REQA) is None
    assert machine.state is State.HALT


def test_halt_wakes_with_wupa() -> None:
    machine = halted()
    assert machine.receive(WUPA) == b"\x04\x00"
    assert machine.state is State.READY_STAR
    assert machine.receive(SELECT4) == b"\x20"
    assert machine.state is State.ACTIVE_STAR
    assert machine.is_selected


@pytest.mark.parametrize("frame", [REQA, WUPA, HLTA, b"\x30\x00", b"", b"\x93\x70"])
def test_an_error_in_ready_returns_to_idle(frame: bytes) -> None:
    machine = card()
    machine.receive(REQA)
    assert machine.receive(frame) is None
    assert machine.state is State.IDLE


@pytest.mark.parametrize("frame", [REQA, WUPA, b"\x93\x20", b"\x30\x00", b""])
def test_an_error_in_active_returns_to_idle(frame: bytes) -> None:
    machine = selected()
    assert machine.receive(frame) is None
    assert machine.state is State.IDLE


@pytest.mark.parametrize("frame", [REQA, HLTA, b"\x30\x00"])
def test_an_error_after_waking_returns_to_halt(frame: bytes) -> None:
    machine = halted()
    machine.receive(WUPA)
    assert machine.receive(frame) is None
    assert machine.state is State.HALT


def test_an_error_in_active_star_returns_to_halt() -> None:
    machine = halted()
    machine.receive(WUPA)
    machine.receive(SELECT4)
    assert machine.receive(b"\x30\x00") is None
    assert machine.state is State.HALT


def test_deselect_halts_an_active_card() -> None:
    machine = selected()
    machine.deselect()
    assert machine.state is State.HALT


def test_field_off_forgets_the_halt() -> None:
    machine = halted()
    machine.field_off()
    assert machine.state is State.POWER_OFF
    machine.field_on()
    assert machine.receive(REQA) is not None


def test_a_complete_uid_never_has_the_cascade_bit() -> None:
    machine = Activation(replace(PHONE, sak=0x24))
    machine.field_on()
    machine.receive(REQA)
    assert machine.receive(SELECT4) == b"\x20"


@pytest.mark.parametrize("size", [0, 3, 5, 8, 11])
def test_a_uid_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="4, 7 or 10 bytes"):
        Activation(replace(PHONE, uid=bytes(size)))


FRAMES = st.one_of(
    st.sampled_from([REQA, WUPA, HLTA, b"\x93\x20", SELECT4]),
    st.binary(max_size=8),
    st.binary(max_size=6).map(lambda tail: b"\x93" + tail),
)


@given(st.lists(FRAMES, max_size=12))
def test_any_frames_leave_the_card_in_a_legal_state(frames: list[bytes]) -> None:
    machine = card()
    for frame in frames:
        before = machine.state
        answer = machine.receive(frame)
        reachable = {*TRANSITIONS[before].values(), FALLBACK[before]} - {State.POWER_OFF}
        assert machine.state in reachable
        assert answer is None or machine.state is not FALLBACK[before]
