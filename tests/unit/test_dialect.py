"""Every switch of the dialect, seen over APDUs: one row each way, and no switch without a row.

A row of `SEEN` is a question to a card and the answer under each choice. The answers of one switch
differ, so a switch that does nothing fails here.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

import fixtures
from apdu.crypto import Key
from apdu.files import EF1A, EF1E
from apdu.purse import (
    CAPP,
    card_key,
    purchase_session,
    secure_messaging_mac,
    spend_mac1,
    spend_tac,
)
from apdu.sm4 import Sm4Key
from emulator.card.card import Card
from emulator.card.dialect import Dialect, switches
from emulator.card.env import SeededEnv
from emulator.card.personalise import card_secrets, personalise
from emulator.card.profile import Profile, ProfileError
from emulator.card.state import Blocked

PURSE = "00A4040008A000000632010105"
TERMINAL, WHEN = bytes.fromhex("300089000195"), bytes.fromhex("20250908073015")
TRIP = "27017D0101" + "00" * 123
LOG = "03" + "00" * 47
FCI = fixtures.card("student").process(bytes.fromhex(PURSE))[:-2].hex().upper()
EF15 = FCI[-60:]


class Bench:
    """A student's card of some dialect, its keys, and what it says, in hexadecimal."""

    def __init__(self, dialect: Dialect, blocked: Blocked = Blocked.NO) -> None:
        plain = fixtures.load_profile("student")
        self.profile = replace(plain, balance=5000, dialect=dialect, blocked=blocked)
        self.secrets = card_secrets(self.profile, fixtures.load_roots())
        self.card: Card = personalise(self.profile, fixtures.load_roots(), SeededEnv("dialect"))

    def send(self, text: str) -> str:
        return self.card.process(bytes.fromhex(text)).hex().upper()

    def words(self, *texts: str) -> list[str]:
        return [self.send(text)[-4:] for text in texts]

    def selected(self) -> "Bench":
        assert self.send(PURSE)[-4:] == "9000"
        return self

    def capp(self) -> str:
        """INITIALIZE FOR CAPP PURCHASE of nothing. Returns the offer."""
        self.selected()
        offer = self.send("805003020B" + "0100000000" + TERMINAL.hex() + "0F")
        assert offer[-4:] == "9000"
        return offer

    def debit(self, p1: str, dpk: Key | None = None) -> str:
        offer = bytes.fromhex(self.capp())
        session = purchase_session(dpk or self.secrets.dpk, offer[11:15], offer[5], 7)
        mac1 = spend_mac1(session, 0, CAPP, TERMINAL, WHEN).hex()
        return self.send(f"8054{p1}000F00000007{WHEN.hex()}{mac1}08")

    def under_mac(self, head: str, data: str = "", key: Key | None = None) -> str:
        challenge = bytes.fromhex(self.send("0084000004"))[:4]
        size = len(data) // 2 + 4
        covered = bytes.fromhex(f"{head}{size:02X}{data}")
        mac = secure_messaging_mac(key or self.secrets.damk, challenge, covered)
        return self.send(covered.hex() + mac.hex())


def bench(**switch: object) -> Bench:
    return Bench(Dialect(**switch))


def unused(choice: str) -> str:
    return bench(unused_records=choice).selected().send("00B205C400")


def debits(choice: str) -> list[str]:
    return [bench(debit_p1=choice).debit(p1)[-4:] for p1 in ("01", "02")]


def addresses(choice: str) -> list[str]:
    """80 DC of EF1A by id, zero and number, then of EF1E with SFI<<3 and SFI<<3|4."""
    said = []
    for p1, sfi, mode, content in (
        ("01", EF1A.sfi, 0, TRIP),
        ("00", EF1A.sfi, 0, TRIP),
        ("01", EF1A.sfi, 4, TRIP),
        ("00", EF1E.sfi, 0, LOG),
        ("00", EF1E.sfi, 4, LOG),
    ):
        made = bench(cache_address=choice)
        made.capp()
        said.append(made.send(f"80DC{p1}{sfi << 3 | mode:02X}{len(content) // 2:02X}{content}"))
    return said


