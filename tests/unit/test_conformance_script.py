"""The script that shows a failure, and its shortening."""

from pathlib import Path

import pytest

from bench.cli.trace_replay import ReplayOptions
from bench.cli.trace_replay import replay as replay_on_ours
from bench.conformance.case import Case, Verdict
from bench.conformance.lab import Lab
from bench.conformance.runner import Result, run_case
from bench.conformance.script import Kind, Step, reduced, replay, shrink, steps_of, text_of
from bench.conformance.stand import OwnStand, Slot, own_stand
from bench.conformance.suite import card_cases
from bench.conformance.words import Words
from bench.trace_formats import load
from emulator.picc import Picc
from reader.transport.decorators import CutPoint
from tests.liars import Liar, penniless

TITLE = Words("It holds", "成立")
SELECT = "00A4040008A000000632010105"
BALANCE = "805C000204"
READ = "00B0950000"


def judged(stand: OwnStand, body) -> Result:
    return run_case(Case("a.b", "TEST", TITLE, ("4.1",), body), stand)


class LyingSlot(Slot):
    """A place whose every card says that it has nothing."""

    def put(self, card: Picc) -> None:
        super().put(Liar(penniless, card))  # type: ignore[arg-type]


@pytest.fixture
def stand():
    with own_stand() as made:
        yield made


@pytest.fixture
def lying(stand: OwnStand):
    stand._slot.__class__ = LyingSlot
    return stand


def wandering(lab: Lab) -> None:
    for command in (SELECT, READ, BALANCE, READ, READ):
        lab.must(lab.send(bytes.fromhex(command)))
    lab.must(lab.send(bytes.fromhex("00B0940000")), 0x9000)


def commands(steps: list[Step]) -> list[str]:
    return [step.command.hex().upper() for step in steps]


def test_reading_on_the_way_is_left_out_if_the_last_answer_stays(stand: OwnStand):
    result = judged(stand, wandering)
    assert result.verdict is Verdict.FAILED
    assert len(steps_of(result)) == 6
    steps = shrink(stand, result)
    assert steps[-1].answer is not None
    assert replay(stand, result.case, steps)[-1] == steps[-1].answer
    assert len(steps) < 6
    for at in range(len(steps) - 1):  # nothing more can go
        assert replay(stand, result.case, steps[:at] + steps[at + 1 :])[-1] != steps[-1].answer


def test_what_changed_the_card_stays(lying: OwnStand):
    """Without the top-up a right card has no money either, so that would show nothing."""
    result = run_case(card_cases()["CARD-LOAD-001"], lying)
    assert result.verdict is Verdict.FAILED
    steps = shrink(lying, result)
    assert len(steps) < len(steps_of(result))
    assert "8052" in [command[:4] for command in commands(steps)]
    assert commands(steps)[-1] == BALANCE


def test_a_right_card_of_the_same_seed_differs_in_the_last_answer_alone(
    lying: OwnStand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    result = run_case(card_cases()["CARD-LOAD-001"], lying)
    path = tmp_path / "script.txt"
    path.write_text(text_of("CARD-LOAD-001", result, shrink(lying, result), True))
    assert replay_on_ours(path, ReplayOptions("reader", "inproc", "student", seed=1)) == 1
    said = capsys.readouterr().out
    assert "one difference" in said
    assert "0.00" in said
    assert "1.00" in said


def test_a_failure_that_does_not_repeat_is_left_as_it_is(stand: OwnStand):
    result = judged(stand, wandering)
    changed = Result(
        result.case, result.verdict, violation=result.violation,
        said=(*result.said[:-1], type(result.said[-1])(result.said[-1].command, b"\x12\x34")),
    )  # fmt: skip
    assert shrink(stand, changed) == steps_of(changed)


def test_a_cut_is_a_step_and_a_field_that_goes_off_another(stand: OwnStand):
    def cutting(lab: Lab) -> None:
        lab.must(lab.select())
        lab.cut(bytes.fromhex(BALANCE), CutPoint.AFTER)
        lab.cut(bytes.fromhex(BALANCE), CutPoint.BEFORE)
        lab.must(lab.send(bytes.fromhex(BALANCE)), 0x6A88)

    result = judged(stand, cutting)
    kinds = [step.kind for step in steps_of(result)]
    assert kinds == [Kind.SAY, Kind.CUT, Kind.RESET, Kind.RESET, Kind.SAY]
    assert shrink(stand, result)[-1] == steps_of(result)[-1]


def test_the_script_is_a_recording_that_the_bench_can_play(stand: OwnStand, tmp_path: Path):
    def twice(lab: Lab) -> None:
        lab.must(lab.select())
        lab.reset()
        lab.must(lab.select())
        lab.must(lab.send(bytes.fromhex(READ)), 0x6A82)

    result = judged(stand, twice)
    text = text_of("CARD-TEST-001", result, steps_of(result), True)
    assert text.startswith("# CARD-TEST-001: It holds\n# expected: 6A82 ")
    path = tmp_path / "script.txt"
    path.write_text(text)
    events = load(path, None).events
    sent = [event.data for event in events if event.source.value == "pcd"]
    assert sent == [said.command for said in result.said if said.command]
    assert len({event.tap for event in events}) == 2


def test_a_pin_of_a_foreign_card_is_not_in_its_script(stand: OwnStand):
    result = judged(stand, lambda lab: lab.must(lab.send(bytes.fromhex("0020000003123456"))))
    assert "> 0020000003123456" in text_of("X", result, steps_of(result), True)
    hidden = text_of("X", result, steps_of(result), False)
    assert "123456" not in hidden
    assert "> 0020000003......" in hidden


def test_delta_debugging_finds_the_steps_that_matter():
    steps = [Step(Kind.SAY, b"\x00\xa4" + bytes((number,)), b"\x90\x00") for number in range(40)]
    wanted = {steps[3], steps[17], steps[38]}
    assert set(reduced(steps, lambda some: wanted <= set(some))) == wanted
