"""A phone is lost: its card stops at the gates, is blocked, and never comes back (R29).

From the office's books over the update's text and the gate's own file to the card's answers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from apdu.sw import SW
from emulator.card.state import Blocked
from issuer import blacklist_book, cards_book, ledger
from issuer.card_access import CardBlocked
from issuer.card_states import CardEvent, CardState
from issuer.clearing import Clearing
from issuer.database import open_database
from issuer.errors import RuleError
from issuer.faults import Fault
from issuer.openings import open_card
from issuer.renewals import renew
from reader.batch import build_batch
from reader.blacklist import MissingUpdate
from reader.blacklist_file import BlacklistFile
from reader.gate import Direction, Gate, Reject, Verdict
from reader.journal import MemoryJournal
from tests.cards import app_of, purse_in, sw_of
from tests.postgres import cluster
from tests.students import PHONE, Campus, blank, on, tapped

SELECT_PURSE = bytes.fromhex("00A4040008A00000063201010500")
READ_EF15 = bytes.fromhex("00B0950000")


@pytest.fixture(params=["sqlite", "postgresql"])
def campus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Campus]:
    if request.param == "sqlite":
        made = Campus.of(open_database(str(tmp_path / "office.db")))
        yield made
        made.office.engine.dispose()
        return
    with cluster() as server:
        made = Campus.of(open_database(server.database("office")))
        yield made
        made.office.engine.dispose()


@dataclass
class GateFile:
    """A gate's copy of the blacklist, which it asks at each tap."""

    held: BlacklistFile

    def __contains__(self, serial: object) -> bool:
        return serial in self.held.blacklist

    def fetch(self, campus: Campus) -> int:
        """Take what the office has since the version here. Returns the version then."""
        texts = campus.do(blacklist_book.texts_since, self.held.blacklist.version)
        for text in texts:
            self.held.take(text)
        return self.held.blacklist.version


@pytest.fixture
def held(tmp_path: Path) -> GateFile:
    return GateFile(BlacklistFile(tmp_path / "blacklist"))


def gate(campus: Campus, held: GateFile, direction: Direction = Direction.ENTRY) -> Gate:
    return campus.gate(direction, blacklist=held)


def lose(campus: Campus, card: cards_book.Card) -> int:
    """The card is reported lost, and on the blacklist at once. Returns the version."""

    def work(session):
        cards_book.move(session, card.id, CardEvent.REPORT_LOST, campus.clock())
        return blacklist_book.change(session, campus.clock(), [card.serial])

    return campus.do(work)


def loaded(campus: Campus, number: int = 0):
    account, chip, card = campus.opened(number)
    campus.load(chip, 5000)
    return account, chip, card


@pytest.mark.rule("R29")
def test_a_lost_card_is_refused_as_soon_as_the_gate_holds_the_version_blocked_and_dead(
    campus: Campus, held: GateFile
):
    """Must-show 5, but for the money: see the tests of losses."""
    account, chip, card = loaded(campus)
    entry = gate(campus, held)
    assert held.fetch(campus) == 0
    assert tapped(entry, chip).verdict is Verdict.PASS
    assert tapped(gate(campus, held, Direction.EXIT), chip).verdict is Verdict.PASS
    campus.clock.now += timedelta(hours=1)
    version = lose(campus, card)
    # The office knows, and the gate does not yet: domain facts 1.3, R29.
    assert tapped(entry, chip).verdict is Verdict.PASS
    assert tapped(gate(campus, held, Direction.EXIT), chip).verdict is Verdict.PASS
    campus.clock.now += timedelta(hours=1)
    assert held.fetch(campus) == version
    money = purse_in(chip.image)
    said = tapped(entry, chip)
    assert (said.reason, said.detail) == (Reject.BLACKLISTED, "the card is blocked")
    assert app_of(chip.image).blocked is Blocked.TEMPORARY
    assert sw_of(chip.process(SELECT_PURSE)) == SW.BLOCKED
    assert sw_of(chip.process(READ_EF15)) != SW.OK
    assert purse_in(chip.image) == money
    # Another gate, with no list at all, does not take it either.
    assert tapped(campus.gate(Direction.ENTRY), chip).reason is Reject.BLOCKED
    dead_for_ever(campus, account, chip, card)


def dead_for_ever(campus: Campus, account: int, chip, card) -> None:
    """Neither the book nor the card takes anything of it any more, the phone found again or not."""
    for event in (CardEvent.ACTIVATE, CardEvent.GIVE_UP, CardEvent.RETURN):
        assert campus.do(cards_book.move, card.id, event, campus.clock()).rule
    new = blank("the new phone")
    after = campus.open(account, new, "replacement")
    assert (after.state, after.serial != card.serial) == (CardState.ACTIVE, True)
    image = chip.image
    for transaction in (
        renew(campus.office, account, "renew"),
        open_card(campus.office, account, "once more", PHONE),
    ):
        with pytest.raises((CardBlocked, RuleError)):
            on(chip, transaction)
    assert chip.image is image
    assert campus.card(card).state is CardState.LOST
    assert campus.do(blacklist_book.is_listed, card.serial)
    assert not campus.do(blacklist_book.is_listed, after.serial)
    assert on(new, open_card(campus.office, account, "replacement", PHONE)) == after
    campus.load(new, 5000)
    assert campus.pass_(new, Direction.ENTRY).verdict is Verdict.PASS