def kinds(choice: bool) -> tuple[str, str]:
    made = bench(kind_in_ef15=choice).selected()
    return made.send("00B0951C01"), made.send("00B0970A01")


def blocked_select(choice: str) -> str:
    return Bench(Dialect(select_blocked=choice), Blocked.TEMPORARY).send(PURSE)


def wrong_macs(choice: str) -> list[str]:
    made = bench(wrong_mac=choice).selected()
    return [made.under_mac("04D69518", "20260930", made.secrets.dbk) for _ in range(3)]


def too_soon(choice: str) -> list[str]:
    made = bench(cache_too_soon=choice).selected()
    return made.words(f"80DC00F030{LOG}", "8054010004" + "00" * 4 + "08")


def fci(**switch: object) -> str:
    return bench(**switch).send(PURSE)


def fci_with(inside: str, after: str = "") -> str:
    """The FCI with something in A5 before 9F0C, and something after it."""
    more = len(inside + after) // 2
    head = f"6F{0x31 + more:02X}8408A000000632010105A5{0x25 + more:02X}"
    return f"{head}{inside}9F0801029F0C1E{EF15}{after}9000"


def load_asks_for_pin(choice: bool) -> list[str]:
    load = "805000020B" + "0100000001" + TERMINAL.hex() + "10"
    made = bench(pin_for_load=choice).selected()
    return made.words(load, "0020000003123456", load)


def reads_under_mac(choice: bool) -> list[str]:
    made = bench(protected_reads=choice).selected()
    binary = made.under_mac("04B09500")
    record = made.under_mac("04B201D4", key=made.secrets.record)
    return [answer[-4:] + f" {len(answer) // 2 - 2}" for answer in (binary, record)]


def cjt(choice: bool) -> list[str]:
    made = bench(cjt_application=choice)
    return made.words("00A4040009A00000000386980701", PURSE)


def ppse(choice: bool) -> str:
    return bench(ec_in_ppse=choice).send("00A404000E325041592E5359532E4444463031")


def algorithms(choice: bool) -> list[str]:
    made = bench(dual_alg=choice).selected()
    said = [made.send("80CD000001"), made.send("80CD0203"), made.send("80CD000001")]
    said.append(made.under_mac("80CD0303"))
    return [*said, *made.words("80CD0203")]


def sm4_debits(choice: bool) -> list[str]:
    """A debit under the 3DES key and under the SM4 key; only one of them is the card's."""
    profile = fixtures.load_profile("student")
    roots = fixtures.load_roots()
    said = []
    for root in (roots["PMK"], Sm4Key(roots["PMK"].expose())):
        dpk = card_key(root, profile.issuer, profile.serial)
        said.append(bench(sm4=choice).debit("01", dpk)[-4:])
    return said


def tries(most: int) -> list[str]:
    return [f"63C{left:X}" for left in range(most - 1, 0, -1)] + ["9303"]


