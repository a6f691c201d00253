"""A return: the money leaves the card once and the card is dead, wherever it was cut."""

from dataclasses import replace

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.files import EF1A
from apdu.purse import UNLOAD
from apdu.records import InitializeData, InitLoadReply
from emulator.card.env import ScriptedEnv
from emulator.card.personalise import personalise
from emulator.card.state import Blocked
from issuer.card_access import CardBlocked, SoftMacHost, WrongCard, find_card
from issuer.closing import CardOwes, ClosingHosts, OpenTrip, block_for_good, close_card
from issuer.unloading import (
    SoftUnloadHost,
    UnloadInterrupted,
    UnresolvedUnload,
    recover_unload,
    unload,
)
from reader.session import ProtocolError, StatusError, run
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint
from tests.cards import app_of, content_of, new_card, with_content, with_purse, with_trip
from tests.gates import INSIDE
from tests.stock import (
    CLOSING,
    DESK,
    ROOTS,
    SERIAL,
    TERMINAL,
    UNLOADS,
    card_of,
    commands,
    cut,
    load_of,
    on,
    opened,
)

HELD = 5000
DEBIT = bytes.fromhex("805403")
each_point = pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)


class Books:
    """An unload host that keeps what it promised and what it was shown, as an office does."""

    def __init__(self):
        self.host = SoftUnloadHost(ROOTS["UMK"])
        self.promised = []
        self.paid = {}

    def authorise(self, info, asked, offer, at):
        mac2 = self.host.authorise(info, asked, offer, at)
        self.promised.append(UnresolvedUnload(info, asked, offer, at))
        return mac2

    def confirm(self, info, asked, offer, at, mac3):
        self.host.confirm(info, asked, offer, at, mac3)
        self.paid[info.serial, offer.online_seq] = asked.amount

    @property
    def hosts(self):
        return ClosingHosts(self, CLOSING.block)

    @property
    def open(self):
        """The promise of which nothing is known, as an office finds it after its own crash."""
        left = [p for p in self.promised if (SERIAL, p.offer.online_seq) not in self.paid]
        return left[-1] if left else None


def card_with_money():
    card = opened()
    on(card, load_of(HELD))
    return card


MONEYED = card_with_money().image
COMMANDS = commands(card_of(MONEYED), close_card(SERIAL, CLOSING, DESK))


def assert_closed(card, books):
    assert app_of(card.image).blocked is Blocked.PERMANENT
    assert card.purse.actual == 0
    assert card.purse.online_seq == 2
    assert list(books.paid.values()) == [HELD]


@pytest.mark.rule("R33")
def test_a_return_pays_out_and_ends_the_card():
    card, books = card_of(MONEYED), Books()
    done = on(card, close_card(SERIAL, books.hosts, DESK))
    assert [(r.amount, r.balance, r.seq, r.recovered) for r in done.unloads] == [
        (HELD, 0, 2, False)
    ]
    assert not done.was_closed
    assert_closed(card, books)
    for read in ("00B0950000", "805C000204", f"805005020B0100000001{TERMINAL.hex()}10"):
        assert card.process(bytes.fromhex(read)) == b"\x93\x03"


def test_an_empty_card_is_blocked_alone():
    card = opened()
    assert on(card, close_card(SERIAL, CLOSING, DESK)).unloads == ()
    assert app_of(card.image).blocked is Blocked.PERMANENT
    assert card.purse.online_seq == 0


def test_a_second_return_of_the_same_card_changes_nothing():
    card, books = card_of(MONEYED), Books()
    on(card, close_card(SERIAL, books.hosts, DESK))
    before = card.image
    again = on(card, close_card(SERIAL, books.hosts, DESK))
    assert (again.was_closed, again.unloads) == (True, ())
    assert card.image is before
    assert_closed(card, books)


@each_point
@pytest.mark.rule("R33")
def test_a_card_lost_at_any_command_is_paid_out_once_and_ends(point):
    for at in range(1, len(COMMANDS) + 1):
        card, books = card_of(MONEYED), Books()
        lost = cut(card, close_card(SERIAL, books.hosts, DESK), at, point)
        is_debit = COMMANDS[at - 1].startswith(DEBIT)
        assert isinstance(lost, UnloadInterrupted if is_debit else CardLost)
        unresolved = lost.unresolved if is_debit else None
        done = on(card, close_card(SERIAL, books.hosts, DESK, unresolved))
        assert done.was_closed == (at == len(COMMANDS) and point is CutPoint.AFTER)
        assert_closed(card, books)
        if is_debit:
            assert [r.recovered for r in done.unloads] == [point is CutPoint.AFTER]


