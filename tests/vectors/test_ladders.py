"""The ladders of protocol reference 6, byte for byte, from both sides."""

from datetime import datetime

import pytest

import fixtures
from apdu.bcd import Moment
from apdu.commands import GET_BALANCE, READ_BINARY
from apdu.files import TripLog
from apdu.purse import CAPP, PURCHASE
from fixtures.network import load_network
from issuer.loads import SoftLoadHost
from reader.gate import Direction, Gate, GateConfig, Verdict
from reader.loading import LoadInterrupted, load, recover_load
from reader.proofs import recover
from reader.psam import Psam
from reader.session import ask, run
from reader.transactions import purchase, read_card, select_purse
from reader.transport.base import CardLost
from tests.vectors.ladders import LADDERS, Ladder

WHITE_LIST = frozenset({("09981001", "31052280")})


class Scripted:
    """The peers of a ladder: checks each command against the next step and gives its answer.

    Behind it stand our own card and PSAM, so both sides are checked in one run.
    """

    def __init__(self, ladder: Ladder) -> None:
        self.card, self.psam = ladder.card(), ladder.psam()
        self.steps = list(ladder.steps)

    def link(self, to: str) -> "Link":
        return Link(self, to)

    @property
    def links(self) -> dict[str, "Link"]:
        return {"card": self.link("card"), "psam": self.link("psam")}


class Link:
    def __init__(self, script: Scripted, to: str) -> None:
        self.script, self.to = script, to

    def transmit(self, command: bytes) -> bytes:
        step = self.script.steps.pop(0)
        assert (self.to, command.hex().upper()) == (step["to"], step["command"]), step["note"]
        peer = self.script.card if self.to == "card" else self.script.psam
        response = peer.process(command)
        assert response.hex().upper() == step["response"], step["note"]
        if step.get("lost"):
            self.script.card.power_off()
            self.script.card.power_on()
            raise CardLost("the ladder loses this answer")
        return response


@pytest.mark.parametrize("ladder", LADDERS.values(), ids=LADDERS)
def test_card_and_psam_answer_as_printed(ladder: Ladder):
    script = Scripted(ladder)
    for step in ladder.steps:
        try:
            script.link(step["to"]).transmit(bytes.fromhex(step["command"]))
        except CardLost:
            assert step["lost"]
    assert not script.steps


def at_of(ladder: Ladder) -> datetime:
    return datetime.strptime(ladder.raw["at"], "%Y%m%d%H%M%S")


def gate_for(ladder: Ladder, direction: Direction, psam: Psam, station: str) -> Gate:
    network = load_network()
    config = GateConfig(network, network.station(station), direction, WHITE_LIST, max_fare=900)
    return Gate(config, psam, lambda: at_of(ladder))


@pytest.mark.parametrize(
    ("name", "direction", "station", "fare", "left"),
    [
        ("gate-entry", Direction.ENTRY, "080013", 0, 5000),
        ("gate-exit", Direction.EXIT, "080019", 400, 4600),
    ],
)
def test_the_gate_speaks_as_printed(name, direction, station, fare, left):
    ladder = LADDERS[name]
    script = Scripted(ladder)
    gate = gate_for(ladder, direction, script.psam, station)
    outcome = run(gate.tap(), script.links)
    assert not script.steps
    assert (outcome.verdict, outcome.fare) == (Verdict.PASS, fare)
    assert outcome.receipt.balance == left


def test_plain_bus_purchase_speaks_as_printed():
    ladder = LADDERS["bus-purchase"]
    script = Scripted(ladder)

    def sale():
        info = yield from select_purse()
        yield from ask("card", READ_BINARY, None, 0x95, 0)
        yield from ask("card", READ_BINARY, None, 0x97, 0)
        yield from ask("card", GET_BALANCE, None, 0x03)
        at = Moment.of(at_of(ladder))
        return (yield from purchase(info, 50, script.psam, at, PURCHASE))

    receipt = run(sale(), script.links)
    assert not script.steps
    assert receipt.balance == ladder.raw["card"]["balance"] - 50


def test_bus_capp_purchase_speaks_as_printed():
    ladder = LADDERS["bus-capp"]
    script = Scripted(ladder)
    record = bytes.fromhex(
        next(s["command"] for s in ladder.steps if s["command"].startswith("80DC"))
    )[5:]
    assert TripLog.parse(record).trip_kind == 0x06

    def sale():
        info = yield from select_purse()
        for step in ladder.steps[2:]:
            if step["command"].startswith("8050"):
                break
            yield from raw("card", step["command"])
        at = Moment.of(at_of(ladder))
        return (
            yield from purchase(info, 1, script.psam, at, CAPP, lambda o, p: [(0x1E, 0, record)])
        )

    receipt = run(sale(), script.links)
    assert not script.steps
    assert receipt.balance == 0x471C - 1


def raw(to, command):
    from reader.session import Send

    return (yield Send(to, bytes.fromhex(command)))


def host() -> SoftLoadHost:
    roots = fixtures.load_roots()
    return SoftLoadHost(roots["LMK"], roots["TMK"])


def loading(ladder, on_lost=None):
    info = yield from select_purse(directory=ladder.steps[0]["command"].startswith("00A404000E"))
    if any(s["command"] == "00B0950000" for s in ladder.steps):
        yield from ask("card", READ_BINARY, None, 0x95, 0)
    terminal = bytes.fromhex(ladder.raw["host"]["terminal"])
    return (yield from load(info, 5000, host(), terminal, Moment.of(at_of(ladder))))


def test_top_up_speaks_as_printed():
    ladder = LADDERS["top-up"]
    script = Scripted(ladder)
    receipt = run(loading(ladder), script.links)
    assert not script.steps
    assert (receipt.balance, receipt.tac.hex()) == (9500, "6699ab30")


def test_a_top_up_whose_answer_is_lost_is_found_again():
    ladder = LADDERS["top-up-lost-answer"]
    script = Scripted(ladder)
    with pytest.raises(LoadInterrupted) as caught:
        run(loading(ladder), script.links)

    def again():
        while not script.steps[0]["command"].startswith("805A"):
            yield from raw("card", script.steps[0]["command"])
        return (yield from recover_load(caught.value.unresolved, host()))

    receipt = run(again(), script.links)
    assert (receipt.tac.hex(), receipt.balance, receipt.recovered) == ("6699ab30", 9500, True)
    assert not script.steps


def test_an_interrupted_exit_is_recovered_as_printed():
    ladder = LADDERS["interrupted-purchase"]
    script = Scripted(ladder)
    gate = gate_for(ladder, Direction.EXIT, script.psam, "080019")
    first = run(gate.tap(), script.links)
    assert first.verdict is Verdict.TAP_AGAIN
    (lost,) = gate.unresolved.values()

    def again():
        yield from select_purse(directory=False)
        return (yield from recover(lost))

    receipt = run(again(), script.links)
    assert not script.steps
    assert (receipt.balance, receipt.tac.hex(), receipt.recovered) == (4600, "60ac1454", True)
    assert script.card.purse.actual == 4600


def test_ladders_read_the_card_the_way_the_gate_does():
    script = Scripted(LADDERS["gate-entry"])

    def reading():
        yield from select_purse()
        return (yield from read_card())

    view = run(reading(), script.links)
    assert (view.interop.card_kind, view.trip.state) == (2, 0)
