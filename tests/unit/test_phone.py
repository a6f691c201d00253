"""Phones: which conditions matter for which carrier, and what a reader then sees."""

import socket
from dataclasses import replace
from datetime import datetime

import pytest

import fixtures
from bench.clock import SHANGHAI
from bench.roads import in_process
from bench.scenario import fresh_card, make_gate, play
from emulator.card.env import SeededEnv
from emulator.frontends.udp import UdpFrontend
from emulator.handset import Handset
from emulator.phone import (
    CONDITIONS,
    RESERVE_HOURS,
    Carrier,
    Grade,
    Phone,
    PhoneError,
    Power,
    Screen,
    Sight,
)
from emulator.picc import Picc
from emulator.radio.station import Station
from fixtures.phones import load_phone, phone_names
from reader.gate import Direction, Verdict
from reader.session import run
from reader.transport.inprocess import InProcess
from tests.kits import check_picc
from tests.unit.pcd import EchoCard, Pcd

SELECT_PPSE = bytes.fromhex("00A404000E325041592E5359532E444446303100")
SELECT_PURSE = bytes.fromhex("00A4040008A00000063201010500")
BANK = bytes.fromhex("A000000333010101")

FINE = {
    Carrier.ESE: Phone("", Carrier.ESE, wallet="Xiaomi Wallet"),
    Carrier.HCE: Phone("", Carrier.HCE, wallet="an app"),
    Carrier.APPLE: Phone("", Carrier.APPLE, has_reserve=True),
    Carrier.SUPER_SIM: Phone("", Carrier.SUPER_SIM),
}
CARD, NO_PURSE, SILENCE = Sight.CARD, Sight.NO_PURSE, Sight.SILENCE

# What changes, and what a reader sees of each carrier: ese, hce, apple, super-sim.
CASES = [
    ({}, (CARD, CARD, CARD, CARD)),
    ({"is_nfc_on": False}, (SILENCE, SILENCE, CARD, CARD)),
    ({"is_nfc_on": False, "sim_over_phone": True}, (SILENCE, SILENCE, CARD, SILENCE)),
    ({"default_wallet": "Bank Wallet"}, (NO_PURSE, NO_PURSE, CARD, CARD)),
    ({"is_active": False}, (NO_PURSE, CARD, CARD, CARD)),
    ({"is_app_installed": False}, (CARD, NO_PURSE, CARD, CARD)),
    ({"screen": Screen.LOCKED}, (CARD, CARD, CARD, CARD)),
    ({"screen": Screen.OFF}, (CARD, SILENCE, CARD, CARD)),
    ({"screen": Screen.OFF, "app_wants_screen": False}, (CARD, CARD, CARD, CARD)),
    ({"screen": Screen.LOCKED, "secure_nfc": True}, (SILENCE, SILENCE, CARD, CARD)),
    ({"power": Power.FLAT}, (SILENCE, SILENCE, CARD, SILENCE)),
    ({"power": Power.FLAT, "works_without_power": True}, (CARD, SILENCE, CARD, CARD)),
    (
        {"power": Power.FLAT, "works_without_power": True, "secure_nfc": True},
        (SILENCE, SILENCE, CARD, CARD),
    ),
    ({"power": Power.FLAT, "hours_flat": 4.9}, (SILENCE, SILENCE, CARD, SILENCE)),
    ({"power": Power.FLAT, "hours_flat": RESERVE_HOURS}, (SILENCE, SILENCE, SILENCE, SILENCE)),
    ({"power": Power.FLAT, "has_reserve": False}, (SILENCE, SILENCE, SILENCE, SILENCE)),
    ({"power": Power.SHUT_DOWN}, (SILENCE, SILENCE, SILENCE, SILENCE)),
    ({"is_express": False}, (CARD, CARD, SILENCE, CARD)),
    ({"is_express": False, "is_authenticated": True}, (CARD, CARD, CARD, CARD)),
    (
        {"is_express": False, "is_authenticated": True, "power": Power.FLAT},
        (SILENCE, SILENCE, SILENCE, SILENCE),
    ),
    ({"is_active": False, "is_nfc_on": False}, (SILENCE, SILENCE, CARD, CARD)),
]
ROWS = [
    pytest.param(change, carrier, sight, id=f"{carrier}-{'-'.join(change) or 'fine'}-{number}")
    for number, (change, sights) in enumerate(CASES)
    for carrier, sight in zip(FINE, sights, strict=True)
]


def handset(phone: Phone, card: Picc | None = None) -> Handset:
    return Handset(phone, card or fixtures.card("student", balance=5000), SeededEnv(1))


def station(held: Handset) -> Station:
    made = Station(held, contactless_of=held.contactless_of)
    made.field_on()
    return made


