"""A short storm of top-ups on each database: payments are credits, to the fen."""

import pytest

from tests.interop.topup_storm import database, storm


@pytest.mark.rule("R25")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_payments_are_credits_whatever_goes_wrong(kind: str):
    with database(kind) as where:
        tally = storm(where, clients=8, count=8, seed=1, say=lambda line: None)
    assert tally.paid == tally.credited > 0
    assert tally.ops["done"] > 30
    mishaps = ("cards removed", "clients crashed", "payer's answers lost")
    assert all(tally.told[one] for one in mishaps), tally
