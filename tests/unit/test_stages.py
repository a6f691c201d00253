"""Stages of a tap: told from real taps, and complete with regard to the command tables."""

from collections.abc import Iterator
from itertools import count, pairwise

import pytest

from apdu.commands import DEBIT, GET_CHALLENGE, GET_PROVE, SAM_TABLE, TABLE
from bench.stages import Part, longest, stages, total_ms
from reader.gate import Direction, Verdict
from reader.transport.decorators import CutPoint, Cutting, Exchange, Recording
from reader.transport.inprocess import InProcess
from tests.gates import OUTSIDE, case
from tests.watched import watched

MS = 1_000_000


def clock() -> Iterator[int]:
    """One millisecond more each time it is looked at."""
    return count(0, MS)


def parts(exchanges: list[Exchange]) -> list[str]:
    return [stage.name for stage in stages(exchanges)]


def test_an_exit_has_every_stage_once_in_its_order():
    made = case(Direction.EXIT)
    outcome, seen = watched(made.gate(), InProcess(made.card()), clock().__next__)
    assert outcome.verdict is Verdict.PASS
    assert parts(seen) == [
        "select",
        "read",
        "offer",
        "PSAM",
        "records",
        "debit",
        "PSAM check",
    ]


def test_a_refused_card_has_only_the_stages_it_came_to():
    made = case(Direction.EXIT)
    made.trip = OUTSIDE
    outcome, seen = watched(made.gate(), InProcess(made.card()), clock().__next__)
    assert outcome.verdict is Verdict.REJECT
    assert parts(seen) == ["select", "read"]


def test_a_recovered_debit_is_proved_and_checked_and_nothing_is_paid_again():
    made = case(Direction.EXIT)
    card, gate = made.card(), made.gate()
    probe = case(Direction.EXIT)
    link = Recording(InProcess(probe.card()), lambda: 0)
    probe.gate().pass_(link)
    at = 1 + [TABLE.route(e.command[:4]) for e in link.seen].index(DEBIT)
    first, seen = watched(gate, Cutting(InProcess(card), at, CutPoint.AFTER), clock().__next__)
    assert first.verdict is Verdict.TAP_AGAIN
    assert parts(seen)[-1] == "debit"
    assert seen[-1].response is None
    second, seen = watched(gate, InProcess(card), clock().__next__)
    assert second.verdict is Verdict.PASS
    assert parts(seen) == ["select", "proof", "PSAM check"]


def test_a_stage_runs_from_its_first_command_to_its_last_answer():
    made = case(Direction.EXIT)
    _, seen = watched(made.gate(), InProcess(made.card()), clock().__next__)
    found = stages(seen)
    assert found[0].start_ns == seen[0].start_ns
    assert total_ms(found) == (seen[-1].end_ns - seen[0].start_ns) / MS
    assert all(a.end_ns < b.start_ns for a, b in pairwise(found))
    assert sum(stage.ms for stage in found) == total_ms(found) - (len(found) - 1)


def test_the_longest_stage_is_the_first_of_the_longest():
    select, get_prove = TABLE.specs[0], GET_PROVE
    assert longest([]) is None
    assert total_ms([]) == 0
    commands = [(select, 0, 3), (get_prove, 4, 9), (DEBIT, 10, 15)]
    seen = [
        Exchange("card", bytes((s.cla, s.ins, *s.usual)), b"\x90\x00", a * MS, b * MS)
        for s, a, b in commands
    ]
    found = longest(stages(seen))
    assert found is not None
    assert (found.name, found.ms) == ("proof", 5.0)


def test_fetching_the_rest_of_an_answer_belongs_to_the_command_before():
    debit = bytes((DEBIT.cla, DEBIT.ins, *DEBIT.usual))
    seen = [
        Exchange("card", debit, b"\x61\x08", 0, MS),
        Exchange("card", bytes.fromhex("00C0000008"), bytes(8) + b"\x90\x00", MS, 2 * MS),
    ]
    assert [(s.name, s.ms) for s in stages(seen)] == [("debit", 2.0)]
    assert parts(seen[1:]) == ["other"]


def test_what_a_gate_has_no_use_for_is_other():
    asked = GET_CHALLENGE.command(None)
    assert parts([Exchange("card", asked, b"", 0, 1)]) == ["other"]
    assert parts([Exchange("host", asked, b"", 0, 1)]) == ["other"]


@pytest.mark.parametrize("to", ["card", "psam"])
def test_every_stated_command_has_a_stage_and_none_is_cut(to: str):
    table = TABLE if to == "card" else SAM_TABLE
    for spec in table:
        for p1, p2 in spec.params.examples():
            header = bytes((spec.cla, spec.ins, p1, p2))
            assert len(stages([Exchange(to, header, None, 0, 1)])) == 1


def test_letters_and_names_tell_parts_apart():
    assert len({part.letter for part in Part}) == len({part.text for part in Part}) == len(Part)