SEEN: dict[str, tuple[Callable[..., object], dict[object, object]]] = {
    "unused_records": (
        unused,
        {"zeros": "00" * 23 + "9000", "FF": "FF" * 23 + "9000", "6A83": "6A83"},
    ),
    "debit_p1": (
        debits,
        {"both": ["9000", "9000"], "01": ["9000", "6A86"], "02": ["6A86", "9000"]},
    ),
    "cache_address": (
        addresses,
        {
            "any": ["9000", "9000", "9000", "9000", "9000"],
            "id": ["9000", "6A86", "6A86", "9000", "6A86"],
            "zero": ["6A86", "9000", "6A86", "9000", "6A86"],
            "number": ["6A86", "6A86", "9000", "6A86", "9000"],
        },
    ),
    "kind_in_ef15": (kinds, {True: ("029000", "029000"), False: ("009000", "029000")}),
    "select_blocked": (
        blocked_select,
        {
            "fci-6A81": FCI + "6A81",
            "6A81": "6A81",
            "fci-6283": FCI + "6283",
            "6283": "6283",
            "9303": "9303",
        },
    ),
    "wrong_mac": (wrong_macs, {"6988": ["6988", "6988", "9303"], "63Cx": tries(3)}),
    "cache_too_soon": (too_soon, {"6901": ["6901", "6700"], "6985": ["6985", "6700"]}),
    "fci_version": (
        lambda choice: fci(fci_version=choice),
        {
            "02": FCI + "9000",
            "0030": f"6F328408A000000632010105A5269F080200309F0C1E{EF15}9000",
        },
    ),
    "fci_label": (
        lambda choice: fci(fci_label=choice),
        {False: FCI + "9000", True: fci_with("50084D4F545F545F4550870102")},
    ),
    "fci_algorithm": (
        lambda choice: fci(fci_algorithm=choice),
        {
            False: FCI + "9000",
            True: f"6F358408A000000632010105A5299F080102DF0001029F0C1E{EF15}9000",
        },
    ),
    "fci_preferred_name": (
        lambda choice: fci(fci_preferred_name=choice),
        {
            "": FCI + "9000",
            "CARD IMAGE 0001": "6F438408A000000632010105A5379F0801029F120F"
            "4341524420494D4147452030303031" + f"9F0C1E{EF15}9000",
        },
    ),
    "fci_padding": (
        lambda choice: fci(fci_padding=choice),
        {False: FCI + "9000", True: fci_with("", "00000000")},
    ),
    "pin_for_load": (
        load_asks_for_pin,
        {False: ["9000", "9000", "9000"], True: ["6982", "9000", "9000"]},
    ),
    "protected_reads": (
        reads_under_mac,
        {False: ["6882 0", "6882 0"], True: ["9000 34", "9000 132"]},
    ),
    "cjt_application": (cjt, {False: ["6A82", "9000"], True: ["9000", "9000"]}),
    "ec_in_ppse": (
        ppse,
        {
            False: "6F2E840E325041592E5359532E4444463031A51CBF0C1961174F08A000000632010105"
            "50084D4F545F545F45508701019000",
            True: "6F49840E325041592E5359532E4444463031A537BF0C34"
            "61194F08A000000632010106500A4D4F545F545F43415348870101"
            "61174F08A00000063201010550084D4F545F545F45508701029000",
        },
    ),
    "dual_alg": (
        algorithms,
        {
            False: ["6D00", "6D00", "6D00", "6D00", "6D00"],
            True: ["009000", "9000", "039000", "9000", "6985"],
        },
    ),
    "sm4": (sm4_debits, {False: ["9000", "9302"], True: ["9302", "9000"]}),
}
"""What each switch changes: a question, and the answer under each choice (hexadecimal)."""

ROWS = [(name, choice) for name, (_, answers) in SEEN.items() for choice in answers]
each_switch = pytest.mark.parametrize("switch", switches(), ids=lambda s: s.name)


@each_switch
def test_every_switch_and_every_choice_has_a_row(switch):
    answers = SEEN[switch.name][1]
    assert len(answers) >= 2
    if switch.choices:
        assert {str(choice) for choice in answers} == set(switch.choices)
    assert switch.default in {str(choice) for choice in answers}


def test_every_row_is_a_switch():
    assert [switch.name for switch in switches()] == [f.name for f in fields(Dialect)]
    assert set(SEEN) == {switch.name for switch in switches()}


@pytest.mark.parametrize("name", SEEN)
def test_the_answers_of_a_switch_differ(name):
    answers = list(map(repr, SEEN[name][1].values()))
    assert len(set(answers)) == len(answers)


@pytest.mark.parametrize(("name", "choice"), ROWS, ids=lambda part: str(part) or "none")
def test_the_card_answers_as_its_dialect_says(name, choice):
    ask, answers = SEEN[name]
    assert ask(choice) == answers[choice]


