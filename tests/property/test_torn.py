"""A seeded slice of the torn taps; `make air` has ten thousand and more."""

from tests.property import torn


def test_six_hundred_torn_taps_charge_nobody_twice_and_let_nobody_ride_free():
    result = torn.campaign(600, seed=5)
    assert result.taps >= 600
    assert result.recovered > 10, "some answers to DEBIT are lost, or nothing is shown"
    assert result.attempts[2] > 300
    assert any("DEBIT" in place for place in result.where)
    assert len(result.boundaries) > 100


def test_torn_taps_replay_from_their_seed():
    one, other = torn.campaign(60, seed=3), torn.campaign(60, seed=3)
    assert (one.where, one.attempts, one.recovered) == (
        other.where,
        other.attempts,
        other.recovered,
    )


def test_a_clean_tap_has_the_frames_of_the_ladder():
    """8 frames of activation, 20 of ten APDUs; PPS adds 2."""
    plain = torn.Setting(rate=0, fsdi=8, cid=None, timing=None)
    fast = torn.Setting(rate=3, fsdi=8, cid=None, timing=None)
    assert torn.clean(plain)[0] == 28
    assert torn.clean(fast)[0] == 30
    assert torn.clean(fast)[1] < torn.clean(plain)[1] / 3