def air(held: Handset):
    """What a reader of raw frames hears of a phone in its field."""
    guest = station(held)

    def ask(frame: bytes) -> bytes | None:
        reply = guest.receive_body(frame)
        return None if reply is None else reply[0]

    return ask


def seen_by_reader(held: Handset) -> Sight:
    """Ask as a reader does: REQA, then the purse."""
    pcd = Pcd(air(held))
    if pcd.select() is None:
        return SILENCE
    pcd.rats()
    answer = pcd.transmit(SELECT_PURSE)
    return CARD if answer[-2:] == b"\x90\x00" else NO_PURSE


@pytest.mark.parametrize(("change", "carrier", "sight"), ROWS)
def test_a_condition_matters_for_its_carriers_alone(change, carrier, sight) -> None:
    phone = replace(FINE[carrier], **change)
    assert phone.sight is sight
    assert seen_by_reader(handset(phone)) is sight


def test_every_condition_is_broken_somewhere_in_the_table() -> None:
    broken = {
        (condition.says, carrier)
        for change, _ in CASES
        for carrier, phone in FINE.items()
        for condition in replace(phone, **change).broken
    }
    assert broken == {(c.says, carrier) for c in CONDITIONS for carrier in c.carriers}


def test_every_condition_says_where_it_comes_from() -> None:
    assert all(condition.source and condition.complaint for condition in CONDITIONS)
    assert {condition.grade for condition in CONDITIONS} == set(Grade)


@pytest.mark.parametrize("name", phone_names())
def test_a_named_phone_is_met_as_its_name_says(name: str) -> None:
    expected = {
        "android-hce-no-app": NO_PURSE,
        "xiaomi-inactive": NO_PURSE,
        "xiaomi-wrong-wallet": NO_PURSE,
        "android-hce-screen-off": SILENCE,
        "battery-flat": SILENCE,
        "iphone-8-flat": SILENCE,
        "iphone-not-express": SILENCE,
        "iphone-shut-down": SILENCE,
        "nfc-off": SILENCE,
        "xiaomi-unlock-first": SILENCE,
    }.get(name, CARD)
    held = fixtures.phone(name, card=fixtures.card("student", balance=5000))
    assert seen_by_reader(held) is expected
    assert load_phone(name).sentence.startswith("Readers find ")


@pytest.mark.parametrize("name", [name for name in phone_names() if load_phone(name).sight is CARD])
def test_a_tap_with_a_working_phone_is_the_card_s_own(name: str) -> None:
    with in_process(fresh_card(1)) as link:
        own = play(link, 1)
    held = fixtures.phone(name, card=fresh_card(1))
    assert held.contactless.sak == 0x20
    over_air = play(Pcd(air(held)).activate(), 1)
    assert over_air.is_good
    assert over_air.transcript() == own.transcript()


def test_a_working_phone_keeps_the_contract_of_a_card() -> None:
    check_picc(lambda: fixtures.phone("huawei-ese", card=fixtures.card("student", balance=5000)))


# How a phone shows itself


def test_an_app_shows_another_uid_in_each_field_and_a_seed_repeats_them() -> None:
    def uids() -> list[bytes | None]:
        guest = station(fixtures.phone("android-hce", card=EchoCard()))
        seen = []
        for _ in range(5):
            guest.field_off()
            guest.field_on()
            seen.append(Pcd(lambda frame: (guest.receive_body(frame) or (None, 0))[0]).select())
        return seen

    first = uids()
    assert len(set(first)) == 5
    assert all(uid and len(uid) == 4 and uid[0] == 0x08 for uid in first)
    assert uids() == first


def test_a_uid_stays_within_a_field() -> None:
    held = fixtures.phone("android-hce", card=EchoCard())
    ask = air(held)
    uid = Pcd(ask).select()
    ask(b"\x50\x00")
    assert Pcd(ask).select(b"\x52") == uid
    assert held.contactless.uid == uid


def test_other_carriers_show_the_card_s_uid_unless_the_phone_says_so() -> None:
    card = EchoCard()
    for carrier in (Carrier.ESE, Carrier.APPLE, Carrier.SUPER_SIM):
        assert handset(FINE[carrier], card).contactless.uid == card.contactless.uid
    rotating = replace(FINE[Carrier.APPLE], has_random_uid=True)
    assert handset(rotating, card).contactless.uid != card.contactless.uid
    fixed = replace(FINE[Carrier.HCE], has_random_uid=False)
    assert handset(fixed, card).contactless.uid == card.contactless.uid


def test_a_plastic_card_in_a_phone_announces_no_mifare() -> None:
    held = fixtures.phone("huawei-ese", card=fixtures.card("student-plastic"))
    assert held.contactless.sak == 0x20
    shown = fixtures.phone("android-hce", card=EchoCard()).contactless
    assert (shown.atqa, shown.ats) == (b"\x08\x03", bytes.fromhex("0578807000"))


# A phone without the card


