"""A card of the stock becomes the card ordered, however often it is lost on the way."""

from dataclasses import fields, replace
from datetime import date

import pytest

import fixtures
from apdu.crypto import Key
from apdu.files import EF15
from apdu.fmcos import KeyKind
from apdu.order import card_secrets, public_info
from emulator.card.card import Card
from emulator.card.dialect import Dialect
from emulator.card.env import SeededEnv
from emulator.card.personalise import blank_image, order_of
from emulator.card.preset import preset
from emulator.card.security import NEVER
from emulator.card.state import Blocked, Chip
from issuer.card_access import CardBlocked
from issuer.opening import (
    CardInUse,
    NotFromStock,
    SoftOpeningHost,
    personalise_card,
    verify_opened,
)
from reader.gate import Direction, Verdict
from reader.session import ProtocolError, StatusError, run
from reader.transport.decorators import CutPoint
from reader.transport.inprocess import InProcess
from tests.cards import Failing, app_of, content_of, with_blocked, with_content
from tests.gates import case, passed
from tests.stock import (
    OPENING,
    ORDER,
    ROOTS,
    TERMINAL,
    TRANSPORT,
    as_fixtures_make_it,
    card_of,
    commands,
    cut,
    load_of,
    on,
    opened,
    stock_card,
)

OTHER = replace(ORDER, serial=bytes.fromhex("03105228009900000018"))
WRONG = Key(bytes(range(16)))
COMMANDS = commands(stock_card(), personalise_card(ORDER, OPENING))
MADE = opened().image
each_point = pytest.mark.parametrize("point", CutPoint, ids=lambda p: p.name)
each_name = pytest.mark.parametrize("name", fixtures.profile_names())


def opening(order=ORDER, host=OPENING):
    return personalise_card(order, host)


def tries_of_master(card):
    return card.image.directories[0].keys[KeyKind.EXTERNAL, 0].tries_left


# The card that comes out


@each_name
def test_the_issuers_road_makes_the_very_card_of_the_fixtures(name):
    profile = fixtures.load_profile(name)
    card = card_of(blank_image(right=NEVER))
    assert on(card, opening(order_of(profile)))
    assert preset(card.image, profile) == fixtures.card(name).image


@each_name
def test_a_card_of_the_stock_differs_from_it_in_who_may_erase_it(name):
    profile = fixtures.load_profile(name)
    card = opened(order_of(profile))
    assert preset(as_fixtures_make_it(card.image), profile) == fixtures.card(name).image


def test_a_new_card_is_empty_verified_and_passes_once_it_has_money():
    card = opened()
    on(card, verify_opened(ORDER, OPENING, TERMINAL))
    assert (card.purse.actual, card.purse.online_seq, card.purse.offline_seq) == (0, 0, 0)
    on(card, load_of(5000))
    assert passed(case(Direction.ENTRY).gate(), card).verdict is Verdict.PASS


def test_no_key_travels_in_the_clear_to_a_card_of_the_stock():
    secrets = card_secrets(ORDER.issuer, ORDER.serial, ROOTS)
    values = [getattr(secrets, f.name).expose() for f in fields(secrets)] + [TRANSPORT.expose()]
    sent = b"".join(COMMANDS)
    assert not any(value in sent for value in values)


def test_the_host_shows_no_key_of_its_own():
    shown = f"{OPENING!r} {ORDER!r} {OPENING.secrets(ORDER)!r}"
    values = [TRANSPORT.expose(), *(root.expose() for root in ROOTS.values())]
    assert not any(value.hex() in shown.lower() for value in values)
    assert "123456" not in repr(ORDER)
    assert str(ORDER.pin) not in repr(ORDER)


def test_a_made_card_cannot_be_erased_or_added_to_without_its_key():
    card = opened()
    link = InProcess(card)
    for select in ("00A40000023F00", "00A4040008A000000632010105"):
        for command in (
            "800E000000",
            "80E0000907280010F0F0FFFF",
            "80D4010515" + "30F0F00000" + "00" * 16,
        ):
            card.power_on()
            link.transmit(bytes.fromhex(select))
            assert link.transmit(bytes.fromhex(command)) == bytes.fromhex("6982"), command
    assert card.image == MADE


# Lost on the way


@each_point
def test_a_card_lost_at_any_command_ends_as_the_same_card(point):
    for at in range(1, len(COMMANDS) + 1):
        card = stock_card()
        assert cut(card, opening(), at, point)
        half = card.image
        on(card, opening())
        assert card.image == MADE, f"cut {point.name} command {at}"
        assert half == MADE or not shows_a_serial(half)
        on(card, verify_opened(ORDER, OPENING, TERMINAL))


