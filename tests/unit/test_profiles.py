"""The library of cards: each is made by commands and is what its title says."""

from datetime import datetime

import pytest

import fixtures
from apdu.ats import Ats
from apdu.commands import AID_PURSE, GET_BALANCE, INIT_CAPP, INIT_LOAD, SELECT
from apdu.files import EF18, FILES, Interop, PublicInfo, Structure
from apdu.records import InitializeData, SelectName
from bench.clock import SHANGHAI
from bench.scenario import ENTRY_STATION, ENTRY_TERMINAL, EXIT_STATION, LAB_WHITE_LIST
from emulator.card.personalise import interop, public_info
from emulator.card.profile import Profile, ProfileError
from fixtures.network import load_network
from fixtures.profiles import resolve
from reader.gate import Direction, Gate, GateConfig, Reject, Verdict
from reader.psam import Psam
from reader.transport.inprocess import InProcess

NAMES = fixtures.profile_names()
CALIBRATIONS = [name for name in NAMES if name.startswith("calibration-")]
each_name = pytest.mark.parametrize("name", NAMES)
each_calibration = pytest.mark.parametrize("name", CALIBRATIONS)


ENTRY = {
    "student": Reject.ZERO_BALANCE,
    "student-at-ceiling": None,
    "student-blacklisted": Reject.BLACKLISTED,
    "student-blocked": Reject.BLOCKED,
    "student-blocked-permanent": Reject.BLOCKED,
    "student-counter-near-end": None,
    "student-expired": Reject.EXPIRED,
    "student-expiring": None,
    "student-foreign-city": None,
    "student-fresh": Reject.ZERO_BALANCE,
    "student-low-balance": Reject.BALANCE_TOO_LOW,
    "student-no-interop": Reject.NOT_INTEROPERABLE,
    "student-not-enabled": Reject.NOT_ENABLED,
    "student-not-yet-valid": Reject.NOT_YET_VALID,
    "student-open-trip": Reject.ALREADY_ENTERED,
    "student-overdrawn": None,
    "student-passbook": None,
    "student-plastic": None,
    "student-sm4": Reject.CARD_REFUSED,
    "student-trip-locked": Reject.TRIP_LOCKED,
    "student-two-purses": None,
    "student-zero-balance": Reject.ZERO_BALANCE,
    "ordinary": None,
    "senior": None,
    "military": None,
    "test": None,
}
"""What an entry gate says on the standing day; None is a pass."""

ENTRY_CALIBRATION = {
    101: Reject.BALANCE_IMPLAUSIBLE,
    102: Reject.ZERO_BALANCE,
    103: Reject.BALANCE_IMPLAUSIBLE,
    105: Reject.BALANCE_IMPLAUSIBLE,
    106: Reject.NOT_ENABLED,
    107: Reject.NOT_ENABLED,
    108: Reject.NOT_ENABLED,
    109: Reject.NOT_YET_VALID,
    112: Reject.EXPIRED,
    116: Reject.NOT_YET_VALID,
    119: Reject.CARD_REFUSED,
    126: Reject.NOT_INTEROPERABLE,
    128: Reject.ISSUER_UNKNOWN,
    129: Reject.IIN_MISMATCH,
    134: Reject.CARD_REFUSED,  # our gate sends P1 01
    136: Reject.CARD_REFUSED,  # our gate sends P1 the id
    137: Reject.CARD_REFUSED,  # our gate sends P2 SFI<<3
    145: Reject.ALREADY_ENTERED,
    146: Reject.ALREADY_ENTERED,
    147: Reject.TRIP_LOCKED,
    151: Reject.CARD_REFUSED,  # 9402
}
"""Likewise by number of the set; the others pass."""

A, B, C, D = 0xFFF8FF, 0x000FFF, 0x000700, 0
SETS = {
    101: (0xFFFFFF, 0xFFFFFF, 0, 0),
    102: (0xFFFFFF, 0, 0, 0),
    103: (0xFFFF88, 0xFFFF00, 0x77, 0),
    104: (0x8FFFFF, 0x00FFFF, 0x700000, 0),
    105: (0xFFFF00, 0x07FF01, 0xFF, 0),
} | {number: (A, B, C, D) for number in range(106, 155)}
"""The published calibration values."""


