"""A seeded slice of the soak; `make soak` has a hundred thousand taps."""

import pytest

from reader import debits
from tests.property import soak
from tests.property.soak_faults import FAULTS, LEAVES_AFTER
from tests.property.soak_gate import Fate, Numbers


def quietly(line: str) -> None:
    """Progress of a slice is of no interest."""


def test_after_a_thousand_taps_journal_card_and_psam_agree_to_the_last_fen():
    result = soak.campaign(1000, seed=5, say=quietly, psam="memory")
    assert result.taps >= 1000
    assert len(result.faults) > len(FAULTS) / 2
    assert result.recovered > 3, "some answers to DEBIT are lost, or nothing is shown"
    assert result.fates[Fate.TAKEN] == result.records > 600
    assert result.fates[Fate.VOID] > 0
    assert result.fates[Fate.BURNT] > 0
    assert result.ends["passed again"] > 10


def test_a_soak_replays_from_its_seed_whatever_keeps_the_psam_s_numbers():
    one = soak.campaign(40, seed=3, say=quietly, psam="file")
    other = soak.campaign(40, seed=3, say=quietly, psam="memory")
    assert (one.ends, one.faults, one.fates, one.paid_here, one.loaded) == (
        other.ends,
        other.faults,
        other.fates,
        other.paid_here,
        other.loaded,
    )


def test_a_gate_that_writes_off_what_a_card_has_paid_is_found(monkeypatch):
    def believing(lost, is_last):
        yield from ()

    monkeypatch.setattr(debits, "recover", believing)
    monkeypatch.setitem(FAULTS, LEAVES_AFTER, 0.2)
    with pytest.raises(AssertionError, match="VOID of a debit that was taken"):
        soak.campaign(300, seed=1, say=quietly, psam="memory")


def test_a_number_that_is_given_out_twice_is_found():
    numbers = Numbers(10)
    numbers.move(1, Fate.UNUSED, Fate.GIVEN)
    with pytest.raises(AssertionError, match="number 1 is GIVEN, expected UNUSED"):
        numbers.move(1, Fate.UNUSED, Fate.GIVEN)
