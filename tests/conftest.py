"""Fixtures every kind of test uses."""

import gc
import os

import pytest
from hypothesis import settings

import fixtures
from emulator.card.card import Card
from tests.slices import Some

# A busy machine is not a failure; pytest-timeout stops what hangs.
settings.register_profile("tapbench", deadline=None)
settings.load_profile("tapbench")

# What a command prints into a pipe must not depend on who runs the tests; pytest-xdist sets these.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("slices", "long sweeps").addoption(
        "--whole", action="store_true", help="every cut on every database, not a seeded slice"
    )


def pytest_collection_finish() -> None:
    """Tens of thousands of tests stay to the end: garbage is not looked for among them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def some(request: pytest.FixtureRequest) -> Some:
    """Takes of many cases a seeded slice, of each kind one or more; all of them with --whole."""
    return Some(request.config.getoption("whole"))


@pytest.fixture
def card() -> Card:
    """A student's card with 50.00 yuan, repeatable randomness, in memory."""
    return fixtures.card("student", balance=5000)
