"""Tests against a real reader, or what looks like one. Never in the default run.

    pytest tests/hardware --device usb                      a reader that nfcpy drives
    pytest tests/hardware --reader ACR                      a PC/SC reader
    pytest tests/hardware --device usb --listen tty:USB0:pn532
                                                            our card on a second reader
    pytest tests/hardware --device usb --dangerous-write    charge the card, too

Without --device and --reader nothing here is collected. A card without the purse is refused, and
one that is not of the test issuer is never written to (`guard`).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import fixtures
from emulator.frontends.errors import FrontendError
from emulator.frontends.nfc_target import NfcTarget
from reader.transport.base import TransportError
from reader.transport.nfc import NfcCoupler
from reader.transport.pcsc import PcscCoupler
from tests.hardware.guard import Guard, Refused

BALANCE = 5000
"""Fen on our own card of --listen."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("hardware", "tests against real readers")
    group.addoption("--device", metavar="PATH", help="nfcpy path of the reader, such as usb")
    group.addoption("--reader", metavar="NAME", help="part of the name of a PC/SC reader")
    group.addoption("--listen", metavar="PATH", help="nfcpy path of a reader to put our card on")
    group.addoption("--wait", metavar="S", type=float, default=20.0, help="seconds for a card")
    group.addoption(
        "--dangerous-write", action="store_true", help="charge and load a card of the test issuer"
    )


def _roads(config: pytest.Config) -> list[str]:
    return [name for name in ("device", "reader") if config.getoption(name, None)]


def _opened(make: Callable[..., Any], *arguments: Any) -> Any:
    """What a reader is asked for; what is the matter with it is one sentence, not a traceback."""
    try:
        return make(*arguments)
    except (TransportError, FrontendError) as error:
        pytest.fail(str(error), pytrace=False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if _roads(config) else True


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "coupler" in metafunc.fixturenames:
        metafunc.parametrize("coupler", _roads(metafunc.config), indirect=True, scope="session")


@pytest.fixture(scope="session")
def our_card(pytestconfig: pytest.Config) -> Iterator[None]:
    """A student's card of ours on the reader of --listen, if one is named."""
    path = pytestconfig.getoption("listen")
    with ExitStack() as stack:
        if path:
            card = fixtures.card("student", balance=BALANCE)
            stack.enter_context(_opened(NfcTarget, card, path).running())
        yield


@pytest.fixture(scope="session")
def coupler(request: pytest.FixtureRequest, our_card: None) -> Iterator[NfcCoupler | PcscCoupler]:
    where = request.config.getoption(request.param)
    with closing(
        _opened(NfcCoupler if request.param == "device" else PcscCoupler, where)
    ) as opened:
        yield opened


@pytest.fixture
def link(coupler: NfcCoupler | PcscCoupler, pytestconfig: pytest.Config) -> Any:
    """The card on the reader, activated afresh."""
    return _opened(coupler.wait_card, pytestconfig.getoption("wait"))


@pytest.fixture
def card(link: Any, pytestconfig: pytest.Config) -> Guard:
    """The card behind its guard."""
    try:
        return Guard(link, pytestconfig.getoption("dangerous_write"))
    except Refused as refused:
        pytest.fail(str(refused), pytrace=False)


@pytest.fixture
def writable(card: Guard, pytestconfig: pytest.Config) -> Guard:
    """A card that may be written to; without leave the test is skipped, a foreign card fails it."""
    if not pytestconfig.getoption("dangerous_write"):
        pytest.skip("writes to the card; give --dangerous-write to run it")
    try:
        card.demand_writable()
    except Refused as refused:
        pytest.fail(str(refused), pytrace=False)
    return card
