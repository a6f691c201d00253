"""`kill -9` on gates and validators that keep a journal, again and again; also by hand, many times:

python -m tests.interop.gate_kills --count 300 --seed 1

Cards and PSAMs are devices of their own and live on in this process; the terminal, its journal and
its decisions are the process that dies. The passenger, who saw no barrier open, taps again there.
The kills go round the lanes: gates, the doors of a bus, buses that collect each other's fares.
"""

import os
import random
import signal
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import fixtures
from apdu.files import EF15, PublicInfo
from emulator.card.card import Card
from emulator.card.env import SeededEnv
from emulator.card.personalise import personalise
from reader.gate import Reject, Verdict
from reader.journal import Journal, read_records
from reader.psam import Psam
from reader.taprecord import Mark, TapRecord
from reader.transport.inprocess import InProcess
from reader.trips import EP_ADJUST, EP_ENTRY, EP_EXIT
from tests.campaigns import Say, run_campaign
from tests.cards import content_of, purse_in
from tests.doomed import (
    LANES,
    NAMES,
    TERMINALS,
    is_done,
    proved_at_the_desk,
    tacs,
    tap_for_ever,
)

START = 50_000
LOW = 2_000
RHYTHM = {
    "rail": (EP_ENTRY, EP_EXIT),
    "bus": (EP_ENTRY, EP_EXIT),
    "missed": (EP_ENTRY, EP_ADJUST),
}
"""What a card's records are in each lane, in turn."""
LONGEST_S = 0.004
"""A gate is killed at most this long after the last answer it got: a tap writes twice to disk."""


@dataclass
class Tally:
    """What happened. recovered: records that a card proved at a later tap, or at the desk.

    at_desk: gates that died after the PSAM had closed the debit, before the record was written.
    shut: gates that died after the record was written, before the barrier opened.
    """

    kills: int = 0
    passed: int = 0
    at_desk: int = 0
    shut: int = 0
    records: int = 0
    void: int = 0
    recovered: int = 0
    cards: int = 1

    @classmethod
    def of_all(cls, tallies: Iterable["Tally"]) -> "Tally":
        """Several lanes' together."""
        parts = list(tallies)
        names = [one.name for one in fields(cls)]
        return cls(**{name: sum(getattr(part, name) for part in parts) for name in names})


@dataclass
class World:
    """What outlives a terminal: the card under way, two PSAMs, and what has been seen."""

    lane: str
    folder: Path
    source: random.Random
    tally: Tally = field(default_factory=Tally)
    at: int = 0

    def __post_init__(self) -> None:
        roots = fixtures.load_roots()
        self.psams = [Psam(terminal, {1: roots["PMK"]}) for terminal in TERMINALS]
        self.cards: list[Card] = []
        self.card = self._new_card()

    def _new_card(self) -> Card:
        serial = bytes.fromhex(f"031052280088{len(self.cards):08d}")
        profile = replace(fixtures.load_profile("student").with_balance(START), serial=serial)
        made = personalise(profile, fixtures.load_roots(), SeededEnv(serial.hex()))
        self.cards.append(made)
        return made

    def live(self, line: Connection, pid: int) -> None:
        """Serve a gate until it is killed, at a random message and then a random moment."""
        for _ in range(self.source.randint(0, 60)):
            message = line.recv_bytes()
            if self._hear(message):
                line.send_bytes(self._answer(message))
        message = line.recv_bytes()
        if self._hear(message):
            answer = self._answer(message) if self.source.random() < 0.7 else None
            if answer is not None and self.source.random() < 0.7:
                line.send_bytes(answer)
        line.poll(self.source.uniform(0.0, LONGEST_S))
        os.kill(pid, signal.SIGKILL)
        with suppress(EOFError, OSError):
            while line.poll(5.0):
                self._hear(line.recv_bytes())
        self.card.power_off()

    def _hear(self, message: bytes) -> bool:
        """Take news of the gate. Returns whether it is a command instead."""
        if message[:1] == b"@":
            self.at = int(message[1:])
            self.card.power_off()
            if self.at == 0 and purse_in(self.card.image).actual < LOW:
                self.tally.cards += 1
                self.card = self._new_card()
        elif message[:1] == b"=":
            self.tally.passed += 1
            self.tally.at_desk += message == b"=desk"
            self.tally.shut += message == b"=kept"
            self.at = 1 - self.at
        else:
            return True
        return False

    def _answer(self, message: bytes) -> bytes:
        if message[:1] == b"c":
            return self.card.process(message[1:])
        return self.psams[int(message[:1])].process(message[1:])


