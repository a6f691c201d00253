"""Knobs of the card that plays, turned by a script or by keys."""

from itertools import count
from pathlib import Path

import pytest

import fixtures
from apdu.ats import Ats
from apdu.commands import AID_PURSE, GET_BALANCE, READ_BINARY, SELECT
from apdu.records import SelectName
from bench.cli.emulate_keys import KEYS, OFF, keys_for, pressed, table
from bench.conformance.gate.played import PlayedCard, PlayedTimes, with_fwi
from bench.conformance.gate.script import COMMANDS, KnobScript, parse_script, read_script
from bench.problem import Problem
from emulator.picc import CardGone

BALANCE = GET_BALANCE.command(None)
PURSE = SELECT.command(SelectName(AID_PURSE))
DEBIT = bytes.fromhex("805401000F") + bytes(15) + b"\x08"


def played(script: KnobScript) -> PlayedCard:
    ticks = count()
    made = PlayedCard(fixtures.card("ordinary"), lambda: next(ticks))
    made.plays_cuts = True
    script.begin(made)
    return made


def tap(card: PlayedCard, *commands: bytes) -> list[bytes]:
    card.power_on()
    try:
        return [card.process(command) for command in (PURSE, *commands)]
    finally:
        card.power_off()


def balances(card: PlayedCard, taps: int) -> list[int]:
    return [int.from_bytes(tap(card, BALANCE)[1][:4], "big") for _ in range(taps)]


def test_a_knob_of_one_tap_is_off_in_the_others():
    card = played(parse_script("[[knob]]\ntap = 2\nforced_balance = 7\n"))
    assert balances(card, 3) == [5000, 7, 5000]


def test_a_knob_without_a_tap_is_on_in_all():
    card = played(parse_script("[[knob]]\nforced_balance = 0\n"))
    assert balances(card, 3) == [0, 0, 0]


def test_json_lines_say_the_same_as_toml():
    lines = '{"tap": 2, "forced_balance": 7}\n\n{"command": "DEBIT", "cut": "after"}\n'
    toml = '[[knob]]\ntap = 2\nforced_balance = 7\n[[knob]]\ncommand = "DEBIT"\ncut = "after"\n'
    assert parse_script(lines).turns == parse_script(toml).turns


def test_a_field_that_asks_nothing_is_no_tap():
    card = played(parse_script("[[knob]]\ntap = 1\nforced_balance = 7\n"))
    for _ in range(3):
        card.power_on()
        card.power_off()
    assert balances(card, 2) == [7, 5000]


@pytest.mark.parametrize(("cut", "heard"), [("before", 1), ("after", 2)])
def test_a_cut_loses_the_card_at_its_command(cut: str, heard: int):
    script = f'[[knob]]\ntap = 1\ncommand = "GET BALANCE"\nnth = 2\ncut = "{cut}"\n'
    card = played(parse_script(script))
    with pytest.raises(CardGone):
        tap(card, BALANCE, BALANCE, BALANCE)
    answered = [one for one in card.seen if one.command == BALANCE and one.response]
    assert len(answered) == heard
    assert balances(card, 1) == [5000]


def test_the_nth_command_is_counted_in_each_tap():
    script = '[[knob]]\ncommand = "GET BALANCE"\nnth = 3\ncut = "after"\n'
    card = played(parse_script(script))
    assert balances(card, 4) == [5000] * 4  # one in each tap never makes three
    tap(card, BALANCE, BALANCE)
    with pytest.raises(CardGone):
        tap(card, BALANCE, BALANCE, BALANCE)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_can_be_named(name: str):
    (turn,) = parse_script(f'[[knob]]\ncommand = "{name}"\nanswer = "6F00"\n').turns
    assert turn.mutation is not None
    assert bytes((turn.mutation.cla, turn.mutation.ins)) == COMMANDS[name]


def test_the_nth_answer_alone_is_changed():
    script = '[[knob]]\ncommand = "805C"\nnth = 2\nput = "00000009"\n'
    answers = tap(played(parse_script(script)), BALANCE, BALANCE, BALANCE)[1:]
    assert [answer[:4].hex() for answer in answers] == ["00001388", "00000009", "00001388"]


def test_an_answer_can_be_changed_by_p1_and_place():
    script = '[[knob]]\ncommand = "READ BINARY"\np1 = 0x95\nat = -2\nxor = "F0"\n'
    read = [READ_BINARY.command(None, p1, 0) for p1 in (0x95, 0x97)]
    answers = tap(played(parse_script(script)), *read)[1:]
    assert [answer[-2:].hex() for answer in answers] == ["6000", "9000"]


def test_a_delay_is_told_to_whoever_holds_the_card():
    card = played(parse_script("[[knob]]\ntap = 1\ndebit_delay_s = 0.25\n"))
    times = PlayedTimes(card)
    card.power_on()
    card.process(PURSE)
    assert times.time_ns(DEBIT) == 250_000_000
    assert times.time_ns(BALANCE) == 0