@each_switch
def test_every_switch_says_why_it_exists(switch):
    assert switch.reason.endswith(").")
    assert "(" in switch.reason, "the clause"


@pytest.mark.parametrize("command", ["80CD", "80CD00", "8054", "805402"])
def test_less_than_a_header_is_too_short_whatever_it_begins_with(command):
    """4.22, though the card knows neither the instruction nor the P1 that it would be."""
    assert bench(debit_p1="01").selected().send(command) == "6700"


def test_all_fci_extras_together_are_the_captured_form():
    extras = fci(fci_label=True, fci_preferred_name="CARD IMAGE 0001")
    assert extras.startswith("6F508408A000000632010105A54450084D4F545F545F4550870102")


def test_a_card_without_a_pin_needs_none_for_a_load():
    made = bench(pin_for_load=True)
    assert made.profile.pin, "our cards have one; the rule for cards without is in the annex"


# Contradictions the issue lists


@pytest.mark.parametrize(
    ("switch", "choices"),
    [
        ("unused_records", {"zeros", "6A83"}),
        ("cjt_application", {"True", "False"}),
        ("ec_in_ppse", {"True", "False"}),
        ("debit_p1", {"01", "02"}),
        ("cache_address", {"zero", "id", "number"}),
        ("kind_in_ef15", {"True", "False"}),
        ("select_blocked", {"6A81", "fci-6A81", "6283"}),
        ("wrong_mac", {"63Cx", "6988"}),
        ("cache_too_soon", {"6901", "6985"}),
        ("fci_label", {"True"}),
        ("fci_algorithm", {"True"}),
        ("fci_preferred_name", set()),
        ("fci_padding", {"True"}),
        ("dual_alg", {"True", "False"}),
        ("sm4", {"True", "False"}),
    ],
)
def test_every_contradiction_of_the_plan_is_a_switch(switch, choices):
    found = {s.name: s for s in switches()}[switch]
    assert choices <= set(found.choices)


def test_what_is_not_interoperable_says_so():
    reason = {s.name: s.reason for s in switches()}["sm4"]
    assert "NOT interoperable" in reason


# Wrong values


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"unused_records": "ones"}, "dialect 'unused_records' is 'ones'; choose one of: zeros"),
        ({"fci_label": 1}, "dialect 'fci_label' is 1; choose one of: false, true"),
        ({"debit_p1": 1}, "dialect 'debit_p1' is 1; choose one of: both, 01, 02"),
        ({"fci_preferred_name": 7}, "is 7; expected at most 16 ASCII characters"),
        ({"fci_preferred_name": "x" * 17}, "expected at most 16 ASCII characters"),
        ({"fci_preferred_name": "卡"}, "expected at most 16 ASCII characters"),
        ({"colour": True}, "unknown dialect switches colour"),
        ("any", "'dialect' is 'any'; expected a table of dialect switches"),
    ],
)
def test_a_wrong_switch_in_a_profile_is_told_in_a_sentence(table, said):
    least = {
        "title": "The least",
        "serial": "03105228009900000999",
        "start_date": fixtures.STANDING_DAY,
        "end_date": fixtures.STANDING_DAY,
    }
    with pytest.raises(ProfileError) as caught:
        Profile.from_table("least", least | {"dialect": table})
    assert said in str(caught.value)


# The experimental SM4 purse


def test_an_sm4_card_makes_its_tac_with_the_sm4_key():
    made = bench(sm4=True)
    answer = bytes.fromhex(made.debit("01"))
    dtk = card_key(
        Sm4Key(fixtures.load_roots()["TMK"].expose()), made.profile.issuer, made.profile.serial
    )
    assert answer[:4] == spend_tac(dtk, 0, CAPP, TERMINAL, 7, WHEN)


def test_an_sm4_card_keeps_secure_messaging_under_3des():
    made = bench(sm4=True).selected()
    assert made.under_mac("04D69518", "20260930") == "9000"