def campaign(count: int, seed: int, say: Say) -> Tally:
    """Kill `count` terminals. Raises AssertionError where a record is missing or there twice."""
    with tempfile.TemporaryDirectory() as folder:
        worlds = [_world(lane, Path(folder), seed) for lane in LANES]
        context = get_context("forkserver")
        context.set_forkserver_preload(["tests.doomed"])
        for number in range(count):
            world = worlds[number % len(worlds)]
            ours, theirs = context.Pipe()
            process = context.Process(
                target=tap_for_ever,
                args=(world.lane, str(world.folder), world.at, theirs),
                daemon=True,
            )
            process.start()
            theirs.close()
            assert process.pid is not None
            world.live(ours, process.pid)
            ours.close()
            process.join()
            assert process.exitcode == -signal.SIGKILL, f"it ended with {process.exitcode}"
            world.tally.kills += 1
            look(world)
            if number % 50 == 49:
                say(str(Tally.of_all(world.tally for world in worlds)))
        for world in worlds:
            settle(world)
            look(world, is_settled=True)
            say(f"{world.lane}: {world.tally}")
    return Tally.of_all(world.tally for world in worlds)


def _world(lane: str, folder: Path, seed: int) -> World:
    place = folder / lane
    place.mkdir()
    return World(lane, place, random.Random(f"{seed} {lane}"))


def records_of(world: World) -> list[TapRecord]:
    paths = [world.folder / f"{n}.journal" for n in (0, 1)]
    return [record for path in paths if path.exists() for record in read_records(path)]


def look(world: World, is_settled: bool = False) -> None:
    """Every tap the gates let pass has its record; no debit has two, and none is unknown."""
    records = records_of(world)
    taken = [record for record in records if record.mark == Mark.TAKEN]
    seen = {(record.serial, record.counter) for record in taken}
    assert len(seen) == len(taken), "a debit has two records"
    assert len(taken) >= world.tally.passed, "a barrier opened without a record"
    made = sum(purse_in(card.image).offline_seq for card in world.cards)
    # The passenger under way may hold one debit whose record is not written yet: it is promised.
    assert made - len(taken) in ((0,) if is_settled else (0, 1)), (made, len(taken))
    world.tally.records = len(taken)
    world.tally.void = len(records) - len(taken)
    world.tally.recovered = sum(record.flags & 1 for record in taken)
    if is_settled:
        spent = sum(START - purse_in(card.image).actual for card in world.cards)
        assert sum(record.amount for record in taken) == spent
        for card in world.cards:
            serial = card_serial(card)
            own = sorted((r.counter, r.trip) for r in taken if r.serial == serial)
            turns = [RHYTHM[world.lane][n % 2] for n in range(len(own))]
            assert [trip for _, trip in own] == turns, "a ride twice, or a fare never"
        check = tacs()
        assert all(check.is_right(record) for record in taken)


def card_serial(card: Card) -> bytes:
    info = PublicInfo.parse(content_of(card.image, EF15.sfi))
    return info.serial


def settle(world: World) -> None:
    """The last passenger taps once more at the terminal, which runs again."""
    n = world.at
    with Journal(world.folder / f"{n}.journal", NAMES[n], TERMINALS[n]) as journal:
        gate = LANES[world.lane](n, journal, world.psams[n])
        outcome = gate.pass_(InProcess(world.card))
        if outcome.reason is Reject.UNPROVEN:
            outcome = proved_at_the_desk(InProcess(world.card), gate)
            world.tally.at_desk += 1
        assert outcome.verdict is Verdict.PASS or is_done(outcome), outcome
        world.tally.passed += 1
        assert journal.pending() == []


if __name__ == "__main__":
    run_campaign(__doc__ or "", 300, campaign, str)
