"""A card's whole life over PC/SC, told by an unmodified program that only reads."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from emulator.frontends.vpcd import VpcdFrontend
from issuer.closing import close_card
from issuer.opening import personalise_card, verify_opened
from issuer.renewing import renew_card
from reader.session import Txn, run
from reader.transport.base import CardLost, exclusively
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.pcsc import PcscCoupler
from tests.interop.conftest import NOTICED_S
from tests.needs import require_tool
from tests.stock import (
    CLOSING,
    DESK,
    NEXT_END,
    OPENING,
    ORDER,
    RENEWALS,
    SERIAL,
    TERMINAL,
    load_of,
    stock_card,
)

pytestmark = [pytest.mark.needs_pcscd, pytest.mark.needs_tool]

NUMBER = SERIAL.hex().upper()
SELECT, EF15, BALANCE = "00A4040008A000000632010105", "00B095001E", "805C000204"


@pytest.fixture
def told(run) -> Callable[[], str]:
    """What opensc-tool shows of a card: SELECT, EF15 and balance."""
    tool = require_tool("opensc-tool", "opensc")

    def telling() -> str:
        shown = run(tool, "--card-driver", "default", "-s", SELECT, "-s", EF15, "-s", BALANCE)
        words = "".join(f"<{a}{b}>" for a, b in re.findall(r"SW1=0x(..), SW2=0x(..)", shown))
        return "".join(re.findall(r"\b[0-9A-F]{2}\b", shown)) + words

    return telling


def at_the_desk(reader: str, transaction: Txn[Any], cut_at: int = 0) -> Any:
    """One transaction over PC/SC. cut_at: the command at which the card is lost, if any."""
    with PcscCoupler(reader) as coupler:
        link = coupler.wait_card(NOTICED_S)
        with exclusively(link):
            return run(transaction, {"card": Cutting(link, cut_at, CutPoint.AFTER)})


def test_a_card_is_opened_topped_up_renewed_and_returned(pcscd, told):
    reader = pcscd.reader_names[0]
    with VpcdFrontend(stock_card(), pcscd.port).running():
        with pytest.raises(CardLost):
            at_the_desk(reader, personalise_card(ORDER, OPENING), cut_at=60)
        assert NUMBER not in told(), "half made, it shows nobody's number"
        assert at_the_desk(reader, personalise_card(ORDER, OPENING))
        at_the_desk(reader, verify_opened(ORDER, OPENING, TERMINAL))
        shown = told()
        assert shown.count(f"{NUMBER}2025090120260930") == 2  # in the FCI and in EF15
        assert "00000000<9000>" in shown
        assert at_the_desk(reader, load_of(5000)).balance == 5000
        assert "00001388<9000>" in told()
        assert at_the_desk(reader, renew_card(SERIAL, NEXT_END, RENEWALS)).is_written
        assert told().count(f"{NUMBER}2025090120270930") == 2
        done = at_the_desk(reader, close_card(SERIAL, CLOSING, DESK))
        assert [paid.amount for paid in done.unloads] == [5000]
        assert told().endswith("<6A81><9303><9303>")
        assert at_the_desk(reader, close_card(SERIAL, CLOSING, DESK)).was_closed