def number(name: str) -> int:
    return int(name.rpartition("-")[2])


def tap(name: str, direction: Direction = Direction.ENTRY) -> object:
    """What a gate of the sample network says on the standing day: a Reject, or None for a pass."""
    network = load_network()
    station = network.station(ENTRY_STATION if direction is Direction.ENTRY else EXIT_STATION)
    config = GateConfig(network, station, direction, LAB_WHITE_LIST, fixtures.BLACKLIST)
    psam = Psam(ENTRY_TERMINAL, {1: fixtures.load_roots()["PMK"]}, 257)
    at = datetime.combine(fixtures.STANDING_DAY, datetime.min.time(), SHANGHAI).replace(hour=11)
    outcome = Gate(config, psam, lambda: at).pass_(InProcess(fixtures.card(name)))
    assert (outcome.verdict is Verdict.PASS) == (outcome.reason is None)
    return outcome.reason


def send(card, text: str) -> str:
    return card.process(bytes.fromhex(text)).hex().upper()


def selected(name: str):
    card = fixtures.card(name)
    card.process(SELECT.command(SelectName(AID_PURSE)))
    return card


def test_the_library_has_every_card_of_the_plan():
    assert set(NAMES) == {*ENTRY, *(f"calibration-{n}" for n in SETS)}
    assert len(CALIBRATIONS) == 54


@each_name
def test_every_card_is_personalised_selects_and_reads(name):
    profile, card = fixtures.load_profile(name), fixtures.card(name)
    answer = card.process(SELECT.command(SelectName(AID_PURSE)))
    blocked = profile.blocked.value != "no"
    assert answer[-2:].hex() == ("6a81" if blocked else "9000")
    assert public_info(profile).build() in answer
    if blocked:
        return
    for spec in FILES.values():
        read = f"00B0{0x80 | spec.sfi:02X}0000"
        if spec.structure is not Structure.TRANSPARENT:
            read = f"00B201{spec.sfi << 3 | 4:02X}00"
        data = send(card, read)
        if spec.structure is Structure.CYCLIC and data == "6A83":
            assert profile.dialect.unused_records == "6A83"
            continue
        assert data[-4:] == "9000", (spec.name, data)
        assert len(data) == 2 * spec.size + 4
    assert send(card, "00B0950000")[:-4] == public_info(profile).build().hex().upper()
    assert send(card, "00B0970000")[:-4] == interop(profile).build().hex().upper()


@each_name
def test_an_entry_tap_on_the_standing_day_ends_as_expected(name):
    if name in ENTRY:
        assert tap(name) == ENTRY[name]
    else:
        assert tap(name) == ENTRY_CALIBRATION.get(number(name))


def test_only_the_cards_inside_can_leave():
    inside = {"student-open-trip", "calibration-145", "calibration-146"}
    left = {name for name in NAMES if tap(name, Direction.EXIT) is None}
    assert left == inside


def test_cards_differ_in_serial_uid_and_title():
    profiles = [fixtures.load_profile(name) for name in NAMES]
    assert len({p.serial for p in profiles}) == len(NAMES)
    assert len({p.contactless.uid for p in profiles}) == len(NAMES)
    assert len({p.title for p in profiles}) == len(NAMES)


@each_name
def test_every_ats_can_be_read(name):
    Ats.parse(fixtures.load_profile(name).contactless.ats)


# What the titles say


def test_the_fresh_card_was_opened_today_by_the_rule_of_issue():
    fresh = fixtures.load_profile("student-fresh")
    again = fresh.issued_on(fixtures.STANDING_DAY)
    assert (fresh.start_date, fresh.end_date) == (again.start_date, again.end_date)
    assert (fresh.balance, fresh.online_seq, fresh.offline_seq) == (0, 0, 0)


def test_expiring_means_the_standing_day():
    assert fixtures.load_profile("student-expiring").end_date == fixtures.STANDING_DAY


def test_the_blacklist_has_the_blacklisted_card():
    assert fixtures.load_profile("student-blacklisted").serial in fixtures.BLACKLIST


def test_the_open_trip_is_the_printed_sample():
    card = selected("student-open-trip")
    assert send(card, "00B201D400")[:12] == "27017D010100"
    assert send(card, "00B201F400")[:-4] == (
        "03000030008900019501080013003000000000000000001388"
        "20250908073015100001011000FFFFFFFF000000000000"
    )
    assert send(card, "00B201C400")[:4] == "0013", "the debit that opened it"
    assert send(card, "805C000204") == "000013889000"