def test_an_fwi_is_shown_in_its_tap_alone():
    card = played(parse_script("[[knob]]\ntap = 2\nfwi = 12\n"))
    shown = []
    for _ in range(3):
        now = card.shown()
        assert now is not None
        shown.append(Ats.parse(now.ats).fwi)
        tap(card, BALANCE)
    assert shown == [7, 12, 7]


def test_an_fwi_is_refused_where_nobody_sees_the_ats():
    script = parse_script("[[knob]]\nfwi = 12\n")
    card = PlayedCard(fixtures.card("ordinary"), lambda: 0)
    with pytest.raises(Problem, match="PC/SC reader shows no ATS"):
        script.begin(card, has_ats=False)
    assert "w" not in {key.letter for key in keys_for(has_ats=False)}


def test_an_ats_without_tb_cannot_show_an_fwi():
    with pytest.raises(ValueError, match="no TB"):
        with_fwi(bytes.fromhex("0278"[:2] + "00"), 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "turns no knob"),
        ("x = 1", "has 'x'"),
        ("[[knob]", "is not TOML"),
        ("knob = 3", "no list of tables"),
        ("[[knob]]\ntap = 1", "turns none"),
        ("[[knob]]\nfwi = 3\nforced_balance = 3", "turns forced_balance and fwi"),
        ("[[knob]]\nfwi = 15", "expected a whole number, 0 to 14"),
        ("[[knob]]\nfwi = true", "expected a whole number"),
        ("[[knob]]\ntap = 0\nfwi = 3", "tap is 0"),
        ("[[knob]]\ndebit_delay_s = 61", "0 to 60 seconds"),
        ('[[knob]]\ndebit_delay_s = "1"', "expected seconds"),
        ("[[knob]]\nforced_balance = -1", "forced_balance is -1"),
        ('[[knob]]\nforced_balance = 1\ncommand = "DEBIT"', "means nothing beside"),
        ('[[knob]]\ncut = "after"', "names no command"),
        ('[[knob]]\ncommand = "PAY"\ncut = "after"', "there is no command 'PAY'"),
        ("[[knob]]\ncommand = 3\ncut = 'after'", "there is no command 3"),
        ('[[knob]]\ncommand = "DEBIT"\ncut = "at"', "expected 'before' or 'after'"),
        ('[[knob]]\ncommand = "DEBIT"\ncut = ["after"]', "expected 'before' or 'after'"),
        ('[[knob]]\ncommand = ["DEBIT"]\ncut = "after"', "there is no command"),
        ('[[knob]]\ncommand = "DEBIT"\ncut = "after"\np1 = 3', "'p1', which means nothing"),
        ('[[knob]]\ncommand = "DEBIT"\nanswer = "9000"\nat = 3', "'at', which means nothing"),
        ('[[knob]]\ncommand = "DEBIT"\nanswer = "90"', "a status word alone has 2"),
        ('[[knob]]\ncommand = "DEBIT"\nxor = "zz"', "expected bytes in hexadecimal"),
        ('[[knob]]\ncommand = "DEBIT"\nxor = 7', "expected bytes in hexadecimal"),
        ('[[knob]]\ncommand = "DEBIT"\nxor = "01"\nat = 400', "at is 400"),
        ("[[knob]]\nspeed = 3", "has 'speed'"),
        ('{"tap": 1', "line 1 is not JSON"),
        ('{"tap": 1, "fwi": 3}\n[1]', "line 2 is no JSON object"),
    ],
)
def test_a_wrong_script_is_told_in_one_sentence(text: str, said: str):
    with pytest.raises(Problem, match=said) as told:
        parse_script(text, "knobs.toml")
    assert "\n" not in str(told.value).strip()
    assert str(told.value).startswith("knobs.toml")


def test_a_script_that_cannot_be_read_is_told(tmp_path: Path):
    with pytest.raises(Problem, match="cannot be read"):
        read_script(tmp_path / "no.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(Problem, match="no text in UTF-8"):
        read_script(tmp_path / "odd.toml")


def test_a_key_is_on_and_off_again():
    script = KnobScript()
    card = played(script)
    assert pressed("z", script, card).startswith("on: ")
    assert balances(card, 2) == [0, 0]
    assert pressed("z", script, card).startswith("off: ")
    assert balances(card, 1) == [5000]


def test_a_key_for_the_next_tap_is_over_with_it():
    script = KnobScript()
    card = played(script)
    tap(card, BALANCE)
    pressed("b", script, card)
    with pytest.raises(CardGone):
        tap(card, DEBIT)
    assert tap(card, DEBIT)[1] == b"\x69\x01"


def test_all_knobs_go_off_with_one_key():
    script = parse_script("[[knob]]\nforced_balance = 7\n")
    card = played(script)
    assert balances(card, 1) == [7]
    pressed("m", script, card)
    assert pressed(OFF, script, card) == "all knobs are off"
    assert balances(card, 1) == [5000]


def test_a_letter_that_is_no_key_does_nothing():
    script = KnobScript()
    assert pressed("?", script, played(script)) == ""
    assert script.turns == []


def test_the_table_shows_every_key():
    assert [row.split()[0] for row in table()[1:]] == [*(key.letter for key in KEYS), OFF]
