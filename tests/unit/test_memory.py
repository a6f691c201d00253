"""Live cards share what they have in common."""

from bench.throughput.memory import weigh


def test_a_hundred_thousand_cards_fit_into_600_mb():
    weight = weigh(1000)
    assert weight.opened * 100_000 < 200e6
    assert weight.opened < weight.tapped
    assert weight.tapped * 100_000 < 600e6
