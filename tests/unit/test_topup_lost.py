"""The card leaves during a top-up: credited once, paid for once (protocol reference 6.4)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.commands import CREDIT_LOAD
from apdu.files import EF15, EF18, LogRecord, PublicInfo
from apdu.records import InitializeData, InitLoadReply
from emulator.card.card import Card
from issuer.loads import SoftLoadHost
from issuer.tac import TacCheck
from reader.loading import LoadInterrupted, UnresolvedLoad, load, recover_load
from reader.session import ProtocolError, StatusError, Txn, run
from reader.taprecord import load_record
from reader.transactions import Receipt, select_purse
from reader.transport.base import CardLost, ReaderFault, Transport, TransportError
from reader.transport.decorators import CutPoint, Cutting, Recording
from reader.transport.inprocess import InProcess
from tests.cards import content_of, new_card

AMOUNT, HELD = 1000, 5000
TERMINAL = bytes.fromhex("100000000001")
AT = Moment.of(datetime(2025, 9, 9, 10, 11, 12))
POINTS = list(CutPoint)


class PaidHost(SoftLoadHost):
    """A load host with the payer's account.

    A card's load is known by its online number, which rises only when it is credited: who asks
    again for the same one has paid for it already.
    """

    def __init__(self) -> None:
        roots = fixtures.load_roots()
        super().__init__(roots["LMK"], roots["TMK"])
        self.debits: dict[tuple[bytes, int], int] = {}
        self.confirmed: set[tuple[bytes, int]] = set()

    @property
    def paid(self) -> int:
        return sum(self.debits.values())

    def authorise(
        self, info: PublicInfo, asked: InitializeData, offer: InitLoadReply, at: Moment
    ) -> bytes:
        mac2 = super().authorise(info, asked, offer, at)
        self.debits[info.serial, offer.online_seq] = asked.amount
        return mac2

    def confirm(
        self,
        info: PublicInfo,
        asked: InitializeData,
        offer: InitLoadReply,
        at: Moment,
        tac: bytes,
    ) -> None:
        super().confirm(info, asked, offer, at, tac)
        self.confirmed.add((info.serial, offer.online_seq))


@dataclass
class Window:
    """Where people top up: a lost load is asked for before another is begun."""

    host: PaidHost = field(default_factory=PaidHost)
    lost: UnresolvedLoad | None = None

    def serve(self, link: Transport) -> Receipt:
        try:
            receipt: Receipt = run(self._topping(), {"card": link})
        except LoadInterrupted as interrupted:
            self.lost = interrupted.unresolved
            raise
        self.lost = None
        return receipt

    def _topping(self) -> Txn[Receipt]:
        info = yield from select_purse()
        if self.lost is not None:
            receipt = yield from recover_load(self.lost, self.host)
            if receipt is not None:
                return receipt
        return (yield from load(info, AMOUNT, self.host, TERMINAL, AT))


def commands() -> list[bytes]:
    link = Recording(InProcess(new_card()), lambda: 0)
    Window().serve(link)
    return [e.command for e in link.seen]


COMMANDS = commands()
CUTS = [(n, p) for n in range(1, len(COMMANDS) + 1) for p in POINTS]
each_cut = pytest.mark.parametrize(("at", "point"), CUTS, ids=[f"{n}-{p.name}" for n, p in CUTS])


def lose(window: Window, card: Card, at: int, point: CutPoint) -> Receipt | None:
    def leave() -> None:
        card.power_off()
        card.power_on()

    try:
        return window.serve(Cutting(InProcess(card), at, point, leave))
    except (CardLost, LoadInterrupted):
        return None


def assert_once(window: Window, card: Card) -> None:
    assert card.purse.actual == HELD + AMOUNT
    assert window.host.paid == AMOUNT
    assert window.host.confirmed == set(window.host.debits)
    assert len(content_of(card.image, EF18.sfi)) == 1
    assert LogRecord.parse(content_of(card.image, EF18.sfi)[0]).amount == AMOUNT


def test_a_top_up_ends_with_the_credit():
    assert [c[1] == CREDIT_LOAD.ins for c in COMMANDS] == [False] * (len(COMMANDS) - 1) + [True]


@each_cut
@pytest.mark.rule("R25")
def test_after_the_next_visit_it_is_credited_and_paid_once(at, point):
    window, card = Window(), new_card()
    before = card.image
    assert lose(window, card, at, point) is None
    is_credited = at == len(COMMANDS) and point is CutPoint.AFTER
    assert (card.image is not before) == is_credited
    assert (window.lost is not None) == (at == len(COMMANDS))
    receipt = window.serve(InProcess(card))
    assert (receipt.recovered, receipt.balance) == (is_credited, HELD + AMOUNT)
    info = PublicInfo.parse(content_of(card.image, EF15.sfi))
    record = load_record(info, receipt, b"DESK0001", b"\x30\x00")
    assert TacCheck(fixtures.load_roots()["TMK"]).is_right(record)
    assert_once(window, card)


@each_cut
def test_losing_the_card_twice_changes_nothing_of_that(at, point):
    for second_at in range(1, len(COMMANDS) + 3):
        for second_point in POINTS:
            window, card = Window(), new_card()
            lose(window, card, at, point)
            if lose(window, card, second_at, second_point) is None:
                card.power_off()
                window.serve(InProcess(card))
            assert_once(window, card)


@each_cut
def test_another_window_that_knows_nothing_of_it_never_takes_money_for_nothing(at, point):
    """It may load a second time what is wanted once: then it is paid twice and credited twice."""
    window, card = Window(), new_card()
    lose(window, card, at, point)
    other = Window(window.host)
    card.power_off()
    other.serve(InProcess(card))
    assert card.purse.actual - HELD == window.host.paid


def spoilt(how: Callable[[bytes], bytes]) -> Callable[[Card], Transport]:
    @dataclass
    class Spoiling:
        card: Card

        def transmit(self, command: bytes) -> bytes:
            response = self.card.process(command)
            return how(response) if command[1] == CREDIT_LOAD.ins else response

    return Spoiling


def fault(response: bytes) -> bytes:
    raise ReaderFault("the reader was pulled out")


SPOILS: dict[str, Any] = {
    "cut short": lambda r: r[:3] + r[-2:],
    "empty": lambda r: b"",
    "one byte": lambda r: b"\x90",
    "a bit of the TAC": lambda r: bytes((r[0] ^ 1,)) + r[1:],
    "6F00": lambda r: b"\x6f\x00",
    "6200": lambda r: b"\x62\x00",
    "no reader": fault,
}


@pytest.mark.parametrize("how", SPOILS.values(), ids=SPOILS)
def test_whatever_spoils_the_answer_to_credit_it_is_asked_for_and_not_loaded_again(how):
    window, card = Window(), new_card()
    with pytest.raises(LoadInterrupted, match="present it again"):
        window.serve(spoilt(how)(card))
    card.power_off()
    assert window.serve(InProcess(card)).recovered
    assert_once(window, card)


@pytest.mark.parametrize("sw", ["9302", "6985", "6581", "6901", "6700"])
def test_a_credit_that_the_card_refuses_for_certain_is_an_error_and_can_be_asked_again(sw):
    window, card = Window(), new_card()

    class Refusing:
        def transmit(self, command: bytes) -> bytes:
            is_credit = command[1] == CREDIT_LOAD.ins
            return bytes.fromhex(sw) if is_credit else card.process(command)

    with pytest.raises(StatusError, match=sw):
        window.serve(Refusing())
    assert (card.purse.actual, window.lost) == (HELD, None)
    card.power_off()
    assert not window.serve(InProcess(card)).recovered
    assert_once(window, card)


def test_a_lost_load_is_not_proved_by_another_card():
    window, card = Window(), new_card()
    lose(window, card, len(COMMANDS), CutPoint.AFTER)
    other = new_card(serial=bytes.fromhex("03105228009900000018"))
    elsewhere = Window(window.host)
    lost, window.lost = window.lost, None
    elsewhere.serve(InProcess(other))
    other.power_off()
    window.lost = lost
    with pytest.raises((ProtocolError, TransportError)):
        window.serve(InProcess(other))
    assert other.purse.actual == HELD + AMOUNT
