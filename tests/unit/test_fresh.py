"""What is new in every run of a transaction, by the declarations of the records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apdu.commands import DEBIT, INIT_CAPP, TABLE
from apdu.fresh import FRESH, command_lines, is_fresh, is_same_command, records, response_lines
from apdu.records import DebitData, InitializeData
from bench.trace_formats.layers import exchanges
from tests.recordings import scenario

TERMINAL = bytes.fromhex("300089000195")


def debit(**changed) -> bytes:
    given = {
        "terminal_seq": 7,
        "date": bytes.fromhex("20250908"),
        "time": bytes.fromhex("073015"),
        "mac1": bytes(4),
    }
    return DEBIT.command(DebitData(**(given | changed)))


def test_the_fresh_fields_are_those_of_randomness_cryptograms_and_moments():
    """Pinned: a new record whose meaning says MAC, TAC or random shows up here."""
    assert {
        "random", "mac", "mac1", "mac2", "mac3", "tac", "cryptogram", "terminal_seq", "trip_serial",
        "blocks", "date", "time", "entry_time", "exit_time", "board_time", "alight_time",
    } == FRESH  # fmt: skip


def test_no_name_is_fresh_in_one_record_and_settled_in_another():
    for layout in records():
        for field in layout.FIELDS:
            assert is_fresh(field, layout) == (field.name in FRESH), (layout, field.name)


@pytest.mark.parametrize("name", ["start_date", "end_date", "offline_seq", "balance", "serial"])
def test_what_a_card_is_and_has_is_settled(name):
    assert name not in FRESH


def test_settled_lines_of_a_debit_are_none_and_all_lines_are_four():
    assert [n.label for n in command_lines(debit())] == ["Le"]
    assert len(command_lines(debit(), fresh=True)) == 5


@pytest.mark.parametrize("changed", [{"terminal_seq": 8}, {"time": b"\x08\0\0"}, {"mac1": b"abcd"}])
def test_a_command_that_differs_in_fresh_fields_is_the_same(changed):
    assert is_same_command(debit(), debit(**changed))


def test_a_command_of_another_amount_is_another():
    one, other = (INIT_CAPP.command(InitializeData(1, fen, TERMINAL)) for fen in (0, 400))
    assert not is_same_command(one, other)


def test_two_pins_are_two_commands_although_neither_is_shown():
    one, other = bytes.fromhex("0020000003123456"), bytes.fromhex("0020000003654321")
    assert command_lines(one) == command_lines(other)
    assert not is_same_command(one, other)


@pytest.mark.parametrize("command", ["0020000003123456", "002000000412345678", "0020000009123456"])
def test_a_pin_is_not_among_the_lines_whatever_its_length(command):
    assert "1234" not in str(command_lines(bytes.fromhex(command), fresh=True))


def test_two_commands_the_table_does_not_know_are_the_same_only_byte_for_byte():
    one, other = bytes.fromhex("80AA000002AABB"), bytes.fromhex("80AA000002AACC")
    assert is_same_command(one, one)
    assert not is_same_command(one, other)


def test_a_protected_update_is_compared_without_its_mac():
    """Protocol reference 6.6: the new end date is settled, the MAC behind it is not."""
    one, other = "04D6951808 20260930 24657B30", "04D6951808 20260930 00000000"
    later = "04D6951808 20270930 24657B30"
    assert is_same_command(bytes.fromhex(one), bytes.fromhex(other))
    assert not is_same_command(bytes.fromhex(one), bytes.fromhex(later))


def test_a_challenge_is_all_fresh():
    challenge = bytes.fromhex("0084000004")
    assert response_lines(challenge, bytes.fromhex("C0FFEE019000")) == []


def test_two_seeds_differ_in_fresh_values_alone():
    for one, other in zip(exchanges(scenario(seed=1)), exchanges(scenario(seed=2)), strict=True):
        assert is_same_command(one.command, other.command)
        assert one.response
        assert other.response
        assert response_lines(one.command, one.response) == response_lines(
            other.command, other.response
        )


def test_every_leaf_is_kept_and_what_is_taken_apart_is_not_told_twice():
    select = bytes.fromhex("00A4040008A00000063201010500")
    answer = next(x.response for x in exchanges(scenario()) if x.command == select)
    labels = [n.label for n in response_lines(select, answer, fresh=True)]
    assert "issuer" in labels
    assert "issuer data, EF15" not in labels


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_can_be_compared(one, other):
    assert is_same_command(one, one)
    assert is_same_command(one, other) == is_same_command(other, one)
    assert isinstance(response_lines(one, other), list)


@pytest.mark.parametrize("spec", TABLE.specs, ids=lambda s: s.name)
def test_a_bare_header_of_every_command_has_lines(spec):
    assert isinstance(command_lines(bytes((spec.cla, spec.ins, *spec.usual))), list)
