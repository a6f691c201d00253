"""A card's taps as a chain: loads between two taps account for a balance that changed."""

import pytest

from apdu.purse import CAPP, LOAD
from issuer.chains import CardRow, along_cards
from issuer.faults import Fault
from issuer.rules import Policy

TAPPED, LOADED, TAPPED_AGAIN = 1_000, 1_100, 1_105
SLACK = Policy().clock_slack_s


def chain(tapped_again: int, load_before: int = 500) -> list[CardRow]:
    """Taps with 5.00 and 15.00 yuan, and a load of 10.00; purchases come first (`card_rows`)."""
    return [
        (1, "b", "s", False, 1, CAPP, 0, 500, 500, TAPPED),
        (2, "b", "s", False, 2, CAPP, 0, 1500, 1500, tapped_again),
        (3, "b", "s", True, 1, LOAD, 1000, load_before, load_before + 1000, LOADED),
    ]


@pytest.mark.parametrize("behind", [0, 1, 20, SLACK])
def test_a_gate_whose_clock_is_behind_the_desks_breaks_no_chain(behind: int):
    assert list(along_cards(chain(LOADED - behind), Policy())) == []


def test_a_load_long_after_both_taps_does_not_account_for_a_balance():
    [found] = along_cards(chain(LOADED - SLACK - 1), Policy())
    assert (found.fault, found.tap_id, found.wanted, found.found) == (
        Fault.BROKEN_CHAIN,
        2,
        500,
        1500,
    )


def test_a_load_of_another_balance_does_not_account_for_it():
    [found] = along_cards(chain(LOADED - 20, load_before=400), Policy())
    assert found.fault is Fault.BROKEN_CHAIN


def test_a_load_between_two_taps_accounts_for_a_balance():
    assert list(along_cards(chain(TAPPED_AGAIN), Policy())) == []