def test_a_wrong_wallet_shows_its_own_applications() -> None:
    held = fixtures.phone("xiaomi-wrong-wallet", card=fixtures.card("student"))
    held.power_on()
    ppse = held.process(SELECT_PPSE)
    assert BANK in ppse
    assert ppse[-2:] == b"\x90\x00"
    assert held.process(b"\x00\xa4\x04\x00\x08" + BANK)[-2:] == b"\x90\x00"
    assert held.process(SELECT_PURSE) == b"\x6a\x82"
    held.power_off()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("", "6F00"),
        ("00A40400", "6F00"),
        ("805C000204", "6F00"),
        ("00A4000002DF01", "6F00"),  # by file id
        ("00A4040004A0000006", "6F00"),  # a name of 4 bytes is none
        ("00A4040008A000000632", "6F00"),  # cut
        ("00A4040005A000000632", "6A82"),
        ("00A4040205A000000632", "6A82"),  # "next" is taken as it is
    ],
)
def test_a_phone_without_the_card_takes_for_a_name_what_android_does(command: str, answer: str):
    held = fixtures.phone("xiaomi-wrong-wallet", card=EchoCard())
    assert held.process(bytes.fromhex(command)).hex().upper() == answer


def test_no_wallet_at_all_has_no_directory_either() -> None:
    held = fixtures.phone("android-hce-no-app", card=EchoCard())
    assert held.process(SELECT_PPSE) == b"\x6a\x82"
    assert held.process(SELECT_PURSE) == b"\x6a\x82"


def test_a_card_that_cannot_be_reached_notices_nothing() -> None:
    card = EchoCard()
    held = fixtures.phone("xiaomi-inactive", card=card)
    assert held.power_on() == card.contactless.historical
    held.process(SELECT_PURSE)
    held.power_off()
    assert (card.seen, card.power) == ([], [])


def test_a_gate_rejects_a_phone_with_the_wrong_wallet() -> None:
    at = datetime(2025, 9, 8, 7, 30, tzinfo=SHANGHAI)
    gate = make_gate(Direction.ENTRY, "080013", bytes.fromhex("300089000195"), at, 1)
    held = fixtures.phone("xiaomi-wrong-wallet", card=fixtures.card("student", balance=5000))
    outcome = run(gate.tap(), {"card": InProcess(held), "psam": gate.psam})
    assert outcome.verdict is Verdict.REJECT
    assert outcome.reason is not None


# In front ends


def test_a_phone_that_is_off_is_silent_on_the_udp_air() -> None:
    off = fixtures.phone("nfc-off", card=EchoCard())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader:
        with UdpFrontend(off, port=0, contactless_of=off.contactless_of).running() as front:
            reader.connect(front.address)
            reader.send(b"106A 26")
            reader.send(b"106A 9320")
        reader.setblocking(False)  # all it will ever say has been said
        with pytest.raises(BlockingIOError):
            reader.recv(64)


# Descriptions in files


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({}, "missing are carrier, title"),
        ({"title": "x"}, "missing are carrier"),
        ({"title": "x", "carrier": "ese", "nfc": True}, "unknown entries nfc"),
        ({"title": "x", "carrier": "watch"}, "expected one of ese, hce, apple, super-sim"),
        ({"title": 1, "carrier": "ese"}, "'title' is 1; expected a text"),
        ({"title": "x", "carrier": 1}, "'carrier' is 1; expected one of"),
        ({"title": "x", "carrier": "ese", "is_nfc_on": 1}, "expected true or false"),
        ({"title": "x", "carrier": "ese", "hours_flat": True}, "expected a number of hours"),
        ({"title": "x", "carrier": "ese", "hours_flat": -1}, "expected a number of hours"),
        (
            {"title": "x", "carrier": "ese", "hours_flat": float("nan")},
            "expected a number of hours",
        ),
        ({"title": "x", "carrier": "ese", "other_aids": "A0"}, "expected a list of AIDs"),
        ({"title": "x", "carrier": "ese", "other_aids": ["A0"]}, "5 to 16 bytes each"),
        ({"title": "x", "carrier": "ese", "atqa": "04"}, "expected 2 bytes in hexadecimal"),
        ({"title": "x", "carrier": "ese", "atqa": "zz"}, "expected 2 bytes in hexadecimal"),
        ({"title": "x", "carrier": "ese", "ats": "0578"}, "an ATS with the bytes it promises"),
    ],
)
def test_a_wrong_description_is_one_sentence(table, why: str) -> None:
    with pytest.raises(PhoneError, match=why) as caught:
        Phone.from_table("mine", table)
    assert "\n" not in str(caught.value)


def test_an_unknown_phone_is_one_sentence() -> None:
    with pytest.raises(PhoneError, match="there is no phone 'nokia'; choose one of: android-hce"):
        load_phone("nokia")
