"""`kill -9` on a gate and on clearing: slices of the campaigns of `make books`."""

from tests.interop import clearing_kills, gate_kills


def test_a_killed_gate_loses_no_record_and_writes_none_twice():
    tally = gate_kills.campaign(8, 2, lambda line: None)
    assert tally.kills == 8
    assert tally.records > 8


def test_a_killed_clearing_loses_no_batch_and_takes_none_twice():
    tally = clearing_kills.campaign(8, 2, lambda line: None)
    assert tally.kills == 8
    assert tally.whole >= 1