def test_the_card_at_its_ceiling_takes_no_load():
    card = selected("student-at-ceiling")
    data = InitializeData(1, 1, ENTRY_TERMINAL)
    assert card.process(INIT_LOAD.command(data)).hex() == "6985"


def test_the_card_near_its_last_number_has_one_purchase_left():
    card = fixtures.card("student-counter-near-end")
    network = load_network()
    config = GateConfig(network, network.station(ENTRY_STATION), Direction.ENTRY, LAB_WHITE_LIST)
    psam = Psam(ENTRY_TERMINAL, {1: fixtures.load_roots()["PMK"]}, 257)
    gate = Gate(config, psam, lambda: datetime(2025, 9, 8, 12, tzinfo=SHANGHAI))
    assert gate.pass_(InProcess(card)).verdict is Verdict.PASS
    refused = card.process(INIT_CAPP.command(InitializeData(1, 0, ENTRY_TERMINAL)))
    assert refused.hex() == "9402"


def test_the_passbook_wants_the_pin():
    card = selected("student-passbook")
    assert send(card, "805C000104") == "6982"
    assert send(card, "0020000003123456") == "9000"
    assert send(card, "805C000104") == "000000009000"
    assert fixtures.load_profile("student-passbook").pin.hex() == "123456"


def test_the_temporary_block_can_be_lifted_and_the_permanent_one_not():
    assert send(selected("student-blocked"), "00B0950000") == "6A81"
    assert send(selected("student-blocked-permanent"), "00B0950000") == "9303"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("ordinary", 1), ("student", 2), ("senior", 3), ("test", 4), ("military", 5)],
)
def test_the_kind_of_card_is_in_ef17_and_hinted_in_ef15(name, kind):
    card = selected(name)
    assert Interop.parse(bytes.fromhex(send(card, "00B0970000"))[:-2]).card_kind == kind
    assert PublicInfo.parse(bytes.fromhex(send(card, "00B0950000"))[:-2]).fci1 == kind


def test_phone_and_plastic_answer_the_radio_differently():
    phone = fixtures.load_profile("student").contactless
    plastic = fixtures.load_profile("student-plastic").contactless
    assert (phone.sak, phone.ats.hex()) == (0x20, "0578807002")
    assert (plastic.sak, len(plastic.ats)) == (0x28, 16)
    assert plastic.historical[-4:] == plastic.uid


# Calibration sets


@each_calibration
def test_a_calibration_set_answers_get_balance_with_its_values(name):
    a, b, c, d = SETS[number(name)]
    assert a + c <= 0xFFFFFF
    assert 0 <= b <= a
    assert 0 <= d <= c
    card = selected(name)
    words = {0: b + c - d, 1: c, 2: d, 3: b, 4: a}
    for p1, value in words.items():
        assert card.process(GET_BALANCE.command(None, p1, 2)).hex() == f"{value:08x}9000"
    whole = "".join(f"{word:08X}" for word in (b, a, d, c))
    assert send(card, "805C050210") == whole + "9000"


def test_every_deviation_is_one_of_its_own():
    profiles = {n: fixtures.load_profile(f"calibration-{n}") for n in range(106, 155)}
    plain = fixtures.load_profile("student")
    changes = {}
    for n, profile in profiles.items():
        told = {
            field: value
            for field in Profile.__dataclass_fields__
            if field not in ("name", "title", "balance", "ceiling", "overdraft_limit")
            and (value := getattr(profile, field)) != getattr(plain, field)
        }
        told.pop("serial") if n not in (128, 129) else None
        radio = told.pop("contactless")
        if radio.ats != plain.contactless.ats:
            told["ats"] = radio.ats
        if n == 129:
            told["serial"] = told["serial"][1:5]
        assert told, f"set {n} deviates in nothing"
        changes[n] = repr(told)
    assert len(set(changes.values())) == len(changes)
    assert len({p.title for p in profiles.values()}) == len(profiles)


def test_the_full_log_is_full():
    card = selected("calibration-132")
    seqs = [int(send(card, f"00B2{n:02X}C400")[:4], 16) for n in range(1, EF18.count + 1)]
    assert seqs == list(range(10, 0, -1))


