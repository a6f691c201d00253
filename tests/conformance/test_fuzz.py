"""The fuzzer for cards: it finds planted lies, leaves right cards alone, and repeats."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from apdu.commands import CREDIT_LOAD, GET_BALANCE, INIT_LOAD, SELECT, TABLE
from apdu.spec import State
from apdu.sw import SW
from bench.conformance.desk import Desk
from bench.conformance.fuzz.__main__ import main
from bench.conformance.fuzz.bed import KEPT, OwnBed, StandBed
from bench.conformance.fuzz.breach import Breach, Rule
from bench.conformance.fuzz.grammar import Grammar
from bench.conformance.fuzz.hunt import Hunt, Plan
from bench.conformance.fuzz.life import Life
from bench.conformance.fuzz.oracle import Oracle, is_declared
from bench.conformance.fuzz.place import every_kind
from bench.conformance.fuzz.recipe import BENDS, NOISE, Fuzzer, Recipe, made
from bench.conformance.fuzz.run import script
from bench.conformance.reading import is_reading
from bench.conformance.stand import own_stand
from tests.ending import children
from tests.unit.test_conformance_reader import card_of, stand_with, writable

PLANTED = ("M-CARD-012", "M-CARD-115", "M-CARD-119", "M-CARD-162", "M-CARD-173", "M-CARD-180")
"""Refusals that keep a transaction, limits without a MAC, loads that do not count, records of a
failed debit, debits of nothing without a MAC, debits that take a fen less."""
ENOUGH = 15_000
STUDENT = ("student",)


def hunted(bed, count=2_000, seed="7/0", **plan):
    return Hunt(bed, Plan(count, seed, **plan)).run()


def broken(mutant: str) -> dict:
    command = [sys.executable, "-m", "bench.conformance.fuzz", "--json", "--mutant", mutant]
    done = subprocess.run([*command, "--count", str(ENOUGH)], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(240)
def test_planted_lies_are_found_and_cut_down_to_few_commands():
    with ThreadPoolExecutor(2) as pool:
        runs = dict(zip(PLANTED, pool.map(broken, PLANTED), strict=True))
    caught = {name: run["violations"] for name, run in runs.items() if run["violations"]}
    assert len(caught) >= 5, set(PLANTED) - set(caught)
    for name, found in caught.items():
        assert found[0]["is_short"], name
        assert len(found[0]["script"]) <= 12, name


@pytest.mark.timeout(240)
def test_our_own_cards_of_every_kind_keep_every_rule():
    tally = hunted(OwnBed(every_kind(), 1), 30_000)
    assert [found.to_json() for found in tally.found] == []
    # The hunt is worth something only if it gets past the door.
    assert tally.commits > 400
    assert tally.words[SW.OK] > 8_000
    assert len(tally.seen) > 500
    assert {SW.MAC_INVALID, SW.MAC_WRONG, SW.RANDOM_UNUSABLE, SW.WRONG_STATE} <= set(tally.words)


def test_a_hunt_repeats_from_its_seed_and_differs_with_another():
    first, again, other = (hunted(OwnBed(STUDENT, 1), seed=seed) for seed in ("3/0", "3/0", "4/0"))
    assert first.seen == again.seen
    assert first.seen != other.seen


def test_branches_are_collected_on_traced_cards_alone():
    assert hunted(OwnBed(STUDENT, 1), 800, branches=1).branches > 200
    assert hunted(OwnBed(STUDENT, 1), 800).branches == 0


@pytest.mark.parametrize("road", ["inproc", "air", "udp"])
def test_a_stand_on_any_road_is_fuzzed(road):
    with own_stand(road) as stand:
        tally = hunted(StandBed(stand), 500)
    assert tally.commands >= 500
    assert not tally.found


def test_a_foreign_card_is_only_read_without_leave():
    card = card_of()
    before = card.image
    tally = hunted(StandBed(stand_with(card)))
    assert tally.commands >= 2_000
    assert card.image is before
    assert not tally.found


def test_a_foreign_card_with_leave_pays_and_keeps_its_keys_pins_and_life():
    card = card_of()
    before = card.image
    tally = hunted(StandBed(writable(card)), 4_000)
    assert tally.commits > 20
    assert not tally.found
    assert not card.image.is_dead
    for old, new in zip(before.directories, card.image.directories, strict=True):
        assert old.keys.keys() == new.keys.keys()
    names = {name for _, name, _ in tally.seen}
    assert not names & {spec.name for spec in KEPT}


# Lies told from outside


class Lying(OwnBed):
    """Our card behind somebody who changes answers. lie: takes command and right answer."""

    def __init__(self, lie):
        self._lie = lie
        super().__init__(STUDENT, 1)
        self.inside = None

    def lay(self, kind):
        super().lay(kind)
        self.inside = None
        card, lie = self._card, self._lie

        class Link:
            def transmit(self, command):
                return lie(command, card.process(command))

        self.link = Link()


def one_fen_more(command, answer):
    is_balance = command[:4] == bytes.fromhex("805C0002") and answer[-2:] == b"\x90\x00"
    rich = is_balance and int.from_bytes(answer[:4], "big") > 5_000
    return (
        (int.from_bytes(answer[:4], "big") + 1).to_bytes(4, "big") + answer[4:] if rich else answer
    )


@pytest.mark.parametrize(
    ("lie", "rule"),
    [
        (one_fen_more, Rule.MONEY),
        (lambda c, a: a[:-2] + b"\x6f\x00" if a[-2:] == b"\x93\x02" else a, Rule.WORD),
        (lambda c, a: b"\x90", Rule.FORM),
        (
            lambda c, a: b"\0" * 4 + a[-2:] if c[:2] == b"\x80\x52" and a[-2:] == b"\x90\0" else a,
            Rule.PROOF,
        ),
        (
            lambda c, a: b"\x01\x02\x03\x04" + a[-2:] if c == bytes.fromhex("0084000004") else a,
            Rule.RANDOM,
        ),
    ],
    ids=["balance", "word", "form", "TAC", "random"],
)
def test_a_liar_is_caught_by_the_rule_it_breaks_with_a_script_that_repeats(lie, rule):
    bed = Lying(lie)
    found = next(one for one in hunted(bed, 20_000).found if one.rule is rule)
    assert found.is_short
    assert len(found.said) <= 12
    bed.lay("student")
    for command, answer in found.said:
        if command:
            assert bed.link.transmit(command) == answer
        else:
            bed.reset()
    text = "\n".join(script(found))
    assert rule.words.en in text
    assert f"> {found.said[-1][0].hex().upper()}" in text


def test_a_card_that_breaks_down_is_found_with_its_error():
    def lie(command, answer):
        if command[:2] == b"\x00\xb0":
            raise ZeroDivisionError("no such thing")
        return answer

    found = hunted(Lying(lie)).found
    assert found[0].rule is Rule.ALIVE
    assert "ZeroDivisionError" in found[0].came


# The oracle


def opened() -> tuple[Life, bytes]:
    """A load under way, and the command that would end it."""
    life = Life(OwnBed(STUDENT, 1), "student")
    life.play(Recipe(SELECT, SELECT.usual))
    life.play(Recipe(INIT_LOAD, INIT_LOAD.usual))
    return life, life.desk.request(CREDIT_LOAD)


def test_a_final_command_with_a_wrong_mac_must_not_be_taken():
    life, command = opened()
    wrong = command[:-2] + bytes((command[-2] ^ 1,)) + command[-1:]
    life.oracle.inside = None
    with pytest.raises(Breach, match="with a wrong MAC refused"):
        life.oracle.saw(CREDIT_LOAD, wrong, bytes(4) + b"\x90\0", State.LOAD)


def test_a_final_command_with_a_right_mac_must_not_be_9302():
    life, command = opened()
    life.oracle.inside = None
    with pytest.raises(Breach, match="with a right MAC taken"):
        life.oracle.saw(CREDIT_LOAD, command, b"\x93\x02", State.LOAD)


def test_a_command_is_taken_only_in_its_states():
    desk = Desk(OwnBed(STUDENT, 1).link, OwnBed(STUDENT, 1).keys)
    oracle = Oracle(desk, has_ed=False)
    with pytest.raises(Breach, match="refused in 'idle'"):
        oracle.saw(CREDIT_LOAD, desk.request(CREDIT_LOAD), bytes(4) + b"\x90\0", State.IDLE)


def test_a_word_is_declared_for_its_command_alone():
    assert is_declared(GET_BALANCE, SW.OK)
    assert not is_declared(GET_BALANCE, SW.BALANCE_TOO_LOW)
    assert not is_declared(GET_BALANCE, SW.WRONG_STATE)
    assert is_declared(CREDIT_LOAD, SW.WRONG_STATE)
    assert is_declared(SW.CLA_UNKNOWN, SW.CLA_UNKNOWN)
    assert not is_declared(SW.CLA_UNKNOWN, SW.INS_UNKNOWN)


# Recipes


@pytest.mark.parametrize("bend", BENDS)
def test_bending_is_total_and_mostly_changes_the_command(bend):
    bed, rng = OwnBed(STUDENT, 1), Random(5)
    desk, grammar, changed = Fuzzer(bed.link, bed.keys, bed.declared.pin), Grammar(rng), 0
    for spec in TABLE:
        recipe = grammar.recipe(spec)._replace(bend=bend)
        command = made(recipe, desk)
        assert isinstance(command, bytes)
        changed += command != made(recipe._replace(bend=""), desk)
    assert changed > len(TABLE.specs) // 2


def test_noise_has_any_length_a_card_may_get():
    bed = OwnBed(STUDENT, 1)
    desk = Desk(bed.link, bed.keys)
    sizes = {
        len(made(Recipe(NOISE, place=place, value=value), desk))
        for place in range(0, 256, 5)
        for value in range(0, 256, 3)
    }
    assert {0, 4, 63} <= sizes
    assert max(sizes) > 255


def test_only_allowed_commands_are_drawn():
    grammar = Grammar(Random(1), lambda spec: is_reading(bytes((spec.cla, spec.ins))))
    for _ in range(500):
        for recipe in grammar.episode():
            spec = recipe.spec
            assert isinstance(spec, str) or is_reading(bytes((spec.cla, spec.ins)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", "0"], "--count is 0; expected at least 1"),
        (["--workers", "99"], "--workers is 99; expected 1 to 64"),
        (["--via", "nowhere"], "there is no road 'nowhere'"),
        (["--via", "udp", "--workers", "2"], "only --via inproc has them"),
        (["--via", "udp,air"], "a fuzzer runs at one"),
        (["--via", "air", "--branches", "1"], "only --via inproc can"),
        (["--mutant", "M-CARD-999"], "there is no broken card 'M-CARD-999'"),
        (["--mutant", "M-CARD-119", "--via", "air"], "leave --via out"),
        (["--profile", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_run_is_said_in_one_sentence(arguments, said, capsys):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert not shown.out


def test_a_run_prints_counts_or_json_and_writes_a_file(tmp_path, capsys):
    out = tmp_path / "run.json"
    assert main(["--count", "600", "--profile", "student", "--out", str(out)]) == 0
    assert "no violation" in capsys.readouterr().out
    assert main(["--count", "600", "--profile", "student", "--json"]) == 0
    told, kept = json.loads(capsys.readouterr().out), json.loads(out.read_text("utf-8"))
    del told["seconds"], kept["seconds"]
    assert told == kept
    assert told["commands"] >= 600
    assert told["violations"] == []


def test_ctrl_c_at_a_terminal_is_no_matter_of_the_workers():
    """A terminal sends it to all of them; one that is starting would answer with a traceback."""
    command = [sys.executable, "-m", "bench", "conformance", "fuzz", "--workers", "2"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        born = workers_of(process)
        assert all(is_deaf(one) for one in born)
        os.killpg(process.pid, signal.SIGINT)
        said, errors = process.communicate(timeout=20)
    assert (process.returncode, said) == (3, "")
    assert errors.splitlines()[-1] == "Error: it was stopped by Ctrl-C or by a signal"
    assert "Traceback" not in errors


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Both of them, as soon as they are there."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        there = [one for one in children(process.pid) if "spawn_main" in proc(one, "cmdline")]
        if len(there) == 2:
            return there
        time.sleep(0.01)
    raise TimeoutError


def is_deaf(process: int) -> bool:
    """Whether Ctrl-C waits for a process, or is nothing to it."""
    sets = dict(line.split(":\t") for line in proc(process, "status").splitlines())
    return bool((int(sets["SigBlk"], 16) | int(sets["SigIgn"], 16)) >> signal.SIGINT - 1 & 1)


def proc(process: int, name: str) -> str:
    return Path(f"/proc/{process}/{name}").read_text()