@pytest.mark.rule("R6", "R29")
def test_without_a_report_there_is_no_second_card(campus: Campus):
    account, _, card = loaded(campus)
    with pytest.raises(RuleError, match="report yours lost or return it first"):
        campus.open(account, blank("the new phone"), "replacement")
    lose(campus, card)
    assert campus.open(account, blank("the new phone"), "replacement").state is CardState.ACTIVE


@pytest.mark.rule("R29")
def test_reported_twice_it_is_listed_once(campus: Campus, held: GateFile):
    _, chip, card = loaded(campus)
    assert lose(campus, card) == lose(campus, card) == 1
    held.fetch(campus)
    assert held.fetch(campus) == 1
    assert len(held.held.blacklist) == 1
    assert tapped(gate(campus, held), chip).reason is Reject.BLACKLISTED


@pytest.mark.rule("R29")
def test_a_gate_that_missed_a_version_is_told_and_gets_all_since(campus: Campus, held: GateFile):
    cards = [loaded(campus, number) for number in range(3)]
    lose(campus, cards[0][2])
    held.fetch(campus)
    for _, _, card in cards[1:]:
        lose(campus, card)
    step = campus.do(blacklist_book.texts_since, 2)
    with pytest.raises(MissingUpdate, match="send the update from 1 to 2 first"):
        held.held.take(step[0])
    assert tapped(gate(campus, held), cards[2][1]).verdict is Verdict.PASS
    assert held.fetch(campus) == 3
    for _, chip, _ in cards[:2]:
        assert tapped(gate(campus, held), chip).reason is Reject.BLACKLISTED
    out = tapped(gate(campus, held, Direction.EXIT), cards[2][1])
    assert out.reason is Reject.BLACKLISTED


@pytest.mark.rule("R29")
def test_a_ride_after_the_report_is_found_in_clearing(campus: Campus, held: GateFile):
    _, chip, card = loaded(campus)
    journal = MemoryJournal(b"GATE0001")
    lose(campus, card)
    campus.clock.now += timedelta(minutes=5)
    assert tapped(campus.gate(Direction.ENTRY, journal, blacklist=held), chip).receipt
    clearing = Clearing(campus.office.engine, campus.office.roots["TMK"])
    clearing.receive(build_batch(b"GATE0001", journal.records), campus.clock.now)
    assert clearing.examine() == {Fault.BLACKLISTED: 1}


@pytest.mark.rule("R29")
def test_a_card_that_was_blocked_and_is_found_again_is_not_unlisted(campus: Campus, held: GateFile):
    _, chip, card = loaded(campus)
    lose(campus, card)
    held.fetch(campus)
    assert tapped(gate(campus, held), chip).reason is Reject.BLACKLISTED
    for _ in range(2):
        assert tapped(gate(campus, held), chip).reason is Reject.BLOCKED
    reopened = BlacklistFile(held.held.path)
    assert card.serial in reopened.blacklist


@pytest.mark.rule("R29")
def test_the_money_of_a_lost_card_moves_once_to_the_new_one(campus: Campus, held: GateFile):
    """Must-show 5 from the first top-up to the last fen."""
    losses = pytest.importorskip("issuer.losses")
    topups = pytest.importorskip("issuer.topups")
    office, (account, chip, card) = campus.office, campus.opened()
    on(chip, topups.top_up(office, account, "money", 5000))
    journals = [MemoryJournal(name) for name in (b"GATE0001", b"GATE0002")]
    for direction, journal in zip(Direction, journals, strict=True):
        campus.clock.now += timedelta(minutes=20)
        assert campus.pass_(chip, direction, journal=journal).verdict is Verdict.PASS
    loss = losses.report_lost(office, account, "lost")
    assert loss.frozen == 5000  # the gates have not sent the ride yet
    assert held.fetch(campus) == loss.version
    assert tapped(gate(campus, held), chip).reason is Reject.BLACKLISTED
    new = blank("the new phone")
    campus.open(account, new, "replacement")
    clearing = Clearing(office.engine, office.roots["TMK"])
    for journal in journals:
        clearing.receive(build_batch(journal.gate, journal.records), campus.clock.now)
    campus.clock.now += timedelta(days=office.policy.settle_days)
    (settled,) = losses.settle(office, campus.clock.now)
    assert (settled.card.serial, settled.rides, settled.left) == (card.serial, 400, 4600)
    assert losses.settle(office, campus.clock.now) == []
    for _ in range(2):
        carried = on(new, topups.carry(office, account, "carry"))
        assert (carried.amount, purse_in(new.image).actual) == (4600, 4600)
    with pytest.raises(RuleError):
        on(new, topups.carry(office, account, "carry again"))
    assert purse_in(new.image).actual == 4600
    assert ledger.trial_balance(office.engine).is_balanced
