"""Fixtures every kind of test uses."""

import pytest

import fixtures
from emulator.card.card import Card


@pytest.fixture
def card() -> Card:
    """A student's card with 50.00 yuan, repeatable randomness, in memory."""
    return fixtures.card("student", balance=5000)
