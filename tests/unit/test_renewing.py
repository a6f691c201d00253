"""A renewal: one last day in EF15 and in the FCI, written once, wherever it was cut."""

from dataclasses import replace
from datetime import date

import pytest

import fixtures
from apdu.bcd import pack_date
from apdu.files import EF15
from emulator.card.env import ScriptedEnv
from emulator.card.personalise import personalise, public_info
from emulator.card.state import Blocked
from issuer.card_access import CardBlocked, SoftMacHost, WrongCard
from issuer.renewing import MacRefused, renew_card
from reader.session import ProtocolError, StatusError, run
from reader.transport.base import CardLost
from reader.transport.decorators import CutPoint
from tests.cards import app_of, content_of, new_card, with_app
from tests.stock import NEXT_END, RENEWALS, ROOTS, SERIAL, commands, cut, on

COMMANDS = commands(new_card(), renew_card(SERIAL, NEXT_END, RENEWALS))
UPDATE = bytes.fromhex("04D69518")
OTHER = SoftMacHost(ROOTS["BMK"])


def end_in(card):
    return content_of(card.image, EF15.sfi)[24:28]


def test_a_renewal_changes_the_last_day_and_nothing_else():
    card = new_card()
    before = card.image
    done = on(card, renew_card(SERIAL, NEXT_END, RENEWALS))
    assert done.is_written
    assert (done.before.end_date.hex(), done.info.end_date.hex()) == ("20260930", "20270930")
    held = content_of(before, EF15.sfi)
    assert content_of(card.image, EF15.sfi) == held[:24] + pack_date(NEXT_END) + held[28:]
    assert card.purse == new_card().purse


def test_a_second_renewal_to_the_same_day_writes_nothing():
    card = new_card()
    on(card, renew_card(SERIAL, NEXT_END, RENEWALS))
    before = card.image
    done = on(card, renew_card(SERIAL, NEXT_END, RENEWALS))
    assert not done.is_written
    assert card.image is before
    sent = commands(card, renew_card(SERIAL, NEXT_END, RENEWALS))
    assert not any(c.startswith(UPDATE) for c in sent)


@pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)
def test_a_card_lost_at_any_command_is_renewed_once(point):
    whole = new_card()
    on(whole, renew_card(SERIAL, NEXT_END, RENEWALS))
    update = next(n for n, c in enumerate(COMMANDS, 1) if c.startswith(UPDATE))
    for at in range(1, len(COMMANDS) + 1):
        card = new_card()
        assert isinstance(cut(card, renew_card(SERIAL, NEXT_END, RENEWALS), at, point), CardLost)
        was_written = at > update or (at == update and point is CutPoint.AFTER)
        assert (end_in(card) == pack_date(NEXT_END)) == was_written
        done = on(card, renew_card(SERIAL, NEXT_END, RENEWALS))
        assert done.is_written != was_written
        assert card.image == whole.image


def test_a_renewal_is_byte_for_byte_the_references():
    """Protocol reference 6.6, values of CV7."""
    profile = replace(fixtures.load_profile("student"), end_date=date(2025, 9, 30))
    card = personalise(profile, ROOTS, ScriptedEnv([bytes.fromhex("C0FFEE01")]))
    sent = commands(card, renew_card(SERIAL, date(2026, 9, 30), RENEWALS))
    assert [c.hex().upper() for c in sent] == [
        "00A4040008A00000063201010500",
        "00B0950000",
        "0084000004",
        "04D69518082026093024657B30",
        "00B0950000",
        "00A4040008A00000063201010500",
    ]
    wanted = public_info(fixtures.load_profile("student")).build()
    assert wanted in card.process(bytes.fromhex("00A4040008A000000632010105"))


# Refusals


def refused(card, error, match, host=RENEWALS):
    with pytest.raises(error, match=match) as raised:
        on(card, renew_card(SERIAL, NEXT_END, host))
    assert end_in(card) != pack_date(NEXT_END)
    return raised.value


def test_another_card_is_refused():
    refused(new_card(serial=bytes.fromhex("03105228009900000018")), WrongCard, "present the right")


def test_a_blocked_card_is_refused():
    error = refused(new_card(blocked=Blocked.TEMPORARY), CardBlocked, "unblock it first")
    assert not error.is_permanent
    error = refused(new_card(blocked=Blocked.PERMANENT), CardBlocked, "for good; replace it")
    assert error.is_permanent


def test_a_wrong_mac_is_tried_once_and_told():
    card = new_card()
    error = refused(card, MacRefused, "third wrong MAC", OTHER)
    assert error.tries_left is None
    assert app_of(card.image).strikes == 1
    on(card, renew_card(SERIAL, NEXT_END, RENEWALS))
    assert app_of(card.image).strikes == 0


def test_a_card_that_counts_says_how_many_tries_are_left():
    error = refused(new_card(dialect={"wrong_mac": "63Cx"}), MacRefused, "63C2", OTHER)
    assert error.tries_left == 2


def test_the_third_wrong_mac_in_a_row_means_a_new_card():
    card = new_card(with_app(strikes=2))
    error = refused(card, CardBlocked, "replace it", OTHER)
    assert error.is_permanent
    refused(card, CardBlocked, "replace it")


def test_a_card_that_says_done_and_did_nothing_is_found_out():
    card = new_card()

    class Lying:
        def transmit(self, command):
            return b"\x90\x00" if command.startswith(UPDATE) else card.process(command)

    with pytest.raises(ProtocolError, match="EF15 ends on 20260930 after the renewal to 20270930"):
        run(renew_card(SERIAL, NEXT_END, RENEWALS), {"card": Lying()})


def test_a_card_whose_fci_keeps_the_old_day_is_found_out():
    card = new_card()
    card.power_on()
    old = card.process(bytes.fromhex("00A4040008A000000632010105"))

    class Stale:
        def transmit(self, command):
            answer = card.process(command)
            return old if command[1] == 0xA4 else answer

    with pytest.raises(ProtocolError, match="the FCI's last day is 20260930"):
        run(renew_card(SERIAL, NEXT_END, RENEWALS), {"card": Stale()})


def test_a_card_that_cannot_write_is_told_with_its_word():
    card = new_card()

    class Worn:
        def transmit(self, command):
            return b"\x65\x81" if command.startswith(UPDATE) else card.process(command)

    with pytest.raises(StatusError, match="6581"):
        run(renew_card(SERIAL, NEXT_END, RENEWALS), {"card": Worn()})


@pytest.mark.parametrize("fci", ["", "6F038401", "6F0184"], ids=["none", "torn", "odd"])
def test_an_fci_without_issuer_data_is_found_out_after_the_renewal(fci):
    card = new_card()

    class Silent:
        def transmit(self, command):
            answer = card.process(command)
            return bytes.fromhex(fci + "9000") if command[1] == 0xA4 else answer

    with pytest.raises(ProtocolError, match="last day is not shown"):
        run(renew_card(SERIAL, NEXT_END, RENEWALS), {"card": Silent()})
