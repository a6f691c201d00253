"""What the card's benchmarks measure does the card's work; how long it takes is not tested."""

import struct
from pathlib import Path

import pytest

from apdu.commands import DEBIT, INIT_CAPP, TABLE
from apdu.records import DebitReply, InitPurchaseReply
from apdu.spec import CommandTable
from bench.throughput import card as alone
from bench.throughput.beside import beside
from bench.throughput.card import RATIOS, actions, card_measures, floor_of
from bench.throughput.codec import (
    codec_measures,
    debit_by_hand,
    initialize_by_hand,
    parse_by_hand,
    statements,
)
from bench.throughput.costs import in_turn, shares
from bench.throughput.growth import growth_measures, ratio_name
from bench.throughput.journal import measure as journal_measure
from bench.throughput.repeat import inlined, one_processor, timed
from bench.throughput.seven import AMOUNT, BALANCE, SELECT_PURSE, SevenTap
from bench.throughput.tap import PARTS, WHOLE, Plan, Taken
from reader.transport.decorators import Exchange


def test_the_floor_makes_the_cards_cryptograms_every_time():
    work = SevenTap().work
    floor = floor_of(work)
    assert [floor() for _ in range(3)] == [work.card_side()] * 3


def test_the_readers_cryptograms_are_those_the_card_wants():
    work = SevenTap().work
    assert work.reader_side() == work.card_side()[:2]


@pytest.mark.parametrize("is_full", [False, True])
def test_the_seven_commands_pay_each_time_the_card_is_put_back(is_full: bool):
    seven = SevenTap(is_full=is_full)
    assert len(seven.commands) == 7
    for _ in range(3):
        seven.put_back()
        answers = [seven.card.process(command) for command in seven.commands]
        assert all(answer[-2:] == b"\x90\x00" for answer in answers)
        left = int.from_bytes(seven.card.process(BALANCE)[:4], "big")
        assert left == 5000 - AMOUNT
    assert sum(map(len, seven.commands)) == 120
    assert sum(map(len, answers)) in (170, 171)  # performance reference 1


def test_a_full_card_has_every_log_record():
    seven = SevenTap(is_full=True)
    seven.card.process(SELECT_PURSE)
    for sfi, count in ((0x18, 10), (0x1E, 30)):
        command = bytes((0x00, 0xB2, count, sfi << 3 | 4, 0x00))
        assert seven.card.process(command)[-2:] == b"\x90\x00"


def test_the_codec_by_hand_does_what_the_table_does():
    seven = SevenTap()
    seven.ready()
    for spec, command, by_hand, reply_type in (
        (INIT_CAPP, seven.init, initialize_by_hand, InitPurchaseReply),
        (DEBIT, seven.debit, debit_by_hand, DebitReply),
    ):
        assert TABLE.route(command[:4]) is spec
        parsed = CommandTable.shape(spec, command).data
        by_hand_parsed = parse_by_hand(command)
        for field in parsed.FIELDS:
            assert getattr(by_hand_parsed, field.name) == getattr(parsed, field.name)
        answer = seven.card.process(command)[:-2]
        assert by_hand(reply_type.parse(answer)) == answer
        if spec is INIT_CAPP:
            seven.card.process(seven.cache)
        with pytest.raises((ValueError, struct.error)):
            parse_by_hand(command + b"\x00")


def test_every_statement_of_the_codec_runs():
    for parts in statements().values():
        assert len(parts) == 2
        for statement, names in parts:
            assert inlined(statement, names, 1) > 0


def test_the_codecs_ratios_are_of_its_measures():
    made = codec_measures(2)
    ours, floor = made["codec by the table"], made["codec by hand"]
    assert made["codec by the table / by hand"].runs == tuple(
        a / b for a, b in zip(ours.runs, floor.runs, strict=True)
    )


def test_every_action_is_measured_and_every_ratio_made():
    made = card_measures(50, 2)
    assert set(actions()) | set(RATIOS) <= set(made)
    assert made[alone.PURCHASE].count == 100
    assert all(len(one.runs) == 2 and one.typical > 0 for one in made.values())


@pytest.mark.parametrize("count", [50, 75, 120])
def test_as_much_is_measured_as_was_asked_for(count: int, tmp_path: Path):
    assert card_measures(count, 2, names=frozenset({alone.READ}))[alone.READ].count == 2 * count
    done = in_turn(lambda: None, lambda: None, Plan(count - 43, 2))
    assert done.ours.count == done.floor.count == 2 * (count - 43)
    journal = journal_measure(str(tmp_path), count - 40, 2)
    assert journal.ours.count == journal.floor.count == 2 * 2 * (count - 40)


def test_a_tap_in_process_is_split_in_every_run():
    split = shares(Plan(10, 3, 2))
    assert list(split) == ["codec", "cryptograms", "rest"]
    assert all(len(one.runs) == 3 and one.count == 30 for one in split.values())


def test_the_parts_of_each_tap_add_up_to_the_tap():
    seen = [Exchange("card", BALANCE, b"", 100, 160), Exchange("psam", BALANCE, b"", 160, 190)]
    taken = Taken()
    taken.add_tap(200, seen, 45)
    taken.end_run()
    told = {name: one.typical for name, one in taken.parts.items()}
    assert told == {
        "card": 0.045, "transport": 0.015, "PSAM": 0.03, "reader code": 0.11, WHOLE: 0.2,
    }  # fmt: skip
    assert sum(told[name] for name in PARTS) == pytest.approx(told[WHOLE])


def test_a_choice_of_actions_is_all_that_is_measured():
    made = card_measures(50, 1, names=frozenset({alone.READ}))
    assert list(made) == [alone.READ]


def test_growth_is_measured_against_the_smallest_population():
    made = growth_measures(1, (100, 200))
    assert made["tap among 100 cards"].count == made["tap among 200 cards"].count == 100
    assert made[ratio_name(200, 100)].typical > 0


def test_something_beside_its_floor_is_told_run_by_run():
    found = beside([[2000, 2000], [6000]], [[1000], [2000, 2000]])
    assert found.ratio.runs == (2.0, 3.0)
    assert set(found.measures("a", "b")) == {"a", "b", "a / b"}


def test_what_comes_before_is_done_each_time():
    done = []
    took = timed(lambda: done.append("act"), 3, lambda: done.append("before"))
    assert len(took) == 3
    assert done == ["before", "act"] * 3


def test_one_processor_is_given_back():
    import os

    before = os.sched_getaffinity(0)
    with one_processor() as chosen:
        assert os.sched_getaffinity(0) == {chosen}
    assert os.sched_getaffinity(0) == before
    with one_processor(False) as chosen:
        assert chosen is None
        assert os.sched_getaffinity(0) == before