def test_a_bus_trip_is_record_2702():
    assert send(selected("calibration-149"), "00B202D400").startswith("27027D")


# Extending


def test_a_profile_takes_what_it_does_not_say_from_another():
    tables = {
        "base": {"serial": "00", "city": "1000", "dialect": {"fci_label": True, "sm4": True}},
        "card": {"extends": "base", "city": "2900", "dialect": {"sm4": False}},
        "last": {"extends": "card"},
    }
    assert resolve("last", tables) == {
        "city": "2900",
        "dialect": {"fci_label": True, "sm4": False},
    }


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"a": {"extends": "a"}}, "profile a: a extends a, which is a ring"),
        (
            {"a": {"extends": "b"}, "b": {"extends": "a"}},
            "profile a: a extends b extends a, which is a ring",
        ),
        ({"a": {"extends": "c"}}, "profile a: it extends 'c', which is not a profile"),
        ({"a": {"extends": 7}}, "profile a: it extends 7, which is not a profile"),
        ({"a": {"extends": ["c"]}}, "profile a: it extends ['c'], which is not a profile"),
    ],
)
def test_a_ring_or_an_unknown_base_is_told_in_a_sentence(tables, said):
    with pytest.raises(ProfileError) as caught:
        resolve("a", tables)
    assert str(caught.value) == said


def test_an_unknown_profile_is_told_with_those_there_are():
    with pytest.raises(ProfileError, match="there is no profile 'nobody'; choose one of: military"):
        fixtures.load_profile("nobody")


# The least a profile says

LEAST = {
    "title": "The least",
    "serial": "03105228009900000999",
    "start_date": fixtures.STANDING_DAY,
    "end_date": fixtures.STANDING_DAY,
}


def test_the_least_profile_is_an_ordinary_card_in_a_phone():
    made = Profile.from_table("least", LEAST)
    assert (made.card_kind, made.enabled, made.interop, made.balance) == (1, 1, True, 0)
    assert made.issuer.hex().upper() == "09981001FFFFFFFF"
    assert made.contactless.uid.hex() == "08000999"
    assert made.contactless.sak == 0x20


@pytest.mark.parametrize("missing", LEAST)
def test_what_is_a_cards_own_has_no_default(missing):
    with pytest.raises(ProfileError, match=f"profile least: '{missing}' is missing; expected"):
        Profile.from_table("least", {k: v for k, v in LEAST.items() if k != missing})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"balance": 100_001}, "balance 100001 is above the ceiling 100000 fen"),
        ({"ceiling": 0xFFFFFF, "overdraft_limit": 1}, "together pass"),
        ({"overdraft_used": 1}, "overdraft in use 1 is above its limit 0 fen"),
        ({"balance": 1, "overdraft_limit": 2, "overdraft_used": 1}, "cannot both be above zero"),
        ({"pin": "12"}, "the PIN has 1 bytes, not 2 to 8"),
        ({"trip_record": "2713" + "00" * 126}, "does not begin with 2701 to 2712"),
        ({"ats": "0478"}, "the ATS does not have the bytes it promises"),
        ({"transactions": ["00"]}, "'transactions' is wrong; expected at most 10 records of 23"),
        ({"transactions": ["00" * 23] * 11}, "'transactions' is wrong"),
        ({"trips": ["xx"]}, "'trips' is wrong; expected at most 30 records of 48 bytes"),
        ({"trips": "00"}, "'trips' is '00'; expected at most 30 records"),
        ({"colour": 1}, "unknown entries colour"),
        ({"blocked": "perhaps"}, "'blocked' is 'perhaps'; expected no, temporary or permanent"),
        ({"interop": 1}, "'interop' is 1; expected true or false"),
        ({"issuer": "zz"}, "'issuer' is 'zz'; expected 8 bytes in hexadecimal"),
        ({"enabled": 256}, "'enabled' is 256; expected a whole number from 0 to 255"),
    ],
)
def test_a_wrong_entry_is_told_in_a_sentence(changes, said):
    with pytest.raises(ProfileError, match=r"^profile least: ") as caught:
        Profile.from_table("least", LEAST | changes)
    assert said in str(caught.value)
