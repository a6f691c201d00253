"""A gate in another process, judged as one that is not ours: by the card and an operator."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from socket import create_server
from threading import Event, Thread
from time import perf_counter_ns

import pytest

import fixtures
from bench.conformance.case import Need, Verdict
from bench.conformance.gate.foreign import ForeignGates, Operator, foreign_gates
from bench.conformance.gate.fronts import held
from bench.conformance.gate.played import PlayedCard
from bench.conformance.gate.playing import gate_places, judge_gates
from bench.conformance.gate.post import entry
from bench.conformance.gate.runner import run_gate_case
from bench.conformance.report import Run
from bench.conformance.runner import Interrupted
from bench.conformance.suite import chosen, gate_cases
from bench.problem import Problem
from emulator.frontends.vpcd import Control
from tests.interop.test_nfc_target import free_port
from tests.needs import require_module, require_tool
from tests.operators import AtOurGate

ORDINARY = "jbgn.good_card_enters,jbgn.entered_card_leaves,jbgn.disabled_card_is_refused"
LOST = "ljjy.exit_proven,ljjy.exit_not_taken,jysj.wrong_mac2_at_entry,jysj.exit_tac"
LEFT_OUT = "jbgn.start_date_is_judged,jbgn.listed_card_is_refused,jysj.exit_record"


@contextmanager
def over_udp() -> Iterator[AtOurGate]:
    gate = AtOurGate(r"udp:\S+", "--via", "nfc", "--device", "{where}")
    try:
        yield gate
    finally:
        gate.leave()


def judged(pattern: str, via: str, operator: Operator) -> Run:
    (place,) = gate_places(via, operator)
    return judge_gates(chosen(gate_cases(), pattern), place, told=lambda number, result: None)


def outcomes(run: Run) -> dict[str, Verdict]:
    why = [f"{one.violation}" for one in run.results.values() if one.violation]
    assert (run.incomplete, why) == ("", [])
    return {one.case.key: one.verdict for one in run.results.values()}


def test_a_gate_in_another_process_is_judged_over_the_air():
    with over_udp() as gate:
        run = judged(f"{ORDINARY},{LOST},{LEFT_OUT}", "gate:udp:0", gate.operator)
    came = outcomes(run)
    for key in f"{ORDINARY},{LOST}".split(","):
        assert came[key] is Verdict.PASSED
    for key in LEFT_OUT.split(","):
        assert came[key] is Verdict.SKIPPED
    assert any(said.startswith("Set the gate up: exit at station 080019") for said in gate.asked)
    assert "Hold the card to the gate." in gate.said


def test_a_gate_in_another_process_is_judged_over_a_virtual_pn532():
    gate = AtOurGate(r"tty:[^ ,]+", "--via", "nfc", "--device", "{where}")
    try:
        run = judged("jbgn.entered_card_leaves,ljjy.exit_proven", "gate:pn532", gate.operator)
    finally:
        gate.leave()
    assert set(outcomes(run).values()) == {Verdict.PASSED}


def test_a_gate_in_another_process_is_judged_by_a_reader_that_listens():
    device = f"udp:127.0.0.1:{free_port()}"
    gate = AtOurGate(r"udp:[^ ,]+", "--via", "nfc", "--device", "{where}")
    try:
        run = judged(
            "jbgn.entered_card_leaves,ljjy.exit_proven", f"gate:nfc:{device}", gate.operator
        )
    finally:
        gate.leave()
    assert set(outcomes(run).values()) == {Verdict.PASSED}


@pytest.mark.needs_pcscd
def test_a_gate_in_another_process_is_judged_over_pcsc():
    require_module("smartcard", "tapbench[pcsc]")
    require_tool("pcscd", "pcscd vsmartcard-vpcd")
    reader = ("--via", "pcsc", "--reader", "tapbench 00 00", "PCSCLITE_CSOCK_NAME={where}")
    gate = AtOurGate(r"(?<=PCSCLITE_CSOCK_NAME=)\S+", *reader)
    try:
        run = judged(f"{ORDINARY},ljjy.exit_proven", "gate:pcsc", gate.operator)
    finally:
        gate.leave()
    assert set(outcomes(run).values()) == {Verdict.PASSED}


def test_an_operator_who_sees_another_thing_fails_the_case():
    with over_udp() as gate:

        def wrong(question: str) -> bool:
            return not gate.ask(question) if question.startswith("Did") else gate.ask(question)

        operator = Operator(wrong, gate.said.append, wait_s=30.0, quiet_s=0.4, patience_s=0.0)
        run = judged("jbgn.good_card_enters", "gate:udp:0", operator)
    assert [one.verdict for one in run.results.values()] == [Verdict.FAILED]


def nobody(question: str) -> bool:
    return False


def test_a_gate_that_cannot_be_set_up_so_skips_the_case():
    run = judged("jbgn.good_card_enters", "gate:udp:0", Operator(nobody, print))
    (result,) = run.results.values()
    assert result.verdict is Verdict.SKIPPED
    assert result.why is not None
    assert "entry at station 080013" in result.why.en


def at_a_deaf_gate(question: str) -> bool:
    return not question.endswith("Was it held to the gate?")


def test_a_gate_that_asks_nothing_ends_the_suite():
    operator = Operator(at_a_deaf_gate, print, wait_s=0.2)
    run = judged("jbgn.good_card_enters,jbgn.entered_card_leaves", "gate:udp:0", operator)
    assert "no gate has asked the card anything in 0.2 s" in run.incomplete
    assert not run.results


def test_a_tap_at_a_gate_that_asks_without_end_ends():
    operator = Operator(lambda question: True, lambda said: None, quiet_s=5.0, talk_s=0.3)
    over = Event()
    with foreign_gates("udp:0", operator) as gates:

        def ask_on() -> None:
            while not over.wait(0.05):
                if not gates.played.is_away:
                    gates.played.process(bytes.fromhex("00B0950000"))

        Thread(target=ask_on, daemon=True).start()
        gates.tap(entry(), gates.begins)
        over.set()
        assert gates.played.is_away


class TakenAtOnce(PlayedCard):
    """Somebody takes it away in the moment after it was seen to be here."""

    is_seen = False

    @property
    def is_away(self) -> bool:
        is_away = self._is_away
        if not is_away and not self.is_seen:
            self.is_seen = True
            self.take_away()
        return is_away

    @is_away.setter
    def is_away(self, is_away: bool) -> None:
        self._is_away = is_away


def test_a_card_that_is_taken_away_as_it_is_put_into_its_slot_leaves_it() -> None:
    with closing(create_server(("127.0.0.1", 0))) as vpcd:
        played = TakenAtOnce(fixtures.card("student"), perf_counter_ns)
        with held(f"vpcd:{vpcd.getsockname()[1]}", played, lambda said: None):
            vpcd.accept()[0].close()  # whether there is a slot
            with closing(vpcd.accept()[0]) as slot:
                slot.settimeout(4)
                slot.sendall(bytes((0, 1, Control.GET_ATR)))
                with suppress(ConnectionResetError):  # it has gone without a look at that
                    while slot.recv(99):
                        pass


@contextmanager
def stand(**more: object) -> Iterator[ForeignGates]:
    operator = Operator(nobody, lambda said: None, **more)  # type: ignore[arg-type]
    with foreign_gates("udp:0", operator) as made:
        yield made


def test_what_is_not_confirmed_is_no_ability():
    with stand() as plain:
        assert not plain.abilities & {Need.POST, Need.CODE, Need.CLOCK, Need.RECORDS}
    with stand(can=frozenset({Need.POST, Need.CODE})) as told:
        assert told.abilities & {Need.POST, Need.CODE} == {Need.POST}


def test_each_card_before_a_foreign_gate_has_a_number_of_its_own():
    with stand() as gates:
        serials = {gates.declared.serial}
        gates.place({})
        serials.add(gates.declared.serial)
        gates.bring({})
        serials.add(gates.card.image.directories[1].files[0x15].content[10:20])
    assert len(serials) == 3


def test_a_foreign_gates_card_is_good_today():
    with stand() as gates:
        made = gates.declared
        assert made.start_date <= gates.begins.date() <= made.end_date


@pytest.mark.parametrize("via", ["smoke", "udp:x", "udp:99999"])
def test_a_front_that_is_none_is_refused(via: str):
    with pytest.raises(Problem), foreign_gates(via, Operator(nobody, print)):
        pass


def test_a_gate_that_rightly_asks_nothing_is_judged():
    """A closed gate touches no card, so silence is what the case is about."""
    asked: list[str] = []

    def at_a_closed_gate(question: str) -> bool:
        asked.append(question)
        return question != "Did the gate open?"

    operator = Operator(at_a_closed_gate, print, frozenset({Need.POST}), stopped_s=0.1)
    run = judged("jbgn_modes.stopped_gates_serve_nobody", "gate:udp:0", operator)
    assert set(outcomes(run).values()) == {Verdict.PASSED}
    assert sum("Was it held to the gate?" in question for question in asked) == 3


def test_a_case_at_no_gate_is_interrupted():
    operator = Operator(at_a_deaf_gate, print, wait_s=0.1)
    (case,) = chosen(gate_cases(), "jbgn.good_card_enters").values()
    with foreign_gates("udp:0", operator) as gates, pytest.raises(Interrupted):
        run_gate_case(case, gates)
