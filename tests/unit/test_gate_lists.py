"""Cards a gate remembers: who passed just now, and who is on the blacklist."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest

import fixtures
from apdu.sw import SW
from bench.decisions import CASES, card_for
from bench.recording import Recorder
from emulator.card.state import Blocked
from reader.gate import Direction, Gate, GateConfig, Reject, Verdict
from reader.modes import Mode
from reader.policy import Policy
from reader.psam import Psam
from reader.psam_keys import SamKeys
from reader.terminal import _MOST_PASSED
from reader.transport.decorators import CutPoint, Cutting
from reader.transport.inprocess import InProcess
from tests.cards import app_of, contents_of, new_card, purse_in, sw_of, with_trip
from tests.gates import (
    AWAY,
    FARE,
    HOME,
    INSIDE,
    NETWORK,
    NOW,
    SERIAL,
    TERMINAL,
    WHITE_LIST,
    passed,
    psam,
)
from tests.vectors.ladders import LADDERS, sam_keys

SELECT_PURSE = bytes.fromhex("00A4040008A00000063201010500")
OTHER = bytes.fromhex("03105228009900000018")


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def after(self, seconds: float) -> None:
        """So many seconds after the first tap."""
        self.now = NOW + timedelta(seconds=seconds)


def gate_of(
    clock: Clock,
    direction: Direction = Direction.ENTRY,
    sam: Psam | None = None,
    blacklist: frozenset[bytes] = frozenset(),
    station=None,
    **knobs,
) -> Gate:
    place = station or (HOME if direction is Direction.ENTRY else AWAY)
    config = GateConfig(NETWORK, place, direction, WHITE_LIST, blacklist, Policy(**knobs))
    return Gate(config, sam or psam(), clock)


def inside():
    return new_card(with_trip(INSIDE.build()))


# Pass-back (domain facts 9)


@pytest.mark.parametrize(
    ("seconds", "is_repeated"),
    [(0, True), (0.4, True), (4.999, True), (5, True), (5.001, False), (6, False), (-0.001, False)],
)
def test_the_same_card_passes_again_for_five_seconds(seconds, is_repeated):
    clock, card = Clock(), new_card()
    gate = gate_of(clock)
    assert not passed(gate, card).repeated
    before = card.image
    clock.after(seconds)
    outcome = passed(gate, card)
    assert outcome.repeated is is_repeated
    assert outcome.reason is (None if is_repeated else Reject.ALREADY_ENTERED)
    assert (outcome.charged, outcome.receipt, card.image) == (0, None, before)


def test_a_repeated_tap_asks_for_no_more_than_who_it_is():
    recorder, gate, card = Recorder(), gate_of(Clock()), new_card()
    passed(gate, card)
    assert recorder.pass_(gate, InProcess(card)).repeated
    assert [(x.to, x.command[:4].hex()) for x in recorder.exchanges] == [("card", "00a40400")] * 2


def test_a_repeated_exit_charges_once():
    gate, card = gate_of(Clock(), Direction.EXIT), inside()
    assert passed(gate, card).fare == FARE
    assert (passed(gate, card).repeated, purse_in(card.image).actual) == (True, 5000 - FARE)


def test_repeating_does_not_prolong_the_time():
    clock, card = Clock(), new_card()
    gate = gate_of(clock)
    passed(gate, card)
    clock.after(4)
    assert passed(gate, card).repeated
    clock.after(8)
    assert passed(gate, card).reason is Reject.ALREADY_ENTERED


def test_who_walked_through_is_not_the_one_who_taps_again():
    gate, card = gate_of(Clock()), new_card()
    passed(gate, card)
    gate.walked()
    assert passed(gate, card).reason is Reject.ALREADY_ENTERED


def test_another_card_is_served_for_itself():
    gate, card, other = gate_of(Clock()), new_card(), new_card(serial=OTHER)
    passed(gate, card)
    outcome = passed(gate, other)
    assert (outcome.repeated, outcome.receipt.serial) == (False, OTHER)
    assert passed(gate, card).repeated
    assert passed(gate, other).repeated


def test_a_refused_card_has_not_passed():
    gate, card = gate_of(Clock()), inside()
    assert passed(gate, card).reason is Reject.ALREADY_ENTERED
    assert passed(gate, card).reason is Reject.ALREADY_ENTERED


def test_a_clock_set_back_repeats_nothing():
    clock, card = Clock(), new_card()
    gate = gate_of(clock)
    passed(gate, card)
    clock.after(-3600)
    assert passed(gate, card).reason is Reject.ALREADY_ENTERED


def test_the_other_direction_and_another_gate_go_by_the_open_trip():
    clock, card = Clock(), new_card()
    passed(gate_of(clock), card)
    assert passed(gate_of(clock), card).reason is Reject.ALREADY_ENTERED
    out = passed(gate_of(clock, Direction.EXIT, station=HOME), card)
    assert (out.verdict, out.repeated, out.fare) == (Verdict.PASS, False, 300)
    assert passed(gate_of(clock, Direction.EXIT), card).reason is Reject.NOT_ENTERED


def test_without_the_knob_nothing_is_repeated():
    gate, card = gate_of(Clock(), passback_s=0), new_card()
    passed(gate, card)
    assert passed(gate, card).reason is Reject.ALREADY_ENTERED


@pytest.mark.parametrize("mode", [Mode.CLOSED, Mode.FAULT, Mode.MAINTENANCE])
def test_a_gate_that_shut_meanwhile_repeats_nothing(mode):
    gate, card = gate_of(Clock()), new_card()
    passed(gate, card)
    gate.modes = {mode}
    assert passed(gate, card).reason is mode.rule.stops
    gate.modes = ()
    assert passed(gate, card).repeated


def test_a_recovered_debit_is_a_passage_too():
    clock, card = Clock(), inside()
    gate = gate_of(clock, Direction.EXIT)
    assert gate.pass_(Cutting(InProcess(card), 9, CutPoint.AFTER)).verdict is Verdict.TAP_AGAIN
    card.power_off()
    clock.after(2)
    assert passed(gate, card).receipt.recovered
    clock.after(7)
    assert passed(gate, card).repeated
    clock.after(8)
    assert passed(gate, card).reason is Reject.NOT_ENTERED


def test_the_memory_of_who_passed_is_small():
    gate = gate_of(Clock())
    cards = [
        new_card(serial=bytes.fromhex(f"0310522800990000{n:04d}")) for n in range(_MOST_PASSED + 1)
    ]
    for card in cards:
        assert passed(gate, card).verdict is Verdict.PASS
    assert passed(gate, cards[0]).reason is Reject.ALREADY_ENTERED
    assert all(passed(gate, card).repeated for card in cards[1:])


# The blacklist and the lock (protocol reference 6.7)

LISTED = frozenset({SERIAL})
LADDER = LADDERS["listed-card"]
NOT_PRINTED = ("00B0970000", "00B201D400")
"""EF17 and EF1A, which the gate reads before it judges: the ladder has them in 6.1."""


def full_psam() -> Psam:
    return Psam(TERMINAL, sam_keys())


def test_a_listed_card_is_blocked_as_printed():
    at = datetime.strptime(LADDER.raw["at"], "%Y%m%d%H%M%S")
    recorder, card = Recorder(), LADDER.card()
    gate = gate_of(Clock(at), sam=LADDER.psam(), blacklist=LISTED)
    outcome = recorder.pass_(gate, InProcess(card))
    assert (outcome.reason, outcome.detail) == (Reject.BLACKLISTED, "the card is blocked")
    spoken = [
        (x.to, x.command.hex().upper(), x.response.hex().upper())
        for x in recorder.exchanges
        if x.command.hex().upper() not in NOT_PRINTED
    ]
    assert spoken == [(s["to"], s["command"], s["response"]) for s in LADDER.steps]
    assert sw_of(card.process(SELECT_PURSE)) == SW.BLOCKED
    assert passed(gate, card).reason is Reject.BLOCKED


@pytest.mark.parametrize("at", CASES, ids=lambda at: at.name)
def test_every_terminal_blocks_a_listed_card_and_leaves_its_money(at):
    recorder, card = Recorder(), card_for("student-blacklisted", at)
    files, purse = contents_of(card.image), purse_in(card.image)
    terminal = at.terminal()
    assert recorder.pass_(terminal, InProcess(card)).reason is Reject.BLACKLISTED
    assert app_of(card.image).blocked is Blocked.TEMPORARY
    # Never drained (Q30): no purchase is begun, and nothing but the block is written.
    assert (contents_of(card.image), purse_in(card.image)) == (files, purse)
    assert not [x for x in recorder.exchanges if x.command[1] in (0x50, 0x54, 0xDC)]
    assert terminal.pass_(InProcess(card)).reason is Reject.BLOCKED


def test_without_the_lock_key_a_listed_card_is_refused_all_the_same():
    keys = SamKeys({1: fixtures.load_roots()["PMK"]})
    gate, card = gate_of(Clock(), sam=Psam(TERMINAL, keys), blacklist=LISTED), new_card()
    outcome = passed(gate, card)
    assert outcome.reason is Reject.BLACKLISTED
    assert outcome.detail.startswith("not blocked: the psam refused DELIVERY KEY")
    assert app_of(card.image).blocked is Blocked.NO
    assert passed(gate, card).reason is Reject.BLACKLISTED


def test_with_the_wrong_lock_key_the_card_refuses_to_be_blocked():
    roots = fixtures.load_roots()
    wrong = Psam(TERMINAL, SamKeys({1: roots["PMK"]}, lock=roots["BUMK"]))
    card, gate = new_card(), gate_of(Clock(), sam=wrong, blacklist=LISTED)
    outcome = passed(gate, card)
    assert outcome.reason is Reject.BLACKLISTED
    assert outcome.detail.startswith("not blocked: the card refused APPLICATION BLOCK")
    assert app_of(card.image).blocked is Blocked.NO
    # Each wrong MAC costs the card one of three tries: this gate does not try again.
    strikes = app_of(card.image).strikes
    for _ in range(3):
        card.power_off()
        again = passed(gate, card)
        assert (again.reason, again.detail) == (
            Reject.BLACKLISTED,
            "not blocked: it has refused before",
        )
    assert app_of(card.image).strikes == strikes


def test_without_the_knob_a_listed_card_is_not_touched():
    recorder, card = Recorder(), new_card()
    gate = gate_of(Clock(), sam=full_psam(), blacklist=LISTED, lock_listed_card=False)
    before = card.image
    outcome = recorder.pass_(gate, InProcess(card))
    assert (outcome.reason, outcome.detail) == (Reject.BLACKLISTED, "")
    assert card.image is before
    assert {x.to for x in recorder.exchanges} == {"card"}
    assert {x.command[1] for x in recorder.exchanges} == {0xA4, 0xB0, 0xB2}


@pytest.mark.parametrize("at", [6, 7], ids=["GET CHALLENGE", "APPLICATION BLOCK"])
@pytest.mark.parametrize("point", CutPoint, ids=lambda point: point.name)
def test_a_listed_card_that_is_torn_away_is_refused_and_blocked_next_time(at, point):
    gate, card = gate_of(Clock(), sam=full_psam(), blacklist=LISTED), new_card()
    outcome = gate.pass_(Cutting(InProcess(card), at, point, card.power_off))
    assert outcome.reason is Reject.BLACKLISTED
    assert outcome.detail.startswith("not blocked: the card left")
    is_blocked = (at, point) == (7, CutPoint.AFTER)
    assert passed(gate, card).reason is (Reject.BLOCKED if is_blocked else Reject.BLACKLISTED)
    assert app_of(card.image).blocked is Blocked.TEMPORARY


@pytest.mark.parametrize("digit", range(20))
def test_all_ten_bytes_of_a_serial_are_compared(digit):
    text = SERIAL.hex()
    near = text[:digit] + ("1" if text[digit] != "1" else "2") + text[digit + 1 :]
    card = new_card()
    gate = gate_of(Clock(), sam=full_psam(), blacklist=frozenset({bytes.fromhex(near)}))
    assert passed(gate, card).verdict is Verdict.PASS


def test_who_is_refused_before_the_list_is_asked_is_not_blocked():
    card = new_card(end_date=date(2025, 9, 7))
    gate = gate_of(Clock(), sam=full_psam(), blacklist=LISTED)
    assert passed(gate, card).reason is Reject.EXPIRED
    assert app_of(card.image).blocked is Blocked.NO
    gate.modes = {Mode.DATE_FREE}
    assert passed(gate, card).reason is Reject.BLACKLISTED
    assert app_of(card.image).blocked is Blocked.TEMPORARY


def test_a_card_listed_after_it_entered_is_blocked_at_the_exit():
    card = inside()
    gate = gate_of(Clock(), Direction.EXIT, full_psam(), LISTED)
    assert passed(gate, card).reason is Reject.BLACKLISTED
    assert (app_of(card.image).blocked, purse_in(card.image).actual) == (Blocked.TEMPORARY, 5000)


def test_blocking_a_card_does_not_spoil_another_card_s_lost_debit():
    sam, lost = full_psam(), new_card(with_trip(INSIDE.build()), serial=OTHER)
    gate = gate_of(Clock(), Direction.EXIT, sam, LISTED)
    cut = Cutting(InProcess(lost), 9, CutPoint.AFTER, lost.power_off)
    assert gate.pass_(cut).verdict is Verdict.TAP_AGAIN
    assert passed(gate, inside()).detail == "the card is blocked"
    outcome = passed(gate, lost)
    assert (outcome.verdict, outcome.receipt.recovered) == (Verdict.PASS, True)
    assert purse_in(lost.image).actual == 5000 - FARE
