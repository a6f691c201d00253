"""`kill -9` on a gate and on clearing: slices of the campaigns of `make books`."""

from tests.doomed import LANES
from tests.interop import clearing_kills, gate_kills


def test_a_killed_gate_or_validator_loses_no_record_and_writes_none_twice():
    lanes: list[str] = []
    tally = gate_kills.campaign(9, 2, lanes.append)
    assert tally.kills == 9
    assert tally.records > 9
    assert [line.split(":")[0] for line in lanes] == list(LANES)


def test_a_killed_clearing_loses_no_batch_and_takes_none_twice():
    tally = clearing_kills.campaign(8, 2, lambda line: None)
    assert tally.kills == 8
    assert tally.whole >= 1
