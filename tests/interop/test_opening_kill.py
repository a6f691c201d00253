"""Killed at any step of an opening, another office ends it in one card."""

import pytest

from tests.interop.opening_kills import COMMITS, campaign, database

COMMANDS = 6


@pytest.mark.rule("R6", "R24")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_office_killed_while_it_opens_a_card_leaves_one_card_in_the_end(kind: str):
    with database(kind) as where:
        tally = campaign(where, COMMANDS)
    assert tally["killed at a commit"] == 2 * COMMITS
    assert tally["killed at a command"] >= COMMANDS
    assert tally["serials given up"] > 0