@each_point
@pytest.mark.parametrize("second", CutPoint, ids=lambda p: p.name)
def test_and_so_is_one_lost_twice_by_an_office_that_only_has_its_books(point, second):
    """The office crashes with the card: all it knows is what its host kept."""
    for at in range(1, len(COMMANDS) + 1):
        for again in range(1, len(COMMANDS) + 2):
            card, books = card_of(MONEYED), Books()
            cut(card, close_card(SERIAL, books.hosts, DESK), at, point)
            cut(card, close_card(SERIAL, books.hosts, DESK, books.open), again, second)
            on(card, close_card(SERIAL, books.hosts, DESK, books.open))
            assert_closed(card, books)


@pytest.mark.parametrize("how", [lambda r: b"", lambda r: r[:1] + r[-2:]], ids=["empty", "short"])
def test_a_spoilt_answer_to_the_debit_is_asked_for_again(how):
    card, books = card_of(MONEYED), Books()

    class Spoiling:
        def transmit(self, command):
            answer = card.process(command)
            return how(answer) if command.startswith(DEBIT) else answer

    with pytest.raises(UnloadInterrupted) as lost:
        run(close_card(SERIAL, books.hosts, DESK), {"card": Spoiling()})
    done = on(card, close_card(SERIAL, books.hosts, DESK, lost.value.unresolved))
    assert [r.recovered for r in done.unloads] == [True]
    assert_closed(card, books)


def test_a_lost_unload_that_was_not_made_leaves_the_money_and_says_so():
    card = card_of(MONEYED)
    at = next(n for n, c in enumerate(COMMANDS, 1) if c.startswith(DEBIT))
    lost = cut(card, close_card(SERIAL, CLOSING, DESK), at, CutPoint.BEFORE)

    def asking():
        yield from find_card(SERIAL)
        return (yield from recover_unload(lost.unresolved, UNLOADS))

    assert on(card, asking()) is None
    assert card.purse.actual == HELD


class Altered:
    """A card of which one answer is replaced. head: how its command begins."""

    def __init__(self, card, head, answer):
        self.card, self.head, self.answer = card, bytes.fromhex(head), bytes.fromhex(answer)

    def transmit(self, command):
        said = self.card.process(command)
        return self.answer if command.startswith(self.head) else said


@pytest.mark.parametrize(
    ("head", "answer", "error", "match"),
    [
        ("805A0003", "C917313A000000019000", ProtocolError, "does not end in zeros"),
        ("805A0003", "00000000000000009000", ProtocolError, "MAC3 is not this card's"),
        ("805A0003", "6A81", StatusError, "6A81"),
        ("00B201", "6982", StatusError, "6982"),
        ("0084", "C0FFEE019000"[:6] + "9000", ProtocolError, "gave 3 bytes, expected 4"),
        ("00B095", "01029000", ProtocolError, "READ BINARY of EF15"),
    ],
    ids=["proof", "stranger's proof", "no proof", "trip", "challenge", "EF15"],
)
def test_an_answer_that_cannot_be_trusted_ends_the_return(head, answer, error, match):
    card, books = card_of(MONEYED), Books()
    at = next(n for n, c in enumerate(COMMANDS, 1) if c.startswith(DEBIT))
    lost = cut(card, close_card(SERIAL, books.hosts, DESK), at, CutPoint.AFTER).unresolved
    with pytest.raises(error, match=match):
        run(close_card(SERIAL, books.hosts, DESK, lost), {"card": Altered(card, head, answer)})
    assert app_of(card.image).blocked is Blocked.NO
    on(card, close_card(SERIAL, books.hosts, DESK, lost))
    assert_closed(card, books)


# Refusals


def refused(card, error, match, **how):
    before = card.image
    with pytest.raises(error, match=match):
        on(card, close_card(SERIAL, CLOSING, DESK, **how))
    assert card.image is before


def test_another_card_is_refused():
    card = new_card(serial=bytes.fromhex("03105228009900000018"))
    refused(card, WrongCard, "this is card 03105228009900000018, expected 03105228009900000017")


def test_another_card_that_is_blocked_for_good_is_not_taken_for_this_one():
    card = new_card(serial=bytes.fromhex("03105228009900000018"), blocked=Blocked.PERMANENT)
    refused(card, WrongCard, "present the right one")


def test_a_card_blocked_for_a_time_is_refused_with_its_money():
    refused(new_card(blocked=Blocked.TEMPORARY), CardBlocked, "unblock it first")


@pytest.mark.parametrize("shown", ["6A81", "6283", "9303", "fci-6283"])
def test_a_card_that_is_blocked_says_so_in_many_ways(shown):
    card = new_card(blocked=Blocked.PERMANENT, dialect={"select_blocked": shown})
    if shown.startswith("fci"):
        assert on(card, close_card(SERIAL, CLOSING, DESK)).was_closed
    else:
        refused(card, CardBlocked, "blocked for good")