def shows_a_serial(image):
    """Whether the purse's EF15 was ever written: from then on the card is somebody's."""
    return (
        len(image.directories) > 1
        and EF15.sfi in app_of(image).files
        and any(content_of(image, EF15.sfi))
    )


@each_point
@pytest.mark.parametrize("second", CutPoint, ids=lambda p: p.name)
def test_and_so_does_one_lost_again_and_again(point, second):
    for at in range(1, len(COMMANDS), 3):
        card = stock_card()
        cut(card, opening(), at, point)
        for again in range(1, len(COMMANDS), 7):
            cut(card, opening(), again, second)
        on(card, opening())
        assert card.image == MADE
        assert tries_of_master(card) == 15


@each_point
def test_nobody_without_the_key_can_erase_a_card_on_the_way(point):
    for at in range(1, len(COMMANDS) + 1):
        card = stock_card()
        cut(card, opening(), at, point)
        half = card.image
        link = InProcess(card)
        link.transmit(bytes.fromhex("00A40000023F00"))
        assert link.transmit(bytes.fromhex("800E000000")) == b"\x69\x82"
        assert card.image == half


def test_what_a_stranger_puts_into_an_empty_directory_does_not_stay():
    card = stock_card()
    at = next(n for n, c in enumerate(COMMANDS, 1) if c[:2] == b"\x80\x0e")
    cut(card, opening(), at, CutPoint.AFTER)
    link = InProcess(card)
    link.transmit(bytes.fromhex("00A4040008A000000632010105"))
    assert link.transmit(bytes.fromhex("80E0000907280010F0F0FFFF")) == b"\x90\x00"
    on(card, opening())
    assert card.image == MADE


def test_a_second_run_on_a_made_card_writes_nothing():
    card = opened()
    before = card.image
    assert on(card, opening()) is False
    assert card.image is before


@pytest.mark.parametrize(
    "card", [stock_card, lambda: card_of(blank_image(right=NEVER))], ids=["stock", "bare"]
)
def test_the_host_is_asked_before_a_card_is_first_written_to_and_once(card):
    class Wary(SoftOpeningHost):
        asked = 0

        def begin(self, order):
            self.asked += 1
            raise ValueError("another card was begun")

    card, host = card(), Wary(ROOTS, TRANSPORT)
    before = card.image
    for asked in (1, 2):
        with pytest.raises(ValueError, match="another card"):
            on(card, opening(host=host))
        assert (host.asked, card.image) == (asked, before)


def test_the_host_is_not_asked_again_for_a_card_that_was_begun():
    class Counting(SoftOpeningHost):
        asked = 0

        def begin(self, order):
            self.asked += 1

    for at in range(1, len(COMMANDS) + 1):
        card, host = stock_card(), Counting(ROOTS, TRANSPORT)
        cut(card, opening(host=host), at, CutPoint.AFTER)
        was_begun = card.image.directories[0].keys != stock_card().image.directories[0].keys
        host.asked = 0
        on(card, opening(host=host))
        assert host.asked == (0 if was_begun else 1)