def test_a_card_blocked_for_good_does_not_hide_an_unload_that_is_not_known():
    card = card_of(MONEYED)
    books = Books()
    on(card, close_card(SERIAL, books.hosts, DESK))
    refused(card, CardBlocked, "blocked for good", lost=books.promised[0])


def test_an_open_trip_is_refused_unless_that_is_wanted():
    card = new_card(with_trip(INSIDE.build()))
    refused(card, OpenTrip, "open trip")
    done = on(card, close_card(SERIAL, CLOSING, DESK, may_be_inside=True))
    assert done.unloads[0].amount == HELD


def test_a_trip_on_a_bus_counts_too():
    record = bytearray(128)
    record[:15] = bytes.fromhex("27027D0101") + bytes(9) + b"\x01"
    refused(new_card(with_trip(bytes(record), 2)), OpenTrip, "open trip")


def test_a_card_that_has_no_record_for_buses_is_taken_back():
    card = new_card(lambda image: with_content(EF1A.sfi, content_of(image, EF1A.sfi)[:1])(image))
    assert [r.amount for r in on(card, close_card(SERIAL, CLOSING, DESK)).unloads] == [HELD]


def test_a_card_that_owes_is_refused():
    card = new_card(with_purse(actual=0, limit=1000, used=305))
    refused(card, CardOwes, "owes 3.05 yuan")


def test_an_overdraft_limit_that_is_not_used_is_not_paid_out():
    card = new_card(with_purse(actual=200, limit=1000))
    assert [r.amount for r in on(card, close_card(SERIAL, CLOSING, DESK)).unloads] == [200]


def test_a_host_with_another_key_lets_nothing_out():
    hosts = ClosingHosts(SoftUnloadHost(ROOTS["LMK"]), CLOSING.block)
    card = card_of(MONEYED)
    with pytest.raises(ProtocolError, match="MAC1 is not this card's"):
        on(card, close_card(SERIAL, hosts, DESK))
    assert card.image is MONEYED


def test_a_block_under_another_key_fails_and_can_be_repeated():
    hosts = ClosingHosts(UNLOADS, SoftMacHost(ROOTS["AMK"]))
    card = card_of(MONEYED)
    with pytest.raises(StatusError, match="6988"):
        on(card, close_card(SERIAL, hosts, DESK))
    assert on(card, close_card(SERIAL, CLOSING, DESK)).unloads == ()
    assert app_of(card.image).blocked is Blocked.PERMANENT


def test_a_mac3_of_another_unload_is_found_out():
    card = card_of(MONEYED)
    books = Books()
    on(card, close_card(SERIAL, books.hosts, DESK))
    made = books.promised[0]
    with pytest.raises(ProtocolError, match="MAC3"):
        UNLOADS.confirm(made.info, made.asked, made.offer, made.when, bytes(4))


# As printed


def printed(randoms, **profile):
    made = replace(fixtures.load_profile("student"), **profile)
    return personalise(made, ROOTS, ScriptedEnv([bytes.fromhex(n) for n in randoms]))


class Told:
    """Keeps commands and answers as the reference prints them."""

    def __init__(self, card):
        self.card, self.seen = card, []

    def transmit(self, command):
        answer = self.card.process(command)
        self.seen.append((command.hex().upper(), answer.hex().upper()))
        return answer


def test_an_unload_is_byte_for_byte_the_references():
    """Protocol reference 6.5, values of CV5; and its proof by 4.20."""
    told = Told(printed(["13579BDF"], balance=0x251C, online_seq=4))
    at = Moment(bytes.fromhex("20250909"), bytes.fromhex("111213"))

    offer = InitLoadReply.from_wire(bytes.fromhex("0000251C0004010013579BDFDEB580C8"))

    def txn():
        info = yield from find_card(SERIAL)
        receipt = yield from unload(info, 0x7D0, UNLOADS, TERMINAL, at)
        asked = UnresolvedUnload(info, InitializeData(1, 0x7D0, TERMINAL), offer, at)
        return receipt, (yield from recover_unload(asked, UNLOADS))

    receipt, recovered = run(txn(), {"card": told})
    assert told.seen[2:] == [
        ("805005020B01000007D010000000000110", "0000251C0004010013579BDFDEB580C89000"),
        ("805403000B202509091112139550FC1404", "C917313A9000"),
        (f"805A00{UNLOAD:02X}02000508", "C917313A000000009000"),
    ]
    assert receipt.balance == 0x1D4C
    assert recovered == replace(receipt, recovered=True)


def test_the_block_is_byte_for_byte_the_references():
    """CV8, permanent."""
    told = Told(printed(["C0FFEE02"]))

    def txn():
        info = yield from find_card(SERIAL)
        yield from block_for_good(info, CLOSING.block)

    run(txn(), {"card": told})
    assert told.seen[2:] == [("0084000004", "C0FFEE029000"), ("841E000104F4FCE349", "9000")]