def test_a_card_without_any_key_is_filled_but_not_finished_once_cut():
    card = card_of(blank_image(right=NEVER))
    sent = commands(card_of(blank_image(right=NEVER)), opening())
    cut(card, opening(), len(sent) // 2, CutPoint.AFTER)
    half = card.image
    with pytest.raises(NotFromStock, match="take a new one"):
        on(card, opening())
    assert card.image == half


def test_a_card_whose_memory_fails_says_so_and_is_finished_later():
    store = Failing(stock_card().image)
    card = Card(Chip(Dialect(), SeededEnv("failing"), {}), store, stock_card().contactless)
    cut(card, opening(), len(COMMANDS) // 2, CutPoint.AFTER)
    store.fails = True
    with pytest.raises(ProtocolError, match="opening stopped: the card answers 6581 to 00D6"):
        on(card, opening())
    store.fails = False
    on(card, opening())
    assert card.image == MADE


@pytest.mark.parametrize("at", [30, 60, 89])
def test_a_card_that_reads_zeros_of_a_file_never_written_is_finished_too(at):
    card = stock_card()
    cut(card, opening(), at, CutPoint.BEFORE)

    class Calm:
        def transmit(self, command):
            answer = card.process(command)
            return answer[:-2] + b"\x90\x00" if answer[-2:] == b"\x62\x81" else answer

    run(opening(), {"card": Calm()})
    assert card.image == MADE


# Cards that must not be touched


def test_a_card_in_service_is_never_touched():
    card = opened(OTHER)
    before = card.image
    with pytest.raises(CardInUse, match="03105228009900000018 is in use"):
        on(card, opening())
    assert card.image is before


def test_nor_is_this_orders_card_once_it_was_renewed():
    card = opened(replace(ORDER, end_date=date(2027, 9, 30)))
    with pytest.raises(CardInUse):
        on(card, opening())


@pytest.mark.parametrize("how", [Blocked.TEMPORARY, Blocked.PERMANENT], ids=lambda b: b.value)
def test_nor_is_a_blocked_card(how):
    card = card_of(with_blocked(how)(MADE))
    before = card.image
    with pytest.raises(CardBlocked):
        on(card, opening())
    assert card.image is before


def test_nor_is_a_dead_card():
    card = card_of(replace(MADE, is_dead=True))
    with pytest.raises(CardBlocked, match="the card is blocked"):
        on(card, opening())


def test_a_card_that_refuses_to_be_selected_or_read_is_told_with_its_word():
    for word, at in ((b"\x67\x00", 1), (b"\x69\x82", 2)):
        answers = iter([b"\x90\x00"] * (at - 1) + [word])

        class Odd:
            def transmit(self, command, answers=answers):
                return next(answers)

        with pytest.raises(StatusError, match=word.hex().upper()):
            run(opening(), {"card": Odd()})


def test_every_card_of_the_fixtures_is_refused_unchanged():
    for name in fixtures.profile_names():
        card = fixtures.card(name)
        before = card.image
        with pytest.raises((CardInUse, CardBlocked)):
            on(card, opening(OTHER))
        assert card.image is before


def test_a_card_with_another_transport_key_loses_one_try_and_nothing_else():
    card = stock_card(WRONG)
    before = card.image
    with pytest.raises(NotFromStock, match="63C2"):
        on(card, opening())
    assert tries_of_master(card) == 2
    assert len(card.image.directories) == len(before.directories) == 1
    assert not card.image.directories[0].files


@each_point
def test_a_card_begun_for_another_order_is_refused_and_can_still_be_finished(point):
    for at in range(7, len(COMMANDS), 5):
        card = stock_card()
        cut(card, opening(), at, point)
        if shows_a_serial(card.image):
            continue
        with pytest.raises(NotFromStock):
            on(card, opening(OTHER))
        on(card, opening())
        assert card.image == MADE


def test_an_order_of_the_wrong_size_is_one_sentence():
    with pytest.raises(ValueError, match="serial has 3 bytes, expected 10"):
        replace(ORDER, serial=b"abc")
    with pytest.raises(ValueError, match="PIN has 1 bytes"):
        replace(ORDER, pin=b"1")


# Reading it back


def test_verifying_writes_nothing_and_leaves_no_load_under_way():
    card = opened()
    before = card.image
    run(verify_opened(ORDER, OPENING, TERMINAL), {"card": InProcess(card)})
    assert card.image is before
    assert card.state.name == "IDLE"


def test_a_card_with_other_keys_is_found_out():
    roots = {**ROOTS, "LMK": ROOTS["PMK"]}
    card = stock_card()
    on(card, opening(host=SoftOpeningHost(roots, TRANSPORT)))
    with pytest.raises(ProtocolError, match="MAC1"):
        on(card, verify_opened(ORDER, OPENING, TERMINAL))


@pytest.mark.parametrize("sfi", [0x15, 0x17])
def test_a_card_with_other_contents_is_found_out(sfi):
    content = content_of(MADE, sfi)
    card = card_of(with_content(sfi, content[:-1] + b"\x55")(MADE))
    with pytest.raises(ProtocolError, match="ordered"):
        on(card, verify_opened(ORDER, OPENING, TERMINAL))


def test_a_card_that_was_used_already_is_not_a_new_one():
    card = opened()
    on(card, load_of(5000))
    with pytest.raises(ProtocolError, match="holds 5000 fen"):
        on(card, verify_opened(ORDER, OPENING, TERMINAL))


def test_ef15_of_the_order_is_what_selecting_shows():
    card = opened()
    card.power_on()
    answer = card.process(bytes.fromhex("00A4040008A000000632010105"))
    assert public_info(ORDER).build() in answer
